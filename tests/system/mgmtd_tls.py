"""gannet-mgmtd's ports over TLS: curl and python's ssl; another certificate without a restart; what start says of wrong ones."""
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.request

from broker import GANNET_MGMTD, PATIENCE_S, Broker, Log, until
from runner import main
from tls_site import Authority


class Doors:
    """A gannet-mgmtd both of whose ports speak TLS."""

    def __init__(self, data, authority, name="broker"):
        # setpriv: should this test be killed, it goes with it.
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", GANNET_MGMTD, "-D", data, "--metrics", "127.0.0.1:0", "--api", "127.0.0.1:0",
                                         "--api-tls", "--metrics-tls", "--certificate", authority.certificate(name), "--key", authority.key(name)],
                                        stderr=subprocess.PIPE)
        self.log = Log(self.process.stderr)
        if not self.log.wait("metrics over TLS on"):
            raise AssertionError("gannet-mgmtd didn't start: %s" % self.log.text())
        self.api, self.metrics = (int(self.log.find(what + r" over TLS on 127.0.0.1:(\d+)").group(1)) for what in ("API", "metrics"))

    def end(self):
        self.process.terminate()
        status = self.process.wait(PATIENCE_S)
        self.log.thread.join()
        return status

    def reload(self, wanted):
        before = len(self.log.lines)
        self.process.send_signal(signal.SIGHUP)
        until(lambda: wanted in "\n".join(self.log.lines[before:]), wanted)


class Tls(unittest.TestCase):
    def setUp(self):
        self.authority = Authority()
        self.addCleanup(shutil.rmtree, self.authority.directory)

    def serve(self):
        self.broker = self.enterContext(Broker())
        self.doors = Doors(self.broker.data, self.authority)
        self.addCleanup(self.doors.end)

    def curl(self, port, path, *words, trusted="broker"):
        return subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", self.authority.certificate(trusted), "-m", str(PATIENCE_S), *words,
                               "https://localhost:%d/%s" % (port, path)], capture_output=True, text=True, timeout=PATIENCE_S + 5, check=False)

    def test_curl(self):
        self.serve()
        overview = self.curl(self.doors.api, "api/overview", "-u", "guest:guest")
        listeners = [(l["protocol"], l["port"]) for l in json.loads(overview.stdout)["listeners"]]
        self.assertIn(("https", self.doors.api), listeners)
        self.assertIn(("https/prometheus", self.doors.metrics), listeners)
        self.assertIn("Login failed", self.curl(self.doors.api, "api/overview", "-u", "guest:wrong").stdout)
        self.assertIn("gannet_front_accepted_total", self.curl(self.doors.metrics, "metrics").stdout)
        refused = self.curl(self.doors.api, "api/overview", "-u", "guest:guest", trusted="other")
        self.assertIn("certificate", refused.stderr)
        self.assertEqual(refused.returncode, 60)
        self.assertEqual(self.curl(self.doors.api, "api/overview", "--tls-max", "1.1").returncode, 35)
        for version in "1.2", "1.3":
            self.assertEqual(self.curl(self.doors.metrics, "metrics", "--tlsv" + version, "--tls-max", version).returncode, 0)
        body = json.dumps({"password": "pw", "tags": "administrator"})
        made = self.curl(self.doors.api, "api/users/u", "-u", "guest:guest", "-X", "PUT", "-d", body, "-w", "%{http_code}")
        self.assertEqual(made.stdout, "201")
        big = os.path.join(self.authority.directory, "big")
        with open(big, "w", encoding="utf-8") as file:
            json.dump({"properties": {}, "routing_key": "nowhere", "payload": "x" * 4000000, "payload_encoding": "string"}, file)
        routed = self.curl(self.doors.api, "api/exchanges/%2F/amq.default/publish", "-u", "guest:guest", "--data-binary", "@" + big)
        self.assertEqual(json.loads(routed.stdout), {"routed": False})

    def test_what_is_no_tls(self):
        self.serve()
        with self.assertRaises(OSError):
            urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.doors.metrics, timeout=PATIENCE_S)
        self.assertEqual(self.curl(self.doors.metrics, "metrics").returncode, 0)

    def shown(self):
        text = ssl.get_server_certificate(("127.0.0.1", self.doors.api))
        for name in "broker", "other":
            with open(self.authority.certificate(name), encoding="utf-8") as file:
                if file.read().strip() == text.strip():
                    return name
        return None

    def test_another_without_a_restart(self):
        self.serve()
        for name in "certificate", "key":
            path = getattr(self.authority, name)("broker")
            shutil.copy(path, path + ".kept")
        for _ in range(3):
            shutil.copy(self.authority.certificate("other"), self.authority.certificate("broker"))
            self.doors.reload("--key: the key in %s does not belong to the certificate in %s" % (self.authority.key("broker"), self.authority.certificate("broker")))
            self.assertTrue(self.doors.log.find("the old certificate goes on"))
            shutil.copy(self.authority.certificate("broker") + ".kept", self.authority.certificate("broker"))
            self.assertEqual(self.shown(), "broker")
            self.authority.make("broker")
            self.assertIsNone(self.shown())  # not read yet
            self.doors.reload("the certificate has been read again")
            self.assertEqual(self.shown(), "broker")
            for name in "certificate", "key":
                path = getattr(self.authority, name)("broker")
                shutil.copy(path, path + ".kept")

    def test_it_ends_soon(self):
        self.authority.make("broker", days=10)
        self.serve()
        self.assertRegex(self.doors.log.text(), "the certificate in %s ends in (9|10) days" % self.authority.certificate("broker"))

        def check(within):
            return self.curl(self.doors.api, "api/health/checks/certificate-expiration/" + within, "-u", "guest:guest").stdout

        self.assertEqual(json.loads(check("9/days")), {"status": "ok"})
        expired, = json.loads(check("2/weeks"))["expired"]
        self.assertEqual(expired["file"], self.authority.certificate("broker"))
        self.assertRegex(expired["expires"], time.strftime("^%Y-", time.gmtime(time.time() + 10 * 86400)))
        self.authority.make("broker", days=90)
        self.doors.reload("read again")
        self.assertEqual(json.loads(check("2/weeks")), {"status": "ok"})

    def test_bad_words(self):
        certificate, key, other = self.authority.certificate("broker"), self.authority.key("broker"), self.authority.key("other")
        nowhere, garbage = (os.path.join(self.authority.directory, name) for name in ("nowhere", "garbage"))
        with open(garbage, "w", encoding="utf-8") as file:
            file.write("nothing\n")
        pair = ("--certificate", certificate, "--key", key)
        for words, why in ((("--api-tls",), "--api-tls needs --certificate and --key"),
                           (("--metrics-tls", "--certificate", certificate), "--metrics-tls needs --certificate and --key"),
                           (pair, "--certificate and --key are for --api-tls and --metrics-tls"),
                           (("--api-tls", "--api", "", *pair), "--api-tls is given, but --api is empty"),
                           (("--metrics-tls", "--metrics", "", *pair), "--metrics-tls is given, but --metrics is empty"),
                           (("--api-tls", "--certificate", nowhere, "--key", key), "--certificate: cannot read %s: No such file" % nowhere),
                           (("--api-tls", "--certificate", certificate, "--key", nowhere), "--key: cannot read %s: No such file" % nowhere),
                           (("--api-tls", "--certificate", garbage, "--key", key), "--certificate: %s holds no certificate" % garbage),
                           (("--api-tls", "--certificate", certificate, "--key", garbage), "--key: %s holds no private key" % garbage),
                           (("--api-tls", "--certificate", certificate, "--key", other), "the key in %s does not belong to the certificate in %s" % (other, certificate))):
            with self.subTest(why), tempfile.TemporaryDirectory(prefix="gannet-mgmtd-") as data:
                done = subprocess.run([GANNET_MGMTD, "-D", data, "--metrics", "127.0.0.1:0", "--api", "127.0.0.1:0", *words], capture_output=True, text=True,
                                      timeout=PATIENCE_S, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, re.escape(why))

    def test_sighup_without_tls(self):
        with tempfile.TemporaryDirectory(prefix="gannet-mgmtd-") as data:
            process = subprocess.Popen([GANNET_MGMTD, "-D", data, "--metrics", "127.0.0.1:0", "--api", ""], stderr=subprocess.PIPE)
            log = Log(process.stderr)
            self.assertTrue(log.wait("metrics on"))
            process.send_signal(signal.SIGHUP)
            process.terminate()
            self.assertEqual(process.wait(PATIENCE_S), 0)
            log.thread.join()


if __name__ == "__main__":
    main()

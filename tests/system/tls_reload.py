"""TLS with more than one certificate, and with certificates, authorities and settings that change while the broker runs; sessions
that are resumed, and those that must not be; what the log says of certificates that end."""
import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import unittest

from broker import GANNETCTL, PATIENCE_S, drain, until
from runner import main
from tls_site import Authority, connect, dial, handshake, openssl, tls_port

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
CONNECT = b"\x10\x0d\0\4MQTT\4\2\0\0\0\1c"


def any_context(version=None):
    """Of a client that looks at the certificate itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version:
        context.minimum_version = context.maximum_version = version
    return context


class Site(unittest.TestCase):
    def setUp(self):
        self.authority = Authority()
        self.addCleanup(shutil.rmtree, self.authority.directory)
        self.more = os.path.join(self.authority.directory, "more")
        os.mkdir(self.more)

    def add(self, name, *names, **how):
        """A certificate in the directory."""
        self.authority.make(name, names, **how)
        for path in (self.authority.certificate(name), self.authority.key(name)):
            shutil.copy(path, self.more)

    @contextlib.contextmanager
    def running(self, **settings):
        with self.authority.broker(**settings) as broker:
            broker.start()
            yield broker

    def shown(self, broker, name, context):
        """Which of our certificates a client gets that asks for this name."""
        with context.wrap_socket(dial(broker), server_hostname=name) as stream:
            der = stream.getpeercert(True)
        for file in os.listdir(self.authority.directory):
            if file.endswith(".pem"):
                with open(os.path.join(self.authority.directory, file), encoding="utf-8") as pem:
                    if ssl.PEM_cert_to_DER_cert(pem.read()) == der:
                        return file[:-4]
        return None

    def reload(self, broker, wanted="certificates have been read again"):
        before = len(broker.log.lines)
        broker.signal(signal.SIGHUP)
        until(lambda: wanted in "\n".join(broker.log.lines[before:]), wanted)

    def count(self, broker, name):
        said = subprocess.run([GANNETCTL, "-D", broker.data, "status"], check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout
        return int(next(line.split()[1] for line in said.splitlines() if line.startswith(name)))


class Names(Site):
    def test_the_certificate_fits_the_name(self):
        self.add("a", "a.example", "Other.Example")
        self.add("wild", "*.b.example")
        self.add("rsa", "rsa.example", key=("rsa:2048",))
        self.add("common.example")  # no DNS name: the subject's counts
        with open(os.path.join(self.more, "README"), "w", encoding="utf-8") as file:
            file.write("other files are nobody's business\n")
        with self.running(tls__directory=self.more, fronts=2) as broker:
            for version in VERSIONS:
                context = any_context(version)
                for name, wanted in (("a.example", "a"), ("A.EXAMPLE", "a"), ("other.example", "a"), ("x.b.example", "wild"), ("X.b.Example", "wild"),
                                     ("rsa.example", "rsa"), ("common.example", "common.example"), ("b.example", "broker"),
                                     ("y.x.b.example", "broker"), ("example", "broker"), ("nobody.example", "broker"),
                                     ("localhost", "broker"), ("x" * 60 + "." + "y" * 60 + ".b.example", "broker"), (None, "broker")):
                    self.assertEqual(self.shown(broker, name, context), wanted, (version, name))
            context = self.authority.context(trusted="wild")
            with context.wrap_socket(dial(broker), server_hostname="client.b.example") as stream:
                self.assertEqual(stream.version(), "TLSv1.3")

    def test_a_client_that_checks(self):
        self.add("a", "a.example")
        with self.running(tls__directory=self.more) as broker:
            said = openssl("s_client", "-connect", "%s:%d" % (broker.address, tls_port(broker)), "-servername", "a.example", "-CAfile",
                           self.authority.certificate("a"), "-verify_return_error", "-verify_hostname", "a.example", "-brief", input=b"")
            self.assertIn(b"Verification: OK", said.stderr)

    def refused(self, said, **settings):
        settings.setdefault("tls__directory", self.more)
        with self.authority.broker(**settings) as broker:
            self.assertIn(said, broker.start_fails())

    def test_what_start_says(self):
        def path(name):
            return os.path.join(self.more, name)

        self.refused("tls.directory: cannot read the directory %s: No such file" % path("nowhere"), tls__directory=path("nowhere"))
        self.add("a", "a.example")
        os.rename(path("a.key"), path("b.key"))
        self.refused("tls.directory: cannot read %s: No such file" % path("a.key"))
        os.rename(path("a.pem"), path("c.pem"))
        os.rename(path("b.key"), path("c.key"))
        shutil.copy(path("c.key"), path("b.key"))
        self.refused("tls.directory: cannot read %s: No such file" % path("b.pem"))
        os.unlink(path("b.key"))
        shutil.copy(self.authority.key("other"), path("c.key"))
        self.refused("tls.directory: the key in %s does not belong to the certificate in %s" % (path("c.key"), path("c.pem")))
        with open(path("c.pem"), "w", encoding="utf-8") as file:
            file.write("nothing\n")
        self.refused("tls.directory: %s holds no certificate in PEM form" % path("c.pem"))
        os.unlink(path("c.pem"))
        os.unlink(path("c.key"))
        self.add("d", "a.example", "d.example")
        self.add("e", "e.example", "A.example")
        self.refused("%s and %s are both for the name a.example: leave one" % (path("d.pem"), path("e.pem")))


class Reload(Site):
    def test_new_certificates_count(self):
        self.add("a", "a.example")
        with self.running(tls__directory=self.more, fronts=3) as broker:
            before = self.authority.context()
            old = connect(broker, before)
            channel = old.channel()
            channel.queue_declare("q")
            self.authority.make("broker")
            self.add("b", "b.example")
            os.unlink(os.path.join(self.more, "a.pem"))
            os.unlink(os.path.join(self.more, "a.key"))
            self.reload(broker)
            for name, wanted in (("localhost", "broker"), ("b.example", "b"), ("a.example", "broker")):
                for _ in range(6):
                    self.assertEqual(self.shown(broker, name, any_context()), wanted)
            with self.assertRaises(ssl.SSLCertVerificationError):
                handshake(broker, before)
            with handshake(broker, self.authority.context()):
                channel.basic_publish("", "q", b"over the old one")
                self.assertEqual([body for body, _ in drain(channel, "q")], [b"over the old one"])
            old.close()

    def test_what_is_wrong_changes_nothing(self):
        self.add("a", "a.example")
        with self.running(tls__directory=self.more) as broker:
            certificate, key = self.authority.certificate("broker"), self.authority.key("broker")
            shutil.copy(certificate, certificate + ".kept")
            for path, text, said in ((certificate, "", "tls.certificate: %s holds no certificate" % certificate),
                                     (key, "x", "tls.key: %s holds no private key" % key),
                                     (os.path.join(self.more, "a.key"), None, "tls.directory: cannot read "),
                                     (os.path.join(self.more, "b.pem"), "x", "tls.directory: cannot read ")):
                kept = None
                if os.path.exists(path):
                    with open(path, encoding="utf-8") as file:
                        kept = file.read()
                    os.unlink(path)
                if text is not None:
                    with open(path, "w", encoding="utf-8") as file:
                        file.write(text)
                self.reload(broker, "the old one goes on")
                self.assertTrue(broker.log.wait("error main: " + re.escape(said)), said)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                if kept is not None:
                    with open(path, "w", encoding="utf-8") as file:
                        file.write(kept)
                for name, wanted in (("localhost", "broker"), ("a.example", "a")):
                    self.assertEqual(self.shown(broker, name, any_context()), wanted)
            self.reload(broker)

    def test_settings_change(self):
        with self.authority.broker() as broker:
            broker.config = os.path.join(broker.own, "gannet.conf")

            def configure(text):
                with open(broker.config, "w", encoding="utf-8") as file:
                    file.write(text)

            configure("")
            broker.start()
            port = "%s:%d" % (broker.address, tls_port(broker))
            handshake(broker, self.authority.context()).close()
            configure("tls.versions = 1.3\ntls.verify = required\ntls.ca = %s\n" % self.authority.certificate("client"))
            self.reload(broker)
            self.assertFalse(broker.log.find("counts from the next start on"))
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                handshake(broker, self.authority.context())
            handshake(broker, self.authority.context(own="client")).close()
            failed = subprocess.run(["openssl", "s_client", "-tls1_2", "-connect", port], input=b"", capture_output=True, timeout=PATIENCE_S, check=False)
            self.assertNotEqual(failed.returncode, 0)
            configure("tls.verify = requird\n")
            self.reload(broker, "tls.verify: 'requird' is none of")
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                handshake(broker, self.authority.context())

    def test_clients_come_meanwhile(self):
        """Beside many reloads nobody's handshake fails."""
        self.add("a", "a.example")
        with self.running(tls__directory=self.more, fronts=2) as broker:
            failed, stop = [], threading.Event()

            def come(name):
                context, session = any_context(), None
                while not stop.is_set():
                    try:
                        with context.wrap_socket(dial(broker), server_hostname=name, session=session) as stream:
                            stream.sendall(b"AMQP\0\0\x09\x01")
                            stream.recv(1)
                            session = stream.session
                    except Exception as error:  # pylint: disable=broad-except
                        failed.append(error)
                        return

            threads = [threading.Thread(target=come, args=(name,)) for name in ("localhost", "a.example")]
            for thread in threads:
                thread.start()
            for _ in range(15):
                self.reload(broker)
            stop.set()
            for thread in threads:
                thread.join(PATIENCE_S)
            self.assertEqual(failed, [])


class Sessions(Site):
    def s_client(self, broker, *words):
        # Until the broker closes for what it is sent: the ticket of TLS 1.3 comes behind the handshake.
        with subprocess.Popen(["openssl", "s_client", "-ign_eof", "-connect", "%s:%d" % (broker.address, tls_port(broker)), *words], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
            client.stdin.write(b"AMQP of another kind\n")
            client.stdin.flush()
            return client.communicate(timeout=PATIENCE_S)[0].decode()

    def test_s_client_resumes(self):
        with self.running(fronts=3) as broker:
            for n, version in enumerate(("-tls1_2", "-tls1_3")):
                file = os.path.join(self.authority.directory, "session")
                self.assertIn("\nNew, TLSv1.", self.s_client(broker, version, "-sess_out", file))
                for _ in range(4):
                    self.assertIn("\nReused, TLSv1.", self.s_client(broker, version, "-sess_in", file))
                self.assertEqual((self.count(broker, "front.tls_handshakes"), self.count(broker, "front.tls_resumed")), (1 + n, 4 + 4 * n))
            with dial(broker) as plain:
                plain.sendall(b"AMQP\0\0\x09\x01")
                self.assertEqual(plain.recv(1), b"")
            with dial(broker):
                pass  # a probe that says nothing is no failure
            with self.assertRaises(ssl.SSLCertVerificationError):
                handshake(broker, self.authority.context(trusted="other"))
            until(lambda: self.count(broker, "front.tls_failed") == 2, "two handshakes for nothing")
            self.reload(broker)
            self.assertIn("\nNew, TLSv1.3", self.s_client(broker, "-sess_in", file))

    def session(self, broker, context):
        with handshake(broker, context) as stream:
            return stream.session

    def test_no_session_outlives_its_authority(self):
        """Who was let in by an authority that isn't trusted any more has no way around being asked again."""
        with self.running(tls__ca=self.authority.certificate("client"), tls__verify="required") as broker:
            for version in VERSIONS:
                context = self.authority.context(own="client")
                context.minimum_version = context.maximum_version = version
                session = self.session(broker, context)
                with context.wrap_socket(dial(broker), server_hostname="localhost", session=session) as stream:
                    self.assertTrue(stream.session_reused)
                shutil.copy(self.authority.certificate("client"), self.authority.certificate("client") + ".kept")
                shutil.copy(self.authority.certificate("other"), self.authority.certificate("client"))
                self.reload(broker)
                with self.assertRaises((ssl.SSLError, ConnectionError)), \
                        context.wrap_socket(dial(broker), server_hostname="localhost", session=session) as stream:
                    stream.sendall(b"AMQP\0\0\x09\x01")
                    if not stream.recv(1):
                        raise ConnectionResetError
                shutil.copy(self.authority.certificate("client") + ".kept", self.authority.certificate("client"))
                self.reload(broker)

    def test_no_session_outlives_its_certificate(self):
        self.authority.make_ending("brief", 3)
        with self.running(tls__ca=self.authority.certificate("brief"), tls__verify="required") as broker:
            context = self.authority.context(own="brief")
            session = self.session(broker, context)

            def let_in():
                try:
                    with context.wrap_socket(dial(broker), server_hostname="localhost", session=session) as stream:
                        stream.sendall(b"AMQP\0\0\x09\x01")
                        return bool(stream.recv(1)) and stream.session_reused
                except (ssl.SSLError, ConnectionError):
                    return False

            self.assertTrue(let_in())
            until(lambda: not let_in(), "an end to the sessions of a certificate that has ended", 20)
            self.assertTrue(broker.log.wait("handshake failed: certificate has expired"))

    def test_a_resumed_session_has_its_user(self):
        """What a certificate says is kept in the session: there is no second one to be asked for."""
        with self.running(tls__ca=self.authority.certificate("client"), tls__verify="optional", tls__login="common_name", mqtt__anonymous="false",
                          listeners__mqtts="sockets:127.0.0.1:0") as broker:
            for words in (["add_user", "client", "pw"], ["set_permissions", "client", ".*", ".*", ".*"]):
                subprocess.run([GANNETCTL, "-D", broker.data, *words], check=True, timeout=PATIENCE_S)
            port = int(broker.log.find(r"mqtts listens on \S*:(\d+)$").group(1))

            def answer(context, session):
                with context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S), server_hostname="localhost",
                                         session=session) as stream:
                    stream.sendall(CONNECT)
                    return stream.recv(4), stream.session_reused, stream.session

            for version in VERSIONS:
                for own, said in (("client", b"\x20\2\0\0"), (None, b"\x20\2\0\4")):
                    context = self.authority.context(own=own)
                    context.minimum_version = context.maximum_version = version
                    got, _, session = answer(context, None)
                    self.assertEqual(got, said)
                    self.assertEqual(answer(context, session)[:2], (said, True))


class Expiry(Site):
    def test_the_log_says_it(self):
        self.authority.make("broker", days=10)
        self.authority.make_ending("over", -5)
        for path in (self.authority.certificate("over"), self.authority.key("over")):
            shutil.copy(path, self.more)
        self.add("long", "long.example")
        with self.running(tls__directory=self.more) as broker:
            self.assertRegex(broker.log.text(), r"warning main: the certificate in %s ends on \S+ \S+ UTC, in (9|10) days" % self.authority.certificate("broker"))
            self.assertRegex(broker.log.text(), r"error main: the certificate in %s ended on " % os.path.join(self.more, "over.pem"))
            self.assertNotIn("long.pem", broker.log.text())
            self.authority.make("broker", days=60)
            os.unlink(os.path.join(self.more, "over.pem"))
            os.unlink(os.path.join(self.more, "over.key"))
            before = len(broker.log.lines)
            self.reload(broker, "the configuration has been read again")
            self.assertNotRegex("\n".join(broker.log.lines[before:]), "warning|error")


if __name__ == "__main__":
    main()

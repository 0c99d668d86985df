"""gannet-mgmtd as those who watch a broker use it: Prometheus and its promtool, probes on the Unix socket. It may die, and so may the broker."""
import json
import os
import re
import signal
import socket
import stat
import subprocess
import tempfile
import time
import unittest
import urllib.request

from broker import GANNET_MGMTD, PATIENCE_S, PERSISTENT, Broker, until
from management import Mgmtd
from runner import main

PROMETHEUS = """
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs: [{job_name: gannet, static_configs: [{targets: ['%s']}]}]
"""


class Metrics(unittest.TestCase):
    def test_they_are_the_brokers(self):
        with Broker(routers=2, fronts=2) as broker, Mgmtd(broker.data) as mgmtd:
            with broker.channel() as channel:
                channel.queue_declare("q", durable=True)
                for _ in range(7):
                    channel.basic_publish("", "q", b"12345", PERSISTENT)
                until(lambda: mgmtd.metric("rabbitmq_queue_messages") == 7, "seven messages in the metrics")
                self.assertEqual(mgmtd.metric("rabbitmq_queues"), 1)
                self.assertEqual(mgmtd.metric("rabbitmq_connections"), 1)
            text = mgmtd.metrics()
            for agent in (0, 1):
                self.assertIn('gannet_router_published_total{router="%d"} ' % agent, text)
                self.assertIn('gannet_front_accepted_total{front="%d"} ' % agent, text)
            self.assertIn("rabbitmq_identity_info{", text)
            started = float(re.search(r"^gannet_start_time_seconds (\S+)$", text, re.M).group(1))
            self.assertLess(abs(time.time() - started), PATIENCE_S + 60)
            checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, timeout=60, check=False)
            self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))

    def test_prometheus_scrapes_them(self):
        with Broker() as broker, Mgmtd(broker.data) as mgmtd, tempfile.TemporaryDirectory(prefix="gannet-prometheus-") as own:
            with open(os.path.join(own, "prometheus.yml"), "w", encoding="utf-8") as config:
                config.write(PROMETHEUS % mgmtd.metrics_at)
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                at = "127.0.0.1:%d" % free.getsockname()[1]
            with subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "prometheus", "--config.file", os.path.join(own, "prometheus.yml"),
                                   "--storage.tsdb.path", os.path.join(own, "data"), "--web.listen-address", at],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as prometheus:
                try:
                    until(lambda: self.query(at, "up") == "1", "a scrape")
                    self.assertEqual(self.query(at, "rabbitmq_queues * on(instance) group_left(rabbitmq_node) rabbitmq_identity_info"), "0")
                finally:
                    prometheus.kill()

    def query(self, at, what):
        try:
            with urllib.request.urlopen("http://%s/api/v1/query?query=%s" % (at, urllib.request.quote(what)), timeout=PATIENCE_S) as answer:
                found = json.load(answer)["data"]["result"]
        except OSError:
            return None
        return found[0]["value"][1] if found else None

    def test_the_port_serves_nothing_else(self):
        with Broker() as broker, Mgmtd(broker.data) as mgmtd:
            for path in ("/", "/api/health/checks/alarms", "/metrics/", "/%6detrics", "/metrics%2f", "/metrics%00"):
                with self.assertRaises(urllib.error.HTTPError) as failed:
                    urllib.request.urlopen("http://%s%s" % (mgmtd.metrics_at, path), timeout=PATIENCE_S)
                with failed.exception as refused:
                    self.assertEqual(refused.code, 404, path)


class Health(unittest.TestCase):
    def test_of_a_broker_that_comes_and_goes(self):
        with Broker() as broker, Mgmtd(broker.data) as mgmtd:
            for check in ("alarms", "local-alarms", "is-in-service", "ready-to-serve-clients"):
                self.assertEqual(mgmtd.status("/api/health/checks/" + check), (200, {"status": "ok"}))
            broker.stop()
            status, body = mgmtd.status("/api/health/checks/is-in-service")
            self.assertEqual((status, body["error"]), (503, "unavailable"))
            self.assertRegex(body["reason"], r"^the broker \(process \d+\) has ended$")
            self.assertEqual(mgmtd.status("/api/health/checks/alarms")[0], 503)
            broker.start()
            self.assertEqual(mgmtd.status("/api/health/checks/is-in-service"), (200, {"status": "ok"}))
            os.kill(broker.process.pid, signal.SIGSTOP)
            try:
                until(lambda: mgmtd.status("/api/health/checks/is-in-service")[0] == 503, "the broker's silence", 30)
            finally:
                os.kill(broker.process.pid, signal.SIGCONT)
            until(lambda: mgmtd.status("/api/health/checks/is-in-service")[0] == 200, "the broker's return")

    def test_it_may_be_killed(self):
        with Broker() as broker:
            for _ in range(2):
                with Mgmtd(broker.data) as mgmtd:
                    self.assertEqual(mgmtd.status("/api/health/checks/alarms")[0], 200)
            with broker.channel() as channel:
                channel.queue_declare("q")

    def test_without_a_broker(self):
        with tempfile.TemporaryDirectory(prefix="gannet-mgmtd-") as data, Mgmtd(data) as mgmtd:
            status, body = mgmtd.status("/api/health/checks/alarms")
            self.assertEqual(status, 503)
            self.assertIn("no broker runs here", body["reason"])
            with open(os.path.join(data, "counters"), "wb") as file:
                file.write(os.urandom(5000))
            status, body = mgmtd.status("/metrics")
            self.assertEqual(status, 503)
            self.assertIn("is not what a broker", body["reason"])


class Socket(unittest.TestCase):
    def test_who_may_open_it_is_an_administrator(self):
        with Broker() as broker:
            path = os.path.join(broker.data, "mgmtd.sock")
            with Mgmtd(broker.data):
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o660)
            with Mgmtd(broker.data, "--socket-mode", "0600", "--socket-group", "12345"):
                self.assertEqual((stat.S_IMODE(os.stat(path).st_mode), os.stat(path).st_gid), (0o600, 12345))

    def test_bad_calls_are_answered(self):
        with Broker() as broker, Mgmtd(broker.data) as mgmtd:
            for path in ("/api", "/api/health/checks/none", "/api/vhosts/%2F/none"):
                status, body = mgmtd.status(path)
                self.assertEqual((status, sorted(body)), (404, ["error", "reason"]), path)
            for path in ("/%zz", "/%", "/%1", "/%00", "/%ff", "/api//whoami", "/" + 5000 * "x", 50 * "/x", "/metrics?sort=%00", "/metrics?a=%zz",
                         "/metrics?sort=" + 3000 * "x", "/metrics?" + "&".join("k%d=" % n for n in range(40))):
                status, body = mgmtd.status(path)
                self.assertEqual((status, sorted(body), body["error"]), (400, ["error", "reason"], "bad_request"), path)
            for method in ("POST", "PUT", "DELETE", "BREW"):
                response, body = mgmtd.ask("/metrics", method)
                self.assertEqual((response.status, response.headers["Allow"]), (405, "GET"), body)
            response, body = mgmtd.ask("/metrics", "HEAD")
            self.assertEqual((response.status, body), (200, ""))

    def test_bad_words(self):
        for words, why in ((("--socket-mode", "999"), "octal"), (("--socket-group", "no such group"), "there is no group"),
                           (("--metrics", "15692"), "not an address and a port"), (("--metrics", "nowhere:1"), "not an address and a port"),
                           (("--api", "15672"), "not an address and a port"),
                           (("-D", "/nowhere"), "cannot open the data directory"), (("--nothing",), "usage"), (("more",), "usage")):
            with tempfile.TemporaryDirectory(prefix="gannet-mgmtd-") as data:
                done = subprocess.run([GANNET_MGMTD, "-D", data, "--metrics", "", "--api", "", *words], capture_output=True, text=True, timeout=60, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(why, done.stderr)


if __name__ == "__main__":
    main()

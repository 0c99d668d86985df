"""What the broker counts and measures, as operators see it: each counter moves by what was done, stages' latencies are histograms, and a real
Prometheus has data for all that RabbitMQ's dashboard and our own (deploy/dashboard.json) ask it."""
import json
import os
import re
import socket
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

from broker import PATIENCE_S, PERSISTENT, Broker, until
from management import ANY, Mgmtd
from runner import main

DASHBOARD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/dashboard.json")
STAGES = ["receive", "route", "journal", "deliver"]
JOINED = " * on(instance, job) group_left(rabbitmq_cluster, rabbitmq_node, rabbitmq_endpoint) rabbitmq_identity_info"
GLOBAL = "received received_confirm confirmed routed unroutable_dropped unroutable_returned delivered delivered_consume_manual_ack \
    delivered_consume_auto_ack delivered_get_manual_ack delivered_get_auto_ack get_empty redelivered acknowledged".split()
# What Grafana's dashboard 10991 is made of.
RABBITMQ = ["rabbitmq_" + name for name in """build_info connections channels queues connections_opened_total connections_closed_total
    channels_opened_total channels_closed_total queues_declared_total queues_created_total queues_deleted_total queue_messages_ready
    queue_messages_unacked global_publishers global_consumers disk_space_available_bytes disk_space_available_limit_bytes
    resident_memory_limit_bytes process_resident_memory_bytes process_open_fds process_max_fds message_size_bytes_bucket message_size_bytes_sum
    message_size_bytes_count""".split()] + ["rabbitmq_global_messages_%s_total" % name for name in GLOBAL]
PROMETHEUS = """
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- {job_name: whole, metrics_path: /metrics, static_configs: [{targets: ['%(at)s']}]}
- {job_name: each, metrics_path: /metrics/per-object, static_configs: [{targets: ['%(at)s']}]}
- {job_name: some, metrics_path: /metrics/detailed, params: {family: [queue_coarse_metrics, channel_metrics]}, static_configs: [{targets: ['%(at)s']}]}
"""


def drop(channel, method, properties, body):
    pass


def work(channel):
    """One of each thing that is counted; what it comes to is below."""
    channel.queue_declare("q", durable=True)
    channel.queue_declare("q", passive=True)
    channel.queue_declare("gone")
    channel.queue_delete("gone")
    channel.basic_publish("", "nowhere", b"dropped")
    for i in range(10):
        channel.basic_publish("amq.fanout" if i % 2 else "", "q", b"x" * 100, PERSISTENT)
    channel.confirm_delivery()
    for _ in range(3):
        channel.basic_publish("", "q", b"y" * 5000, PERSISTENT)
    try:
        channel.basic_publish("", "nowhere", b"returned", mandatory=True)
        raise AssertionError("it was not returned")
    except Exception as error:  # pika.exceptions.UnroutableError
        assert "unroutable" in repr(error).lower(), error
    channel.basic_ack(channel.basic_get("q")[0].delivery_tag)
    channel.basic_get("q", auto_ack=True)
    channel.basic_reject(channel.basic_get("q")[0].delivery_tag, requeue=True)
    assert channel.basic_get("gone2" if channel.queue_declare("gone2") else "")[0] is None
    seen = []
    channel.basic_consume("q", lambda *delivery: seen.append(delivery), consumer_tag="acks")
    while len(seen) < 6:
        channel.connection.process_data_events(0.1)
    channel.basic_ack(seen[3][1].delivery_tag, multiple=True)
    channel.queue_declare("a")
    channel.basic_consume("a", drop, auto_ack=True, consumer_tag="doesn't")
    channel.basic_publish("", "a", b"z")


EXPECTED = {
    "received": 16, "received_confirm": 5, "confirmed": 5, "routed": 9, "unroutable_dropped": 6, "unroutable_returned": 1, "delivered": 10,
    "delivered_consume_manual_ack": 6, "delivered_consume_auto_ack": 1, "delivered_get_manual_ack": 2, "delivered_get_auto_ack": 1,
    "get_empty": 1, "redelivered": 1, "acknowledged": 5,
}


class Counters(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(Broker())
        self.mgmtd = self.enterContext(Mgmtd(self.broker.data))

    def get(self, path):
        status, _, answer = self.mgmtd.call("GET", path)
        self.assertEqual(status, 200, (path, answer))
        return answer

    def test_each_moves_by_what_was_done(self):
        with self.broker.channel() as channel:
            work(channel)
            until(lambda: self.mgmtd.metric("rabbitmq_global_messages_delivered_total") == 10, "ten deliveries")
            until(lambda: self.mgmtd.metric("rabbitmq_queue_messages_unacked") == 2, "two that aren't acknowledged")
            got = {name: self.mgmtd.metric("rabbitmq_global_messages_%s_total" % name) for name in GLOBAL}
            self.assertEqual(got, EXPECTED)
            for name, value in (("queue_messages_ready", 0), ("queue_messages", 2), ("channels", 1), ("connections", 1), ("queues", 3), ("consumers", 2),
                                ("global_publishers", 1), ("queues_created_total", 4), ("queues_deleted_total", 1), ("queues_declared_total", 5)):
                self.assertEqual(self.mgmtd.metric("rabbitmq_" + name), value, name)
            text = self.mgmtd.metrics()
            self.assertIn('rabbitmq_message_size_bytes_bucket{le="128"} 13\n', text)
            self.assertIn('rabbitmq_message_size_bytes_bucket{le="8192"} 16\n', text)
            overview = self.get("/api/overview")
            self.assertEqual(overview["queue_totals"]["messages_unacknowledged"], 2)
            self.assertEqual(overview["object_totals"]["channels"], 1)
            self.assertEqual(overview["message_stats"]["confirm"], 5)
        until(lambda: self.mgmtd.metric("rabbitmq_channels_closed_total") == 1, "a channel that is closed")
        until(lambda: self.mgmtd.metric("rabbitmq_connections_closed_total") == 1, "a connection that is closed")
        self.assertEqual(self.mgmtd.metric("rabbitmq_global_publishers"), 0)
        self.assertEqual(self.mgmtd.metric("rabbitmq_queue_messages_unacked"), 0)
        churn = self.get("/api/overview")["churn_rates"]
        self.assertEqual((churn["channel_created"], churn["channel_closed"], churn["queue_deleted"]), (1, 1, 1))
        node = self.get("/api/nodes")[0]
        self.assertTrue(0 < node["fd_used"] < node["fd_total"] and 0 < node["disk_free_limit"] and 0 < node["mem_used"] < node["mem_limit"], node)

    def test_what_is_out_comes_back_to_nothing(self):
        """However deliveries end: with their channel, connection, queue, by dead letters, or on their way to nobody."""
        arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead", "x-delivery-limit": 1, "x-queue-type": "quorum"}
        with self.broker.channel() as channel:
            channel.queue_declare("dead")
            channel.queue_declare("q", durable=True, arguments=arguments)
            for _ in range(40):
                channel.basic_publish("", "q", b"x")
            got = []
            for auto_ack, prefetch in ((True, 0), (False, 30)):
                with self.broker.connect() as connection:  # it ends with deliveries on their way to it
                    reader = connection.channel()
                    reader.basic_qos(prefetch_count=prefetch)
                    reader.basic_consume("q", lambda *delivery: got.append(delivery), auto_ack=auto_ack)
                    connection.process_data_events(0)
                for _ in range(40):
                    channel.basic_publish("", "q", b"x")
            for _ in range(5):
                channel.basic_nack(channel.basic_get("q")[0].delivery_tag, requeue=False)
                channel.basic_nack(channel.basic_get("q")[0].delivery_tag, requeue=True)
                channel.basic_get("q")
            until(lambda: self.mgmtd.metric("rabbitmq_queue_messages_unacked") == 5, "five that are out")
            until(lambda: self.mgmtd.metric("rabbitmq_queue_messages_ready") + 5 == self.mgmtd.metric("rabbitmq_queue_messages"), "the others")
            channel.queue_delete("q")
            self.read_stream(channel)
            until(lambda: self.mgmtd.metric("rabbitmq_queue_messages_unacked") == 0, "none is out")

    @staticmethod
    def read_stream(channel):
        """Of a stream nothing is ever out."""
        seen = []
        channel.queue_declare("s", durable=True, arguments={"x-queue-type": "stream"})
        for _ in range(10):
            channel.basic_publish("", "s", b"x")
        channel.basic_qos(prefetch_count=20)
        channel.basic_consume("s", lambda *delivery: seen.append(delivery), arguments={"x-stream-offset": "first"})
        while len(seen) < 10:
            channel.connection.process_data_events(0.1)
        channel.basic_ack(seen[3][1].delivery_tag, multiple=True)

    def stages(self):
        stages = self.get("/api/gannet/latency")["stages"]
        self.assertEqual([s["stage"] for s in stages], STAGES)
        for s in stages:
            counts = [b["count"] for b in s["buckets"]]
            bounds = [b["le"] for b in s["buckets"]]
            self.assertEqual(counts, sorted(counts))
            self.assertEqual((counts[-1], bounds[-1], s["unit"]), (s["count"], None, "ns"))
            self.assertEqual(bounds[:-1], sorted(bounds[:-1]))
        return {s["stage"]: s for s in stages}

    def test_stages_take_as_long_as_they_do(self):
        self.assertEqual([s["count"] for s in self.stages().values()], [0, 0, self.stages()["journal"]["count"], 0])
        with self.broker.channel() as channel:
            channel.queue_declare("q", durable=True)
            channel.confirm_delivery()
            channel.basic_consume("q", drop, auto_ack=True)
            for _ in range(50):
                channel.basic_publish("", "q", b"x", PERSISTENT)
            until(lambda: self.stages()["deliver"]["count"] == 50, "fifty deliveries, each in a turn of its own")
            now = self.stages()
        self.assertEqual([now[s]["count"] for s in ("receive", "route")], [50, 50])
        self.assertGreaterEqual(now["journal"]["count"], 50, "each was confirmed before the next was sent")
        for name, s in now.items():
            self.assertTrue(100 < s["sum"] / s["count"] < 60e9, (name, s))
        self.assertIn('gannet_stage_latency_seconds_count{stage="route"} 50\n', self.mgmtd.metrics())

    def test_who_may_not_monitor_sees_none(self):
        self.assertEqual(self.mgmtd.call("PUT", "/api/users/u", {"password": "u", "tags": "management"})[0], 201)
        self.assertEqual(self.mgmtd.call("PUT", "/api/permissions/%2F/u", ANY)[0], 201)
        for path in ("/api/gannet/latency", "/metrics/per-object", "/metrics/detailed"):
            self.assertEqual(self.mgmtd.call("GET", path, user="u:u")[0], 401, path)


class Objects(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(Broker(routers=2, fronts=2))
        self.mgmtd = self.enterContext(Mgmtd(self.broker.data))

    def read(self, path):
        with urllib.request.urlopen("http://%s/metrics/%s" % (self.mgmtd.metrics_at, path), timeout=PATIENCE_S) as response:
            text = response.read().decode()
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, timeout=60, check=False)
        self.assertEqual((checked.returncode, checked.stdout, [line for line in checked.stderr.splitlines() if "should have" not in line]), (0, "", []))
        return text

    def test_names_of_any_kind(self):
        names = ["plain", 'we"ird\\ \n\x01', "grün", "last"]
        with self.broker.channel() as channel:
            for name in names:
                channel.queue_declare(name)
            channel.basic_publish("", names[1], b"x")
            until(lambda: 'queue="we\\"ird\\\\ \\n\x01"} 1\n' in self.read("per-object"), "a message")
            text = self.read("per-object")
            self.assertIn('rabbitmq_queue_messages_ready{vhost="/",queue="grün"} 0\n', text)
            self.assertEqual(len(re.findall(r"^rabbitmq_queue_consumers\{", text, re.M)), 4)
            self.assertEqual(len(re.findall(r"^rabbitmq_connection_channels\{.*\} 1$", text, re.M)), 1)
            self.assertEqual(len(re.findall(r"^rabbitmq_channel_prefetch\{", text, re.M)), 1)
            self.assertIn('rabbitmq_endpoint="per-object"', text)

    def test_families(self):
        with self.broker.channel() as channel:
            for i in range(3000):
                channel.queue_declare("q%d" % i) if i % 500 == 0 else channel._impl._send_method(self.declare("q%d" % i))
            channel.queue_declare("last")
            text = self.read("detailed?family=queue_coarse_metrics&family=queue_consumer_count")
            self.assertEqual(len(re.findall(r"^rabbitmq_detailed_queue_(messages|messages_ready|messages_unacked|consumers)\{", text, re.M)), 4 * 3001)
            text = self.read("detailed?family=queue_coarse_metrics&queue=q7&queue=last&vhost=%2F")
            self.assertEqual(sorted(re.findall(r'^rabbitmq_detailed_queue_messages\{vhost="/",queue="(.*)"\}', text, re.M)), ["last", "q7"])
            self.assertIn("'none'", self.refused("family=queue_coarse_metrics&vhost=none"))
            self.assertIn('rabbitmq_cluster_exchange_name{vhost="/",exchange="amq.topic",type="topic"} 1\n', self.read("detailed?family=exchange_names"))
            self.assertIn("rabbitmq_identity_info", self.read("detailed"))
            reason = self.refused("family=queue_coarse_metrics&family=nonsense")
            self.assertTrue("'nonsense'" in reason and "queue_coarse_metrics, queue_consumer_count" in reason, reason)

    def refused(self, query):
        with self.assertRaises(urllib.error.HTTPError) as failed:
            self.read("detailed?" + query)
        with failed.exception as refused:
            self.assertEqual(refused.code, 400)
            return json.load(refused)["reason"]

    @staticmethod
    def declare(name):
        from pika import spec
        return spec.Queue.Declare(queue=name, nowait=True)


class RealPrometheus(unittest.TestCase):
    def test_dashboards_have_data(self):
        with Broker() as broker, Mgmtd(broker.data) as mgmtd, tempfile.TemporaryDirectory(prefix="gannet-prometheus-") as own, \
                broker.channel() as channel:
            with open(os.path.join(own, "prometheus.yml"), "w", encoding="utf-8") as config:
                config.write(PROMETHEUS % {"at": mgmtd.metrics_at})
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.at = "127.0.0.1:%d" % free.getsockname()[1]
            work(channel)
            with subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "prometheus", "--config.file", os.path.join(own, "prometheus.yml"),
                                   "--storage.tsdb.path", os.path.join(own, "data"), "--web.listen-address", self.at],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as prometheus:
                try:
                    self.look(channel)
                finally:
                    prometheus.kill()

    def look(self, channel):
        until(lambda: len(self.query("up == 1")) == 3, "all targets are up")
        for name in RABBITMQ:
            until(lambda name=name: self.query(name + JOINED), name)
        for name in ("rabbitmq_queue_messages_ready{job='each',queue='q'}", "rabbitmq_detailed_queue_messages{job='some',queue='q'}",
                     "rabbitmq_detailed_channel_consumers{job='some'}"):
            until(lambda name=name: self.query(name + JOINED), name)
        node = self.query("rabbitmq_identity_info{rabbitmq_endpoint='aggregated'}")[0]["metric"]["rabbitmq_cluster"]
        expressions = list(self.expressions(node))
        self.assertGreater(len(expressions), 30)
        for expression in expressions:
            until(lambda e=expression: channel.basic_publish("", "q", b"x", PERSISTENT) or self.query(e), expression)

    @staticmethod
    def expressions(node):
        with open(DASHBOARD, encoding="utf-8") as file:
            for panel in json.load(file)["panels"]:
                for target in panel.get("targets", []):
                    yield target["expr"].replace("$__rate_interval", "30s").replace("$rabbitmq_cluster", node)

    def query(self, what):
        try:
            with urllib.request.urlopen("http://%s/api/v1/query?query=%s" % (self.at, urllib.request.quote(what)), timeout=PATIENCE_S) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as wrong:
            with wrong:
                if wrong.code == 503:  # it is starting
                    return []
                raise AssertionError("%s: %s" % (what, wrong.read().decode())) from None
        except OSError:
            return []


if __name__ == "__main__":
    main()

"""gannetctl's lists: what rabbitmqctl shows, in its forms; complete while everything changes; and nobody waits for them."""
import collections
import contextlib
import csv
import io
import json
import os
import re
import socket
import subprocess
import threading
import time
import unittest

import pika

import mqtt_peer
import stomp_peer
from broker import GANNETCTL, SANITIZED, Broker, until
from runner import main

QUEUES = 4000 if SANITIZED else 20000


def declare_all(channel, names):
    """Without waiting for each: 20,000 of them shall not take a minute."""
    for n, name in enumerate(names):
        # pylint: disable-next=protected-access
        channel._impl._send_method(pika.spec.Queue.Declare(queue=name, nowait=True, arguments={}))
        if n % 1000 == 0:
            channel.queue_declare(name)
    channel.queue_declare(names[-1])


class Ctl(unittest.TestCase):
    def run_ctl(self, broker, *words):
        return subprocess.run([GANNETCTL, "-D", broker.data, *words], capture_output=True, text=True, timeout=60, check=False)

    def ctl(self, broker, *words):
        done = self.run_ctl(broker, *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout

    def rows(self, broker, *words):
        return json.loads(self.ctl(broker, "--formatter", "json", *words))

    def refused(self, broker, *words):
        done = self.run_ctl(broker, *words)
        self.assertEqual((done.returncode, done.stdout), (1, ""), words)
        self.assertRegex(done.stderr, r"\Agannetctl: [^\n]+\n\Z")
        return done.stderr[len("gannetctl: "):-1]


class Forms(Ctl):
    def test_as_rabbitmqctl_has_them(self):
        with Broker(routers=2) as broker, broker.channel() as channel:
            channel.queue_declare("q", durable=True, arguments={"x-max-length": 5, "x-dead-letter-exchange": "d", "x-own": [1, "a", {"b": True}]})
            channel.basic_publish("", "q", b"12345")
            channel.queue_declare("q", passive=True)
            table = "name\tmessages\nq\t1\n"
            self.assertEqual(self.ctl(broker, "list_queues"), "Listing queues for vhost / ...\n" + table)
            for quiet in ("-q", "--quiet"):
                self.assertEqual(self.ctl(broker, quiet, "list_queues"), table)
                self.assertEqual(self.ctl(broker, "list_queues", quiet, "-p", "/", "name", "messages"), table)
            for bare in (["-s"], ["-q", "--no-table-headers"], ["--silent"]):
                self.assertEqual(self.ctl(broker, "list_queues", *bare), "q\t1\n")
            terms = '[{"x-max-length",5},{"x-dead-letter-exchange","d"},{"x-own",[1,"a",[{"b",true}]]}]'
            self.assertEqual(self.ctl(broker, "-q", "list_queues", "arguments", "durable", "type", "state"),
                             "arguments\tdurable\ttype\tstate\n%s\ttrue\tclassic\trunning\n" % terms)
            self.assertEqual(list(csv.reader(io.StringIO(self.ctl(broker, "--formatter", "csv", "list_queues", "name", "arguments")))),
                             [["name", "arguments"], ["q", terms]])
            self.assertEqual(self.rows(broker, "list_queues", "name", "durable", "arguments", "messages", "policy"),
                             [{"name": "q", "durable": True, "messages": 1, "policy": "",
                               "arguments": {"x-max-length": 5, "x-dead-letter-exchange": "d", "x-own": [1, "a", {"b": True}]}}])

    def test_what_there_is_not(self):
        with Broker() as broker:
            self.assertEqual(self.refused(broker, "list_queues", "nonsense"), "Info key(s) nonsense are not supported")
            for what in ("list_queues", "list_exchanges", "list_bindings", "list_consumers"):
                self.assertEqual(self.refused(broker, "-p", "nope", what), "virtual host 'nope' does not exist")
                self.assertIn("virtual host", self.refused(broker, "-p", "x" * 300, what))
            self.assertIn("formatter", self.refused(broker, "--formatter", "xml", "list_queues"))
            self.assertEqual(self.ctl(broker, "list_queues", "-q"), "name\tmessages\n")
            self.assertEqual(self.rows(broker, "list_connections"), [])

    def test_odd_names(self):
        names = ["tab\there", "line\nhere", "quote\"s", "back\\slash", "\\x41", "größer", "\x7f", "a,b"]
        with Broker(routers=2) as broker, broker.channel() as channel:
            for name in names:
                channel.queue_declare(name, exclusive=True)
            self.assertEqual(sorted(row["name"] for row in self.rows(broker, "list_queues")), sorted(names))
            table = csv.reader(io.StringIO(self.ctl(broker, "-s", "--formatter", "csv", "list_queues", "name"), newline=""))
            self.assertEqual(sorted(row[0] for row in table), sorted(names))
            lines = self.ctl(broker, "-s", "list_queues", "name").splitlines()
            self.assertEqual(sorted(lines), sorted(re.sub("[\t\n\x7f]", "?", name) for name in names))
            # Who wants a message to a queue of an odd name finds its binding, too.
            keys = {row["routing_key"]: row["properties_key"] for row in self.rows(broker, "list_bindings", "routing_key", "properties_key")}
            self.assertEqual(sorted(keys), sorted(names))
            self.assertEqual((keys["tab\there"], keys["größer"], keys["a,b"]), ("tab%09here", "gr%C3%B6%C3%9Fer", "a%2Cb"))


class What(Ctl):
    def test_queues_of_a_virtual_host(self):
        with Broker(routers=3, vhosts="/,other") as broker:
            with broker.channel() as channel, broker.channel(virtual_host="other") as other:
                channel.queue_declare("q", auto_delete=True)
                channel.queue_declare("own", exclusive=True)
                channel.queue_declare("quorum", durable=True, arguments={"x-queue-type": "quorum"})
                other.queue_declare("stream", durable=True, arguments={"x-queue-type": "stream"})
                columns = ("name", "type", "durable", "auto_delete", "exclusive", "vhost")
                rows = {row.pop("name"): row for row in self.rows(broker, "list_queues", *columns)}
                self.assertEqual(rows, {
                    "q": {"type": "classic", "durable": False, "auto_delete": True, "exclusive": False, "vhost": "/"},
                    "own": {"type": "classic", "durable": False, "auto_delete": False, "exclusive": True, "vhost": "/"},
                    "quorum": {"type": "quorum", "durable": True, "auto_delete": False, "exclusive": False, "vhost": "/"}})
                self.assertEqual([(row["name"], row["type"]) for row in self.rows(broker, "-p", "other", "list_queues", *columns)],
                                 [("stream", "stream")])
                self.assertEqual(len(json.loads(self.ctl(broker, "--json", "queues"))), 4)
                self.assertEqual(len(json.loads(self.ctl(broker, "--json", "queues", "-p", "other"))), 1)

    def test_counts(self):
        with Broker() as broker, broker.channel() as channel:
            channel.queue_declare("q")
            for _ in range(5):
                channel.basic_publish("", "q", b"1234567890")
            channel.basic_ack(channel.basic_get("q")[0].delivery_tag)
            channel.basic_get("q")
            channel.queue_declare("q", passive=True)
            columns = ("messages_ready", "messages_unacknowledged", "messages", "message_bytes", "consumers", "publish", "deliver_get", "ack")
            self.assertEqual(list(self.rows(broker, "list_queues", *columns)[0].values()), [3, 1, 4, 40, 0, 5, 2, 1])

    def test_exchanges_and_bindings(self):
        with Broker(routers=3) as broker, broker.channel() as channel:
            before = {row["name"]: row["type"] for row in self.rows(broker, "list_exchanges")}
            self.assertEqual(before, {"": "direct", "amq.direct": "direct", "amq.fanout": "fanout", "amq.topic": "topic", "amq.match": "headers",
                                      "amq.headers": "headers", "amq.rabbitmq.trace": "topic"})
            channel.exchange_declare("e", "topic", internal=True, auto_delete=True, arguments={"alternate-exchange": "amq.fanout"})
            channel.queue_declare("q1")
            channel.queue_declare("q2")
            for queue, key, arguments in (("q1", "a.#", None), ("q1", "a.#", {"x": 1}), ("q1", "a.#", {"x": 2}), ("q2", "", None)):
                channel.queue_bind(queue, "e", key, arguments)
            channel.exchange_bind("e", "amq.topic", "a b~")
            row = [row for row in self.rows(broker, "list_exchanges", "name", "type", "durable", "auto_delete", "internal", "arguments") if row["name"] == "e"]
            self.assertEqual(row, [{"name": "e", "type": "topic", "durable": False, "auto_delete": True, "internal": True,
                                    "arguments": {"alternate-exchange": "amq.fanout"}}])
            rows = self.rows(broker, "list_bindings", "source_name", "destination_name", "destination_kind", "routing_key", "arguments", "properties_key")
            keys = [tuple(row.values())[:4] + (json.dumps(row["arguments"]),) for row in rows]
            self.assertEqual(sorted(keys), sorted([
                ("", "q1", "queue", "q1", "{}"), ("", "q2", "queue", "q2", "{}"),
                ("e", "q1", "queue", "a.#", "{}"), ("e", "q1", "queue", "a.#", '{"x": 1}'), ("e", "q1", "queue", "a.#", '{"x": 2}'),
                ("e", "q2", "queue", "", "{}"), ("amq.topic", "e", "exchange", "a b~", "{}")]))
            # A binding's key tells it apart from all between the same two.
            self.assertEqual(len({(row["source_name"], row["destination_name"], row["properties_key"]) for row in rows}), len(rows))
            self.assertEqual([row["properties_key"] for row in rows if not row["arguments"] and row["source_name"]].count("a.%23"), 1)
            self.assertIn("a+b%7E", [row["properties_key"] for row in rows])
            self.assertIn("~", [row["properties_key"] for row in rows])
            self.assertEqual(self.ctl(broker, "list_bindings", "-p", "/").splitlines()[1],
                             "source_name\tsource_kind\tdestination_name\tdestination_kind\trouting_key\targuments")

    def test_connections_channels_consumers(self):
        with Broker(fronts=2) as broker:
            broker_connection = broker.connect(client_properties={"connection_name": "me"}, heartbeat=30)
            first, second = broker_connection.channel(), broker_connection.channel(channel_number=7)
            first.queue_declare("q")
            first.basic_qos(prefetch_count=3)
            first.basic_consume("q", lambda *_: None, consumer_tag="mine", arguments={"x-priority": 2})
            second.confirm_delivery()
            second.basic_consume("q", lambda *_: None, auto_ack=True, consumer_tag="other")
            for _ in range(4):
                second.basic_publish("", "q", b"1")
            broker_connection.process_data_events(0.1)
            (connection,) = json.loads(self.ctl(broker, "--json", "connections"))
            own = r"%s:(\d+)" % re.escape(broker.clients_address)
            self.assertRegex(connection["name"], r"^%s -> %s:%d$" % (own, re.escape(broker.address), broker.port))
            self.assertEqual({key: connection[key] for key in ("user", "vhost", "protocol", "peer_host", "host", "port", "ssl", "state", "channels", "timeout")},
                             {"user": "guest", "vhost": "/", "protocol": "AMQP 0-9-1", "peer_host": broker.clients_address, "host": broker.address,
                              "port": broker.port, "ssl": False, "state": "running", "channels": 2, "timeout": 30})
            self.assertEqual(connection["client_properties"]["connection_name"], "me")
            self.assertTrue(connection["client_properties"]["capabilities"]["basic.nack"])
            self.assertLess(abs(connection["connected_at"] / 1000 - time.time()), 120)
            self.assertGreater(connection["recv_oct"], 100)
            self.assertGreater(connection["send_oct"], 100)
            channels = {row["number"]: row for row in json.loads(self.ctl(broker, "--json", "channels"))}
            self.assertEqual(sorted(channels), [1, 7])
            self.assertEqual(channels[7]["name"], connection["name"] + " (7)")
            shown = ("user", "vhost", "consumer_count", "prefetch_count", "messages_unacknowledged", "messages_unconfirmed", "confirm", "transactional")
            self.assertEqual([channels[1][key] for key in shown], ["guest", "/", 1, 3, 3, 0, False, False])
            self.assertEqual([channels[7][key] for key in shown], ["guest", "/", 1, 0, 0, 0, True, False])
            consumers = {row["consumer_tag"]: row for row in self.rows(broker, "list_consumers", "queue_name", "consumer_tag", "channel_pid", "ack_required",
                                                                       "exclusive", "prefetch_count", "arguments")}
            self.assertEqual(consumers["mine"], {"queue_name": "q", "consumer_tag": "mine", "channel_pid": channels[1]["name"], "ack_required": True,
                                                 "exclusive": False, "prefetch_count": 3, "arguments": {"x-priority": 2}})
            self.assertEqual((consumers["other"]["ack_required"], consumers["other"]["arguments"]), (False, {}))
            self.assertEqual(self.ctl(broker, "-s", "list_connections", "user", "vhost", "state"), "guest\t/\trunning\n")
            broker_connection.close()
            until(lambda: self.rows(broker, "list_connections") + self.rows(broker, "list_channels") + self.rows(broker, "list_consumers") == [],
                  "the connection's end in the lists")

    def test_other_protocols(self):
        with Broker(listeners__mqtt="127.0.0.1:0", listeners__stomp="127.0.0.1:0") as broker:
            port = {kind: int(re.search(r" %s listens on \S*:(\d+)$" % kind, broker.log.text(), re.M).group(1)) for kind in ("mqtt", "stomp")}
            mqtt = mqtt_peer.Peer("127.0.0.1", port["mqtt"], "thing")
            mqtt.subscribe("a/b", 1)
            mqtt.subscribe("$share/group/c/#", 1)
            stomp = stomp_peer.Peer("127.0.0.1", port["stomp"])
            stomp.send("SUBSCRIBE", {"destination": "/queue/s", "id": "sub", "ack": "client"})
            rows = until(lambda: (lambda r: r if len(r) == 3 else None)(self.rows(broker, "consumers")), "all consumers")
            consumers = sorted((row["queue"], row["consumer_tag"], row["ack_required"]) for row in rows)
            self.assertEqual([consumers[0], consumers[2]], [("mqtt-shared-group/c.#", "", True), ("s", "sub", True)])
            self.assertIn("thing", consumers[1][0])
            connections = {row["protocol"]: row for row in self.rows(broker, "connections")}
            self.assertEqual(sorted(connections), ["MQTT 5.0", "STOMP 1.2"])
            self.assertEqual(connections["MQTT 5.0"]["client_properties"], {"client_id": "thing"})
            self.assertEqual(self.rows(broker, "channels"), [])
            mqtt.socket.close()
            stomp.socket.close()


class Work:
    """Somebody publishes and consumes, and queues come and go."""

    def __init__(self, broker):
        self.broker, self.ended, self.got = broker, threading.Event(), 0
        self.threads = [threading.Thread(target=what) for what in (self.messages, self.queues)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(60)

    def messages(self):
        with self.broker.channel() as channel:
            channel.queue_declare("work", exclusive=True)
            while not self.ended.is_set():
                channel.basic_publish("", "work", b"x")
                while channel.basic_get("work", auto_ack=True)[0] is None:
                    pass
                self.got += 1

    def queues(self):
        with self.broker.channel() as channel:
            n = 0
            while not self.ended.is_set():
                declare_all(channel, ["comes-%d" % (n + i) for i in range(200)])
                for i in range(200):
                    channel.queue_delete("comes-%d" % (n + i))
                n += 100


class One(Ctl):
    """What is asked for by its name."""

    def ask(self, broker, *words):
        """The rows' first cells that tell them apart, or what is wrong."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(broker.data, "control.sock"))
            s.sendall("\t".join(words).encode() + b"\n")
            said = s.makefile("rb").read().decode()
        if not said.startswith("ok\n"):
            return said.split("\n")[0]
        self.assertTrue(said.endswith("\n\n"), said)
        return [line.split("\t") for line in said.split("\n")[2:-2]]

    def test_by_name(self):
        with Broker(routers=3, fronts=2) as broker, contextlib.ExitStack() as stack:
            channels = [stack.enter_context(broker.channel()) for _ in range(6)]
            declare_all(channels[0], ["q%d" % n for n in range(30)] + ["odd name\\"])
            channels[0].exchange_declare("e", "topic")
            for n in range(30):
                self.assertEqual([row[:2] for row in self.ask(broker, "queue", "/", "q%d" % n)], [["/", "q%d" % n]])
            self.assertEqual(self.ask(broker, "queue", "/", "odd name\\")[0][1], "odd name\\\\")
            self.assertEqual([row[:3] for row in self.ask(broker, "exchange", "/", "e")], [["/", "e", "topic"]])
            self.assertEqual([row[:2] for row in self.ask(broker, "exchange", "/", "")], [["/", ""]])
            for kind in "queue", "exchange":
                self.assertEqual(self.ask(broker, kind, "/", "none"), [])
                self.assertIn("does not exist", self.ask(broker, kind, "none", "q1"))
                for words in (), ("/",), ("/", 256 * "x"), (256 * "x", "q"):
                    self.assertTrue(self.ask(broker, kind, *words).startswith("error "), words)
            second = channels[3].connection.channel()
            names = [row["name"] for row in self.rows(broker, "list_connections", "name")]
            self.assertEqual(len(set(names)), 6)
            for name in names:
                self.assertEqual([row[0] for row in self.ask(broker, "connection", name)], [name])
                self.assertEqual([row[:2] for row in self.ask(broker, "channel", name + " (1)")], [[name + " (1)", name]])
                self.assertEqual(self.ask(broker, "channel", name + " (77)"), [])
            per_connection = [len(self.ask(broker, "channels_of_connection", name)) for name in names]
            self.assertEqual(sorted(per_connection), [1, 1, 1, 1, 1, 2])
            second.close()
            for name in names[0][:-1], names[0] + "x", "x", " -> ", names[0] + " (0)", "(1)", " (1)":
                self.assertEqual(self.ask(broker, "connection", name), [], name)
            for name in "(1)", " (1)", "x (1)", names[0], names[0] + "(1)":
                self.assertEqual([row for row in self.ask(broker, "channel", name) if row[1] != names[0]], [], name)
            for word in "connection", "channel", "channels_of_connection":
                self.assertTrue(self.ask(broker, word).startswith("error "))


class Many(Ctl):
    def test_complete_while_everything_changes(self):
        with Broker(routers=2, fronts=2) as broker, contextlib.ExitStack() as stack:
            channel = stack.enter_context(broker.channel())
            names = ["queue-%05d" % n for n in range(QUEUES)]
            declare_all(channel, names)
            for n in range(2000):
                channel.queue_bind(names[n % 10], "amq.topic", "key.%d" % n)
            connections = [broker.connect() for _ in range(60)]
            for connection in connections:
                for _ in range(5):
                    connection.channel()
            work = stack.enter_context(Work(broker))
            for _ in range(3):
                listed = collections.Counter(row["name"] for row in self.rows(broker, "list_queues", "name"))
                self.assertEqual([name for name in names if listed[name] != 1], [])
                self.assertEqual([name for name in listed if not re.match("queue-|comes-|work$", name)], [])
                keys = collections.Counter(row["routing_key"] for row in self.rows(broker, "list_bindings", "source_name", "routing_key")
                                           if row["source_name"] == "amq.topic")
                self.assertEqual(keys, {"key.%d" % n: 1 for n in range(2000)})
                self.assertEqual(len(self.rows(broker, "list_connections")), 63)
                self.assertEqual(len(self.rows(broker, "list_channels", "name")), 303)
            got = work.got
            until(lambda: work.got > got + 10, "that messages flow")
            for connection in connections:
                connection.close()

    def test_a_client_that_does_not_read_holds_up_nobody(self):
        with Broker() as broker, broker.channel() as channel:
            declare_all(channel, ["queue-%05d" % n for n in range(QUEUES)])
            path = os.path.join(broker.data, "control.sock")
            with socket.socket(socket.AF_UNIX) as lazy:
                lazy.connect(path)
                lazy.sendall(b"queues\n")
                channel.basic_publish("", "queue-00000", b"x")
                self.assertIsNotNone(channel.basic_get("queue-00000", auto_ack=True)[0])
                # It is dropped, and the next one gets all.
                self.assertEqual(len(self.rows(broker, "list_queues", "name")), QUEUES)
                lazy.settimeout(10)
                said = b""
                with contextlib.suppress(OSError):
                    while more := lazy.recv(1 << 20):
                        said += more
                # What it has is seen to be a part only: the empty line at the end is missing.
                self.assertFalse(said.endswith(b"\n\n"))
            for said in (b"queues\tnope\n", b"queues\t\n", b"connections\tx\n", b"queues\t" + b"x" * 300 + b"\n", b"channels\t\t\n"):
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(path)
                    s.sendall(said)
                    self.assertTrue(s.makefile("rb").read().startswith(b"error "), said)


if __name__ == "__main__":
    main()

"""gannetctl shows what is going on, for people and as JSON, and never disturbs the broker."""
import json
import os
import socket
import re
import subprocess
import threading
import unittest

from broker import GANNETCTL, PERSISTENT, Broker, shout, until
from runner import main

ODD_NAMES = ["with blanks", "tab\there", "line\nhere", "quote\"s", "back\\slash", "größer", "", "x" * 255]


def run(*words):
    return subprocess.run([GANNETCTL, *words], capture_output=True, text=True, timeout=60, check=False)


class Control(unittest.TestCase):
    def ask(self, broker, what):
        done = run("-D", broker.data, "--json", what)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def status(self, broker):
        return {row["name"]: row["value"] for row in self.ask(broker, "status")}

    def test_status(self):
        with Broker(routers=3, fronts=2) as broker:
            before = self.status(broker)
            with broker.channel() as channel:
                channel.queue_declare("q", durable=True)
                channel.queue_bind("q", "amq.fanout")
                channel.confirm_delivery()
                for _ in range(10):
                    channel.basic_publish("", "q", b"12345", PERSISTENT)
                for _ in range(4):
                    channel.basic_ack(channel.basic_get("q")[0].delivery_tag)
                channel.queue_declare("q", passive=True)
                during = self.status(broker)
            self.assertEqual(during["front.connections"], before["front.connections"] + 1)
            self.assertEqual(during["router.queues"], 1)
            self.assertEqual(during["router.bindings"] - before["router.bindings"], 1)
            self.assertEqual(during["router.messages"], 6)
            self.assertEqual(during["router.published"] - before["router.published"], 10)
            self.assertEqual(during["router.delivered"] - before["router.delivered"], 4)
            self.assertEqual(during["router.acknowledged"] - before["router.acknowledged"], 4)
            self.assertEqual(during["router.failed"], 0)
            self.assertGreater(during["front.bytes_in"], before["front.bytes_in"])

    def test_queues(self):
        with Broker(routers=3, vhosts="/,other") as broker:
            with broker.channel() as channel, broker.channel(virtual_host="other") as other:
                channel.queue_declare("durable", durable=True)
                other.queue_declare("durable", durable=True)
                channel.queue_declare("transient")
                channel.queue_declare("own", exclusive=True)
                for _ in range(5):
                    channel.basic_publish("", "durable", b"1234567890", PERSISTENT)
                other.basic_publish("", "durable", b"1", PERSISTENT)
                channel.basic_get("durable")
                channel.basic_consume("transient", lambda *_: None)
                other.queue_declare("durable", passive=True)
                rows = {(row["vhost"], row["name"]): row for row in self.ask(broker, "queues")}
            self.assertEqual(sorted(rows), [("/", "durable"), ("/", "own"), ("/", "transient"), ("other", "durable")])
            durable = rows["/", "durable"]
            self.assertEqual((durable["messages_ready"], durable["messages_unacknowledged"], durable["consumers"]), (4, 1, 0))
            self.assertEqual(durable["message_bytes"], 50)
            self.assertTrue(durable["durable"])
            self.assertTrue(rows["/", "own"]["exclusive"])
            self.assertEqual(rows["/", "transient"]["consumers"], 1)
            self.assertEqual(rows["other", "durable"]["messages_ready"], 1)

    def test_odd_names(self):
        with Broker(routers=2) as broker, broker.channel() as channel:
            names = [channel.queue_declare(name, exclusive=True).method.queue for name in ODD_NAMES]
            self.assertEqual(sorted(row["name"] for row in self.ask(broker, "queues")), sorted(names))
            # A line is a queue and a tab is a column, whatever a client calls its queues.
            lines = run("-D", broker.data, "queues").stdout.splitlines()
            self.assertEqual(len(lines), 1 + len(names))
            self.assertNotIn("\t", "".join(lines))

    def test_many_queues(self):
        with Broker(routers=2) as broker, broker.channel() as channel:
            for n in range(3000):
                channel.queue_declare("queue-%04d" % n)
            self.assertEqual(sorted(row["name"] for row in self.ask(broker, "queues")),
                             ["queue-%04d" % n for n in range(3000)])

    def test_connections(self):
        with Broker(fronts=2) as broker:
            named = broker.connect(client_properties={"connection_name": "a name\twith a tab"})
            plain = broker.connect()
            rows = self.ask(broker, "connections")
            self.assertEqual(len(rows), 2)
            for row in rows:
                self.assertRegex(row["name"], r"^%s:\d+ -> %s:%d$" % (re.escape(broker.clients_address), re.escape(broker.address), broker.port))
                self.assertEqual((row["protocol"], row["user"], row["vhost"], row["state"]),
                                 ("AMQP 0-9-1", "guest", "/", "running"))
            clients = [row["client"] for row in rows]
            self.assertTrue(any("a name" in client for client in clients), clients)
            for connection in (named, plain):
                connection.close()
            until(lambda: self.ask(broker, "connections") == [], "the connections' end in the list")

    def test_for_people(self):
        with Broker() as broker, broker.channel() as channel:
            channel.queue_declare("q")
            lines = run("-D", broker.data, "queues").stdout.splitlines()
            self.assertRegex(lines[0], r"vhost +name +type +messages_ready")
            self.assertEqual(len([line for line in lines if " q " in line]), 1)
            self.assertIn("router.published", run("--socket", os.path.join(broker.data, "control.sock"), "status").stdout)

    def test_wrong_use(self):
        with Broker() as broker:
            self.assertRegex(run("-D", broker.data, "nonsense").stderr, "^gannetctl: there is no verb 'nonsense': [^\n]+\n$")
            broker.stop()
            done = run("-D", broker.data, "status")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, r"^gannetctl: no broker answers at %s/control.sock: [^\n]+\n$" % broker.data)
            self.assertEqual(run().returncode, 2)
            self.assertEqual(run("--help").returncode, 0)

    def test_hostile_clients_of_the_socket(self):
        with Broker() as broker:
            path = os.path.join(broker.data, "control.sock")
            self.assertEqual(os.stat(path).st_mode & 0o007, 0)
            for said in (b"", b"\n", b"x" * 100000, b"status", b"drop tables\n", b"\0\0\0\n"):
                shout(path, said)
            silent = socket.socket(socket.AF_UNIX)
            silent.connect(path)
            # Whoever is behind a silent one waits for a moment, not for ever.
            self.assertEqual(self.status(broker)["router.failed"], 0)
            silent.close()

    def test_many_at_once(self):
        with Broker(fronts=2, routers=2) as broker:
            done = []
            threads = [threading.Thread(target=lambda w=what: done.append(self.ask(broker, w)))
                       for what in ("status", "queues", "connections") * 6]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            self.assertEqual(len(done), len(threads))


if __name__ == "__main__":
    main()

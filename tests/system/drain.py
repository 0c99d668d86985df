"""gannetctl drain: nobody comes in, everybody is told to go when he has what he is owed; undrain, and a restart, undo it."""
import json
import socket
import subprocess
import threading
import time
import unittest

import pika
from broker import GANNET_MGMTD, GANNETCTL, PATIENCE_S, PERSISTENT, Broker, own_address, speaks, until
from management import Mgmtd
from mqtt_peer import DISCONNECT
from mqtt_peer import Peer as MqttPeer
from pika.exceptions import AMQPError, ConnectionClosedByBroker
from runner import main
from stomp_peer import Peer as StompPeer


class Drain(unittest.TestCase):
    def setUp(self):
        others = {"listeners__" + kind: "sockets:" + own_address() + ":0" for kind in ("mqtt", "stomp", "web_stomp") if speaks(kind)}
        self.broker = self.enterContext(Broker(fronts=2, **others))

    def run_ctl(self, *words):
        return subprocess.run([GANNETCTL, "-D", self.broker.data, *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def ctl(self, *words):
        done = self.run_ctl(*words)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout

    def counter(self, name):
        return {row["name"]: row["value"] for row in json.loads(self.ctl("--json", "status"))}[name]

    def listeners(self):
        return {row["protocol"]: (row["address"], row["port"]) for row in json.loads(self.ctl("--json", "listeners"))}

    def nobody_comes_in(self):
        for at in self.listeners().values():
            with self.assertRaises(OSError):
                socket.create_connection(at, timeout=PATIENCE_S)

    def everybody_comes_in(self):
        for at in self.listeners().values():
            socket.create_connection(at, timeout=PATIENCE_S).close()
        self.broker.connect().close()

    def farewell(self, connection):
        with self.assertRaises(ConnectionClosedByBroker) as closed:
            while True:
                connection.process_data_events(time_limit=PATIENCE_S)
        return closed.exception.reply_code

    def test_and_back(self):
        self.assertIn("Drained", self.ctl("drain"))
        self.assertEqual(self.counter("front.drained"), 2)
        self.assertEqual(self.ctl("drain", "-q"), "")
        for again in ("undrain", "revive"):
            self.nobody_comes_in()
            self.ctl(again)
            self.assertEqual(self.counter("front.drained"), 0)
            self.everybody_comes_in()
            self.ctl(again)
            self.ctl("drain")
        self.broker.restart()
        self.everybody_comes_in()

    def test_everybody_is_told(self):
        connection, told = self.broker.connect(), []
        at = self.listeners()
        mqtt = MqttPeer(*at["mqtt"], "c", clean=True) if "mqtt" in at else None
        stomp = StompPeer(*at["stomp"], login="guest", passcode="guest") if "stomp" in at else None
        half_open = socket.create_connection(at["amqp"], timeout=PATIENCE_S)
        thread = threading.Thread(target=lambda: told.append(self.farewell(connection)))
        thread.start()
        drained = subprocess.Popen([GANNETCTL, "-D", self.broker.data, "-q", "drain"])
        if mqtt:
            kind, _, body = mqtt.read()
            self.assertEqual((kind, body[0]), (DISCONNECT, 0x8B))
            mqtt.close()
        if stomp:
            stomp.expect("ERROR")
            stomp.socket.close()
        thread.join(PATIENCE_S)
        self.assertEqual(told, [320])
        half_open.settimeout(PATIENCE_S)
        while half_open.recv(1000):
            pass
        half_open.close()
        self.assertEqual(drained.wait(PATIENCE_S), 0)
        self.assertEqual(self.counter("front.connections"), 0)

    def test_what_was_published_is_confirmed(self):
        confirmed, ready = [0, 0], threading.Barrier(3)

        def publish(n):
            with self.broker.channel() as channel:
                channel.queue_declare("q%d" % n, durable=True)
                channel.confirm_delivery()
                ready.wait(PATIENCE_S)
                try:
                    while True:
                        channel.basic_publish("", "q%d" % n, b"x", PERSISTENT)
                        confirmed[n] += 1
                except AMQPError:
                    pass

        threads = [threading.Thread(target=publish, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        ready.wait(PATIENCE_S)
        until(lambda: min(confirmed) > 5, "publishes")
        self.ctl("drain")
        for thread in threads:
            thread.join(PATIENCE_S)
        self.ctl("undrain")
        with self.broker.channel() as channel:
            counts = [channel.queue_declare("q%d" % n, passive=True).method.message_count for n in range(2)]
        self.assertEqual(counts, confirmed)

    def test_who_does_not_go(self):
        """Clients that answer nothing are given a while, and are named by their number."""
        silent = socket.create_connection((self.broker.address, self.broker.port), timeout=PATIENCE_S)
        busy = self.broker.connect()  # nobody reads what it is told
        began = time.monotonic()
        done = self.run_ctl("drain", "--timeout", "1", "--rate", "1000")
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"^gannetctl: [12] connections are still open; .*undrain.*\n$")
        self.nobody_comes_in()
        silent.close()
        self.farewell(busy)
        self.ctl("drain")

    def test_at_a_pace(self):
        connections = [self.broker.connect() for _ in range(12)]
        threads = [threading.Thread(target=self.farewell, args=(connection,)) for connection in connections]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        self.ctl("drain", "--rate", "10")
        self.assertGreater(time.monotonic() - began, 1)
        for thread in threads:
            thread.join(PATIENCE_S)

    def test_suspended(self):
        with self.broker.channel() as channel:
            self.ctl("suspend_listeners")
            self.nobody_comes_in()
            channel.queue_declare("q")
            self.ctl("resume_listeners")
            self.everybody_comes_in()
            channel.queue_declare("q", passive=True)

    def test_words_that_are_none(self):
        for words in ("--rate", "0"), ("--rate", "x"), ("--rate", "-1"), ("--rate", "1000001"):
            self.assertIn("--rate is a number", self.run_ctl("drain", *words).stderr)
        path = self.broker.data + "/control.sock"
        for request in "drain", "drain\tx", "drain\t1\tlater", "drain\t-1", "drain\t99999999999999999999", "suspend_listeners\tx":
            with socket.socket(socket.AF_UNIX) as asked:
                asked.connect(path)
                asked.sendall(request.encode() + b"\n")
                self.assertRegex(asked.recv(1000), b"^error [^\n]+\n$")
        self.assertEqual(self.counter("front.drained"), 0)
        self.everybody_comes_in()

    @unittest.skipUnless(GANNET_MGMTD, "no gannet-mgmtd")
    def test_probes(self):
        with Mgmtd(self.broker.data) as mgmtd:
            def health():
                return [mgmtd.call("GET", "/api/health/checks/" + check)[0] for check in ("is-in-service", "ready-to-serve-clients")]
            self.assertEqual(health(), [200, 200])
            self.ctl("drain")
            until(lambda: health() == [503, 503], "the probes' no")
            self.assertTrue(mgmtd.call("GET", "/api/nodes")[2][0]["being_drained"])
            self.ctl("undrain")
            until(lambda: health() == [200, 200], "the probes' yes")
            self.assertFalse(mgmtd.call("GET", "/api/nodes")[2][0]["being_drained"])


if __name__ == "__main__":
    main()

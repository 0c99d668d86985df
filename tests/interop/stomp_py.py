"""Debian's python3-stomp, of every version; and pika on the other side."""
import queue
import time

import pika
import stomp
from stomp.exception import ConnectFailedException

from clients_site import LONG_S, Inbox, WithAmqp, setUpModule, the_site  # noqa: F401
from runner import main

VERSIONS = {"1.0": stomp.Connection10, "1.1": stomp.Connection11, "1.2": stomp.Connection12}


class Client(stomp.ConnectionListener, Inbox):
    """stomp.py's, with its callbacks made into queues."""

    def __init__(self, version="1.2", **options):
        if version != "1.0":
            options = {"vhost": "/", **options}
        self.version = version
        self.connection = VERSIONS[version]([(the_site().address, the_site().port_of("stomp"))], reconnect_attempts_max=1, **options)
        self.connection.set_listener("", self)
        self.messages, self.receipts, self.errors, self.ended, self.connected = (queue.Queue() for _ in range(5))
        self.beats = self.wanted = 0

    def on_message(self, frame):
        self.messages.put(frame)

    def on_receipt(self, frame):
        self.receipts.put(frame.headers["receipt-id"])

    def on_error(self, frame):
        self.errors.put(frame.headers["message"])

    def on_connected(self, frame):
        self.connected.put(frame.headers)

    def on_disconnected(self):
        self.ended.put(True)

    def on_heartbeat(self):
        self.beats += 1

    def connect(self, user="guest", passcode="guest", **more):
        self.connection.connect(user, passcode, wait=True, **more)
        self.said = self.connected.get(timeout=LONG_S)
        return self

    def ask(self, call, *args, **headers):
        """With a receipt, which is waited for."""
        self.wanted += 1
        name = "receipt-%d" % self.wanted
        getattr(self.connection, call)(*args, receipt=name, **headers)
        got = self.receipts.get(timeout=LONG_S)
        if got != name:
            raise AssertionError("the receipt %s, expected %s" % (got, name))

    def answer(self, frame, call="ack", **more):
        names = (frame.headers["ack"],) if self.version == "1.2" else (frame.headers["message-id"], frame.headers["subscription"])
        getattr(self.connection, call)(*names[:1 if self.version == "1.0" else 2], **more)

    def close(self):
        if self.connection.is_connected():
            self.connection.disconnect("bye")


class StompPy(WithAmqp):
    def client(self, version="1.2", **options):
        client = Client(version, **options).connect()
        self.addCleanup(client.close)
        return client

    def each(self):
        for version in VERSIONS:
            yield self.client(version), "%s-%s" % (version, self.unique)

    def test_connects(self):
        for client, _ in self.each():
            self.assertEqual(client.said["version"], client.version)
            client.close()
            self.assertTrue(client.ended.get(timeout=LONG_S))
            self.assertEqual(client.receipts.get(timeout=LONG_S), "bye")

    def test_refusals(self):
        for version in VERSIONS:
            for options, words in (({"passcode": "wrong"}, "Access refused"), ({"user": "nobody"}, "Access refused")):
                client = Client(version)
                with self.assertRaises(ConnectFailedException):
                    client.connect(**options)
                self.assertIn(words, client.errors.get(timeout=LONG_S))
        client = Client("1.1", vhost="nowhere")
        with self.assertRaises(ConnectFailedException):
            client.connect()
        self.assertIn("no virtual host 'nowhere'", client.errors.get(timeout=LONG_S))

    def test_headers_and_bodies(self):
        for client, name in self.each():
            client.connection.subscribe("/topic/" + name, id="s-1")
            odd = {"plain": "value"} if client.version == "1.0" else {"colon": "a:b", "lines": "1\n2", "backslash": "\\n", "script": "žluť 你好"}
            for body in ("text", "žluťoučký kůň", "with\0NUL", "", "x" * 200000):
                client.connection.send("/topic/" + name, body, content_type="text/plain", headers=dict(odd))
                frame = client.next()
                self.assertEqual(frame.body, body)
                self.assertEqual(frame.headers["content-type"], "text/plain")
                self.assertEqual(frame.headers["subscription"], "s-1")
                for header, value in odd.items():
                    self.assertEqual(frame.headers[header], value)

    def test_bytes(self):
        client = self.client(auto_decode=False)
        client.connection.subscribe("/topic/" + self.unique, id="1")
        body = bytes(range(256)) * 300
        client.connection.send("/topic/" + self.unique, body)
        self.assertEqual(client.next().body, body)

    def test_receipts(self):
        for client, name in self.each():
            for i in range(100):
                client.connection.send("/queue/" + name, str(i), persistent="true", receipt="r%d" % i)
            self.assertEqual([client.receipts.get(timeout=LONG_S) for _ in range(100)], ["r%d" % i for i in range(100)])
            self.assertEqual(self.channel.queue_declare(name, passive=True).method.message_count, 100)

    def test_acknowledgements(self):
        for client, name in self.each():
            for i in range(4):
                client.ask("send", "/queue/" + name, str(i))
            client.connection.subscribe("/queue/" + name, id="s", ack="client")
            frames = [client.next() for _ in range(4)]
            client.answer(frames[1], receipt="acked")
            self.assertEqual(client.receipts.get(timeout=LONG_S), "acked")
            client.close()
            other = self.client(client.version)
            other.connection.subscribe("/queue/" + name, id="s", ack="client-individual")
            frames = [other.next() for _ in range(2)]
            self.assertEqual([frame.body for frame in frames], ["2", "3"])
            self.assertEqual({frame.headers["redelivered"] for frame in frames}, {"true"})
            if other.version != "1.0":
                other.answer(frames[0], "nack")
                self.assertEqual(other.next().body, "2")
            other.answer(frames[1], receipt="acked")
            self.assertEqual(other.receipts.get(timeout=LONG_S), "acked")
            other.close()
            self.assertEqual(self.channel.queue_declare(name, passive=True).method.message_count, 1)

    def test_transactions(self):
        for client, name in self.each():
            client.connection.subscribe("/queue/" + name, id="s")
            for ending in ("abort", "commit"):
                transaction = client.connection.begin()
                for i in range(3):
                    client.connection.send("/queue/" + name, "%s %d" % (ending, i), transaction=transaction)
                self.assertTrue(client.silent(0.1))
                getattr(client.connection, ending)(transaction)
            self.assertEqual([client.next().body for _ in range(3)], ["commit %d" % i for i in range(3)])

    def test_heart_beats(self):
        client = self.client("1.2", heartbeats=(300, 300))
        self.assertEqual(client.said["heart-beat"], "300,300")
        time.sleep(1.5)
        self.assertGreater(client.beats, 2)
        self.assertTrue(client.connection.is_connected())
        client.ask("send", "/queue/" + self.unique, "x")

    def test_a_durable_subscription(self):
        for client, name in self.each():
            how = {"id": "d", "headers": {"durable": "true", "auto-delete": "false", "x-queue-name": "durable-" + name}}
            client.ask("subscribe", "/topic/" + name, **how)
            client.close()
            other = self.client(client.version)
            for i in range(3):
                other.ask("send", "/topic/" + name, str(i))
            other.connection.subscribe("/topic/" + name, **how)
            self.assertEqual([other.next().body for _ in range(3)], ["0", "1", "2"])
            self.channel.queue_delete("durable-" + name)
            self.assertIn("has been deleted", other.errors.get(timeout=LONG_S))

    def test_requests(self):
        for client, name in self.each():
            server = self.client()
            server.ask("subscribe", "/queue/" + name, "s")
            for i in range(3):
                client.connection.send("/queue/" + name, "question %d" % i, headers={"reply-to": "/temp-queue/mine", "correlation-id": str(i)})
                frame = server.next()
                server.connection.send(frame.headers["reply-to"], frame.body.upper(), headers={"correlation-id": frame.headers["correlation-id"]})
                frame = client.next()
                self.assertEqual((frame.body, frame.headers["correlation-id"]), ("QUESTION %d" % i, str(i)))

    def test_to_amqp(self):
        name = self.declare("to-amqp")
        for client, _ in self.each():
            client.connection.send("/queue/" + name, "body", content_type="text/plain", headers={
                "persistent": "true", "priority": "3", "correlation-id": "c", "reply-to": "/queue/back", "expiration": "60000",
                "amqp-message-id": "m", "timestamp": "1700000000", "type": "t", "app-id": "a", "content-encoding": "e", "mine": "value"})
            _, properties, body = self.taken(name)
            self.assertEqual(body, b"body")
            self.assertEqual(
                (properties.content_type, properties.delivery_mode, properties.priority, properties.correlation_id, properties.reply_to, properties.expiration,
                 properties.message_id, properties.timestamp, properties.type, properties.app_id, properties.content_encoding, properties.headers),
                ("text/plain", 2, 3, "c", "/queue/back", "60000", "m", 1700000000, "t", "a", "e", {"mine": "value"}))

    def test_from_amqp(self):
        for client, name in self.each():
            client.ask("subscribe", "/exchange/amq.topic/" + name, "s")
            self.publish(name, b"body", content_type="text/plain", delivery_mode=2, priority=3, correlation_id="c", reply_to="back", expiration="60000",
                         message_id="m", timestamp=1700000000, type="t", app_id="a", headers={"text": "value", "number": -5, "flag": True, "table": {"a": 1}})
            frame = client.next()
            self.assertEqual(frame.body, "body")
            wanted = {"content-type": "text/plain", "persistent": "true", "priority": "3", "correlation-id": "c", "reply-to": "back", "expiration": "60000",
                      "amqp-message-id": "m", "timestamp": "1700000000", "type": "t", "app-id": "a", "text": "value", "number": "-5", "flag": "true",
                      "destination": "/topic/" + name}
            self.assertEqual({header: frame.headers.get(header) for header in wanted}, wanted)
            self.assertNotIn("table", frame.headers)

    def test_a_large_message_from_amqp(self):
        client = self.client()
        client.ask("subscribe", "/topic/" + self.unique, "s")
        body = "0123456789" * 100000
        self.channel.basic_publish("amq.topic", self.unique, body, pika.BasicProperties(content_type="text/plain"))
        self.assertEqual(client.next().body, body)

    def test_streams_and_priorities(self):
        client = self.client()
        stream, priorities = "/queue/stream-" + self.unique, "/queue/priorities-" + self.unique
        for i in range(5):
            client.ask("send", stream, str(i), headers={"x-queue-type": "stream", "persistent": "true"})
            client.ask("send", priorities, str(i), headers={"x-max-priority": "5", "priority": str(i)})
        client.connection.subscribe(stream, "1", ack="client", headers={"x-stream-offset": "offset=3", "prefetch-count": "10"})
        self.assertEqual([client.next().body for _ in range(2)], ["3", "4"])
        client.connection.subscribe(priorities, "2")
        self.assertEqual([client.next().body for _ in range(5)], ["4", "3", "2", "1", "0"])


if __name__ == "__main__":
    main()

"""STOMP 1.0, 1.1 and 1.2 against a broker, with AMQP on the other side."""
import re
import time

import pika

from broker import Broker
from runner import main
from stomp_peer import Peer
from stomp_site import StompSite


class Stomp(StompSite):
    def test_versions_and_refusals(self):
        for offered, spoken in (("1.0", "1.0"), ("1.0,1.1", "1.1"), ("1.2,1.1", "1.2"), ("1.2,9.9", "1.2")):
            self.assertEqual(self.peer(offered).connected.headers["version"], spoken)
        for headers in ({"accept-version": "3.0"}, {"passcode": "wrong"}, {"login": ""}, {"host": "nowhere"}, {"heart-beat": "x"},
                        {"login": None, "passcode": "wrong"}):
            peer = Peer("127.0.0.1", self.port, **headers)
            self.assertEqual(peer.connected.command, "ERROR")
            self.assertTrue(peer.connected.headers["message"])

    def test_without_a_login(self):
        self.peer(login=None, passcode=None).ask("SEND", {"destination": "/queue/anonymous"})
        self.peer(login=None, passcode="guest", host=None)
        with Broker(listeners__stomp="127.0.0.1:0", stomp__anonymous="false") as broker:
            port = int(re.findall(r"stomp listens on \S*:(\d+)$", broker.log.text(), re.M)[-1])
            peer = Peer("127.0.0.1", port, login=None, passcode=None)
            self.assertIn("Access refused", peer.connected.headers["message"])
            peer.socket.close()

    def test_queue_every_version(self):
        for version in ("1.0", "1.1", "1.2"):
            with self.subTest(version):
                peer = self.peer(version)
                queue = "/queue/v" + version
                peer.ask("SUBSCRIBE", {"id": "s", "destination": queue})
                peer.send("SEND", {"destination": queue, "a": "b" if version == "1.0" else "b:c\n\\"}, b"hello\0there")
                frame = peer.expect("MESSAGE")
                self.assertEqual(frame.body, b"hello\0there")
                self.assertEqual(frame.headers["a"], "b" if version == "1.0" else "b:c\n\\")
                self.assertEqual(frame.headers["destination"], queue)
                self.assertEqual(frame.headers["subscription"], "s")
                peer.send("SEND", {"destination": queue}, b"without a length", length=False)
                self.assertEqual(peer.expect("MESSAGE").body, b"without a length")
                peer.ask("UNSUBSCRIBE", {"id": "s"})
                peer.ask("DISCONNECT", {})
                self.assertTrue(peer.closed())

    def test_byte_by_byte(self):
        peer = self.peer()
        peer.ask("SUBSCRIBE", {"id": "s", "destination": "/topic/split"})
        for byte in b"\r\n\r\nSEND\r\ndestination:/topic/split\r\ncontent-length:3\r\n\r\na\0b\0\r\n\n":
            peer.socket.sendall(bytes([byte]))
        self.assertEqual(peer.expect("MESSAGE").body, b"a\0b")

    def test_amqp_to_and_fro(self):
        peer = self.peer()
        with self.broker.channel() as channel:
            peer.ask("SEND", {"destination": "/queue/to_amqp", "persistent": "true", "priority": "3", "content-type": "a/b",
                              "correlation-id": "c", "reply-to": "/queue/r", "expiration": "60000", "amqp-message-id": "m",
                              "mine": "1", "x-mine": "2", "type": "t"}, b"body")
            method, properties, body = channel.basic_get("to_amqp", auto_ack=True)
            self.assertEqual((method.exchange, method.routing_key, body), ("", "to_amqp", b"body"))
            self.assertEqual((properties.delivery_mode, properties.priority, properties.content_type, properties.correlation_id,
                              properties.reply_to, properties.expiration, properties.message_id, properties.type, properties.headers),
                             (2, 3, "a/b", "c", "/queue/r", "60000", "m", "t", {"mine": "1", "x-mine": "2"}))
            peer.ask("SUBSCRIBE", {"id": "s", "destination": "/exchange/amq.direct/k"})
            channel.basic_publish("amq.direct", "k", b"back", pika.BasicProperties(
                content_type="x/y", headers={"n": 7, "yes": True, "s": "t:u"}, delivery_mode=2, timestamp=99, app_id="app"))
            frame = peer.expect("MESSAGE")
            self.assertEqual(frame.body, b"back")
            for name, value in {"destination": "/exchange/amq.direct/k", "content-type": "x/y", "n": "7", "yes": "true", "s": "t:u",
                                "persistent": "true", "timestamp": "99", "app-id": "app", "content-length": "4"}.items():
                self.assertEqual(frame.headers[name], value, name)

    def test_sizes(self):
        peer = self.peer()
        peer.ask("SUBSCRIBE", {"id": "s", "destination": "/queue/sizes"})
        for size in (0, 1, 1023, 1024, 65535, 65536, 65537, 131072, 1000000, 5000000):
            body = (b"0123456789abcde" * (size // 15 + 1))[:size]
            peer.send("SEND", {"destination": "/queue/sizes", "receipt": "r%d" % size}, body)
            frames = {frame.command: frame for frame in (peer.read(), peer.read())}
            self.assertEqual(frames["RECEIPT"].headers["receipt-id"], "r%d" % size)
            self.assertEqual(frames["MESSAGE"].body, body)

    def test_many_with_receipts(self):
        peer = self.peer()
        for i in range(3000):
            peer.send("SEND", {"destination": "/queue/many", "persistent": "true", "receipt": str(i)}, b"x")
        self.assertEqual([peer.expect("RECEIPT").headers["receipt-id"] for _ in range(3000)], [str(i) for i in range(3000)])
        with self.broker.channel() as channel:
            self.assertEqual(channel.queue_declare("many", passive=True).method.message_count, 3000)

    def test_acknowledgement(self):
        for version in ("1.0", "1.1", "1.2"):
            with self.subTest(version):
                self.acknowledgement(version)

    def acknowledgement(self, version):
        queue = "/queue/ack" + version
        name = "id" if version == "1.2" else "message-id"
        peer = self.peer(version)
        for i in range(6):
            peer.ask("SEND", {"destination": queue}, b"%d" % i)
        peer.send("SUBSCRIBE", {"id": "s", "destination": queue, "ack": "client", "prefetch-count": "3"})
        frames = [peer.expect("MESSAGE") for _ in range(3)]
        self.assertTrue(peer.nothing())
        ids = [frame.headers["ack" if version == "1.2" else "message-id"] for frame in frames]
        peer.send("ACK", {name: ids[1], "subscription": "s"})  # and the first
        self.assertEqual([peer.expect("MESSAGE").body for _ in range(2)], [b"3", b"4"])
        peer.ask("DISCONNECT", {})
        peer = self.peer(version)
        peer.send("SUBSCRIBE", {"id": "s", "destination": queue, "ack": "client-individual"})
        frames = [peer.expect("MESSAGE") for _ in range(4)]
        self.assertEqual([frame.body for frame in frames], [b"2", b"3", b"4", b"5"])
        self.assertEqual(frames[0].headers["redelivered"], "true")
        ids = [frame.headers["ack" if version == "1.2" else "message-id"] for frame in frames]
        for i in (3, 1, 0):
            peer.ask("ACK", {name: ids[i], "subscription": "s"})
        if version != "1.0":
            peer.send("NACK", {name: ids[2], "subscription": "s"})
            again = peer.expect("MESSAGE")
            self.assertEqual((again.body, again.headers["redelivered"]), (b"4", "true"))
            ids[2] = again.headers["ack" if version == "1.2" else "message-id"]
            peer.ask("NACK", {name: ids[2], "subscription": "s", "requeue": "false"})
        else:
            peer.ask("ACK", {name: ids[2], "subscription": "s"})
        peer.send("ACK", {name: ids[2], "subscription": "s"})
        self.assertIn("no message", peer.expect("ERROR").headers["message"])
        with self.broker.channel() as channel:
            self.assertEqual(channel.queue_declare(queue[7:], passive=True).method.message_count, 0)

    def test_topics(self):
        one, two = self.peer(), self.peer("1.1")
        one.ask("SUBSCRIBE", {"id": "1", "destination": "/topic/a.*"})
        two.ask("SUBSCRIBE", {"id": "2", "destination": "/topic/a.#"})
        one.send("SEND", {"destination": "/topic/a.b.c"}, b"for two")
        one.send("SEND", {"destination": "/topic/a.b"}, b"for both")
        self.assertEqual(one.expect("MESSAGE").body, b"for both")
        self.assertEqual([two.expect("MESSAGE").body for _ in range(2)], [b"for two", b"for both"])
        one.ask("UNSUBSCRIBE", {"id": "1"})
        one.ask("SEND", {"destination": "/topic/a.b"}, b"for two")
        self.assertTrue(one.nothing())

    def test_durable_subscription(self):
        headers = {"id": "d", "destination": "/topic/durable", "durable": "true"}
        peer = self.peer()
        peer.ask("SUBSCRIBE", {**headers, "ack": "client"})
        peer.ask("DISCONNECT", {})
        self.peer().ask("SEND", {"destination": "/topic/durable", "persistent": "true"}, b"while away")
        peer = self.peer()
        peer.send("SUBSCRIBE", headers)
        self.assertEqual(peer.expect("MESSAGE").body, b"while away")
        peer.ask("UNSUBSCRIBE", headers)
        with self.broker.channel() as channel, self.assertRaises(pika.exceptions.ChannelClosedByBroker):
            channel.queue_declare("stomp-subscription-d-/topic/durable", passive=True)

    def test_a_queue_outlives_its_subscription(self):
        """`durable` on UNSUBSCRIBE is for the queues of topics."""
        peer = self.peer()
        peer.ask("SEND", {"destination": "/queue/stays"}, b"kept")
        for destination in ("/queue/stays", "/amq/queue/stays"):
            peer.ask("SUBSCRIBE", {"id": "s", "destination": destination, "ack": "client"})
            peer.ask("UNSUBSCRIBE", {"id": "s", "durable": "true"})
        with self.broker.channel() as channel:
            channel.queue_declare("stays", passive=True)

    def test_arguments_of_queues(self):
        given = {"x-message-ttl": "60000", "x-max-length": "7", "x-expires": "70000", "x-max-priority": "3",
                 "x-dead-letter-exchange": "amq.fanout", "x-overflow": "reject-publish", "x-single-active-consumer": "true"}
        typed = {**{name: int(given[name]) for name in ("x-message-ttl", "x-max-length", "x-expires", "x-max-priority")},
                 "x-dead-letter-exchange": "amq.fanout", "x-overflow": "reject-publish", "x-single-active-consumer": True}
        peer = self.peer()
        peer.ask("SEND", {"destination": "/queue/arguments1", **given}, b"1")
        peer.ask("SEND", {"destination": "/queue/arguments1"}, b"2")
        peer.ask("SUBSCRIBE", {"id": "2", "destination": "/queue/arguments2", **given})
        peer.ask("SUBSCRIBE", {"id": "3", "destination": "/topic/arguments", "durable": "true", "x-queue-name": "arguments3", **given})
        peer.ask("SEND", {"destination": "/queue/arguments4", "auto-delete": "true"})
        peer.ask("SEND", {"destination": "/queue/arguments5", "x-queue-type": "quorum"})
        with self.broker.channel() as channel:
            for name in ("arguments1", "arguments2", "arguments3"):
                channel.queue_declare(name, durable=True, arguments=typed)
            self.assertEqual(channel.queue_declare("arguments1", passive=True).method.message_count, 2)
            channel.queue_declare("arguments4", durable=True, auto_delete=True)
            channel.queue_declare("arguments5", durable=True, arguments={"x-queue-type": "quorum"})
        for command in ("SEND", "SUBSCRIBE"):
            for headers, words in (({**given, "x-message-ttl": "61000"}, "inequivalent"), ({"auto-delete": "true"}, "inequivalent"), ({"x-message-ttl": "soon"}, "isn't a number"),
                                   ({"auto-delete": "perhaps"}, "true or false"), ({"destination": "/queue/new", "x-queue-type": "odd"}, "unsupported queue type"),
                                   ({"destination": "/queue/new", "x-message-ttl": "-1"}, "x-message-ttl"), ({"x-single-active-consumer": "1"}, "true or false")):
                with self.subTest("%s %r" % (command, headers)):
                    peer = self.peer()
                    peer.send(command, {"destination": "/queue/arguments1", "id": "1", **headers, "receipt": "r"})
                    self.assertIn(words, peer.expect("ERROR").headers["message"])
                    self.assertTrue(peer.closed())
        peer = self.peer()
        peer.send("SEND", {"destination": "/queue/amq.mine"})
        self.assertIn("amq.", peer.expect("ERROR").headers["message"])

    def test_queues_of_the_connection(self):
        peer = self.peer()
        peer.ask("SEND", {"destination": "/queue/exclusive", "exclusive": "true"}, b"1")
        peer.ask("SEND", {"destination": "/queue/exclusive"}, b"2")
        peer.ask("SEND", {"destination": "/queue/transient", "durable": "false"}, b"3")
        peer.ask("SUBSCRIBE", {"id": "s", "destination": "/topic/e", "auto-delete": "false", "x-queue-name": "lasting"})
        other = self.peer()
        other.send("SEND", {"destination": "/queue/exclusive"})
        self.assertIn("exclusive", other.expect("ERROR").headers["message"])
        peer.ask("UNSUBSCRIBE", {"id": "s"})
        peer.ask("SEND", {"destination": "/topic/e"}, b"kept")
        peer.send("SUBSCRIBE", {"id": "s", "destination": "/topic/e", "auto-delete": "false", "x-queue-name": "lasting"})
        self.assertEqual(peer.expect("MESSAGE").body, b"kept")
        peer.ask("DISCONNECT", {})
        self.assertTrue(peer.closed())
        for queue in ("exclusive", "transient", "lasting"):
            with self.broker.channel() as channel, self.assertRaises(pika.exceptions.ChannelClosedByBroker):
                channel.queue_declare(queue, passive=True)

    def test_streams(self):
        peer = self.peer()
        for i in range(5):
            peer.ask("SEND", {"destination": "/queue/stream", "x-queue-type": "stream", "persistent": "true"}, b"%d" % i)
        for offset, first in (("first", b"0"), ("offset=2", b"2"), ("3", b"3"), ("last", None), ("timestamp=1000", b"0")):
            peer.send("SUBSCRIBE", {"id": offset, "destination": "/queue/stream", "ack": "client", "prefetch-count": "1", "x-stream-offset": offset})
            message = peer.expect("MESSAGE")
            if first:
                self.assertEqual(message.body, first)
            peer.ask("UNSUBSCRIBE", {"id": offset})
        for offset in ("offset=x", "middle"):
            peer = self.peer()
            peer.send("SUBSCRIBE", {"id": "1", "destination": "/queue/stream", "ack": "client", "prefetch-count": "1", "x-stream-offset": offset})
            self.assertIn("offset", peer.expect("ERROR").headers["message"])

    def test_a_queue_that_others_delete(self):
        """It is declared anew, as it was, and what was sent meanwhile goes there in order."""
        peer = self.peer()
        arguments = {"x-max-length": "1000"}
        peer.ask("SEND", {"destination": "/queue/deleted1", **arguments}, b"before")
        for size, count in ((10, 100), (60000, 20), (200000, 3)):
            with self.subTest(size), self.broker.channel() as channel:
                channel.queue_delete("deleted1")
                for i in range(count):
                    peer.send("SEND", {"destination": "/queue/deleted1", **({"receipt": "r%d" % i} if i % 3 else {})}, b"%d " % i + bytes(size))
                peer.ask_after(["r%d" % i for i in range(count) if i % 3], "SEND", {"destination": "/queue/other"})
                got = [channel.basic_get("deleted1", auto_ack=True)[2] for _ in range(count)]
                self.assertEqual([int(body.split(b" ")[0]) for body in got], list(range(count)))
                channel.queue_declare("deleted1", durable=True, arguments={"x-max-length": 1000})
        with self.broker.channel() as channel:
            channel.queue_delete("deleted1")
            peer.send("SEND", {"destination": "/queue/deleted1"}, b"the last")
            peer.ask("DISCONNECT", {})
            self.assertEqual(channel.basic_get("deleted1", auto_ack=True)[2], b"the last")

    def test_disconnect_covers_what_was_sent(self):
        for _ in range(10):
            peer = self.peer()
            for i in range(200):
                peer.send("SEND", {"destination": "/queue/farewell%d" % (i % 4), "persistent": "true"}, b"x")
            peer.ask("DISCONNECT", {})
            with self.broker.channel() as channel:
                self.assertEqual(sum(channel.queue_purge("farewell%d" % i).method.message_count for i in range(4)), 200)

    def test_requests_and_replies(self):
        client, server = self.peer(), self.peer()
        server.ask("SUBSCRIBE", {"id": "s", "destination": "/queue/requests"})
        for i in range(2):
            client.send("SEND", {"destination": "/queue/requests", "reply-to": "/temp-queue/mine"}, b"question")
            request = server.expect("MESSAGE")
            self.assertTrue(request.headers["reply-to"].startswith("/reply-queue/"), request)
            server.send("SEND", {"destination": request.headers["reply-to"]}, b"answer %d" % i)
            reply = client.expect("MESSAGE")
            self.assertEqual((reply.headers["subscription"], reply.body), ("/temp-queue/mine", b"answer %d" % i))

    def test_transactions(self):
        peer = self.peer()
        with self.broker.channel() as channel:
            channel.queue_declare("tx", durable=True)
            count = lambda: channel.queue_declare("tx", passive=True).method.message_count
            for ending in ("ABORT", "COMMIT"):
                peer.ask("BEGIN", {"transaction": "t"})
                for i in range(20):
                    peer.send("SEND", {"destination": "/queue/tx", "transaction": "t", "persistent": "true"}, b"%d" % i)
                    peer.send("SEND", {"destination": "/queue/tx%d" % i, "transaction": "t"}, b"elsewhere")
                peer.ask("SEND", {"destination": "/queue/other"}, b"not part of it")
                self.assertEqual(count(), 0)
                peer.ask(ending, {"transaction": "t"})
            self.assertEqual(count(), 20)
            peer.send("SUBSCRIBE", {"id": "s", "destination": "/amq/queue/tx", "ack": "client", "prefetch-count": "20"})
            last = [peer.expect("MESSAGE") for _ in range(20)][-1]
            for ending in ("ABORT", "COMMIT"):
                peer.ask("BEGIN", {"transaction": "t"})
                peer.ask("ACK", {"id": last.headers["ack"], "transaction": "t"})
                peer.ask(ending, {"transaction": "t"})
            peer.ask("DISCONNECT", {})
            self.assertEqual(count(), 0)

    def test_a_transaction_that_cannot_be(self):
        """What is wrong with a frame is said when it comes, and nothing of the transaction is done."""
        for frame, words in (({"destination": "/exchange/none/k"}, "no exchange"), ({"destination": "/queue/a", "priority": "x"}, "priority"),
                             ({"destination": "/nowhere"}, "no destination")):
            peer = self.peer()
            peer.ask("BEGIN", {"transaction": "t"})
            peer.ask("SEND", {"destination": "/queue/txwrong", "transaction": "t"}, b"x")
            peer.send("SEND", {**frame, "transaction": "t"})
            self.assertIn(words, peer.expect("ERROR").headers["message"])
        peer = self.peer()
        with self.broker.channel() as channel:
            channel.exchange_declare("txgone")
            peer.ask("BEGIN", {"transaction": "t"})
            peer.ask("SEND", {"destination": "/queue/txwrong", "transaction": "t"}, b"x")
            peer.ask("SEND", {"destination": "/exchange/txgone/k", "transaction": "t"}, b"x")
            channel.exchange_delete("txgone")
            peer.send("COMMIT", {"transaction": "t", "receipt": "r"})
            self.assertIn("no exchange", peer.expect("ERROR").headers["message"])
            self.assertEqual(channel.queue_declare("txwrong", passive=True).method.message_count, 0)
        peer = self.peer()
        peer.ask("BEGIN", {"transaction": "t"})
        peer.send("ACK", {"id": "1-1", "transaction": "t"})
        self.assertIn("no message", peer.expect("ERROR").headers["message"])

    def test_a_transaction_with_large_messages(self):
        peer = self.peer()
        sizes = (70000, 3, 1000000, 65536, 65537)
        for ending in ("ABORT", "COMMIT"):
            peer.ask("BEGIN", {"transaction": "t"})
            for size in sizes:
                peer.ask("SEND", {"destination": "/queue/txlarge", "transaction": "t"}, b"%d " % size + bytes(size))
            peer.ask(ending, {"transaction": "t"})
        with self.broker.channel() as channel:
            for size in sizes:
                self.assertEqual(channel.basic_get("txlarge", auto_ack=True)[2], b"%d " % size + bytes(size))
            self.assertEqual(channel.queue_declare("txlarge", passive=True).method.message_count, 0)
        peer.send("BEGIN", {"transaction": "t"})
        peer.socket.sendall(b"SEND\ndestination:/queue/txlarge\ntransaction:t\ncontent-length:100000\n\nhalf of it")

    def test_a_transaction_moves_messages(self):
        """Acknowledged there and sent here, at once, and twice answered for is once."""
        peer = self.peer()
        for i in range(4):
            peer.ask("SEND", {"destination": "/queue/txfrom"}, b"%d" % i)
        peer.send("SUBSCRIBE", {"id": "s", "destination": "/queue/txfrom", "ack": "client"})
        frames = [peer.expect("MESSAGE") for _ in range(4)]
        peer.ask("BEGIN", {"transaction": "t"})
        for frame in frames[2], frames[1], frames[2]:
            peer.ask("ACK", {"id": frame.headers["ack"], "transaction": "t"})
            peer.ask("SEND", {"destination": "/queue/txto", "transaction": "t"}, frame.body)
        peer.ask("COMMIT", {"transaction": "t"})
        with self.broker.channel() as channel:
            self.assertEqual(channel.queue_declare("txto", passive=True).method.message_count, 3)
            peer.ask("DISCONNECT", {})
            self.assertEqual(channel.queue_declare("txfrom", passive=True).method.message_count, 1)

    def test_errors(self):
        for command, headers, words in (
                ("SEND", {}, "no destination"), ("SEND", {"destination": "/nothing/x"}, "no destination"),
                ("SEND", {"destination": "/exchange/none/k"}, "no exchange"), ("NONSENSE", {}, "no command"),
                ("SUBSCRIBE", {"destination": "/queue/a"}, "without an id"),
                ("SUBSCRIBE", {"id": "1", "destination": "/amq/queue/none"}, "no queue"),
                ("SUBSCRIBE", {"id": "1", "destination": "/exchange/none"}, "no exchange"),
                ("SUBSCRIBE", {"id": "1", "destination": "/queue/a", "selector": "a"}, "selectors"),
                ("SUBSCRIBE", {"id": "1", "destination": "/queue/a", "prefetch-count": "x"}, "prefetch-count"),
                ("SUBSCRIBE", {"id": "1", "destination": "/queue/a", "x-priority": "x"}, "x-priority"),
                ("UNSUBSCRIBE", {"id": "1"}, "no subscription"), ("ACK", {"id": "1-1"}, "no message"),
                ("COMMIT", {"transaction": "t"}, "no transaction"), ("BEGIN", {}, "without a transaction"),
                ("SEND", {"destination": "/queue/a", "priority": "x"}, "priority"),
                ("SEND", {"destination": "/queue/a", "expiration": "soon"}, "expiration"),
                ("SEND", {"destination": "/queue/a", "x-producer-id": "p"}, ""),
                ("SEND", {"destination": "/queue/a", "content-length": "99999999999"}, "at most"),
                ("CONNECT", {}, "no command")):
            with self.subTest("%s %r" % (command, headers)):
                peer = self.peer()
                peer.send(command, {**headers, "receipt": "r"})
                frame = peer.expect("ERROR")
                self.assertIn(words, frame.headers["message"])
                self.assertTrue(peer.closed())

    def test_deleted_queue_ends_the_connection(self):
        peer = self.peer()
        peer.ask("SUBSCRIBE", {"id": "s", "destination": "/queue/deleted"})
        with self.broker.channel() as channel:
            channel.queue_delete("deleted")
        self.assertIn("deleted", peer.expect("ERROR").headers["message"])

    def test_heart_beats(self):
        peer = self.peer(heart_beat="300,200")
        self.assertEqual(peer.connected.headers["heart-beat"], "200,300")
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            time.sleep(0.2)
            peer.socket.sendall(b"\n")
        peer.ask("SEND", {"destination": "/queue/beats"}, b"alive")
        self.assertGreater(peer.beats, 5)
        self.assertIn("nothing heard", peer.expect("ERROR").headers["message"])


if __name__ == "__main__":
    main()

"""What STOMP's receipts promise, over kill -9: a message whose RECEIPT came is never lost, nor a transaction's, and an acknowledgement whose
RECEIPT came is never undone; durable subscriptions come back; clients are told that the broker goes."""
import contextlib
import random
import re
import select
import signal
import unittest

from broker import Broker
from runner import main
from stomp_peer import Peer

ROUNDS = 5
IN_FLIGHT = 40


class Publisher:
    """Numbered messages to several queues, large ones and transactions among them, a receipt for each."""

    def __init__(self, queues):
        self.queues = queues
        self.next = 0
        self.safe, self.waiting = set(), {}  # numbers; receipt -> numbers

    def begin(self):
        self.waiting = {}

    def send_one(self, peer, receipt=None, **more):
        number = self.next
        self.next += 1
        body = b"%d " % number + bytes(100000 if number % 37 == 0 else number % 900)
        headers = {"destination": self.queues[number % len(self.queues)], "persistent": "true", **more}
        peer.send("SEND", {**headers, "receipt": receipt} if receipt else headers, body)
        return number

    def fill(self, peer):
        while len(self.waiting) < IN_FLIGHT:
            receipt = "r%d" % self.next
            if self.next % 11:
                self.waiting[receipt] = [self.send_one(peer, receipt)]
                continue
            peer.send("BEGIN", {"transaction": receipt})
            numbers = [self.send_one(peer, transaction=receipt) for _ in range(5)]
            peer.send("COMMIT", {"transaction": receipt, "receipt": receipt})
            self.waiting[receipt] = numbers

    def take(self, peer):
        """Whether there was a receipt to be read."""
        peer.buffer = peer.buffer.lstrip(b"\n")
        if not self.waiting or not peer.buffer and not select.select([peer.socket], [], [], 0.001)[0]:
            return False
        self.safe.update(self.waiting.pop(peer.expect("RECEIPT").headers["receipt-id"]))
        return True


class Survives(unittest.TestCase):
    @contextlib.contextmanager
    def broker(self, **settings):
        """The clients go first, so that it needn't wait for them."""
        with Broker(listeners__stomp="127.0.0.1:0", **settings) as broker:
            yield broker
            self.last.socket.close()

    def peer(self, broker, version="1.2", **headers):
        port = int(re.findall(r"stomp listens on \S*:(\d+)$", broker.log.text(), re.M)[-1])
        broker.settings["listeners.stomp"] = "127.0.0.1:%d" % port
        peer = Peer("127.0.0.1", port, version, **headers)
        self.assertEqual(peer.connected.command, "CONNECTED")
        self.addCleanup(peer.socket.close)
        self.last = peer
        return peer

    def again(self, broker):
        broker.kill9()
        broker.start()
        return self.peer(broker)

    def drained(self, peer, queue):
        """The numbers of the messages of a queue; when there are no more, its end marker comes."""
        peer.ask("SEND", {"destination": queue, "persistent": "true"}, b"end")
        peer.send("SUBSCRIBE", {"id": queue, "destination": queue})
        got = []
        while (frame := peer.expect("MESSAGE")).body != b"end":
            number, rest = frame.body.split(b" ", 1)
            self.assertIn(len(rest), (100000, int(number) % 900))
            got.append(int(number))
        return got

    def test_what_has_its_receipt_is_there(self):
        prng = random.Random(11)
        queues = ["/queue/safe%d" % i for i in range(5)]
        with self.broker(routers=2, fronts=2) as broker:
            publisher = Publisher(queues)
            peer = self.peer(broker)
            for _ in range(ROUNDS):
                publisher.begin()
                until = len(publisher.safe) + prng.randrange(50, 600)
                while len(publisher.safe) < until:
                    publisher.fill(peer)
                    while publisher.take(peer):
                        pass
                peer = self.again(broker)
            got = [self.drained(peer, queue) for queue in queues]
            for numbers in got:
                self.assertEqual(numbers, sorted(set(numbers)), "out of order, or twice")
            self.assertEqual(publisher.safe - set(sum(got, [])), set(), "had their receipts, and are lost")
            self.assertGreater(len(publisher.safe), 200)

    def test_the_receipt_of_disconnect_is_for_all_before(self):
        with self.broker(routers=2) as broker:
            peer = self.peer(broker)
            for round_ in range(3):
                for i in range(300):
                    peer.send("SEND", {"destination": "/queue/farewell%d" % (i % 3), "persistent": "true"}, b"%d " % i + bytes(i % 900))
                peer.ask("DISCONNECT", {})
                peer.socket.close()
                peer = self.again(broker)
                for i in range(3):
                    self.assertEqual(self.drained(peer, "/queue/farewell%d" % i), list(range(i, 300, 3)), "round %d" % round_)
                peer.socket.close()
                peer = self.peer(broker)

    def test_what_is_acknowledged_does_not_come_back(self):
        for ack in ("client", "client-individual"):
            with self.subTest(ack), self.broker(routers=2) as broker:
                peer = self.peer(broker)
                for i in range(200):
                    peer.send("SEND", {"destination": "/queue/acked", "persistent": "true"}, b"%d" % i)
                peer.ask("SEND", {"destination": "/queue/acked", "persistent": "true"}, b"200")
                peer.send("SUBSCRIBE", {"id": "s", "destination": "/queue/acked", "ack": ack})
                frames = [peer.expect("MESSAGE") for _ in range(201)]
                answered = [frames[80]] if ack == "client" else frames[::2]
                for frame in answered[:-1]:
                    peer.send("ACK", {"id": frame.headers["ack"]})
                peer.ask("ACK", {"id": answered[-1].headers["ack"]})
                peer = self.again(broker)
                left = frames[81:] if ack == "client" else frames[1::2]
                peer.send("SUBSCRIBE", {"id": "s", "destination": "/queue/acked", "ack": "client"})
                self.assertEqual([peer.expect("MESSAGE").body for _ in left], [frame.body for frame in left])
                peer.nothing()

    def test_a_transaction_of_both(self):
        """Moved from a queue to another: after its receipt it is there, and here no more."""
        with self.broker(routers=2) as broker:
            peer = self.peer(broker)
            for i in range(50):
                peer.ask("SEND", {"destination": "/queue/from", "persistent": "true"}, b"%d " % i + bytes(i))
            peer.send("SUBSCRIBE", {"id": "s", "destination": "/queue/from", "ack": "client-individual", "prefetch-count": "1"})
            frame = peer.expect("MESSAGE")
            for _ in range(20):
                peer.send("BEGIN", {"transaction": "t"})
                peer.send("ACK", {"id": frame.headers["ack"], "transaction": "t"})
                peer.send("SEND", {"destination": "/queue/to", "persistent": "true", "transaction": "t"}, frame.body)
                before = peer.ask("COMMIT", {"transaction": "t"})
                frame = before[0] if before else peer.expect("MESSAGE")
            peer = self.again(broker)
            self.assertEqual(self.drained(peer, "/queue/to"), list(range(20)))
            self.assertEqual(self.drained(peer, "/queue/from"), list(range(20, 50)))

    def test_a_durable_subscription_comes_back(self):
        how = {"id": "d", "destination": "/topic/news.#", "durable": "true", "auto-delete": "false", "ack": "client"}
        with self.broker(routers=2) as broker:
            peer = self.peer(broker)
            peer.ask("SUBSCRIBE", how)
            peer = self.again(broker)
            for i in range(100):
                peer.send("SEND", {"destination": "/topic/news.%d" % i, "persistent": "true"}, b"%d" % i)
            peer.ask("SEND", {"destination": "/topic/news.last", "persistent": "true"}, b"100")
            peer = self.again(broker)
            peer.send("SUBSCRIBE", how)
            self.assertEqual([int(peer.expect("MESSAGE").body) for _ in range(101)], list(range(101)))

    def test_queues_are_as_they_were_declared(self):
        with self.broker() as broker:
            peer = self.peer(broker)
            how = {"destination": "/queue/shaped", "x-max-length": "3", "persistent": "true"}
            peer.ask("SEND", how, b"0")
            peer = self.again(broker)
            for i in range(1, 6):
                peer.ask("SEND", {**how}, b"%d" % i)
            peer.send("SEND", {**how, "x-max-length": "4"})
            self.assertIn("inequivalent", peer.expect("ERROR").headers["message"])
            peer = self.again(broker)
            peer.send("SUBSCRIBE", {"id": "s", "destination": "/queue/shaped"})
            self.assertEqual([peer.expect("MESSAGE").body for _ in range(3)], [b"3", b"4", b"5"])

    def test_clients_are_told_that_the_broker_goes(self):
        with self.broker() as broker:
            peer = self.peer(broker)
            broker.signal(signal.SIGTERM)
            self.assertTrue(peer.expect("ERROR").headers["message"])
            self.assertTrue(peer.closed())
            peer.socket.close()
            broker.wait_end()


if __name__ == "__main__":
    main()

"""Sessions of MQTT that come back, over kill -9 and restarts: QoS 2 exactly once and in order, both ways; what was queued,
retained or shared; who has a client identifier; wills."""
import random
import re
import signal
import unittest

from broker import Broker
from mqtt_peer import DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Peer, message
from runner import main

ROUNDS = 6
MESSAGES = 1500
IN_FLIGHT = 20


class Publisher:
    """QoS 2, with the state that a client keeps: what it has sent and not heard of, and what it has still to release."""

    def __init__(self):
        self.sent = {}  # packet identifier -> payload: PUBREC is awaited
        self.released = set()  # PUBCOMP is
        self.next = 0

    def begin(self, peer):
        for number, payload in self.sent.items():
            peer.publish("t/x", payload, 2, number, dup=True)
        for number in sorted(self.released):
            peer.answer(PUBREL, number)

    def fill(self, peer):
        while len(self.sent) + len(self.released) < IN_FLIGHT and self.next < MESSAGES:
            number = self.next % 100 + 1
            if number in self.sent or number in self.released:
                return
            self.sent[number] = b"%d" % self.next
            peer.publish("t/x", self.sent[number], 2, number)
            self.next += 1

    def take(self, peer):
        kind, _, body = peer.read()
        number = int.from_bytes(body[:2], "big")
        if kind == PUBREC:
            assert self.sent.pop(number, None) is not None or number in self.released
            self.released.add(number)
            peer.answer(PUBREL, number)
        else:
            assert kind == PUBCOMP
            self.released.discard(number)

    def done(self):
        return self.next == MESSAGES and not self.sent and not self.released


class Subscriber:
    """QoS 2: what has been received and not been released isn't a new message."""

    def __init__(self):
        self.received = set()
        self.got = []

    def take(self, peer, slow):
        kind, flags, body = peer.read()
        if kind == PUBREL:
            number = int.from_bytes(body[:2], "big")
            self.received.discard(number)
            peer.answer(PUBCOMP, number)
            return
        assert kind == PUBLISH
        _, number, payload = message(flags, body)
        if number not in self.received:
            self.got.append(int(payload))
        self.received.add(number)
        if not slow:
            peer.answer(PUBREC, number)


class Survives(unittest.TestCase):
    def broker(self, **settings):
        return Broker(listeners__mqtt="%s:0" % "127.0.0.1", **settings)

    def port(self, broker):
        port = int(re.findall(r"mqtt listens on \S*:(\d+)$", broker.log.text(), re.M)[-1])
        broker.settings["listeners.mqtt"] = "127.0.0.1:%d" % port
        return port

    def peer(self, broker, *args, **more):
        return Peer("127.0.0.1", self.port(broker), *args, **more)

    def test_qos_2_is_exactly_once(self):
        prng = random.Random(7)
        publisher, subscriber = Publisher(), Subscriber()
        with self.broker(routers=2) as broker:
            first = self.peer(broker, "in")
            first.subscribe("t/#", 2)
            first.close()
            for round_ in range(ROUNDS + 1):
                last = round_ == ROUNDS
                out, come = self.peer(broker, "out"), self.peer(broker, "in")
                self.assertTrue(come.present)
                self.assertEqual(out.present, round_ > 0)
                publisher.begin(out)
                until = MESSAGES if last else len(subscriber.got) + prng.randrange(20, 2 * MESSAGES // ROUNDS)
                while not (publisher.done() and len(subscriber.got) == MESSAGES and not subscriber.received):
                    if not last and len(subscriber.got) >= until:
                        break
                    publisher.fill(out)
                    while out.waiting(0.001):
                        publisher.take(out)
                    while come.waiting(0.001):
                        subscriber.take(come, slow=not last and prng.randrange(9) == 0)
                    if not last and prng.randrange(60) == 0:
                        break
                if not last and prng.randrange(3):
                    broker.kill9()
                    broker.start()
                out.close()
                come.close()
            self.assertEqual(subscriber.got, list(range(MESSAGES)))

    def test_a_session_gets_what_came_while_it_was_away(self):
        with self.broker() as broker:
            peer = self.peer(broker, "away")
            peer.subscribe("a/+", 1)
            peer.close()
            out = self.peer(broker, "out")
            out.publish("a/b", b"missed", 1, 1)
            self.assertEqual(out.read()[0], PUBACK)
            broker.kill9()
            broker.start()
            peer = self.peer(broker, "away")
            self.assertTrue(peer.present)
            kind, flags, body = peer.read()
            self.assertEqual((kind, message(flags, body)[2]), (PUBLISH, b"missed"))
            peer.answer(PUBACK, message(flags, body)[1])

    def test_retained_messages_are_there_after_a_kill(self):
        with self.broker(routers=2) as broker:
            out = self.peer(broker, "out")
            for topic, payload in [("r/1", b"old"), ("r/1", b"new"), ("r/2", b"two"), ("r/3", b"gone"), ("r/3", b"")]:
                out.publish(topic, payload, 1, 1, retain=True)
                self.assertEqual(out.read()[0], PUBACK)
            broker.kill9()
            broker.start()
            peer = self.peer(broker, "in")
            peer.subscribe("r/#", 1)
            got = {}
            while len(got) < 2 or peer.waiting(0.2):
                kind, flags, body = peer.read()
                topic, number, payload = message(flags, body)
                self.assertTrue(flags & 1)
                got[topic] = payload
                peer.answer(PUBACK, number)
            self.assertEqual(got, {"r/1": b"new", "r/2": b"two"})

    def test_a_client_identifier_has_one_connection(self):
        with self.broker(fronts=2) as broker:
            will = self.peer(broker, "watch")
            will.subscribe("will", 1)
            first = self.peer(broker, "same", will=("will", "taken over"))
            second = self.peer(broker, "same")
            kind, _, body = first.read()
            self.assertEqual((kind, body[0]), (DISCONNECT, 0x8e))
            kind, flags, body = will.read()
            self.assertEqual(message(flags, body)[2], b"taken over")
            second.subscribe("x", 0)

    def test_clients_are_told_that_the_broker_goes(self):
        with self.broker() as broker:
            peer = self.peer(broker, "told")
            broker.signal(signal.SIGTERM)
            kind, _, body = peer.read()
            self.assertEqual((kind, body[0]), (DISCONNECT, 0x8b))
            with self.assertRaises(ConnectionError):
                peer.read()
            peer.close()
            broker.wait_end()

    def test_a_shared_subscription_is_the_sessions(self):
        with self.broker() as broker:
            peer = self.peer(broker, "member")
            peer.subscribe("$share/group/s/#", 1)
            peer.close()
            out = self.peer(broker, "out")
            out.publish("s/1", b"kept", 1, 1)
            self.assertEqual(out.read()[0], PUBACK)
            broker.kill9()
            broker.start()
            peer = self.peer(broker, "member")
            kind, flags, body = peer.read()
            self.assertEqual((kind, message(flags, body)[2]), (PUBLISH, b"kept"))


main()

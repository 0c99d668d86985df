"""Publishers that name themselves and number their messages (x-producer-id, x-producer-seq) send everything again that was
not confirmed when the broker was killed, and some of what was. In the end each queue has each message exactly once."""
import collections
import random
import struct
import time
import unittest

import pika

from broker import Broker, ready, take, until
from kill9 import Crowd
from runner import main

ROUNDS = 8
QUEUES = 3
IN_FLIGHT = 200
LATEST = 1000  # numbers that are sent a second time are among so many
PERSISTENT_MODE = 2


class Publisher:
    """Sends its numbers in order, after a reconnect those first that have not been confirmed, and now and then an old one."""

    def __init__(self, name, key, exchange="", level=None):
        self.name = name
        self.key = key
        self.exchange = exchange
        self.level = level
        self.prng = random.Random(name)
        self.number = 0
        self.unconfirmed = {}  # number -> size, in the order of numbers
        self.last = False  # nothing new is sent
        self.repeated = self.resent = self.refused = 0

    def run(self, parameters):
        self.tags = {}
        self.tag = 0
        self.again = collections.deque(sorted(self.unconfirmed))
        self.resent += len(self.again)
        connection = pika.SelectConnection(parameters, on_open_callback=self._on_open,
                                           on_open_error_callback=lambda c, e: c.ioloop.stop(),
                                           on_close_callback=lambda c, e: c.ioloop.stop())
        connection.ioloop.start()

    def _on_open(self, connection):
        self.connection = connection
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel):
        channel.confirm_delivery(lambda frame: self._confirmed(channel, frame.method))
        self._fill(channel)

    def _next(self):
        """A number to send, or None."""
        if self.again:
            return self.again.popleft()
        if self.last:
            return None
        if self.number and self.prng.randrange(20) == 0:
            self.repeated += 1
            return self.prng.randrange(max(1, self.number - LATEST), self.number + 1)
        self.number += 1
        self.unconfirmed[self.number] = self.prng.choice([self.prng.randrange(300)] * 40 + [self.prng.randrange(300000)])
        return self.number

    def _fill(self, channel):
        while len(self.tags) < IN_FLIGHT and channel.is_open:
            number = self._next()
            if number is None:
                if not self.tags:
                    self.connection.close()
                return
            self.tag += 1
            self.tags[self.tag] = number
            headers = {"x-producer-id": self.name, "x-producer-seq": number}
            if self.level:
                headers["x-confirm"] = self.level
            body = struct.pack(">I", number) + self.name.encode() + b" " * self.unconfirmed.get(number, 0)
            channel.basic_publish(self.exchange, self.key, body,
                                  pika.BasicProperties(delivery_mode=PERSISTENT_MODE, headers=headers))

    def _confirmed(self, channel, method):
        tags = [t for t in self.tags if t <= method.delivery_tag] if method.multiple else [method.delivery_tag]
        for tag in tags:
            number = self.tags.pop(tag)
            if isinstance(method, pika.spec.Basic.Ack):
                self.unconfirmed.pop(number, None)
            else:
                self.refused += 1
                self.again.append(number)
        self._fill(channel)


def read(body):
    return body[4:].rstrip(b" ").decode(), struct.unpack(">I", body[:4])[0]


class ExactlyOnce(unittest.TestCase):
    def judge(self, broker, queue, publishers):
        with broker.channel() as channel:
            got = collections.Counter(read(body) for body, _ in take(channel, queue, ready(channel, queue)))
        sent = {(p.name, number) for p in publishers for number in range(1, p.number + 1)}
        self.assertEqual(sorted(message for message, n in got.items() if n > 1)[:10], [], "%s: kept twice" % queue)
        self.assertEqual(sorted(sent - set(got))[:10], [], "%s: missing" % queue)
        self.assertEqual(sorted(set(got) - sent)[:10], [], "%s: never sent" % queue)

    def run_and_kill(self, seed, **placement):
        prng = random.Random(seed)
        queues = ["once-%d" % i for i in range(QUEUES)]
        own = {queue: Publisher("own-" + queue, queue) for queue in queues}
        everyone = [Publisher("everyone-%d" % i, "", "all") for i in range(2)]
        with Broker(**placement) as broker:
            with broker.channel() as channel:
                channel.exchange_declare("all", "fanout", durable=True)
                for queue in queues:
                    channel.queue_declare(queue, durable=True)
                    channel.queue_bind(queue, "all")
            publishers = list(own.values()) + everyone
            for turn in range(ROUNDS):
                crowd = Crowd(publishers, broker.parameters())
                time.sleep(prng.uniform(0, 0.1) if turn % 3 == 2 else prng.uniform(0.2, 0.6))
                # A clean end writes a checkpoint: then what is remembered comes from there.
                if turn % 4 == 3:
                    broker.stop()
                else:
                    broker.kill9()
                crowd.join()
                broker.start()
            for publisher in publishers:
                publisher.last = True
            Crowd(publishers, broker.parameters()).join()
            for publisher in publishers:
                self.assertEqual((publisher.unconfirmed, publisher.refused), ({}, 0), publisher.name)
            for queue in queues:
                self.judge(broker, queue, [own[queue]] + everyone)
        print("%d messages, %d sent again after a restart, %d for no reason" %
              tuple(sum(getattr(p, what) for p in publishers) for what in ("number", "resent", "repeated")))

    def test_one_router(self):
        self.run_and_kill(1, routers=1)

    def test_three_routers_two_fronts(self):
        self.run_and_kill(2, routers=3, fronts=2)

    def test_without_a_crash_ram_is_exact_too(self):
        """Its confirm does not wait for the disk, but the message and its number get there."""
        publisher = Publisher("ram", "q", level="ram")
        with Broker() as broker:
            with broker.channel() as channel:
                channel.queue_declare("q", durable=True)
            crowd = Crowd([publisher], broker.parameters())
            until(lambda: publisher.number > 2000, "two thousand messages")
            publisher.last = True
            crowd.join()
            broker.stop()
            broker.start()
            publisher.unconfirmed = {number: 0 for number in range(1, publisher.number + 1)}
            Crowd([publisher], broker.parameters()).join()
            self.assertEqual(publisher.unconfirmed, {})
            self.judge(broker, "q", [publisher])


if __name__ == "__main__":
    main()

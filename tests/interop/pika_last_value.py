"""Last-value queues: of each key the newest message only. A consumer gets the image, then updates."""
import random
import threading
import time
import unittest

import pika

from tour import Tour, peer, setUpModule, the_broker  # noqa: F401
from publish import Publishing
from runner import main

INTERVAL_S = 0.3
KEYS = 20
UPDATES = 4000


@unittest.skipUnless(peer.ON_GANNET, "x-last-value-key is Gannet's")
class LastValue(Tour):
    def last_value(self, key="sym", **arguments):
        arguments = {"x-" + name.replace("_", "-"): value for name, value in arguments.items()}
        return self.queue(durable=True, arguments=dict(arguments, **{"x-last-value-key": key}))

    def update(self, queue, *values):
        """"A1" is a value of key "A"."""
        for value in values:
            self.publish("", queue, value.encode(), headers={"sym": value[0]}, delivery_mode=2)

    def consumer(self, queue, prefetch=0, auto_ack=True):
        """Appends (value, headers, redelivered) to the list that it returns, beside the channel."""
        got = []
        channel = self.connection.channel()
        channel.basic_qos(prefetch_count=prefetch)
        channel.basic_consume(queue, lambda _, method, properties, body: got.append(
            (body.decode(), properties.headers, method.redelivered)), auto_ack=auto_ack)
        return channel, got

    def expect(self, got, *values):
        self.pump(lambda: len(got) >= len(values))
        self.connection.process_data_events(0.05)
        self.assertEqual([value for value, _, _ in got], list(values))
        self.assertFalse(any(redelivered for _, _, redelivered in got))

    def test_image_and_updates(self):
        """In the order in which the keys first came; each consumer gets it, and takes nothing out of it."""
        queue = self.last_value()
        self.update(queue, "B1", "A1", "C1", "A2", "B2", "A3")
        self.until_ready(queue, 3)
        _, first = self.consumer(queue)
        self.expect(first, "B2", "A3", "C1")
        self.update(queue, "C2", "D1")
        self.expect(first, "B2", "A3", "C1", "C2", "D1")
        self.update(queue, "C3")
        self.expect(first, "B2", "A3", "C1", "C2", "D1", "C3")
        _, second = self.consumer(queue)
        self.expect(second, "B2", "A3", "C3", "D1")
        self.assertEqual(self.ready(queue), 4)

    def test_a_slow_consumer_is_sent_the_newest(self):
        queue = self.last_value()
        channel, got = self.consumer(queue, prefetch=1, auto_ack=False)
        self.update(queue, "A1")
        self.expect(got, "A1")
        self.update(queue, "A2", "B1", "A3", "B2", "A4")
        self.until_ready(queue, 2)
        for tag, wanted in ((1, ("A1", "B2")), (2, ("A1", "B2", "A4"))):
            channel.basic_ack(tag)
            self.expect(got, *wanted)

    def test_an_interval_for_each_key(self):
        queue = self.last_value(conflation_interval_ms=int(INTERVAL_S * 1000))
        _, got = self.consumer(queue)
        until = time.monotonic() + 4 * INTERVAL_S
        number = 0
        while time.monotonic() < until:
            number += 1
            self.update(queue, "A%d" % number)
            self.connection.process_data_events(0.01)
        self.pump(lambda: got and got[-1][0] == "A%d" % number)
        self.assertGreater(number, 20)
        self.assertLessEqual(len(got), 7)
        self.assertGreaterEqual(len(got), 3)

    def test_by_routing_key(self):
        exchange = self.exchange("topic")
        queue = self.last_value("routing-key")
        self.channel.queue_bind(queue, exchange, "#")
        for key, body in (("eu.a", b"1"), ("us.b", b"2"), ("eu.a", b"3")):
            self.publish(exchange, key, body)
        _, got = self.consumer(queue)
        self.expect(got, "3", "2")

    def test_what_was_conflated_is_told(self):
        queue = self.last_value(sequence=True)
        channel, got = self.consumer(queue, prefetch=1, auto_ack=False)
        self.update(queue, "A1")
        self.expect(got, "A1")
        self.update(queue, "A2", "A3", "A4")
        self.until_ready(queue, 1)
        channel.basic_ack(1)
        self.expect(got, "A1", "A4")
        self.assertEqual([headers for _, headers, _ in got],
                         [{"sym": "A", "x-sequence": 1},
                          {"sym": "A", "x-sequence": 4, "x-gap-from": 2, "x-gap-to": 3, "x-gap-reason": "conflated"}])

    def test_purged(self):
        queue = self.last_value()
        self.update(queue, "A1", "B1")
        self.until_ready(queue, 2)
        self.assertEqual(self.channel.queue_purge(queue).method.message_count, 2)
        self.update(queue, "B2")
        _, got = self.consumer(queue)
        self.expect(got, "B2")

    def test_consumers_come_under_load(self):
        """Whoever comes when: what it is sent of a key last is its value, and never an older one after a newer."""
        queue = self.last_value("routing-key")
        exchange = self.exchange("fanout")
        self.channel.queue_bind(queue, exchange)
        prng = random.Random(2)
        keys = [prng.randrange(KEYS) for _ in range(UPDATES)]
        publishers = [threading.Thread(target=Publishing(peer.parameters(the_broker()), [
            b"%d" % n for n in range(UPDATES) if keys[n] == key], exchange, "k%d" % key).run) for key in range(KEYS)]
        for publisher in publishers:
            publisher.start()
        seen = []
        for prefetch in (0, 1, 7, 0):
            seen.append(self.follow(queue, prefetch))
            self.connection.process_data_events(0.05)
        last = {"k%d" % key: n for n, key in enumerate(keys)}
        self.pump(lambda: all({key: values[-1] for key, values in got.items()} == last for got in seen))
        for got in seen:
            for values in got.values():
                self.assertEqual(values, sorted(set(values)))
        for publisher in publishers:
            publisher.join()

    def follow(self, queue, prefetch):
        """A consumer: what it is sent of each key, in order."""
        got = {}
        channel = self.connection.channel()
        channel.basic_qos(prefetch_count=prefetch)

        def on_message(channel, method, _, body):
            got.setdefault(method.routing_key, []).append(int(body))
            if prefetch:
                channel.basic_ack(method.delivery_tag)
        channel.basic_consume(queue, on_message, auto_ack=not prefetch)
        return got


if __name__ == "__main__":
    main()

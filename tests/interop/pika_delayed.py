"""Exchanges that give messages later: those that delay them, and those that remember the last ones."""
import random
import time
import unittest

import pika
from pika.exceptions import UnroutableError

from tour import Tour, connect, peer, setUpModule  # noqa: F401
from runner import main

DELAY_MS = 200
ROUNDED_S = 0.001  # times are in whole milliseconds


@unittest.skipUnless(peer.ON_GANNET, "Debian has no rabbitmq_delayed_message_exchange")
class Delayed(Tour):
    def delaying(self, kind="direct", **options):
        return self.exchange("x-delayed-message", arguments={"x-delayed-type": kind}, **options)

    def send(self, exchange, key, body, delay, **properties):
        self.publish(exchange, key, body, headers={"x-delay": delay}, **properties)

    def test_in_order_of_their_times(self):
        exchange = self.delaying()
        queue, = self.queues_bound(exchange, "k")
        self.collector(self.channel, queue, auto_ack=True)
        delays = list(range(0, 600, 20))
        random.Random(3).shuffle(delays)
        begin = time.monotonic()
        for delay in delays:
            self.send(exchange, "k", b"%d" % delay, delay)
        self.publish(exchange, "k", b"at once")
        sending_ms = 1000 * (time.monotonic() - begin)
        for n in range(1, len(delays) + 2):
            _, properties, body = self.deliveries(self.channel, n)[n - 1]
            if body != b"at once":
                self.assertGreaterEqual(time.monotonic() - begin, int(body) / 1000 - ROUNDED_S)
                if body != b"0":  # it says that it has been
                    self.assertEqual(properties.headers["x-delay"], -int(body))
        late = [int(body) for _, _, body in self.collected if body not in (b"at once", b"0")]
        self.assertEqual(sorted(late), sorted(delays)[1:])
        for one, next_one in zip(late, late[1:]):
            self.assertLess(one, next_one + sending_ms)

    def test_routed_as_its_type_does_when_it_is_time(self):
        for kind, key, bindings in (("direct", "k", ("k", "l")), ("fanout", "", ("", "x")), ("topic", "a.b", ("a.*", "#.b", "c"))):
            with self.subTest(kind):
                exchange = self.delaying(kind)
                self.send(exchange, key, b"x", DELAY_MS)
                queues = self.queues_bound(exchange, *bindings)
                reached = {"direct": (1, 0), "fanout": (1, 1), "topic": (1, 1, 0)}[kind]
                self.until_ready(queues[0], 1)
                self.assertEqual(tuple(len(self.bodies(queue)) for queue in queues), reached)

    def test_a_confirm_does_not_wait_and_mandatory_does_not_matter(self):
        exchange = self.delaying()
        self.channel.confirm_delivery()
        self.send(exchange, "nobody", b"x", DELAY_MS)
        self.channel.basic_publish(exchange, "nobody", b"x", mandatory=False)
        with self.assertRaises(UnroutableError):
            self.channel.basic_publish(exchange, "nobody", b"x", mandatory=True)

    def test_properties_and_large_bodies(self):
        exchange = self.delaying(durable=True)
        queue, = self.queues_bound(exchange, "k")
        body = bytes(range(256)) * 2000
        self.send(exchange, "k", body, DELAY_MS, correlation_id="c", priority=3, expiration="60000", delivery_mode=2)
        self.until_ready(queue, 1)
        method, properties, got = self.channel.basic_get(queue, auto_ack=True)
        self.assertEqual((got, method.exchange, method.routing_key, method.redelivered), (body, exchange, "k", False))
        self.assertEqual((properties.correlation_id, properties.priority, properties.expiration, properties.delivery_mode),
                         ("c", 3, "60000", 2))

    def test_they_wait_without_the_connection(self):
        exchange = self.delaying(durable=True)
        queue, = self.queues_bound(exchange, "k")
        with connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.basic_publish(exchange, "k", b"x", pika.BasicProperties(headers={"x-delay": DELAY_MS}, delivery_mode=2))
        self.assertEqual(self.ready(queue), 0)
        self.until_ready(queue, 1)

    def test_a_delayed_message_may_be_a_dead_letter(self):
        """The other way round: retried later, by way of a delaying exchange."""
        exchange = self.delaying()
        queue = self.queue(arguments={"x-dead-letter-exchange": exchange, "x-dead-letter-routing-key": "again"})
        again, = self.queues_bound(exchange, "again")
        begin = time.monotonic()
        self.publish("", queue, b"x", headers={"x-delay": DELAY_MS})
        method, _, _ = self.channel.basic_get(queue)
        self.channel.basic_reject(method.delivery_tag, requeue=False)
        self.until_ready(again, 1)
        self.assertGreaterEqual(time.monotonic() - begin, DELAY_MS / 1000 - ROUNDED_S)
        _, properties, _ = self.channel.basic_get(again, auto_ack=True)
        self.assertEqual(properties.headers["x-death"][0]["reason"], "rejected")

    def test_refusals(self):
        for arguments in (None, {"x-delayed-type": "carousel"}, {"x-delayed-type": 5}):
            self.refuses(406, "PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing exchange type",
                         "exchange_declare", self.name(), "x-delayed-message", arguments=arguments)


class RecentHistory(Tour):
    def remembering(self, length=None):
        return self.exchange("x-recent-history", arguments={"x-recent-history-length": length} if length else None)

    def bound(self, exchange):
        queue = self.queue()
        self.channel.queue_bind(queue, exchange)
        return queue

    def test_the_last_ones_oldest_first(self):
        exchange = self.remembering(5)
        for n in range(12):
            self.publish(exchange, "k", b"%d" % n, headers={"n": n})
        for _ in range(2):
            queue = self.bound(exchange)
            self.until_ready(queue, 5)
            self.publish(exchange, "k", b"new", headers={"x-recent-history-no-store": True})
            self.until_ready(queue, 6)
            self.assertEqual(self.bodies(queue), [b"7", b"8", b"9", b"10", b"11", b"new"])

    def test_twenty_if_it_is_not_said(self):
        exchange = self.remembering()
        for n in range(30):
            self.publish(exchange, "", b"%d" % n)
        queue = self.bound(exchange)
        self.until_ready(queue, 20)
        self.assertEqual(self.bodies(queue), [b"%d" % n for n in range(10, 30)])

    def test_what_is_not_to_be_stored(self):
        exchange = self.remembering(3)
        before = self.bound(exchange)
        self.publish(exchange, "", b"kept")
        self.publish(exchange, "", b"not kept", headers={"x-recent-history-no-store": True})
        self.assertEqual(self.bodies(before), [b"kept", b"not kept"])
        queue = self.bound(exchange)
        self.until_ready(queue, 1)
        self.assertEqual(self.bodies(queue), [b"kept"])

    def test_a_fanout_otherwise(self):
        exchange = self.remembering(3)
        queues = [self.bound(exchange) for _ in range(3)]
        self.publish(exchange, "whatever", b"x")
        self.assertEqual([self.bodies(queue) for queue in queues], [[b"x"]] * 3)


if __name__ == "__main__":
    main()

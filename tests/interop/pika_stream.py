"""Streams: consumers at their own offsets, going live, filters."""
import datetime
import threading
import time
import unittest

import pika

from tour import Tour, peer, setUpModule, the_broker  # noqa: F401
from publish import Publishing
from runner import main

STREAM = {"x-queue-type": "stream"}
BUSY = 5000


class Streams(Tour):
    def stream(self, **arguments):
        return self.queue(durable=True, arguments=dict(STREAM, **arguments))

    def fill(self, queue, count, start=0):
        channel = self.connection.channel()
        channel.confirm_delivery()
        for n in range(start, start + count):
            channel.basic_publish("", queue, b"%d" % n, pika.BasicProperties(delivery_mode=2))
        channel.close()

    def consumer(self, queue, offset, prefetch=100, ack=True, **arguments):
        """Appends (offset, body) to the list that it returns."""
        got = []
        channel = self.connection.channel()
        channel.basic_qos(prefetch_count=prefetch)

        def on_message(_, method, properties, body):
            self.assertFalse(method.redelivered)
            got.append((properties.headers["x-stream-offset"], body))
            if ack:
                channel.basic_ack(method.delivery_tag)
        channel.basic_consume(queue, on_message, arguments=dict(arguments, **{"x-stream-offset": offset}))
        return got

    def expect(self, got, first, end):
        self.pump(lambda: len(got) >= end - first)
        self.connection.process_data_events(0.1)
        self.assertEqual(got, [(n, b"%d" % n) for n in range(first, end)])

    def test_offsets(self):
        queue = self.stream()
        self.fill(queue, 50)
        for offset, first in (("first", 0), ("last", 49), (0, 0), (17, 17), ("1h", 0),
                              (datetime.datetime(2020, 1, 1), 0), (datetime.datetime(2100, 1, 1), 50), ("next", 50)):
            with self.subTest(offset=offset):
                self.expect(self.consumer(queue, offset), first, 50)

    def test_each_consumer_gets_everything_and_goes_live(self):
        queue = self.stream()
        self.fill(queue, 100)
        all_got = [self.consumer(queue, "first") for _ in range(5)]
        self.fill(queue, 100, start=100)
        for got in all_got:
            self.expect(got, 0, 200)

    def test_what_is_unacknowledged_bounds_it(self):
        queue = self.stream()
        self.fill(queue, 30)
        got = self.consumer(queue, "first", prefetch=7, ack=False)
        self.expect(got, 0, 7)

    def test_catches_up_under_load(self):
        """Consumers that begin at the beginning while a publisher is at work: no gap, no duplicate, at any place where they go live."""
        queue = self.stream()
        self.fill(queue, 500)
        bodies = (b"%d" % n for n in range(500, 500 + BUSY))
        publisher = threading.Thread(target=Publishing(peer.parameters(the_broker()), bodies, key=queue).run)
        publisher.start()
        all_got = []
        for offset in ("first", "first", 250, "first"):
            all_got.append((self.consumer(queue, offset, prefetch=1000), 250 if offset == 250 else 0))
            deadline = time.monotonic() + 0.1
            while time.monotonic() < deadline:
                self.connection.process_data_events(0.01)
        for got, first in all_got:
            self.expect(got, first, 500 + BUSY)
        publisher.join()

    @unittest.skipUnless(peer.ON_GANNET, "RabbitMQ knows no channel.flow")
    def test_channel_flow_loses_and_repeats_nothing(self):
        """A consumer is stopped, at first before it begins, and let go on while messages are on their way to it."""
        queue = self.stream()
        Publishing(peer.parameters(the_broker()), (b"%d" % n for n in range(4 * BUSY)), key=queue).run()
        channel, got = self.connection.channel(), []
        channel.basic_qos(prefetch_count=BUSY)

        def on_message(_, method, properties, body):
            got.append((properties.headers["x-stream-offset"], body))
            if len(got) % 100 == 0:
                channel.basic_ack(method.delivery_tag, multiple=True)
        channel.flow(False)
        channel.basic_consume(queue, on_message, arguments={"x-stream-offset": "first"})
        self.connection.process_data_events(0.2)
        self.assertEqual(got, [])
        channel.flow(True)
        while len(got) < 3 * BUSY:
            channel.flow(False)
            channel.flow(True)
            self.connection.process_data_events(0.001)
        self.expect(got, 0, 4 * BUSY)

    def test_refusals(self):
        queue = self.stream()
        self.refuses(406, "PRECONDITION_FAILED - consumer prefetch count is not set for 'queue '%s' in vhost '/''" % queue,
                     "basic_consume", queue, lambda *_: None)
        self.refuses_connection(540, "NOT_IMPLEMENTED - basic.get not supported by stream queues queue '%s' in vhost '/'" % queue,
                                lambda channel: channel.basic_get(queue))
        self.refuses_connection(540, "NOT_IMPLEMENTED - queue.purge not supported by stream queues queue '%s' in vhost '/'" % queue,
                                lambda channel: channel.queue_purge(queue))

    @unittest.skipUnless(peer.ON_GANNET, "RabbitMQ filters from 3.13 on")
    def test_filters(self):
        queue = self.stream()
        values = [("a", "b", None, "c")[n % 4] for n in range(40)]
        for n, value in enumerate(values):
            headers = {"x-stream-filter-value": value} if value else None
            self.channel.basic_publish("", queue, b"%d" % n, pika.BasicProperties(headers=headers))

        def numbers(*wanted):
            return [(n, b"%d" % n) for n in range(40) if values[n] in wanted]
        for arguments, wanted in (({"x-stream-filter": "a"}, ("a",)), ({"x-stream-filter": ["a", "c"]}, ("a", "c")),
                                  ({"x-stream-filter": "b", "x-stream-match-unfiltered": True}, ("b", None))):
            got = self.consumer(queue, "first", **arguments)
            expected = numbers(*wanted)
            self.pump(lambda: len(got) >= len(expected))
            self.connection.process_data_events(0.1)
            self.assertEqual(got, expected)


if __name__ == "__main__":
    main()

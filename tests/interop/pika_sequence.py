"""Numbers of messages and exact gaps (x-sequence), and how a client fills a gap from a stream beside the queue."""
import threading
import unittest

import pika

from tour import Tour, peer, setUpModule, the_broker  # noqa: F401
from publish import Publishing
from runner import main

BURST = 3000


class Numbered(Tour):
    def numbered(self, **arguments):
        arguments = {"x-" + name.replace("_", "-"): value for name, value in arguments.items()}
        return self.queue(durable=True, arguments=dict(arguments, **{"x-sequence": True}))


@unittest.skipUnless(peer.ON_GANNET, "x-sequence is Gannet's")
class Sequence(Numbered):
    def told(self, queue):
        """The headers of each message, and its body."""
        got = []
        while True:
            method, properties, body = self.channel.basic_get(queue, auto_ack=True)
            if not method:
                return got
            got.append((properties.headers, body))

    def test_dense_without_losses(self):
        queue = self.numbered()
        for n in range(1, 6):
            self.publish("", queue, b"%d" % n)
        self.assertEqual(self.told(queue), [({"x-sequence": n}, b"%d" % n) for n in range(1, 6)])

    def test_what_a_full_queue_sheds(self):
        for kind in "classic", "quorum":
            queue = self.numbered(max_length=2, queue_type=kind)
            for n in range(1, 8):
                self.publish("", queue, b"%d" % n)
            gap = {"x-gap-from": 1, "x-gap-to": 5, "x-gap-reason": "maxlen"}
            self.assertEqual(self.told(queue), [(dict(gap, **{"x-sequence": 6}), b"6"), ({"x-sequence": 7}, b"7")])

    def test_what_expires(self):
        queue = self.numbered()
        for n in range(1, 4):
            self.publish("", queue, b"%d" % n, expiration="1" if n < 3 else None)
        self.until_ready(queue, 1)
        self.assertEqual(self.told(queue), [({"x-sequence": 3, "x-gap-from": 1, "x-gap-to": 2, "x-gap-reason": "expired"}, b"3")])

    def test_several_reasons(self):
        queue = self.numbered(max_length=1)
        self.publish("", queue, b"1", expiration="0")
        for n in range(2, 5):
            self.publish("", queue, b"%d" % n)
        (headers, _), = self.told(queue)
        self.assertEqual(headers["x-gaps"], [{"from": 1, "to": 1, "reason": "expired"}, {"from": 2, "to": 3, "reason": "maxlen"}])
        self.assertEqual((headers["x-sequence"], headers["x-gap-from"], headers["x-gap-to"]), (4, 2, 3))

    def test_redelivered_with_the_same_number_and_gap(self):
        queue = self.numbered(max_length=1)
        for n in range(1, 4):
            self.publish("", queue, b"%d" % n)
        method, properties, _ = self.channel.basic_get(queue)
        self.channel.basic_nack(method.delivery_tag)
        self.until_ready(queue, 1)
        again, the_same, _ = self.channel.basic_get(queue)
        self.assertEqual((again.redelivered, the_same.headers), (True, properties.headers))
        self.assertEqual(the_same.headers["x-gap-to"], 2)


@unittest.skipUnless(peer.ON_GANNET, "x-sequence is Gannet's")
class Filling(Numbered):
    """The queue and a stream, bound to one exchange before the first message: message n of the queue is at offset n - 1.
    So it is for one publisher; the messages of several may come to two queues in another order."""

    def setUp(self):
        super().setUp()
        self.source = self.exchange("topic", durable=True)
        self.short = self.numbered(max_length=10)
        self.stream = self.queue(durable=True, arguments={"x-queue-type": "stream"})
        for queue in self.short, self.stream:
            self.channel.queue_bind(queue, self.source, "#")
        self.filled = {}  # number -> (body, whether from the stream)

    def fill(self, first, last):
        """Numbers of the queue, from the stream."""
        channel = self.connection.channel()
        channel.basic_qos(prefetch_count=100)
        wanted = {}

        def on_message(channel, method, properties, body):
            number = properties.headers["x-stream-offset"] + 1
            if number <= last:
                wanted[number] = (body, True)
            channel.basic_ack(method.delivery_tag)
        channel.basic_consume(self.stream, on_message, arguments={"x-stream-offset": first - 1})
        self.pump(lambda: len(wanted) == last - first + 1)
        channel.close()
        self.assertEqual(sorted(wanted), list(range(first, last + 1)))
        self.filled.update(wanted)

    def follow(self, count):
        """Consumes the queue too slowly, up to this number, and fills each gap. Returns how many gaps there were."""
        gaps, got = 0, []
        channel = self.connection.channel()
        channel.basic_qos(prefetch_count=1)
        tag = channel.basic_consume(self.short, lambda _, *delivery: got.append(delivery))
        expected = 1
        while expected <= count:
            self.pump(lambda: got)
            method, properties, body = got.pop()
            number = properties.headers["x-sequence"]
            self.assertEqual(properties.headers.get("x-gap-from", number), expected)
            if number > expected:
                self.assertEqual((properties.headers["x-gap-to"], properties.headers["x-gap-reason"]), (number - 1, "maxlen"))
                self.fill(expected, number - 1)
                gaps += 1
            self.filled[number] = (body, False)
            expected = number + 1
            channel.basic_ack(method.delivery_tag)
        channel.basic_cancel(tag)
        return gaps

    def test_one_by_one(self):
        for n in range(1, 101):
            self.publish(self.source, "k", b"%d" % n, delivery_mode=2)
        self.until_ready(self.short, 10)
        self.assertEqual(self.follow(100), 1)
        self.assertEqual(self.filled, {n: (b"%d" % n, n <= 90) for n in range(1, 101)})

    def test_while_a_publisher_is_at_work(self):
        bodies = (b"%d" % n for n in range(1, BURST + 1))
        publisher = threading.Thread(target=Publishing(peer.parameters(the_broker()), bodies, self.source, "k").run)
        publisher.start()
        gaps = self.follow(BURST)
        publisher.join()
        self.assertGreater(gaps, 0)
        self.assertEqual({n: body for n, (body, _) in self.filled.items()}, {n: b"%d" % n for n in range(1, BURST + 1)})


if __name__ == "__main__":
    main()

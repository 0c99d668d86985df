"""Exactly-once publishing and levels of confirms: headers that mean nothing to RabbitMQ."""
import unittest

import pika
from pika.exceptions import NackError, UnroutableError

from tour import Tour, connect, setUpModule  # noqa: F401
from peer import ON_GANNET
from runner import main


@unittest.skipUnless(ON_GANNET, "x-producer-id, x-producer-seq and x-confirm are Gannet's")
class Producers(Tour):
    def send(self, exchange, key, seq, body, channel=None, mandatory=False, **properties):
        headers = {"x-producer-id": "producer-" + self.unique, "x-producer-seq": seq}
        (channel or self.channel).basic_publish(exchange, key, body, pika.BasicProperties(headers=headers, **properties), mandatory)

    def test_again_after_a_reconnect(self):
        queue = self.queue(durable=True)
        self.channel.confirm_delivery()
        for seq in range(1, 11):
            self.send("", queue, seq, b"%d" % seq, delivery_mode=2)
        with connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for seq in range(6, 16):
                self.send("", queue, seq, b"%d" % seq, channel, delivery_mode=2)
        self.assertEqual(self.bodies(queue), [b"%d" % seq for seq in range(1, 16)])

    def test_large_messages(self):
        queue = self.queue()
        self.channel.confirm_delivery()
        for seq in (1, 1, 2, 1, 2):
            self.send("", queue, seq, b"%d" % seq * 300000)
        self.assertEqual(self.bodies(queue), [b"1" * 300000, b"2" * 300000])

    def test_queues_of_several_routers(self):
        exchange = self.exchange("fanout")
        queues = self.queues_bound(exchange, *[""] * 8)
        self.channel.confirm_delivery()
        for seq in (1, 2, 2, 1, 3):
            self.send(exchange, "", seq, b"%d" % seq)
        for queue in queues:
            self.assertEqual(self.bodies(queue), [b"1", b"2", b"3"])

    def test_refused_by_one_of_several(self):
        exchange = self.exchange("fanout")
        queues = self.queues_bound(exchange, *[""] * 8)
        short = self.queue(arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        self.channel.queue_bind(short, exchange)
        self.channel.confirm_delivery()
        self.send(exchange, "", 1, b"1")
        for _ in range(3):
            with self.assertRaises(NackError):
                self.send(exchange, "", 2, b"2")
        self.assertEqual(self.get(short), b"1")
        for _ in range(3):
            self.send(exchange, "", 2, b"2")
        for queue in [short] + queues:
            self.assertEqual(self.bodies(queue)[-2:], [b"1", b"2"][queue == short:])

    def test_a_queue_bound_later(self):
        """It gets what comes again, as the message was never there; those that had it don't."""
        exchange = self.exchange("direct")
        first, second = self.queues_bound(exchange, "key", "other")
        self.channel.confirm_delivery()
        with self.assertRaises(UnroutableError):
            self.send(exchange, "nobody", 1, b"1", mandatory=True)
        self.send(exchange, "key", 2, b"2", mandatory=True)
        self.send(exchange, "key", 1, b"1", mandatory=True)
        self.assertEqual(self.bodies(first), [b"2", b"1"])
        self.channel.queue_unbind(first, exchange, "key")
        self.send(exchange, "key", 2, b"2")
        self.assertEqual((self.bodies(first), self.bodies(second)), ([], []))

    def test_a_queue_picked_by_chance(self):
        """Chance is the same for a message that comes again, on whatever connection."""
        exchange = self.exchange("x-random")
        queues = self.queues_bound(exchange, *[""] * 8)
        for _ in range(2):
            with connect() as connection:
                channel = connection.channel()
                channel.confirm_delivery()
                for seq in range(1, 31):
                    self.send(exchange, "", seq, b"%d" % seq, channel)
        got = [self.bodies(queue) for queue in queues]
        self.assertEqual(sorted(int(body) for bodies in got for body in bodies), list(range(1, 31)))
        self.assertGreater(sum(bool(bodies) for bodies in got), 3)

    def test_delayed(self):
        """It is taken when it begins to wait, and what it is then published as is no second message."""
        exchange = self.exchange("x-delayed-message", arguments={"x-delayed-type": "direct"})
        queue, = self.queues_bound(exchange, "key")
        self.channel.confirm_delivery()
        headers = {"x-producer-id": self.unique, "x-producer-seq": 1, "x-delay": 100}
        for _ in range(3):
            self.publish(exchange, "key", b"late", headers=headers)
        self.until_ready(queue, 1)
        self.publish(exchange, "key", b"later", headers=headers)
        self.assertEqual(self.bodies(queue), [b"late"])

    def test_transactions(self):
        queue = self.queue()
        self.channel.tx_select()
        self.send("", queue, 1, b"1")
        self.channel.tx_rollback()
        for _ in range(2):
            self.send("", queue, 1, b"1")
            self.send("", queue, 2, b"2")
            self.channel.tx_commit()
        self.assertEqual(self.bodies(queue), [b"1", b"2"])

    def test_levels(self):
        queue = self.queue(durable=True)
        lax = self.queue(durable=True, arguments={"x-confirm": "ram"})
        self.channel.confirm_delivery()
        for level in ("ram", "disk"):
            for key in (queue, lax):
                self.publish("", key, delivery_mode=2, headers={"x-confirm": level})
        self.assertEqual((self.ready(queue), self.ready(lax)), (2, 2))

    def test_wrong_headers(self):
        for headers, what in (({"x-producer-id": ""}, "header 'x-producer-id' must be a string of 1 to 255 bytes"),
                              ({"x-producer-id": "p" * 256}, "header 'x-producer-id' must be a string of 1 to 255 bytes"),
                              ({"x-producer-id": 7}, "header 'x-producer-id' must be a string of 1 to 255 bytes"),
                              ({"x-producer-id": "p"}, "header 'x-producer-seq' is missing beside 'x-producer-id'"),
                              ({"x-producer-seq": 1}, "header 'x-producer-id' is missing beside 'x-producer-seq'"),
                              ({"x-producer-id": "p", "x-producer-seq": 0}, "header 'x-producer-seq' must be an integer of at least 1"),
                              ({"x-producer-id": "p", "x-producer-seq": "1"}, "header 'x-producer-seq' must be an integer of at least 1"),
                              ({"x-confirm": "tape"}, "header 'x-confirm' must be 'ram' or 'disk'")):
            self.refuses(406, "PRECONDITION_FAILED - " + what, "basic_publish", "", "q", b"x", pika.BasicProperties(headers=headers))


if __name__ == "__main__":
    main()

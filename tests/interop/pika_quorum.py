"""Quorum queues as their users know them: what was delivered too often, and who took it first."""
import unittest

import pika

from tour import Tour, connect, peer, pump, setUpModule  # noqa: F401
from runner import main

QUORUM = {"x-queue-type": "quorum"}


class Quorum(Tour):
    def quorum(self, **arguments):
        arguments = {"x-" + key.replace("_", "-"): value for key, value in arguments.items()}
        return self.queue(durable=True, arguments={**QUORUM, **arguments})

    def send(self, queue, *bodies):
        channel = self.connection.channel()
        channel.confirm_delivery()
        for body in bodies:
            channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2))
        channel.close()

    def attempts(self, queue, most):
        """Gives each delivery back, at most so many: what x-delivery-count said."""
        counts = []
        channel = self.connection.channel()
        channel.basic_qos(prefetch_count=1)

        def on_message(channel, method, properties, _):
            counts.append((properties.headers or {}).get("x-delivery-count", 0))
            self.assertEqual(method.redelivered, len(counts) > 1)
            channel.basic_nack(method.delivery_tag, requeue=len(counts) < most)
        channel.basic_consume(queue, on_message)
        self.until_ready(queue, 0)
        self.pump(lambda: len(counts) >= most)
        self.connection.process_data_events(0.2)
        channel.close()
        return counts

    def test_deliveries_are_counted(self):
        queue = self.quorum()
        self.send(queue, b"x")
        self.assertEqual(self.attempts(queue, 5), [0, 1, 2, 3, 4])

    def test_delivered_too_often(self):
        dead = self.queue()
        queue = self.quorum(delivery_limit=2, dead_letter_exchange="", dead_letter_routing_key=dead)
        self.send(queue, b"poison")
        self.assertEqual(self.attempts(queue, 3), [0, 1, 2])
        self.until_ready(dead, 1)
        _, properties, body = self.channel.basic_get(dead)
        self.assertEqual((body, properties.headers["x-first-death-reason"], properties.headers["x-first-death-queue"]),
                         (b"poison", "rejected", queue))

    def test_the_limit_is_the_reason(self):
        """The last of its deliveries is given back too, and that is what it dies of."""
        dead = self.queue()
        queue = self.quorum(delivery_limit=1, dead_letter_exchange="", dead_letter_routing_key=dead)
        self.send(queue, b"poison")
        for _ in range(2):
            self.until_ready(queue, 1)
            method, _, _ = self.channel.basic_get(queue)
            self.channel.basic_nack(method.delivery_tag, requeue=True)
        self.until_ready(dead, 1)
        _, properties, _ = self.channel.basic_get(dead)
        self.assertEqual(properties.headers["x-first-death-reason"], "delivery_limit")
        self.assertEqual(self.ready(queue), 0)

    def test_a_lost_connection_counts(self):
        queue = self.quorum()
        self.send(queue, b"x")
        for count in range(3):
            with connect() as connection:
                got = []
                connection.channel().basic_consume(queue, lambda _, __, properties, ___: got.append(properties))
                pump(connection, lambda: got)
                self.assertEqual((got[0].headers or {}).get("x-delivery-count", 0), count)

    def test_what_comes_back_is_first_with_a_limit(self):
        queue = self.quorum(delivery_limit=5)
        self.send(queue, b"1", b"2", b"3")
        method, _, _ = self.channel.basic_get(queue)
        self.channel.basic_nack(method.delivery_tag)
        self.until_ready(queue, 3)
        self.assertEqual(self.bodies(queue), [b"1", b"2", b"3"])

    def test_prefetch_and_acknowledgements(self):
        queue = self.quorum()
        self.send(queue, *[b"%d" % n for n in range(50)])
        channel = self.connection.channel()
        channel.basic_qos(prefetch_count=10)
        self.collector(channel, queue)
        self.deliveries(channel, 10)
        self.connection.process_data_events(0.2)
        self.assertEqual(len(self.collected), 10)
        for end in (10, 20, 30, 40, 50):
            self.deliveries(channel, end)
            channel.basic_ack(end, multiple=True)
        self.assertEqual([body for _, _, body in self.collected], [b"%d" % n for n in range(50)])

    def test_a_single_active_consumer(self):
        queue = self.quorum(single_active_consumer=True)
        got = []
        first, second = self.connection.channel(), self.connection.channel()
        for who, channel in (("first", first), ("second", second)):
            channel.basic_consume(queue, lambda _, __, ___, body, who=who: got.append((who, body)), auto_ack=True)
        self.send(queue, b"1", b"2")
        self.pump(lambda: len(got) == 2)
        first.close()
        self.send(queue, b"3")
        self.pump(lambda: len(got) == 3)
        self.assertEqual(got, [("first", b"1"), ("first", b"2"), ("second", b"3")])

    def test_refusals(self):
        name = self.name()
        text = "PRECONDITION_FAILED - invalid property '%s' for queue '%s' in vhost '/'"
        self.refuses(406, text % ("non-durable", name), "queue_declare", name, arguments=QUORUM)
        self.refuses(406, text % ("exclusive-owner", name), "queue_declare", name, durable=True, exclusive=True,
                     arguments=QUORUM)
        self.refuses(406, text % ("auto-delete", name), "queue_declare", name, durable=True, auto_delete=True,
                     arguments=QUORUM)
        self.refuses(406, "PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue '%s' in vhost '/' of queue type "
                          "rabbit_quorum_queue" % name,
                     "queue_declare", name, durable=True, arguments=dict(QUORUM, **{"x-max-priority": 5}))
        queue = self.queue(durable=True)
        self.refuses(406, "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue '%s' in vhost '/': "
                          "received the value 'stream' of type 'longstr' but current is none" % queue,
                     "queue_declare", queue, durable=True, arguments={"x-queue-type": "stream"})

    @unittest.skipUnless(peer.ON_GANNET, "RabbitMQ limits none of itself before 4.0")
    def test_without_a_limit_there_is_none(self):
        queue = self.quorum(delivery_limit=-1)
        self.send(queue, b"x")
        self.assertEqual(self.attempts(queue, 30), list(range(30)))


if __name__ == "__main__":
    main()

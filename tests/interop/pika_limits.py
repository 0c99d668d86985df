"""Queues with limits: how long a message or the queue itself stays, how many there may be, and what a full queue does."""
import time

import pika
from pika.exceptions import NackError, UnroutableError

from tour import Tour, connect, setUpModule  # noqa: F401
from runner import main

SHORT_MS = 100
LONG_MS = 600000
KINDS = {"classic": {}, "quorum": {"x-queue-type": "quorum"}}


class Limits(Tour):
    def limited(self, kind="classic", **arguments):
        arguments = {"x-" + key.replace("_", "-"): value for key, value in arguments.items()}
        return self.queue(durable=True, arguments={**KINDS[kind], **arguments})

    def send(self, queue, *bodies, **properties):
        """Each is confirmed before the next, or refused: those that were."""
        with connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            refused = []
            for body in bodies:
                try:
                    channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2, **properties))
                except NackError:
                    refused.append(body)
            return refused


class Time(Limits):
    def test_messages_go_in_the_queues_time(self):
        for kind in KINDS:
            with self.subTest(kind):
                queue = self.limited(kind, message_ttl=SHORT_MS)
                self.send(queue, b"1", b"2")
                self.until_ready(queue, 0)
                self.assertIsNone(self.get(queue))

    def test_or_in_their_own(self):
        """In order: one behind another that lasts waits for it."""
        for kind in KINDS:
            with self.subTest(kind):
                queue = self.limited(kind)
                self.send(queue, b"first", expiration="%d" % SHORT_MS)
                self.send(queue, b"lasts", expiration="%d" % LONG_MS)
                self.send(queue, b"behind it", expiration="%d" % SHORT_MS)
                self.until_ready(queue, 2)
                time.sleep(2 * SHORT_MS / 1000)
                method, properties, body = self.channel.basic_get(queue)
                self.assertEqual((body, properties.expiration, method.redelivered), (b"lasts", "%d" % LONG_MS, False))
                self.assertIsNone(self.get(queue))

    def test_what_a_consumer_has_does_not_expire(self):
        queue = self.limited(message_ttl=SHORT_MS)
        self.collector(self.channel, queue)
        self.publish("", queue, b"x")
        (method, _, _), = self.deliveries(self.channel, 1)
        time.sleep(2 * SHORT_MS / 1000)
        self.channel.basic_ack(method.delivery_tag)
        self.connection.process_data_events(0.1)
        self.assertEqual(len(self.collected), 1)

    def test_an_expiration_that_is_none(self):
        for expiration, why in (("soon", "no_integer"), ("-1", "{value_negative,-1}")):
            self.refuses(406, "PRECONDITION_FAILED - invalid expiration '%s': %s" % (expiration, why), "basic_publish", "", "q",
                         b"x", pika.BasicProperties(expiration=expiration))

    def test_a_queue_nobody_uses_goes(self):
        queue = self.limited(expires=300)
        with connect() as connection:
            channel = connection.channel()
            channel.basic_consume(queue, lambda *_: None)
            time.sleep(0.6)
            self.ready(queue)
        time.sleep(0.9)
        self.refuses(404, "NOT_FOUND - no queue '%s' in vhost '/'" % queue, "queue_declare", queue, passive=True)


class Length(Limits):
    def test_the_oldest_makes_room(self):
        for kind in KINDS:
            for limit in ({"max_length": 3}, {"max_length_bytes": 30}, {"max_length": 3, "overflow": "drop-head"}):
                with self.subTest(kind, **limit):
                    queue = self.limited(kind, **limit)
                    self.assertEqual(self.send(queue, *[b"%010d" % n for n in range(9)]), [])
                    self.until_ready(queue, 3)
                    self.assertEqual(self.bodies(queue), [b"%010d" % n for n in (6, 7, 8)])

    def test_or_the_newest_is_refused(self):
        for limit in ({"max_length": 2}, {"max_length_bytes": 2}):
            for overflow in "reject-publish", "reject-publish-dlx":
                with self.subTest(overflow, **limit):
                    queue = self.limited(overflow=overflow, **limit)
                    self.assertEqual(self.send(queue, b"1", b"2", b"3", b"4"), [b"3", b"4"])
                    self.assertEqual(self.get(queue), b"1")
                    self.assertEqual(self.send(queue, b"5", b"6"), [b"6"])
                    self.assertEqual(self.bodies(queue), [b"2", b"5"])

    def test_a_quorum_queue_refuses_too(self):
        """RabbitMQ's takes a few more before it does."""
        queue = self.limited("quorum", max_length=2, overflow="reject-publish")
        self.assertNotEqual(self.send(queue, *[b"%d" % n for n in range(100)]), [])
        self.assertEqual(self.get(queue), b"0")

    def test_one_queue_that_refuses_is_a_nack(self):
        """Though another has taken it."""
        exchange = self.exchange("fanout")
        full = self.limited(max_length=1, overflow="reject-publish")
        self.channel.queue_bind(full, exchange)
        roomy = self.queues_bound(exchange, "")[0]
        self.channel.confirm_delivery()
        self.publish(exchange, "", b"1")
        with self.assertRaises(NackError):
            self.publish(exchange, "", b"2")
        self.assertEqual((self.bodies(full), self.bodies(roomy)), ([b"1"], [b"1", b"2"]))

    def test_no_room_at_all(self):
        """It was routed, so it isn't returned."""
        queue = self.limited(max_length=0)
        self.channel.confirm_delivery()
        self.channel.basic_publish("", queue, b"x", mandatory=True)
        self.assertIsNone(self.get(queue))
        with self.assertRaises(UnroutableError):
            self.channel.basic_publish("", queue + "-none", b"x", mandatory=True)


class Declarations(Limits):
    def refused(self, why, **arguments):
        name = self.name()
        arguments = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.refuses(406, "PRECONDITION_FAILED - " + why.replace("NAME", "'%s' in vhost '/'" % name), "queue_declare", name,
                     durable=True, arguments=arguments)

    def test_wrong_values(self):
        self.refused("invalid arg 'x-message-ttl' for queue NAME: {value_negative,-1}", x_message_ttl=-1)
        self.refused("invalid arg 'x-message-ttl' for queue NAME: \"expected integer, got longstr\"", x_message_ttl="5")
        self.refused("invalid arg 'x-expires' for queue NAME: {value_zero,0}", x_expires=0)
        self.refused("invalid arg 'x-max-length' for queue NAME: {value_negative,-1}", x_max_length=-1)
        self.refused("invalid arg 'x-overflow' for queue NAME: invalid_overflow", x_overflow="burst")
        self.refused("invalid arg 'x-max-priority' for queue NAME: {max_value_exceeded,256}", x_max_priority=256)
        self.refused("invalid arg 'x-single-active-consumer' for queue NAME: {unacceptable_type,longstr}",
                     x_single_active_consumer="yes")

    def test_declared_again(self):
        queue = self.limited(message_ttl=LONG_MS, max_length=5)
        same = {"x-message-ttl": LONG_MS, "x-max-length": 5}
        self.channel.queue_declare(queue, durable=True, arguments=same)
        text = "PRECONDITION_FAILED - inequivalent arg '%s' for queue '%s' in vhost '/': received %s but current is %s"
        self.refuses(406, text % ("x-message-ttl", queue, "'5'", "'%d'" % LONG_MS),
                     "queue_declare", queue, durable=True, arguments=dict(same, **{"x-message-ttl": 5}))
        self.refuses(406, text % ("x-max-length", queue, "none", "the value '5' of type 'signedint'"),
                     "queue_declare", queue, durable=True, arguments={"x-message-ttl": LONG_MS})

    def test_accepted_without_a_meaning_here(self):
        for arguments in ({"x-queue-mode": "lazy"}, {"x-queue-version": 2}, {"x-queue-master-locator": "min-masters"},
                          {"x-queue-type": "quorum", "x-quorum-initial-group-size": 1},
                          {"x-queue-type": "quorum", "x-max-in-memory-length": 10},
                          {"x-queue-type": "quorum", "x-queue-leader-locator": "client-local"}):
            with self.subTest(arguments):
                queue = self.queue(durable=True, arguments=arguments)
                self.send(queue, b"x")
                self.until_ready(queue, 1)


if __name__ == "__main__":
    main()

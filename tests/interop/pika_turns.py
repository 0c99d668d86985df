"""Who gets a queue's messages: consumers with priorities, a single active one, and one that takes too long."""
import unittest

from tour import Tour, connect, pump, setUpModule  # noqa: F401
from runner import main
import peer

SINGLE = {"x-single-active-consumer": True}


class Turns(Tour):
    def setUp(self):
        super().setUp()
        self.got = []  # (who, body, redelivered)

    def consumer(self, who, queue, prefetch=0, channel=None, ack=True, **arguments):
        """On a channel of its own unless told which."""
        channel = channel or self.connection.channel()
        channel.basic_qos(prefetch_count=prefetch)

        def on_message(channel, method, _, body):
            self.got.append((who, body, method.redelivered))
            if ack:
                channel.basic_ack(method.delivery_tag)
        arguments = {key.replace("_", "-"): value for key, value in arguments.items()}
        tag = channel.basic_consume(queue, on_message, arguments=arguments)
        return channel, tag

    def publish_some(self, queue, count):
        for n in range(count):
            self.publish("", queue, b"%d" % n)

    def until_got(self, count):
        self.pump(lambda: len(self.got) >= count)
        return [who for who, _, _ in self.got]


class Priorities(Turns):
    def test_the_highest_gets_all_it_can_take(self):
        queue = self.queue()
        self.consumer("low", queue)
        self.consumer("high", queue, x_priority=10)
        self.publish_some(queue, 50)
        self.assertEqual(self.until_got(50), ["high"] * 50)

    def test_what_it_can_t_take_goes_to_the_next(self):
        queue = self.queue()
        self.consumer("lowest", queue, 5, ack=False, x_priority=-1)
        self.consumer("high", queue, 5, ack=False, x_priority=2 ** 40)
        self.consumer("low", queue, 5, ack=False)
        self.publish_some(queue, 20)
        got = self.until_got(15)
        self.assertEqual([got.count(who) for who in ("high", "low", "lowest")], [5, 5, 5])
        self.until_ready(queue, 5)

    def test_equal_ones_share(self):
        queue = self.queue()
        for who in "ab":
            self.consumer(who, queue, 1, x_priority=3)
        self.consumer("c", queue, 1)
        self.publish_some(queue, 60)
        got = self.until_got(60)
        self.assertGreater(min(got.count("a"), got.count("b")), 5)

    def test_must_be_a_number(self):
        queue = self.queue()
        self.refuses(406, "PRECONDITION_FAILED - invalid arg 'x-priority' for queue '%s' in vhost '/': "
                          "\"expected integer, got longstr\"" % queue, "basic_consume", queue, print, arguments={"x-priority": "5"})


class SingleActive(Turns):
    def test_only_one(self):
        queue = self.queue(arguments=SINGLE)
        for who in "abc":
            self.consumer(who, queue, 2)
        self.publish_some(queue, 50)
        self.assertEqual(self.until_got(50), ["a"] * 50)

    def test_the_next_takes_over(self):
        queue = self.queue(arguments=SINGLE)
        consumers = {who: self.consumer(who, queue, x_priority=priority) for who, priority in (("a", 0), ("b", 0), ("c", 7))}
        for count, who in enumerate("acb", 1):
            self.publish("", queue)
            self.assertEqual(self.until_got(count)[-1], who)
            channel, tag = consumers[who]
            channel.basic_cancel(tag)

    def test_and_gets_what_the_other_had(self):
        queue = self.queue(arguments=SINGLE)
        with connect() as other:
            held = []
            channel = other.channel()
            channel.basic_qos(prefetch_count=3)
            channel.basic_consume(queue, lambda _, method, __, body: held.append(body))
            self.consumer("b", queue)
            self.publish_some(queue, 3)
            pump(other, lambda: len(held) == 3)
            self.connection.process_data_events(0.2)
            self.assertEqual(self.got, [])
        self.until_got(3)
        self.assertEqual(self.got, [("b", b"%d" % n, True) for n in range(3)])

    def test_none_may_be_exclusive(self):
        queue = self.queue(arguments=SINGLE)
        self.refuses(403, "ACCESS_REFUSED - queue '%s' in vhost '/' in exclusive use" % queue, "basic_consume", queue, print,
                     exclusive=True)


@unittest.skipUnless(peer.ON_GANNET, "RabbitMQ 3.10 closes the channel, and looks once a minute")
class Timeout(Turns):
    def test_what_it_has_goes_to_others(self):
        queue, cancelled = self.queue(arguments={"x-consumer-timeout": 300}), []
        channel, tag = self.consumer("slow", queue, 3, ack=False)
        channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
        self.publish_some(queue, 3)
        self.assertEqual(self.until_got(3), ["slow"] * 3)
        self.pump(lambda: cancelled)
        self.assertEqual(cancelled, [tag])
        for tag in (1, 2, 3):  # late, and in vain
            channel.basic_ack(tag)
        self.consumer("quick", queue)
        self.until_got(6)
        self.assertEqual(self.got[3:], [("quick", b"%d" % n, True) for n in range(3)])
        self.consumer("again", queue, channel=channel, x_priority=1)
        self.publish("", queue)
        self.assertEqual(self.until_got(7)[-1], "again")


if __name__ == "__main__":
    main()

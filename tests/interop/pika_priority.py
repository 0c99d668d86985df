"""Queues whose messages have priorities."""
import random

import pika

from tour import Tour, setUpModule  # noqa: F401
from runner import main


class Priorities(Tour):
    def prioritised(self, levels, **arguments):
        return self.queue(durable=True, arguments=dict(arguments, **{"x-max-priority": levels}))

    def send(self, queue, *priorities):
        """Bodies tell the priority and which of them it is."""
        channel = self.connection.channel()
        channel.confirm_delivery()
        for n, priority in enumerate(priorities):
            channel.basic_publish("", queue, b"%d:%d" % (priority or 0, n), pika.BasicProperties(priority=priority, delivery_mode=2))
        channel.close()

    def order(self, priorities, levels=255):
        sent = list(enumerate(priorities))
        return [b"%d:%d" % (priority or 0, n) for n, priority in sorted(sent, key=lambda m: (-min(m[1] or 0, levels), m[0]))]

    def test_the_highest_first_and_the_oldest_of_each(self):
        prng = random.Random(1)
        for levels in (1, 5, 10, 255):
            with self.subTest(levels):
                queue = self.prioritised(levels)
                priorities = [prng.choice([None, prng.randrange(256), prng.randrange(levels + 1)]) for _ in range(300)]
                self.send(queue, *priorities)
                self.assertEqual(self.bodies(queue), self.order(priorities, levels))

    def test_properties_are_kept(self):
        queue = self.prioritised(3)
        self.send(queue, 200, 2, None)
        got = [self.channel.basic_get(queue, auto_ack=True)[1].priority for _ in range(3)]
        self.assertEqual(got, [200, 2, None])

    def test_a_consumer_that_has_enough(self):
        """What it has is out; what comes meanwhile overtakes the rest."""
        queue = self.prioritised(9)
        channel = self.connection.channel()
        channel.basic_qos(prefetch_count=1)
        self.send(queue, 1, 1, 1)
        self.collector(channel, queue)
        self.deliveries(channel, 1)
        self.send(queue, 9, 5)
        for n in range(1, 6):
            method, _, _ = self.deliveries(channel, n)[-1]
            channel.basic_ack(method.delivery_tag)
        self.assertEqual([body for _, _, body in self.collected], [b"1:0", b"9:0", b"5:1", b"1:1", b"1:2"])

    def test_what_comes_back_is_where_it_was(self):
        queue = self.prioritised(9)
        self.send(queue, 1, 5, 5, 9)
        tags = [self.channel.basic_get(queue)[0].delivery_tag for _ in range(3)]
        self.channel.basic_nack(tags[-1], multiple=True)
        self.until_ready(queue, 4)
        self.assertEqual(self.bodies(queue), [b"9:3", b"5:1", b"5:2", b"1:0"])

    def test_and_a_length(self):
        """The head makes room, and that is the highest."""
        queue = self.prioritised(9, **{"x-max-length": 2})
        self.send(queue, 1, 9, 5)
        self.until_ready(queue, 2)
        self.assertEqual(self.bodies(queue), [b"5:2", b"1:0"])

    def test_refusals(self):
        for value, why in ((-1, "{value_negative,-1}"), (256, "{max_value_exceeded,256}"), ("5", '"expected integer, got longstr"')):
            name = self.name()
            self.refuses(406, "PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue '%s' in vhost '/': %s" % (name, why),
                         "queue_declare", name, arguments={"x-max-priority": value})


if __name__ == "__main__":
    main()

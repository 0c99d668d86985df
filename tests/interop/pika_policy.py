"""Policies, as they look to clients: in force at once, in queues and exchanges that are there and in new ones."""
import json

from pika.exceptions import NackError

from tour import Tour, peer, setUpModule, the_broker, until  # noqa: F401
from runner import main


class Policies(Tour):
    def setUp(self):
        super().setUp()
        self.policies = []

    def tearDown(self):
        for command, name in self.policies:
            peer.control(the_broker(), command, name)
        super().tearDown()

    def set(self, definition, priority=0, operator=False, apply_to="all"):
        """For what this test declares."""
        name = "policy-" + self.name()
        kind = "operator_policy" if operator else "policy"
        peer.control(the_broker(), "set_" + kind, "--priority", str(priority), "--apply-to", apply_to, name, "^tour-" + self.unique,
                     json.dumps(definition))
        self.policies.append(("clear_" + kind, name))

    def clear(self):
        peer.control(the_broker(), *self.policies.pop())

    def fill(self, queue, *bodies):
        self.channel.confirm_delivery()
        for body in bodies:
            self.publish("", queue, body)

    def test_a_length_for_queues_that_are_there(self):
        queue = self.queue()
        self.fill(queue, b"1", b"2", b"3")
        self.set({"max-length": 2})
        self.until_ready(queue, 2)
        later = self.queue()
        self.fill(later, b"1", b"2", b"3")
        self.assertEqual((self.bodies(queue), self.bodies(later)), ([b"2", b"3"], [b"2", b"3"]))
        self.clear()
        self.fill(queue, b"1", b"2", b"3")
        self.assertEqual(self.bodies(queue), [b"1", b"2", b"3"])

    def test_time_and_dead_letters(self):
        queue = self.queue()
        dead = self.queue(queue="dead-" + self.name())
        self.set({"message-ttl": 100, "dead-letter-exchange": "amq.topic"}, apply_to="queues")
        self.channel.queue_bind(dead, "amq.topic", queue)
        self.fill(queue, b"x")
        self.until_ready(queue, 0)
        until(lambda: self.ready(dead), "the dead letter")
        _, properties, body = self.channel.basic_get(dead, auto_ack=True)
        self.assertEqual((body, properties.headers["x-first-death-reason"]), (b"x", "expired"))

    def test_of_argument_and_policy_the_lower(self):
        queue = self.queue(arguments={"x-max-length": 3})
        self.set({"max-length": 5})
        self.fill(queue, *[b"%d" % n for n in range(9)])
        self.assertEqual(len(self.bodies(queue)), 3)
        self.clear()
        self.set({"max-length": 1})
        self.fill(queue, *[b"%d" % n for n in range(9)])
        self.assertEqual(self.bodies(queue), [b"8"])

    def test_the_highest_priority_and_operators(self):
        queue = self.queue()
        self.set({"max-length": 5}, priority=1)
        self.set({"max-length": 4, "overflow": "reject-publish"}, priority=2)
        with self.assertRaises(NackError):
            self.fill(queue, *[b"%d" % n for n in range(9)])
        self.assertEqual(len(self.bodies(queue)), 4)
        self.set({"max-length": 2}, operator=True, apply_to="queues")
        with self.assertRaises(NackError):
            self.fill(queue, *[b"%d" % n for n in range(9)])
        self.assertEqual(len(self.bodies(queue)), 2)

    def test_an_alternate_exchange(self):
        exchange = self.exchange("direct")
        other = self.exchange("fanout")
        queue, = self.queues_bound(other, "")
        self.assertEqual(self.routed([queue], exchange, "k"), [])
        self.set({"alternate-exchange": other}, apply_to="exchanges")
        self.assertEqual(self.routed([queue], exchange, "k"), [0])
        self.clear()
        self.assertEqual(self.routed([queue], exchange, "k"), [])


if __name__ == "__main__":
    main()

"""What was declared durable is there after kill -9, with all its properties; what was not, is not."""
import unittest

import pika
from pika.exceptions import ChannelClosedByBroker

from broker import PERSISTENT, Broker, drain
from runner import main

TYPES = ("direct", "fanout", "topic", "headers")


def refused(broker, ask):
    """Asks on a channel of its own; the reply code, or 0 if it was granted."""
    with broker.channel() as channel:
        try:
            ask(channel)
        except ChannelClosedByBroker as closed:
            return closed.reply_code
    return 0


class TopologySurvives(unittest.TestCase):
    routers = 1

    def setUp(self):
        self.broker = Broker(routers=self.routers)
        self.enterContext(self.broker)
        self.channel = self.broker.connect().channel()

    def tearDown(self):
        if self.channel.is_open:
            self.channel.connection.close()

    def crash(self):
        self.broker.kill9()
        self.broker.start()
        self.channel = self.broker.connect().channel()

    def there(self, kind, name):
        ask = {"queue": lambda c: c.queue_declare(name, passive=True),
               "exchange": lambda c: c.exchange_declare(name, passive=True)}[kind]
        return refused(self.broker, ask) == 0

    def routed(self, exchange, key="", headers=None):
        """The queues that a message reaches. It is transient, for the ack of another could be lost in a crash."""
        properties = pika.BasicProperties(headers=headers, delivery_mode=1)
        self.channel.basic_publish(exchange, key, b"%s %s" % (exchange.encode(), key.encode()), properties)
        return sorted(name for name in self.queues if drain(self.channel, name))

    def declare(self, *names):
        self.queues = names
        for name in names:
            self.channel.queue_declare(name, durable=True)

    def test_exchanges_of_all_types_and_bindings(self):
        self.declare("a", "b", "c")
        for kind in TYPES:
            self.channel.exchange_declare("x-" + kind, kind, durable=True)
        for exchange, queue, key in (("x-direct", "a", "k"), ("x-direct", "b", "k"), ("x-direct", "c", "other"),
                                     ("x-fanout", "a", ""), ("x-fanout", "c", ""),
                                     ("x-topic", "a", "stock.*.nyse"), ("x-topic", "b", "stock.#"), ("x-topic", "c", "#.x"),
                                     ("amq.topic", "a", "a.#"), ("amq.direct", "b", "d"), ("amq.fanout", "c", "")):
            self.channel.queue_bind(queue, exchange, key)
        self.channel.queue_bind("a", "x-headers", arguments={"x-match": "all", "n": 1, "s": "t"})
        self.channel.queue_bind("b", "x-headers", arguments={"x-match": "any", "n": 1, "s": "t"})
        for _ in range(2):
            self.assertEqual(self.routed("x-direct", "k"), ["a", "b"])
            self.assertEqual(self.routed("x-direct", "other"), ["c"])
            self.assertEqual(self.routed("x-fanout"), ["a", "c"])
            self.assertEqual(self.routed("x-topic", "stock.ibm.nyse"), ["a", "b"])
            self.assertEqual(self.routed("x-topic", "stock.x"), ["b", "c"])
            self.assertEqual(self.routed("x-headers", headers={"n": 1, "s": "t"}), ["a", "b"])
            self.assertEqual(self.routed("x-headers", headers={"n": 1}), ["b"])
            self.assertEqual(self.routed("amq.topic", "a.b.c"), ["a"])
            self.assertEqual(self.routed("amq.direct", "d"), ["b"])
            self.assertEqual(self.routed("amq.fanout"), ["c"])
            self.assertEqual(self.routed("", "b"), ["b"])
            self.crash()

    def test_what_was_removed_stays_removed(self):
        self.declare("a", "b")
        for exchange in ("gone", "kept"):
            self.channel.exchange_declare(exchange, "topic", durable=True)
            self.channel.queue_bind("a", exchange, "#")
            self.channel.queue_bind("b", exchange, "#")
        self.channel.queue_declare("deleted", durable=True)
        self.channel.queue_bind("deleted", "kept", "#")
        self.channel.queue_delete("deleted")
        self.channel.queue_unbind("b", "kept", "#")
        self.channel.exchange_delete("gone")
        self.crash()
        self.assertFalse(self.there("exchange", "gone"))
        self.assertFalse(self.there("queue", "deleted"))
        self.assertEqual(self.routed("kept", "any"), ["a"])
        # The same name, made anew, has none of the old one's bindings or messages.
        self.channel.queue_declare("deleted", durable=True)
        self.channel.exchange_declare("gone", "topic", durable=True)
        self.assertEqual(self.routed("gone", "any"), [])
        self.crash()
        self.assertEqual(self.routed("gone", "any"), [])
        self.assertEqual(drain(self.channel, "deleted"), [])

    def test_exchange_to_exchange(self):
        self.declare("a", "b")
        for name, kind in (("in", "topic"), ("middle", "fanout"), ("out", "direct")):
            self.channel.exchange_declare(name, kind, durable=True)
        self.channel.exchange_bind("middle", "in", "*.x")
        self.channel.exchange_bind("out", "middle")
        self.channel.queue_bind("a", "out", "k.x")
        self.channel.queue_bind("b", "middle")
        for _ in range(2):
            self.assertEqual(self.routed("in", "k.x"), ["a", "b"])
            self.assertEqual(self.routed("in", "l.x"), ["b"])
            self.assertEqual(self.routed("in", "k.y"), [])
            self.crash()
        self.channel.exchange_unbind("out", "middle")
        self.crash()
        self.assertEqual(self.routed("in", "k.x"), ["b"])

    def test_alternate_exchange(self):
        self.declare("a", "rest")
        self.channel.exchange_declare("others", "fanout", durable=True)
        self.channel.exchange_declare("x", "direct", durable=True, arguments={"alternate-exchange": "others"})
        self.channel.queue_bind("rest", "others")
        self.channel.queue_bind("a", "x", "k")
        for _ in range(2):
            self.assertEqual(self.routed("x", "k"), ["a"])
            self.assertEqual(self.routed("x", "unknown"), ["rest"])
            self.crash()

    def test_properties_are_the_same(self):
        arguments = {"x-something": "kept", "x-number": 7, "x-list": [1, "two"], "x-table": {"a": True}}
        self.channel.queue_declare("q", durable=True, arguments=arguments)
        self.channel.exchange_declare("x", "topic", durable=True, internal=True)
        self.channel.exchange_declare("auto", "fanout", durable=True, auto_delete=True)
        self.crash()
        self.assertEqual(refused(self.broker, lambda c: c.queue_declare("q", durable=True, arguments=arguments)), 0)
        self.assertEqual(refused(self.broker, lambda c: c.queue_declare("q", durable=False)), 406)
        self.assertEqual(refused(self.broker, lambda c: c.exchange_declare("x", "topic", durable=True, internal=True)), 0)
        self.assertEqual(refused(self.broker, lambda c: c.exchange_declare("x", "topic", durable=True)), 406)
        self.assertEqual(refused(self.broker, lambda c: c.exchange_declare("x", "fanout", durable=True, internal=True)), 406)
        self.assertEqual(
            refused(self.broker, lambda c: c.exchange_declare("auto", "fanout", durable=True, auto_delete=True)), 0)

    def test_what_does_not_survive(self):
        self.declare("durable")
        self.channel.queue_declare("transient")
        self.channel.queue_declare("exclusive", durable=True, exclusive=True)
        self.channel.queue_declare("auto", auto_delete=True)
        own = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.exchange_declare("x-transient", "fanout")
        self.channel.exchange_declare("x-durable", "fanout", durable=True)
        self.channel.queue_bind("transient", "x-durable")
        self.channel.queue_bind("exclusive", "x-durable")
        self.channel.queue_bind("durable", "x-durable")
        self.channel.queue_bind("durable", "x-transient")
        self.channel.confirm_delivery()
        self.channel.basic_publish("", "durable", b"transient", pika.BasicProperties(delivery_mode=1))
        self.channel.basic_publish("", "durable", b"persistent", PERSISTENT)
        self.crash()
        for name in ("transient", "exclusive", "auto", own):
            self.assertFalse(self.there("queue", name), name)
        self.assertFalse(self.there("exchange", "x-transient"))
        self.assertEqual([body for body, _ in drain(self.channel, "durable")], [b"persistent"])
        self.assertEqual(self.routed("x-durable"), ["durable"])
        # Their names are free.
        self.channel.queue_declare("transient", durable=True)
        self.channel.exchange_declare("x-transient", "topic", durable=True)

    def test_the_default_exchanges_are_always_there(self):
        self.crash()
        for name in ("amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match"):
            self.assertTrue(self.there("exchange", name), name)


class TopologySurvivesWithFourRouters(TopologySurvives):
    routers = 4


if __name__ == "__main__":
    main()

"""What the files of the tour have in common: a broker for each file; for each test a connection, a channel, and names that
nobody else uses.

What is expected, codes and texts, is what RabbitMQ 3.10 does: against_rabbitmq runs the same tests there.
"""
import itertools
import os
import sys
import time
import unittest
import uuid

import pika
from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

import peer  # noqa: E402
from broker import until  # noqa: E402

broker = None
LONG_S = 30


def setUpModule():
    """Imported by each file, so that unittest finds it there."""
    global broker
    broker = peer.start()
    unittest.enterModuleContext(broker)


def the_broker():
    return broker


def connect(**options):
    return pika.BlockingConnection(peer.parameters(broker, **options))


def pump(connection, condition):
    """Runs the connection until what it calls back has made the condition true."""
    deadline = time.monotonic() + LONG_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("what was waited for did not come within %d s" % LONG_S)
        connection.process_data_events(0.1)


class Tour(unittest.TestCase):
    """Each test has a connection, a channel, and names that nobody else uses."""

    def setUp(self):
        self.connection = connect()
        self.channel = self.connection.channel()
        self.unique = uuid.uuid4().hex[:12]
        self.count = itertools.count()
        self.made = []  # (delete, name)

    def tearDown(self):
        with connect() as connection:
            for kind, name in reversed(self.made):
                delete = {"queue": connection.channel().queue_delete, "exchange": connection.channel().exchange_delete}
                try:
                    delete[kind](name)
                except ChannelClosedByBroker:
                    pass
        if self.connection.is_open:
            self.connection.close()

    # ---- topology ----

    def name(self):
        return "tour-%s-%d" % (self.unique, next(self.count))

    def queue(self, **options):
        name = self.channel.queue_declare(options.pop("queue", self.name()), **options).method.queue
        self.made.append(("queue", name))
        return name

    def exchange(self, kind, **options):
        name = self.name()
        self.channel.exchange_declare(name, kind, **options)
        self.made.append(("exchange", name))
        return name

    def queues_bound(self, exchange, *keys):
        names = []
        for key in keys:
            names.append(self.queue())
            if isinstance(key, dict):
                self.channel.queue_bind(names[-1], exchange, arguments=key)
            else:
                self.channel.queue_bind(names[-1], exchange, key)
        return names

    # ---- messages ----

    def publish(self, exchange, key, body=b"x", **properties):
        self.channel.basic_publish(exchange, key, body, pika.BasicProperties(**properties))

    def get(self, queue, channel=None):
        """The body of the next message, which is acknowledged; None if there is none."""
        method, _, body = (channel or self.channel).basic_get(queue, auto_ack=True)
        return body if method else None

    def bodies(self, queue):
        return list(iter(lambda: self.get(queue), None))

    def routed(self, queues, exchange, key="", **properties):
        """The indexes of the queues that a message reaches."""
        self.publish(exchange, key, **properties)
        return [i for i, queue in enumerate(queues) if self.bodies(queue)]

    def ready(self, queue):
        return self.channel.queue_declare(queue, passive=True).method.message_count

    def until_ready(self, queue, count):
        """RabbitMQ counts what was given back a moment later."""
        until(lambda: self.ready(queue) == count, "%d messages ready in %s" % (count, queue))

    def pump(self, condition):
        pump(self.connection, condition)

    def deliveries(self, channel, count):
        """Runs the connection until the callbacks have collected count deliveries."""
        pump(channel.connection, lambda: len(self.collected) >= count)
        return self.collected

    def collector(self, channel, queue, **options):
        """Consumes into self.collected: (method, properties, body)."""
        self.collected = []
        return channel.basic_consume(queue, lambda _, *delivery: self.collected.append(delivery), **options)

    # ---- refusals ----

    def refuses(self, code, text, ask, *args, **options):
        """ask() closes its channel with this code and text; only that one."""
        channel = self.connection.channel()
        with self.assertRaises(ChannelClosedByBroker) as closed:
            getattr(channel, ask)(*args, **options)
            channel.basic_qos(prefetch_count=1)
        self.assertEqual((closed.exception.reply_code, closed.exception.reply_text), (code, text))
        self.assertTrue(self.connection.is_open)
        self.assertTrue(self.channel.is_open)

    def refuses_connection(self, code, text, ask):
        """ask(channel) closes the whole connection, which is one of its own."""
        with self.assertRaises(ConnectionClosedByBroker) as closed:
            channel = connect().channel()
            ask(channel)
            channel.basic_qos(prefetch_count=1)
        self.assertEqual((closed.exception.reply_code, closed.exception.reply_text), (code, text))

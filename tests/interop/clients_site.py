"""What the tests of MQTT's and STOMP's clients have in common: a broker that speaks both and AMQP, and pika on its other side."""
import os
import queue
import sys
import unittest
import uuid

import pika

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

from broker import Broker  # noqa: E402

LONG_S = 30
site = None


class Inbox:
    """What a client's callbacks put into self.messages, a queue.Queue()."""

    def next(self):
        return self.messages.get(timeout=LONG_S)

    def silent(self, seconds=0.3):
        try:
            return self.messages.get(timeout=seconds) is None
        except queue.Empty:
            return True


class Site(Broker):
    """Both on the broker's own address, plain and over WebSocket."""

    KINDS = ("mqtt", "web_mqtt", "stomp", "web_stomp")

    def __init__(self, **settings):
        super().__init__(routers=3, fronts=2, **settings)
        self.settings.update({"listeners." + kind: self.address + ":0" for kind in self.KINDS})

    def start(self):
        super().start()
        for kind in self.KINDS:
            self.settings["listeners." + kind] = "%s:%d" % (self.address, self.port_of(kind))
        return self

    def port_of(self, kind):
        return int(self.log.find(r"\b%s listens on \S*:(\d+)$" % kind).group(1))

    @property
    def mqtt_port(self):
        return self.port_of("mqtt")


def setUpModule():
    """Imported by each file, so that unittest finds it there."""
    global site
    site = Site()
    unittest.enterModuleContext(site)


def the_site():
    return site


class WithAmqp(unittest.TestCase):
    """Each test has names that nobody else uses, and a channel of AMQP."""

    def setUp(self):
        self.unique = uuid.uuid4().hex[:10]
        self.connection = pika.BlockingConnection(the_site().parameters())
        self.channel = self.connection.channel()
        self.addCleanup(lambda: self.connection.is_open and self.connection.close())

    def queue(self, *keys):
        """A queue of AMQP, bound to topics."""
        name = self.channel.queue_declare("", exclusive=True).method.queue
        for key in keys:
            self.channel.queue_bind(name, "amq.topic", key)
        return name

    def taken(self, queue):
        """The next message of a queue: (method, properties, body)."""
        for method, properties, body in self.channel.consume(queue, auto_ack=True, inactivity_timeout=LONG_S):
            self.channel.cancel()
            self.assertIsNotNone(method, "nothing came to the queue")
            return method, properties, body

    def declare(self, name):
        """A queue that is deleted with the test."""
        name = "%s-%s" % (name, self.unique)
        self.channel.queue_declare(name, durable=True)
        self.addCleanup(lambda: self.connection.is_open and self.channel.queue_delete(name))
        return name

    def publish(self, key, body, **properties):
        self.channel.basic_publish("amq.topic", key, body, pika.BasicProperties(**properties))

"""x-disk-reservation: while a small disk is full, the queue that has one is given persistent messages until it holds so much,
everybody else waits, and who asks for more than there is is refused."""
import os
import subprocess
import unittest

from pika.exceptions import ChannelClosedByBroker

from broker import GANNETCTL, PERSISTENT, Broker, ready, take, until
from publish import Publishing
from runner import main
from small_disk import BODY_BYTES, MIB, Flood, body, number_of, own_mounts, small_disk

RESERVED_MIB = 32
FITS = RESERVED_MIB * MIB // (BODY_BYTES + 128)  # messages, as the broker counts them


class Reservation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        own_mounts()

    def setUp(self):
        self.disk = self.enterContext(small_disk(512))
        self.broker = Broker(data=os.path.join(self.disk, "data"), disk__free_limit="16 MiB", memory__budget="64 MiB")
        self.enterContext(self.broker)

    def declare(self, name, reservation=None, durable=True, **more):
        arguments = {} if reservation is None else {"x-disk-reservation": reservation}
        with self.broker.channel() as channel:
            channel.queue_declare(name, durable=durable, arguments=arguments, **more)

    def refused(self, *words, **more):
        with self.assertRaises(ChannelClosedByBroker) as raised:
            self.declare(*words, **more)
        self.assertEqual(raised.exception.reply_code, 406)
        return raised.exception.reply_text

    def fill(self):
        """The disk is full of somebody else's messages."""
        flood = Flood(self.broker)
        flood.until_told(True)
        self.assertEqual(flood.reasons[0], "low on disk (router 0)")
        return flood

    def publish(self, count, first=0, exchange="", key="r"):
        """All are confirmed, and nobody is told to wait."""
        told = []
        publishing = Publishing(self.broker.parameters(), map(body, range(first, first + count)), exchange=exchange, key=key,
                                window=20, on_blocked=told.append).run()
        self.assertEqual((len(publishing.confirmed), told), (count, []))

    def consume(self, queue, count):
        with self.broker.channel() as channel:
            return [number_of(data) for data, _ in take(channel, queue, count)]

    def left(self, queue):
        with self.broker.channel() as channel:
            return ready(channel, queue)

    def begin(self):
        self.declare("q")
        self.declare("r", RESERVED_MIB * MIB)
        with self.broker.channel() as channel:
            channel.queue_bind("r", "amq.direct", "k")
            channel.queue_bind("q", "amq.direct", "both")
            channel.queue_bind("r", "amq.direct", "both")

    def end(self, flood):
        """Consumers of the other queue make room for all."""
        flood.stop = True
        got = self.consume("q", self.left("q"))
        flood.until_told(False)
        publishing = flood.end()
        got += self.consume("q", self.left("q"))
        self.assertEqual((got, len(publishing.nacked)), (list(range(publishing.sent)), 0))

    def test_refused(self):
        text = self.refused("r", 1 << 40)
        self.assertRegex(text, r"'x-disk-reservation' is 1099511627776 bytes, but the disk of router 0 has no more than \d+ left to reserve")
        self.assertIn("needs a durable queue", self.refused("r", MIB, durable=False))
        self.assertIn("value_too_small", self.refused("r", 1000))
        self.declare("r", RESERVED_MIB * MIB)
        self.declare("r", RESERVED_MIB * MIB)
        self.refused("r", RESERVED_MIB * MIB + 1)
        self.refused("other", 128 * MIB)

    def test_given_back(self):
        """What was put aside are files, and they go with the queue."""
        def files():
            return sum(name.endswith(".seg") for name in os.listdir(os.path.join(self.broker.data, "router-0")))
        self.declare("r", 90 * MIB)
        until(lambda: files() == 7, "seven files")
        self.refused("other", 90 * MIB)
        with self.broker.channel() as channel:
            channel.queue_delete("r")
        until(lambda: files() <= 6, "the files' removal")
        self.declare("other", 90 * MIB)

    def test_kept_while_full(self):
        self.begin()
        flood = self.fill()
        self.publish(100)
        self.publish(100, first=100, exchange="amq.direct", key="k")
        both = Flood(self.broker, first=10 ** 6, key="both", exchange="amq.direct")
        both.until_told(True)  # the other queue has no room
        own = Flood(self.broker, first=200, key="r")
        own.until_told(True)
        self.assertLessEqual(self.left("r"), FITS + 1)
        self.assertGreater(self.left("r"), FITS - 60)
        got = self.consume("r", 150)
        own.until_told(False)
        own.stop = True
        got += self.consume("r", 200)
        publishing = own.end()
        got += self.consume("r", self.left("r"))
        self.assertEqual((got, len(publishing.nacked)), (list(range(200 + publishing.sent)), 0))
        both.stop = True
        with self.broker.channel() as channel:  # only q's consumers can help the others
            got = [number_of(data) for data, _ in take(channel, "q", ready(channel, "q"))]
        flood.stop = True
        both.end()
        flood.end()
        self.assertTrue(set(flood.confirmed()) >= set(n for n in got if n < 10 ** 6))

    def test_killed_while_full(self):
        self.begin()
        flood = self.fill()
        self.publish(100)
        confirmed = flood.confirmed()
        self.broker.kill9()
        flood.thread.join(60)
        self.broker.start()
        second = Flood(self.broker, first=10 ** 6)
        second.until_told(True)
        self.assertEqual(len(second.confirmed()), 0)  # the gate is shut before the first byte
        self.publish(200, first=100)
        self.assertEqual(self.consume("r", 300), list(range(300)))
        second.stop = True
        got = self.consume("q", self.left("q"))
        self.assertTrue(confirmed <= set(got))
        second.until_told(False)
        second.end()

    def test_policy(self):
        self.declare("q")
        self.declare("r")
        done = subprocess.run([GANNETCTL, "-D", self.broker.data, "set_policy", "kept", "^r$",
                               '{"disk-reservation": %d}' % (RESERVED_MIB * MIB)], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        flood = self.fill()
        self.publish(100)
        self.assertEqual(self.consume("r", 100), list(range(100)))
        self.end(flood)


if __name__ == "__main__":
    main()

"""A full disk is not a failure: publishers of persistent messages are held back and told so, everyone else goes on,
and when there is room again it goes on by itself. The disk is a small file system of the test's own."""
import contextlib
import os
import unittest

from pika import spec

import raw
from broker import PERSISTENT, TRANSIENT, Broker, ready, take, until
from raw import Raw, header, method
from runner import main
from small_disk import BODY_BYTES, MIB, Flood, ballast, number_of, own_mounts, small_disk

FREE_LIMIT = "16 MiB"


class FullDisk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        own_mounts()

    def setUp(self):
        self.disk = self.enterContext(small_disk())
        self.broker = Broker(data=os.path.join(self.disk, "data"), disk__free_limit=FREE_LIMIT,
                             memory__budget="64 MiB")

    def begin(self):
        self.enterContext(self.broker)
        with self.broker.channel() as channel:
            channel.queue_declare("q", durable=True)
            channel.queue_declare("other", durable=True)

    def others_go_on(self):
        """Someone who publishes transient messages notices nothing, nor does who consumes."""
        with self.broker.channel() as channel:
            channel.confirm_delivery()
            for n in range(20):
                channel.basic_publish("", "other", b"%d" % n, TRANSIENT)
                self.assertEqual(channel.basic_get("other", auto_ack=True)[2], b"%d" % n)

    def held_back(self):
        """A second publisher of persistent messages is told, too, and waits without a word of failure."""
        with Raw(self.broker, 30) as client:
            client.open(capabilities=["connection.blocked"])
            client.send(method(1, spec.Basic.Publish(routing_key="other")), header(1, 4, PERSISTENT), raw.body(1, b"kept"))
            self.assertTrue(client.expect(spec.Connection.Blocked).reason)

    def consume(self, count):
        with self.broker.channel() as channel:
            return [number_of(data) for data, _ in take(channel, "q", count)]

    def test_consumers_make_room(self):
        self.begin()
        flood = Flood(self.broker)
        flood.until_told(True)
        print("blocked after %d MiB" % (len(flood.confirmed()) * BODY_BYTES // MIB))
        self.others_go_on()
        self.held_back()
        confirmed = flood.confirmed()
        self.assertTrue(self.broker.log.wait("has no room on disk: publishers of persistent messages wait", 10))
        got = self.consume(len(confirmed))
        flood.until_told(False)
        until(lambda: len(flood.publishing.confirmed) > len(confirmed) + 500, "the publisher's going on")
        publishing = flood.end()
        self.assertEqual((len(publishing.waiting), len(publishing.nacked)), (0, 0))
        with self.broker.channel() as channel:
            left = ready(channel, "q")
        got += self.consume(left)
        self.assertEqual(got, list(range(publishing.sent)))
        self.assertTrue(self.broker.log.find("has room on disk again: publishers of persistent messages go on"))

    def test_killed_while_full(self):
        """It starts on the full disk, with everything confirmed, and goes on as above."""
        self.begin()
        flood = Flood(self.broker)
        flood.until_told(True)
        self.broker.kill9()
        flood.thread.join(60)
        confirmed = flood.confirmed()
        self.broker.start()
        second = Flood(self.broker, first=10 ** 6)
        second.until_told(True)
        self.others_go_on()
        with self.broker.channel() as channel:
            left = ready(channel, "q")
        self.assertGreaterEqual(left, len(confirmed))
        got = self.consume(left)
        self.assertEqual(got, sorted(got))
        self.assertTrue(confirmed <= set(got), "%d confirmed messages are missing" % len(confirmed - set(got)))
        second.until_told(False)
        try:
            until(lambda: len(second.publishing.confirmed) > 300, "the publisher's going on")
        except AssertionError:
            print("of %d sent %d are confirmed; told: %s" % (second.publishing.sent, len(second.publishing.confirmed), second.reasons))
            print(self.broker.log.text()[-4000:])
            raise
        second.end()

    def test_clean_end_while_full(self):
        self.begin()
        flood = Flood(self.broker)
        flood.until_told(True)
        self.broker.stop()
        flood.thread.join(60)
        self.broker.start()
        with self.broker.channel() as channel:
            left = ready(channel, "q")
        got = self.consume(left)
        self.assertEqual(got, list(range(left)))
        self.assertGreaterEqual(left, len(flood.confirmed()))

    def test_ends_again_and_again_while_full(self):
        """No end takes of what is left for acknowledgements so much that there is nothing for the next."""
        self.begin()
        flood = Flood(self.broker)
        flood.until_told(True)
        for _ in range(5):
            self.broker.stop()
            self.broker.start()
        flood.thread.join(60)
        with self.broker.channel() as channel:
            left = ready(channel, "q")
        self.assertGreaterEqual(left, len(flood.confirmed()))
        second = Flood(self.broker, first=10 ** 6)
        second.until_told(True)
        self.assertEqual(self.consume(left), list(range(left)))
        second.until_told(False)
        second.end()

    def test_someone_else_makes_room(self):
        """The disk was full of something else."""
        self.begin()
        with ballast(self.disk, 4 * MIB):
            flood = Flood(self.broker)
            flood.until_told(True)
            confirmed = len(flood.publishing.confirmed)
            self.others_go_on()
        flood.until_told(False)
        until(lambda: len(flood.publishing.confirmed) > confirmed + 100, "the publisher's going on")
        publishing = flood.end()
        self.assertEqual(self.consume(publishing.sent), list(range(publishing.sent)))

    def test_no_room_for_a_journal(self):
        """A first start on a full disk: it says so, does what needs no disk, and goes on when there is room."""
        room = self.enterContext(contextlib.ExitStack())
        room.enter_context(ballast(self.disk, 4 * MIB))
        with self.broker:
            self.assertTrue(self.broker.log.wait("router 0 has no room on disk", 10))
            with self.broker.channel() as channel:
                channel.queue_declare("transient")
                channel.basic_publish("", "transient", b"there", TRANSIENT)
                self.assertEqual(channel.basic_get("transient")[2], b"there")
                room.close()
                channel.queue_declare("durable", durable=True)
                channel.confirm_delivery()
                channel.basic_publish("", "durable", b"there", PERSISTENT)
                self.assertEqual(channel.basic_get("durable")[2], b"there")


class SmallestDisk(unittest.TestCase):
    """It is refused at the start, or it does as well as any other."""

    @classmethod
    def setUpClass(cls):
        own_mounts()

    def broker(self, mib, margin):
        disk = self.enterContext(small_disk(mib))
        return Broker(data=os.path.join(disk, "data"), disk__free_limit=FREE_LIMIT, disk__free_margin=margin,
                      memory__budget="64 MiB")

    def test_too_small(self):
        for mib, margin in (320, "0"), (400, "64 MiB"):
            error = self.broker(mib, margin).start_fails()
            self.assertRegex(error, r"the file system of \S+/router-0 is too small: its journals need \d+ MiB .* and it has \d+ in all")

    def test_just_large_enough(self):
        """Five segments. What is emptied is used again, and not in vain."""
        broker = self.enterContext(self.broker(384, "0"))
        with broker.channel() as channel:
            channel.queue_declare("q", durable=True)
        for first in range(0, 3 * 10 ** 6, 10 ** 6):
            flood = Flood(broker, first)
            flood.until_told(True)
            flood.stop = True
            before = self.last_segment(broker)
            with broker.channel() as channel:
                take(channel, "q", ready(channel, "q"))
            flood.until_told(False)
            flood.end()
            with broker.channel() as channel:
                take(channel, "q", ready(channel, "q"))
            self.assertLessEqual(self.last_segment(broker), before + 3)

    @staticmethod
    def last_segment(broker):
        names = os.listdir(os.path.join(broker.data, "router-0"))
        return max(int(name.split(".")[0], 16) for name in names if name.endswith(".seg"))


if __name__ == "__main__":
    main()

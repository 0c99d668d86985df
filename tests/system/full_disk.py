"""A full disk is not a failure: publishers of persistent messages are held back and told so, everyone else goes on,
and when there is room again it goes on by itself. The disk is a small file system of the test's own."""
import contextlib
import ctypes
import itertools
import os
import queue
import struct
import subprocess
import tempfile
import threading
import unittest

from pika import spec

import raw
from broker import PERSISTENT, TRANSIENT, Broker, ready, take, until
from publish import Publishing
from raw import Raw, header, method
from runner import main

MIB = 1 << 20
CLONE_NEWNS = 0x00020000
DISK_MIB = 448  # seven segments of 64 MiB
BODY_BYTES = 64 * 1024
FREE_LIMIT = "16 MiB"


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stderr.strip() or done.stdout.strip()


def mount_ext4(image, directory):
    with open(image, "wb") as file:
        file.truncate(DISK_MIB * MIB)
    made, why = run("mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", image)
    return run("mount", "-o", "loop", image, directory) if made else (made, why)


def mount_tmpfs(_, directory):
    return run("mount", "-t", "tmpfs", "-o", "size=%dm" % DISK_MIB, "gannet-test", directory)


def own_mounts():
    """What is mounted from now on, only this process sees, and it goes with it."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise unittest.SkipTest("no file system may be mounted here: " + os.strerror(ctypes.get_errno()))
    made, why = run("mount", "--make-rprivate", "/")
    if not made:
        raise unittest.SkipTest("no file system may be mounted here: " + why)


@contextlib.contextmanager
def small_disk():
    """The directory where it is mounted: ext4 on a loop device, or if that can't be had, a tmpfs."""
    with tempfile.TemporaryDirectory(prefix="gannet-disk-") as own:
        directory = os.path.join(own, "mnt")
        os.mkdir(directory)
        reasons = []
        for mount in (mount_ext4, mount_tmpfs):
            mounted, why = mount(os.path.join(own, "image"), directory)
            if mounted:
                break
            reasons.append("%s: %s" % (mount.__name__, why))
        else:
            raise unittest.SkipTest("no file system may be mounted here (%s)" % "; ".join(reasons))
        print("a small disk by " + mount.__name__)
        try:
            yield directory
        finally:
            run("umount", "--lazy", directory)


def body(number):
    return struct.pack(">I", number) * (BODY_BYTES // 4)


def number_of(data):
    number = struct.unpack(">I", data[:4])[0]
    if data != body(number):
        raise AssertionError("a body came damaged")
    return number


class Flood:
    """A publisher that goes on until it is told to end, in a thread of its own."""

    def __init__(self, broker, first=0):
        self.first = first
        self.stop = False
        self.news = queue.Queue()  # True: blocked, False: no longer
        self.publishing = Publishing(broker.parameters(), self._bodies(), key="q", window=50,
                                     on_blocked=self.news.put)
        self.thread = threading.Thread(target=self.publishing.run, daemon=True)
        self.thread.start()

    def _bodies(self):
        return itertools.takewhile(lambda _: not self.stop, map(body, itertools.count(self.first)))

    def confirmed(self):
        """Numbers, as the bodies carry them."""
        return {self.first + tag - 1 for tag in list(self.publishing.confirmed)}

    def until_told(self, blocked):
        while self.news.get(timeout=120) is not blocked:
            pass

    def end(self):
        self.stop = True
        self.thread.join(60)
        if self.thread.is_alive():
            raise AssertionError("the publisher is stuck")
        return self.publishing


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
        self.assertTrue(self.broker.log.find("has room again: publishers go on"))

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
        until(lambda: len(second.publishing.confirmed) > 300, "the publisher's going on")
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

    def test_someone_else_makes_room(self):
        """The disk was full of something else."""
        ballast = os.path.join(self.disk, "ballast")
        self.begin()
        with open(ballast, "wb") as file:
            free = os.statvfs(self.disk)
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - 4 * MIB)
        flood = Flood(self.broker)
        flood.until_told(True)
        confirmed = len(flood.publishing.confirmed)
        self.others_go_on()
        os.unlink(ballast)
        flood.until_told(False)
        until(lambda: len(flood.publishing.confirmed) > confirmed + 100, "the publisher's going on")
        publishing = flood.end()
        self.assertEqual(self.consume(publishing.sent), list(range(publishing.sent)))

    def test_no_room_for_a_journal(self):
        """A first start on a full disk: it says so, does what needs no disk, and goes on when there is room."""
        ballast = os.path.join(self.disk, "ballast")
        with open(ballast, "wb") as file:
            free = os.statvfs(self.disk)
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - 4 * MIB)
        with self.broker:
            self.assertTrue(self.broker.log.wait("router 0 has no room on disk", 10))
            with self.broker.channel() as channel:
                channel.queue_declare("transient")
                channel.basic_publish("", "transient", b"there", TRANSIENT)
                self.assertEqual(channel.basic_get("transient")[2], b"there")
                os.unlink(ballast)
                channel.queue_declare("durable", durable=True)
                channel.confirm_delivery()
                channel.basic_publish("", "durable", b"there", PERSISTENT)
                self.assertEqual(channel.basic_get("durable")[2], b"there")


if __name__ == "__main__":
    main()

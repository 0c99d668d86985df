"""Damage to what had been confirmed is found, named with file and offset, and nothing is thrown away because of it;
what a crash leaves half-written behind the end is cut, and the broker starts."""
import glob
import os
import re
import subprocess
import unittest

from broker import GANNETCTL, PERSISTENT, Broker, drain, ready, take
from publish import publish
from runner import main

MESSAGES = 2000
BLOCK = 4096


def body(n):
    return b"<message %06d>" % n * 8


def segments(broker, router=0):
    return sorted(glob.glob(os.path.join(broker.data, "router-%d" % router, "*.seg")))


def picture(broker):
    """Every segment file, how long it is and when it was last written."""
    stats = {path: os.stat(path) for path in segments(broker)}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def find(broker, text):
    """File and offset of a text."""
    for path in segments(broker):
        with open(path, "rb") as file:
            at = file.read().find(text)
        if at >= 0:
            return path, at
    raise AssertionError("%r stands in no segment file" % text)


def log_end(broker):
    """File and offset behind the last block that was written."""
    for path in reversed(segments(broker)):
        with open(path, "rb") as file:
            used = len(file.read().rstrip(b"\0"))
        if used:
            return path, (used + BLOCK - 1) // BLOCK * BLOCK
    raise AssertionError("nothing was written")


def overwrite(path, offset, data):
    """Returns what stood there."""
    with open(path, "r+b") as file:
        file.seek(offset)
        before = file.read(len(data))
        file.seek(offset)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return before


def flip(path, offset):
    with open(path, "rb") as file:
        file.seek(offset)
        was = file.read(1)
    overwrite(path, offset, bytes([was[0] ^ 0x10]))


class Damage(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(Broker())
        with self.broker.channel() as channel:
            channel.queue_declare("q", durable=True)

    def publish(self, first=0, count=MESSAGES):
        publish(self.broker, map(body, range(first, first + count)), key="q", window=100)

    def got(self):
        with self.broker.channel() as channel:
            return [data for data, _ in drain(channel, "q")]

    def refused(self, path, offset):
        """The start is refused with the place named, and no file is changed."""
        before = picture(self.broker)
        for _ in range(2):
            said = self.broker.start_fails()
            found = re.search(r"error main: (\S+\.seg), offset (\d+): (.*)", said)
            self.assertTrue(found, said)
            self.assertEqual(found.group(1), path)
            # The place named is the record's or write's in which the byte stands.
            self.assertLessEqual(int(found.group(2)), offset)
            self.assertGreater(int(found.group(2)), offset - (4 << 20))
            self.assertEqual(picture(self.broker), before)
        print(found.group(0)[:150])
        # gannetctl says so too, and changes nothing either.
        self.assertIn("WRONG: %s, offset %s: %s" % found.groups(), self.check(status=1))
        self.assertEqual(picture(self.broker), before)

    def check(self, status=0):
        done = subprocess.run([GANNETCTL, "-D", self.broker.data, "journal", "check"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def damaged_at(self, path, offset):
        flip(path, offset)
        self.refused(path, offset)
        flip(path, offset)
        self.assertIn("everything is right", self.check())
        self.broker.start()
        self.assertEqual(self.got(), [body(n) for n in range(MESSAGES)])

    def test_body_after_kill(self):
        self.publish()
        self.broker.kill9()
        self.damaged_at(*find(self.broker, body(MESSAGES // 2)))

    def test_body_after_clean_end(self):
        self.publish()
        self.broker.stop()
        self.damaged_at(*find(self.broker, body(MESSAGES // 2)))

    def test_the_very_first_bytes(self):
        self.publish()
        self.broker.stop()
        self.damaged_at(segments(self.broker)[0], 1)

    def test_every_byte_counts(self):
        """Bytes here and there between the first message and the middle: each is noticed."""
        self.publish()
        self.broker.kill9()
        path, first = find(self.broker, body(0))
        _, middle = find(self.broker, body(MESSAGES // 2))
        for offset in range(first, middle, (middle - first) // 12):
            flip(path, offset)
            before = picture(self.broker)
            said = self.broker.start_fails()
            self.assertRegex(said, r"error main: %s, offset \d+: " % re.escape(path))
            self.assertEqual(picture(self.broker), before)
            flip(path, offset)
        self.broker.start()
        self.assertEqual(self.got(), [body(n) for n in range(MESSAGES)])

    def test_a_segment_is_missing(self):
        self.publish()
        publish(self.broker, [os.urandom(1 << 20) for _ in range(150)], key="q", window=8)
        self.broker.kill9()
        used = [path for path in segments(self.broker) if open(path, "rb").read(BLOCK).strip(b"\0")]
        self.assertGreater(len(used), 2)
        os.rename(used[1], used[1] + ".away")
        before = picture(self.broker)
        self.assertIn(os.path.basename(used[1]), self.broker.start_fails())
        self.assertEqual(picture(self.broker), before)
        os.rename(used[1] + ".away", used[1])
        self.broker.start()
        with self.broker.channel() as channel:
            self.assertEqual(ready(channel, "q"), MESSAGES + 150)

    # ---- what is not damage ----

    def test_garbage_behind_the_end(self):
        """As a write leaves it of which only a later part reached the disk."""
        self.publish()
        self.broker.kill9()
        overwrite(*log_end(self.broker), os.urandom(3 * BLOCK))
        self.broker.start()
        self.assertEqual(self.got(), [body(n) for n in range(MESSAGES)])

    def test_torn_last_write(self):
        """Whether it had been confirmed, nobody can tell from the disk; all before it is there."""
        self.publish()
        self.publish(MESSAGES, 1)
        self.broker.kill9()
        path, end = log_end(self.broker)
        overwrite(path, end - BLOCK // 2, bytes(BLOCK // 2))
        overwrite(path, end - BLOCK + 300, b"torn")
        self.broker.start()
        got = self.got()
        self.assertEqual(got[:MESSAGES], [body(n) for n in range(MESSAGES)])
        self.assertLessEqual(len(got), MESSAGES + 1)
        # What comes now stands where the torn write stood.
        self.publish(5000, 500)
        self.broker.kill9()
        self.broker.start()
        self.assertEqual(self.got()[-500:], [body(n) for n in range(5000, 5500)])

    def test_stale_records_behind_the_end(self):
        """A copy of valid records never comes back to life."""
        self.publish()
        self.broker.kill9()
        path, end = log_end(self.broker)
        with open(path, "rb") as file:
            file.seek(end - 16 * BLOCK)
            copy = file.read(16 * BLOCK)
        overwrite(path, end, copy)
        self.broker.start()
        self.assertEqual(self.got(), [body(n) for n in range(MESSAGES)])


class DamageMeanwhile(unittest.TestCase):
    """A message is read back from the disk for its consumer, and the disk has forgotten a bit."""

    def read_back(self, count, size):
        """Returns how far behind the place that is named the damage is."""
        bodies = [b"<%06d>" % n * (size // 8) for n in range(count)]
        with Broker(memory__budget="64 MiB") as broker:
            with broker.channel() as channel:
                channel.queue_declare("q", durable=True)
            publish(broker, bodies, key="q", window=50)
            path, at = find(broker, bodies[100][:64])
            at += 5000
            flip(path, at)
            with broker.channel() as channel:
                got = [data for data, _ in take(channel, "q", count - 1)]
                self.assertEqual(got, bodies[:100] + bodies[101:])
                self.assertIsNone(channel.basic_get("q")[0])
            found = broker.log.wait(r"message 101 of queue 'q' is damaged in segment (\d+) at offset (\d+) of router 0's", 10)
            self.assertTrue(found)
            self.assertEqual(int(found.group(1)), int(os.path.basename(path).split(".")[0], 16))
            # It is kept: restored, it is delivered.
            broker.kill9()
            flip(path, at)
            broker.start()
            with broker.channel() as channel:
                self.assertIn(bodies[100], [data for data, _ in drain(channel, "q")])
            return at - int(found.group(2))

    def test_read_back(self):
        self.assertIn(self.read_back(5000, 30000), range(31000))

    def test_read_back_in_parts(self):
        self.read_back(1500, 100000)


if __name__ == "__main__":
    main()

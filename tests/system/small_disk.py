"""A small file system of the test's own, and a publisher that fills it."""
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

from broker import PERSISTENT
from publish import Publishing

MIB = 1 << 20
CLONE_NEWNS = 0x00020000
DISK_MIB = 448  # seven segments of 64 MiB
BODY_BYTES = 64 * 1024


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stderr.strip() or done.stdout.strip()


def mount_ext4(image, directory, mib):
    with open(image, "wb") as file:
        file.truncate(mib * MIB)
    made, why = run("mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", image)
    return run("mount", "-o", "loop", image, directory) if made else (made, why)


def mount_tmpfs(_, directory, mib):
    return run("mount", "-t", "tmpfs", "-o", "size=%dm" % mib, "gannet-test", directory)


def own_mounts():
    """What is mounted from now on, only this process sees, and it goes with it."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise unittest.SkipTest("no file system may be mounted here: " + os.strerror(ctypes.get_errno()))
    made, why = run("mount", "--make-rprivate", "/")
    if not made:
        raise unittest.SkipTest("no file system may be mounted here: " + why)


@contextlib.contextmanager
def small_disk(mib=DISK_MIB):
    """The directory where it is mounted: ext4 on a loop device, or if that can't be had, a tmpfs."""
    with tempfile.TemporaryDirectory(prefix="gannet-disk-") as own:
        directory = os.path.join(own, "mnt")
        os.mkdir(directory)
        reasons = []
        for mount in (mount_ext4, mount_tmpfs):
            mounted, why = mount(os.path.join(own, "image"), directory, mib)
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

    def __init__(self, broker, first=0, key="q", properties=PERSISTENT, exchange=""):
        self.first = first
        self.stop = False
        self.news = queue.Queue()  # True: blocked, False: no longer
        self.reasons = []
        self.publishing = Publishing(broker.parameters(), self._bodies(), exchange=exchange, key=key,
                                     properties=properties, window=50,
                                     on_blocked=self.news.put, reasons=self.reasons)
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


@contextlib.contextmanager
def ballast(directory, leave):
    """Something else fills the disk, but for so many bytes."""
    path = os.path.join(directory, "ballast")
    with open(path, "wb") as file:
        free = os.statvfs(directory)
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - leave)
    try:
        yield
    finally:
        os.unlink(path)

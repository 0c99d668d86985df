"""gannetctl top: in a pipe, and in a terminal that is resized, left, and whose broker goes and comes."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
import unittest

from broker import GANNETCTL, PATIENCE_S, Broker
from pika.exceptions import AMQPError
from runner import main


class Terminal:
    """gannetctl top in a terminal of its own: what it has drawn last."""

    def __init__(self, data, columns, lines, *words):
        self.ours, theirs = pty.openpty()
        self.resize(columns, lines)
        self.modes = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(["setsid", "-c", GANNETCTL, "-D", data, "top", *words], stdin=theirs, stdout=theirs, stderr=theirs)
        self.theirs = theirs
        self.text = ""

    def resize(self, columns, lines):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds=0.05):
        while select.select([self.ours], [], [], seconds)[0]:
            self.text += os.read(self.ours, 65536).decode()

    def screen(self):
        """The lines of the last whole picture."""
        self.read()
        pictures = re.findall(r"\x1b\[H(.*?)\x1b\[J", self.text, re.S)
        return [re.sub(r"\x1b\[[\d;?]*\w", "", line) for line in re.split(r"\r*\n", pictures[-1])] if pictures else []

    def until(self, condition, what):
        deadline = time.monotonic() + PATIENCE_S
        while not condition(self.screen()):
            if time.monotonic() > deadline:
                raise AssertionError("%s is not on the screen:\n%s" % (what, "\n".join(self.screen())))
        return self.screen()

    def press(self, keys):
        os.write(self.ours, keys.encode())

    def end(self):
        status = self.process.wait(PATIENCE_S)
        self.read()
        same = termios.tcgetattr(self.theirs) == self.modes
        os.close(self.ours)
        os.close(self.theirs)
        return status, same, self.text.endswith("\x1b[?25h\x1b[?1049l")


class Top(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(Broker(vhosts="/,other"))
        self.busy = self.broker.connect()
        self.addCleanup(self.busy_end)
        channel = self.busy.channel()
        channel.queue_declare("busy")
        channel.queue_declare("idle")
        with self.broker.channel(virtual_host="other") as other:
            other.queue_declare("größer")
            for _ in range(3):
                other.basic_publish("", "größer", b"x" * 1000)
            other.queue_declare("größer", passive=True)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.publish, args=(channel,))
        self.thread.start()

    def publish(self, channel):
        try:
            while not self.ended.wait(0.02):
                channel.basic_publish("", "busy", b"x")
                channel.basic_get("busy", auto_ack=True)
        except AMQPError:
            pass

    def busy_end(self):
        self.ended.set()
        self.thread.join(PATIENCE_S)
        if self.busy.is_open:
            self.busy.close()

    def run_top(self, *words):
        return subprocess.run([GANNETCTL, "-D", self.broker.data, "top", *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False,
                              stdin=subprocess.DEVNULL)

    def batch(self, *words):
        done = self.run_top(*words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn("\x1b", done.stdout)
        return done.stdout

    # ---- in a pipe ----

    def test_once(self):
        lines = self.batch("--once").splitlines()
        rates = dict(re.findall(r"(\w+) ([\d.]+)", lines[1]))
        now = dict(re.findall(r"(\w+) ([\d.]+)", lines[2]))
        self.assertGreater(float(rates["published"]), 1)
        self.assertGreater(float(rates["delivered"]), 1)
        self.assertEqual(now["connections"], "1")
        titles = next(line for line in lines if "MESSAGES" in line).split()
        self.assertEqual(titles, ["MESSAGESv", "UNACKED", "CONSUMERS", "BYTES", "PUBLISH/s", "DELIVER/s", "ACK/s", "QUEUE"])
        greatest, = [line for line in lines if "größer" in line]
        self.assertEqual(greatest.split(), ["3", "0", "0", "2.9", "KiB", "0", "0", "0", "größer", "(other)"])
        self.assertEqual(len([line for line in lines if "-> %s:%d" % (self.broker.address, self.broker.port) in line]), 1)

    def test_sorted_and_again(self):
        text = self.batch("--batch", "2", "--sort", "publish")
        pictures = text.split("gannetctl top - ")[1:]
        self.assertEqual(len(pictures), 2)
        for picture in pictures:
            rows = picture[picture.index("PUBLISH/sv"):].splitlines()[1:4]
            self.assertTrue(rows[0].endswith("  busy"), picture)
            self.assertGreater(int(rows[0].split()[5]), 1)

    def test_words_that_are_none(self):
        for words, said in (([], "--once"), (["--batch", "0"], "--batch"), (["--batch", "x"], "--batch"), (["--once", "--interval", "0"], "--interval"),
                            (["--once", "--sort", "nonsense"], "--sort")):
            done = self.run_top(*words)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, r"\Agannetctl: [^\n]+\n\Z")
            self.assertIn(said, done.stderr)

    def test_without_a_broker(self):
        self.busy_end()
        self.broker.stop()
        done = self.run_top("--once")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", "gannetctl: the broker has ended\n"))
        self.broker.start()

    # ---- in a terminal ----

    def test_a_terminal(self):
        top = Terminal(self.broker.data, 100, 30)
        shown = top.until(lambda lines: any("busy" in line for line in lines), "the queues")
        self.assertLessEqual(len(shown), 30)
        self.assertLessEqual(max(map(len, shown)), 100)
        self.assertIn("q quits", shown[-1])
        top.press("n")
        top.until(lambda lines: "QUEUEv" in "\n".join(lines), "the queues by their names")
        order = [line.split()[-1] for line in top.screen()[6:9]]
        self.assertEqual(order, ["busy", "(other)", "idle"])
        top.press("n")
        top.until(lambda lines: "QUEUE^" in "\n".join(lines), "the same, the other way round")
        top.press("\to")
        top.until(lambda lines: "OUT/sv" in "\n".join(lines), "the connections by what they are sent")
        top.resize(40, 12)
        shown = top.until(lambda lines: len(lines) == 12, "a smaller picture")
        self.assertLessEqual(max(map(len, shown)), 40)
        for columns, lines in (1, 1), (3, 200), (500, 2), (80, 24):
            top.resize(columns, lines)
            top.until(lambda shown, c=columns, n=lines: shown and len(shown) <= n and max(map(len, shown)) <= c, "what fits")
        top.press("+-")
        self.assertIsNone(top.process.poll())
        top.press("q")
        self.assertEqual(top.end(), (0, True, True))

    def test_signals_leave_the_terminal_as_it_was(self):
        for number in signal.SIGINT, signal.SIGTERM:
            top = Terminal(self.broker.data, 80, 24)
            top.until(lambda lines: lines, "something")
            top.process.send_signal(number)
            self.assertEqual(top.end(), (0, True, True))

    def test_the_broker_goes_and_comes(self):
        top = Terminal(self.broker.data, 100, 30)
        top.until(lambda lines: any("busy" in line for line in lines), "the queues")
        self.busy_end()
        self.broker.stop()
        top.until(lambda lines: "has ended" in "\n".join(lines), "that the broker has ended")
        self.broker.start()
        top.until(lambda lines: lines and "has ended" not in "\n".join(lines), "the new broker")
        subprocess.run([GANNETCTL, "-D", self.broker.data, "suspend_listeners"], check=True, timeout=PATIENCE_S)
        top.until(lambda lines: "is drained" in "\n".join(lines), "that it is drained")
        top.press("q")
        self.assertEqual(top.end(), (0, True, True))


if __name__ == "__main__":
    main()

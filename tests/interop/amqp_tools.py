"""Debian's amqp-tools (librabbitmq): durable queues and persistent messages, and kill -9 in the middle of it."""
import subprocess
import unittest

import tour  # noqa: F401  (finds ../system)
from broker import PATIENCE_S, Broker, until
from publish import publish
from runner import main

EMPTY = 2  # what amqp-get ends with when the queue is empty


def url(broker):
    """-u of amqp-delete-queue is something else; a URL that ends in / would name the virtual host ''."""
    return "--url=" + broker.uri.rstrip("/")


def tool(name, broker, *arguments, status=0, stdin=b""):
    """What amqp-NAME prints."""
    done = subprocess.run(["amqp-" + name, url(broker), *arguments], input=stdin, capture_output=True,
                          timeout=PATIENCE_S, check=False)
    if done.returncode != status:
        raise AssertionError("amqp-%s %s ended with %d: %s" % (name, arguments, done.returncode, done.stderr.decode()))
    return done.stdout if status == 0 else done.stderr.decode()


class AmqpTools(unittest.TestCase):
    def setUp(self):
        # One router, so one journal: what is confirmed there has everything before it on the disk.
        self.broker = self.enterContext(Broker(routers=1))

    def tool(self, name, *arguments, **options):
        return tool(name, self.broker, *arguments, **options)

    def declare(self, queue="q"):
        self.assertEqual(self.tool("declare-queue", "-q", queue, "-d"), b"%s\n" % queue.encode())

    def put(self, *bodies, queue="q"):
        for body in bodies:
            self.tool("publish", "-r", queue, "-p", "-b", body)

    def get(self, queue="q"):
        return self.tool("get", "-q", queue)

    def settle(self):
        """The tools don't wait for confirms, so one is waited for behind them."""
        with self.broker.channel() as channel:
            channel.queue_declare("settle", durable=True)
        publish(self.broker, [b"x"], key="settle")

    def kill9(self):
        self.settle()
        self.broker.kill9()
        self.broker.start()

    def consume(self, count, queue="q", *more):
        return self.tool("consume", "-q", queue, "-c", str(count), *more, "cat")

    def test_through_kill9(self):
        large = bytes(n * 7 % 251 for n in range(1000003))
        self.declare()
        self.put(*["first %d\n" % n for n in range(8)])
        self.tool("publish", "-r", "q", "-p", stdin=large)
        self.kill9()
        self.declare()  # is the same one
        self.put("second 0\n", "second 1\n")
        self.assertEqual([self.get() for _ in range(3)], [b"first 0\n", b"first 1\n", b"first 2\n"])
        self.kill9()
        self.assertEqual(self.consume(5), b"".join(b"first %d\n" % n for n in range(3, 8)))
        self.assertEqual(self.get(), large)
        self.kill9()
        self.assertEqual(self.consume(2), b"second 0\nsecond 1\n")
        self.tool("get", "-q", "q", status=EMPTY)
        self.kill9()
        self.tool("get", "-q", "q", status=EMPTY)
        self.put("left\n")
        self.assertEqual(self.tool("delete-queue", "-q", "q"), b"1\n")
        self.kill9()
        self.assertIn("NOT_FOUND - no queue 'q' in vhost '/'", self.tool("get", "-q", "q", status=1))

    def test_what_is_not_persistent_goes(self):
        self.declare()
        self.tool("publish", "-r", "q", "-b", "transient")
        self.put("persistent")
        self.tool("publish", "-r", "q", "-b", "transient")
        self.kill9()
        self.assertEqual(self.get(), b"persistent")
        self.tool("get", "-q", "q", status=EMPTY)

    def test_lines(self):
        self.declare()
        lines = [b"line %d\n" % n for n in range(2000)]
        self.tool("publish", "-r", "q", "-p", "-l", stdin=b"".join(lines))
        self.kill9()
        got = self.consume(1500, "q", "-p", "10") + self.consume(500, "q", "-A")
        self.assertEqual(got, b"".join(lines))

    def test_properties(self):
        self.declare()
        self.tool("publish", "-r", "q", "-p", "-C", "text/plain", "-E", "utf-8", "-t", "answers", "-H", "key: value", "-b", "x")
        self.kill9()
        with self.broker.channel() as channel:
            _, properties, body = channel.basic_get("q", auto_ack=True)
        self.assertEqual((body, properties.content_type, properties.content_encoding, properties.reply_to, properties.headers),
                         (b"x", "text/plain", "utf-8", "answers", {"key": "value"}))

    def test_a_consumer_that_was_at_work(self):
        """What it had not acknowledged comes again, marked."""
        self.declare()
        self.put("a", "b", "c")
        command = ["amqp-consume", url(self.broker), "-q", "q", "-p", "2", "--", "sh", "-c",
                   "cat; echo; exec tail -f /dev/null"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as consumer:
            self.assertEqual(consumer.stdout.readline(), b"a\n")
            self.kill9()
            subprocess.run(["kill", "-KILL", "--", "-%d" % consumer.pid], check=True)
        with self.broker.channel() as channel:
            until(lambda: channel.queue_declare("q", passive=True).method.message_count == 3, "three messages")
        self.assertEqual(self.consume(3), b"abc")

    def test_refusals(self):
        self.assertIn("NOT_FOUND - no queue 'none' in vhost '/'", self.tool("get", "-q", "none", status=1))
        self.declare()
        self.assertIn("inequivalent arg 'durable' for queue 'q'", self.tool("declare-queue", "-q", "q", status=1))
        self.put("x")
        self.assertIn("PRECONDITION_FAILED - queue 'q' in vhost '/' not empty", self.tool("delete-queue", "-q", "q", "-e", status=1))
        self.assertEqual(self.get(), b"x")


if __name__ == "__main__":
    main()

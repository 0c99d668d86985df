"""Streams across kill -9 and clean ends: what is confirmed is there, and an offset never comes to mean another message."""
import threading
import time
import unittest

import pika

from broker import PATIENCE_S, TRANSIENT, Broker, until_it_dies
from publish import Publishing, publish
from runner import main

KILLS = 4
STREAM = {"x-queue-type": "stream"}


def declare(broker, name="s", **arguments):
    with broker.channel() as channel:
        channel.queue_declare(name, durable=True, arguments=dict(STREAM, **arguments))


class Reader:
    """Consumes from an offset on and acknowledges; .got: (offset, body, redelivered), in order."""

    def __init__(self, broker, start, name="s"):
        self.parameters = broker.parameters()
        self.start, self.name = start, name
        self.got = []

    def run(self, until):
        """Until the condition is true or the broker is gone."""
        connection = pika.BlockingConnection(self.parameters)
        channel = connection.channel()
        channel.basic_qos(prefetch_count=200)
        channel.basic_consume(self.name, self._on_message, arguments={"x-stream-offset": self.start})
        deadline = time.monotonic() + PATIENCE_S
        while not until(self):
            if time.monotonic() > deadline:
                raise AssertionError("after %d messages nothing more came" % len(self.got))
            connection.process_data_events(0.05)
        connection.close()
        return self.got

    def _on_message(self, channel, method, properties, body):
        self.got.append((properties.headers["x-stream-offset"], body, method.redelivered))
        channel.basic_ack(method.delivery_tag)


def read(broker, start, count, name="s"):
    return Reader(broker, start, name).run(lambda reader: len(reader.got) >= count)


class StreamSurvives(unittest.TestCase):
    def expect(self, broker, start, first, bodies):
        got = read(broker, start, len(bodies))
        self.assertEqual(got, [(first + i, body, False) for i, body in enumerate(bodies)])

    def test_kills_and_clean_ends(self):
        bodies = [b"%d" % i for i in range(3000)]
        with Broker(routers=2) as broker:
            declare(broker)
            ends = [broker.kill9, broker.stop, broker.kill9, broker.stop]
            for i, end in enumerate(ends):
                publish(broker, bodies[i * 500:(i + 1) * 500], key="s",
                        properties=pika.BasicProperties(delivery_mode=1 + i % 2))
                end()
                broker.start()
                self.expect(broker, "first", 0, bodies[:(i + 1) * 500])
                self.expect(broker, 700 if i else 200, 700 if i else 200, bodies[700 if i else 200:(i + 1) * 500])
                self.expect(broker, "1h", 0, bodies[:(i + 1) * 500])

    def test_times_are_kept(self):
        with Broker() as broker:
            declare(broker)
            publish(broker, [b"old"] * 300, key="s")
            time.sleep(1.2)
            publish(broker, [b"new"] * 300, key="s")
            for end in (broker.kill9, broker.stop, broker.kill9):
                end()
                broker.start()
                got = read(broker, "1s", 0)
                self.assertEqual(got, [])
                self.assertEqual(len(read(broker, "1h", 600)), 600)
            time.sleep(1.2)
            publish(broker, [b"newest"], key="s")
            self.assertEqual(read(broker, "1s", 1), [(600, b"newest", False)])

    def test_retention_is_kept(self):
        with Broker() as broker:
            declare(broker, **{"x-max-length-bytes": 10000, "x-stream-max-segment-size-bytes": 1000})
            publish(broker, [b"%0100d" % i for i in range(1000)], key="s")
            first = read(broker, "first", 1)[0][0]
            self.assertTrue(890 <= first <= 900, first)
            for end in (broker.kill9, broker.stop):
                end()
                broker.start()
                self.assertEqual(read(broker, 0, 1)[0], (first, b"%0100d" % first, False))

    def test_transient_messages_are_durable_in_streams_alone(self):
        with Broker() as broker:
            declare(broker)
            with broker.channel() as channel:
                channel.queue_declare("q", durable=True)
                channel.queue_bind("q", "amq.fanout")
                channel.queue_bind("s", "amq.fanout")
            sizes = (10, 300000)  # one in a single record, one in parts
            publish(broker, [bytes(size) for size in sizes], exchange="amq.fanout", properties=TRANSIENT)
            with broker.channel() as channel:
                self.assertEqual(channel.queue_declare("q", passive=True).method.message_count, 2)
            broker.kill9()
            broker.start()
            with broker.channel() as channel:
                self.assertEqual(channel.queue_declare("q", passive=True).method.message_count, 0)
            self.assertEqual([len(body) for _, body, _ in read(broker, "first", 2)], list(sizes))

    def test_killed_under_load(self):
        """Publishers and readers at the live end; after each kill the readers go on behind the last offset that they saw."""
        seen, confirmed = {}, []
        wrong = []
        with Broker(routers=2) as broker:
            declare(broker)
            for run in range(KILLS):
                publisher = Publishing(broker.parameters(), (b"%d-%d" % (run, i) for i in range(10 ** 9)), key="s", window=300)
                reader = Reader(broker, max(seen, default=-1) + 1)
                threads = [threading.Thread(target=self.guarded, args=(publisher.run,)),
                           threading.Thread(target=self.guarded, args=(reader.run, lambda _: False))]
                for thread in threads:
                    thread.start()
                deadline = time.monotonic() + 60
                while len(reader.got) < 2000 and time.monotonic() < deadline:
                    time.sleep(0.05)
                broker.kill9()
                for thread in threads:
                    thread.join()
                self.assertGreaterEqual(len(reader.got), 2000)
                confirmed += [b"%d-%d" % (run, tag - 1) for tag in sorted(publisher.confirmed)]
                start = max(seen, default=-1) + 1
                for i, (offset, body, redelivered) in enumerate(reader.got):
                    if offset != start + i or redelivered:
                        wrong.append((run, offset, start + i, redelivered))
                    seen[offset] = body
                broker.start()
            publish(broker, [b"end"], key="s")
            everything = Reader(broker, "first").run(lambda r: r.got and r.got[-1][1] == b"end")
        self.assertEqual(wrong[:10], [])
        self.assertEqual([offset for offset, _, _ in everything], list(range(len(everything))))
        stream = {offset: body for offset, body, _ in everything}
        self.assertEqual([offset for offset, body in seen.items() if stream[offset] != body], [])
        at = {body: offset for offset, body in stream.items()}
        self.assertEqual(len(at), len(stream), "nothing is there twice")
        self.assertEqual([body for body in confirmed if body not in at], [])
        offsets = [at[body] for body in confirmed]
        self.assertEqual(offsets, sorted(offsets))
        print("%d messages, %d confirmed, %d kills" % (len(stream), len(confirmed), KILLS))

    @staticmethod
    def guarded(run, *args):
        with until_it_dies():
            run(*args)


if __name__ == "__main__":
    main()

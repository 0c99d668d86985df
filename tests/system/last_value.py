"""Last-value queues and delayed messages across kill -9 and clean ends, against what a dictionary says."""
import random
import time
import unittest

import pika

from broker import PATIENCE_S, Broker
from runner import main

KEYS = 60
UPDATES = 700


def image(broker, queue, count):
    """What a new consumer is sent first: (key, body) in order."""
    got = []
    with broker.channel() as channel:
        deadline = time.monotonic() + PATIENCE_S
        for method, properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=0.5):
            if method:
                got.append((properties.headers["key"], body))
            if len(got) >= count and not method or time.monotonic() > deadline:
                break
        channel.cancel()
    return got


class LastValue(unittest.TestCase):
    def update(self, channel, rng, wanted, padding):
        key = "k%d" % rng.randrange(KEYS)
        body = b"%d" % rng.getrandbits(40) + b"." * rng.choice(padding)
        channel.basic_publish("", "lv", body, pika.BasicProperties(delivery_mode=2, headers={"key": key}))
        wanted[key] = body  # a dictionary keeps the order of first arrivals

    def run_rounds(self, padding, **options):
        rng, wanted = random.Random(7), {}
        with Broker(**options) as broker:
            with broker.channel() as channel:
                channel.queue_declare("lv", durable=True, arguments={"x-last-value-key": "key"})
            for end in (broker.kill9, broker.stop, broker.kill9, broker.kill9):
                with broker.channel() as channel:
                    channel.confirm_delivery()
                    for _ in range(UPDATES):
                        self.update(channel, rng, wanted, padding)
                end()
                broker.start()
                self.assertEqual(image(broker, "lv", len(wanted)), list(wanted.items()))

    def test_small_values(self):
        self.run_rounds([0, 10, 300])

    def test_large_values_and_many_routers(self):
        self.run_rounds([0, 70_000, 200_000], routers=3, memory__budget="64 MiB")

    def test_a_consumer_sees_no_gap_between_image_and_updates(self):
        """Whatever it is sent of a key last is the value; it is sent no older one after a newer one."""
        rng, wanted, seen = random.Random(3), {}, {}
        with Broker() as broker, broker.channel() as publisher, broker.channel() as consumer:
            publisher.queue_declare("lv", arguments={"x-last-value-key": "key"})
            for _ in range(300):
                self.update(publisher, rng, wanted, [0])
            consumer.basic_qos(prefetch_count=7)

            def on_message(channel, method, properties, body):
                seen.setdefault(properties.headers["key"], []).append(body)
                channel.basic_ack(method.delivery_tag)
            consumer.basic_consume("lv", on_message)
            for _ in range(2000):
                self.update(publisher, rng, wanted, [0])
                if rng.random() < 0.2:
                    consumer.connection.process_data_events(0)
            deadline = time.monotonic() + PATIENCE_S
            while {k: v[-1] for k, v in seen.items()} != wanted and time.monotonic() < deadline:
                consumer.connection.process_data_events(0.05)
            self.assertEqual({k: v[-1] for k, v in seen.items()}, wanted)
            for bodies in seen.values():
                self.assertEqual(len(bodies), len(set(bodies)), "no value comes twice")


class Delayed(unittest.TestCase):
    def test_what_waits_survives(self):
        bodies, delay_s = [b"%d" % i for i in range(400)], 5
        with Broker(routers=2) as broker:
            began = time.monotonic()
            with broker.channel() as channel:
                channel.exchange_declare("x", "x-delayed-message", durable=True, arguments={"x-delayed-type": "fanout"})
                channel.queue_declare("q", durable=True)
                channel.queue_bind("q", "x")
                channel.confirm_delivery()
                for body in bodies:
                    channel.basic_publish("x", "", body, pika.BasicProperties(headers={"x-delay": delay_s * 1000}, delivery_mode=1 + len(body) % 2))
            broker.kill9()
            broker.start()
            with broker.channel() as channel:
                early = channel.queue_declare("q", passive=True).method.message_count
                if time.monotonic() < began + delay_s:  # else the machine was slow, and it may be their time
                    self.assertEqual(early, 0)
                got, deadline = [], time.monotonic() + PATIENCE_S
                while len(got) < len(bodies) and time.monotonic() < deadline:
                    method, _, body = channel.basic_get("q", auto_ack=True)
                    if method:
                        got.append(body)
                    else:
                        time.sleep(0.05)
                self.assertEqual(sorted(got), sorted(bodies))


main()

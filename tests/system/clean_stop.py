"""SIGTERM: clients are told, everything accepted is there after the next start, and nothing is flagged without need."""
import itertools
import signal
import threading
import time
import unittest

import pika
from pika.exceptions import ConnectionClosedByBroker

from broker import PERSISTENT, TRANSIENT, Broker, drain, ready, until
from publish import Publishing, publish
from raw import Raw
from runner import main


def numbers(prefix=b""):
    return (prefix + b"%d" % n for n in itertools.count())


def hear_the_end(connection):
    """Listens until the broker closes the connection; returns what it said."""
    try:
        while True:
            connection.process_data_events(5)
    except ConnectionClosedByBroker as closed:
        return closed


def end(broker, connection, number=signal.SIGTERM):
    """Ends the broker while a client is there, which hears of it."""
    broker.signal(number)
    hear_the_end(connection)
    broker.wait_end()


class CleanStop(unittest.TestCase):
    def test_clients_are_told(self):
        with Broker(fronts=2) as broker:
            clients = [broker.connect() for _ in range(6)]
            broker.signal(signal.SIGTERM)
            for client in clients:
                closed = hear_the_end(client)
                self.assertEqual(closed.reply_code, 320)
                self.assertTrue(closed.reply_text.startswith("CONNECTION_FORCED - "), closed.reply_text)
            broker.wait_end()
            self.assertIn("ended", broker.log.text())

    def end_while_publishing(self, routers, fronts, properties):
        """What was confirmed, and what was there after the restart."""
        with Broker(routers=routers, fronts=fronts) as broker:
            with broker.channel() as channel:
                channel.queue_declare("q", durable=True)
            publishing = Publishing(broker.parameters(), numbers(), key="q", properties=properties)
            thread = threading.Thread(target=publishing.run)
            thread.start()
            until(lambda: len(publishing.confirmed) > 1000, "1,000 confirms")
            broker.stop()
            thread.join(60)
            self.assertIsInstance(publishing.ended, ConnectionClosedByBroker)
            self.assertEqual(publishing.ended.reply_code, 320)
            broker.start()
            with broker.channel() as channel:
                return publishing, drain(channel, "q")

    def test_nothing_confirmed_is_missing(self):
        for routers, fronts in ((1, 1), (3, 2)):
            publishing, got = self.end_while_publishing(routers, fronts, PERSISTENT)
            self.assertGreaterEqual(len(got), len(publishing.confirmed))
            # In order, without a hole, none twice, and as nobody had seen them, none flagged redelivered.
            self.assertEqual(got, [(b"%d" % n, False) for n in range(len(got))])

    def test_what_was_accepted_without_confirms(self):
        with Broker() as broker:
            with broker.channel() as channel:
                channel.queue_declare("q", durable=True)
                for n in range(3000):
                    channel.basic_publish("", "q", b"%d" % n, PERSISTENT)
                self.assertEqual(ready(channel, "q"), 3000)
                end(broker, channel.connection)
            broker.start()
            with broker.channel() as channel:
                self.assertEqual(drain(channel, "q"), [(b"%d" % n, False) for n in range(3000)])

    def test_flags_and_acks(self):
        with Broker() as broker:
            with broker.channel() as channel:
                channel.queue_declare("q", durable=True)
                channel.basic_publish("", "q", b"transient", TRANSIENT)
                publish(broker, [b"%d" % n for n in range(100)], key="q")
            holder = broker.connect().channel()
            got = [holder.basic_get("q") for _ in range(31)]
            self.assertEqual(got[0][2], b"transient")
            for method, _, _ in got[1:11]:
                holder.basic_ack(method.delivery_tag)
            holder.basic_nack(got[30][0].delivery_tag, requeue=True)
            self.assertEqual(ready(holder, "q"), 71)
            end(broker, holder.connection)
            broker.start()
            with broker.channel() as channel:
                # 0 to 9 were acknowledged, 10 to 28 were held, 29 was given back, the rest nobody has seen.
                self.assertEqual(drain(channel, "q"), [(b"%d" % n, n < 30) for n in range(10, 100)])

    def test_an_ack_is_accepted_too(self):
        """Acknowledgements that came just before the end count."""
        with Broker() as broker:
            with broker.channel() as channel:
                channel.queue_declare("q", durable=True)
            publish(broker, [b"%d" % n for n in range(2000)], key="q")
            with broker.channel() as channel:
                for n, (method, _, _) in enumerate(channel.consume("q")):
                    if n == 1500:
                        channel.basic_ack(method.delivery_tag, multiple=True)
                        break
                channel.queue_declare("q", passive=True)
                end(broker, channel.connection)
            broker.start()
            with broker.channel() as channel:
                self.assertEqual([body for body, _ in drain(channel, "q")], [b"%d" % n for n in range(1501, 2000)])

    def test_ends_again_and_again(self):
        with Broker(routers=2) as broker:
            with broker.channel() as channel:
                channel.queue_declare("q", durable=True)
            for run in range(4):
                publish(broker, [b"%d" % (run * 100 + n) for n in range(100)], key="q")
                broker.restart()
            with broker.channel() as channel:
                self.assertEqual(drain(channel, "q"), [(b"%d" % n, False) for n in range(400)])

    def test_a_client_that_does_not_answer(self):
        """It is waited for, but not for ever. What it held had been delivered, for all that is known."""
        with Broker() as broker:
            with broker.channel() as channel:
                channel.queue_declare("q", durable=True)
            publish(broker, [b"%d" % n for n in range(3)], key="q")
            deaf = broker.connect()
            self.assertEqual(deaf.channel().basic_get("q")[2], b"0")
            from_s = time.monotonic()
            broker.stop(30)
            print("a deaf client held the end up for %.1f s" % (time.monotonic() - from_s))
            broker.start()
            with broker.channel() as channel:
                self.assertEqual(drain(channel, "q"), [(b"0", True), (b"1", False), (b"2", False)])

    def test_a_second_signal_hurries(self):
        with Broker() as broker, Raw(broker) as deaf:
            deaf.open()
            from_s = time.monotonic()
            broker.signal(signal.SIGTERM)
            self.assertTrue(broker.log.wait("clients are told"))
            broker.signal(signal.SIGTERM)
            broker.wait_end()
            self.assertLess(time.monotonic() - from_s, 4)

    def test_interrupt_is_as_good(self):
        with Broker() as broker:
            with broker.channel() as channel:
                channel.queue_declare("q", durable=True)
                channel.basic_publish("", "q", b"kept", pika.BasicProperties(delivery_mode=2))
                ready(channel, "q")
                end(broker, channel.connection, signal.SIGINT)
            broker.start()
            with broker.channel() as channel:
                self.assertEqual(drain(channel, "q"), [(b"kept", False)])


if __name__ == "__main__":
    main()

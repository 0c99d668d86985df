"""gannetctl why-pinned: which messages of which queues, with whom, keep segments of the journal on disk, and what it says to do."""
import json
import os
import re
import subprocess
import unittest

import pika

import mqtt_peer
from broker import GANNETCTL, Broker, until
from runner import main

BODY = b"x" * (1 << 20)
PERSISTENT = pika.BasicProperties(delivery_mode=2)


class WhyPinned(unittest.TestCase):
    def ctl(self, broker, *words, status=0):
        done = subprocess.run([GANNETCTL, "-D", broker.data, *words], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def why(self, broker, *words):
        return json.loads(self.ctl(broker, "--json", "why-pinned", *words))

    def fill(self, channel, megabytes):
        """So much of the log is written, and needed no more."""
        channel.queue_declare("passing", durable=True)
        for _ in range(megabytes // 16):
            channel.basic_publish("", "passing", BODY * 16, PERSISTENT)
            channel.queue_purge("passing")

    def test_all_kinds_of_pins(self):
        with Broker(vhosts="/,other", listeners__mqtt="127.0.0.1:0") as broker, broker.channel(virtual_host="other") as channel:
            channel.confirm_delivery()
            for queue in ("held", "got", "lonely", "wanted"):
                channel.queue_declare(queue, durable=True)
            channel.queue_declare("log", durable=True, arguments={"x-queue-type": "stream"})
            for _ in range(3):
                for queue in ("held", "got", "lonely", "log"):
                    channel.basic_publish("", queue, b"1234567890", PERSISTENT)
            channel.basic_publish("", "lonely", b"y" * (3 << 20), PERSISTENT)
            port = int(re.search(r" mqtt listens on \S*:(\d+)$", broker.log.text(), re.M).group(1))
            peer = mqtt_peer.Peer("127.0.0.1", port, "thing")
            peer.publish("a/b", b"kept", 1, 1, retain=True)
            self.assertEqual(peer.read()[0], mqtt_peer.PUBACK)
            with broker.connect(virtual_host="other") as consuming:
                taker = consuming.channel()
                taker.basic_qos(prefetch_count=2)
                taker.basic_consume("held", lambda *_: None, consumer_tag="the-holder")
                consuming.process_data_events(0.2)
                self.assertIsNotNone(taker.basic_get("got")[0])
                (segment,) = self.why(broker, "0/1")
                self.assertEqual((segment["router"], segment["segment"], segment["state"]), (0, "%016x" % 1, "open"))
                self.assertTrue(os.path.exists(segment["file"]), segment["file"])
                pins = {pin["name"]: pin for pin in segment["pins"]}
                shown = ("vhost", "kind", "messages", "messages_ready", "messages_unacknowledged", "oldest_message", "consumers")
                self.assertEqual({name: tuple(pin[key] for key in shown) for name, pin in pins.items()}, {
                    "held": ("other", "classic", 3, 1, 2, 1, 1), "got": ("other", "classic", 3, 2, 1, 1, 0),
                    "lonely": ("other", "classic", 4, 4, 0, 1, 0), "log": ("other", "stream", 3, 3, 0, 1, 0),
                    "amq.topic": ("/", "retained", 1, 1, 0, 1, 0)})
                # A large body's parts are counted by the segment, and are one message here.
                self.assertIn(segment["messages"] - sum(pin["messages"] for pin in pins.values()), range(2, 65))
                self.assertGreater(pins["lonely"]["bytes"], 3 << 20)
                (holder,) = pins["held"]["deliveries"]
                self.assertEqual([holder[key] for key in ("channel", "consumer_tag", "delivery_tag", "messages", "user")], [1, "the-holder", 1, 2, "guest"])
                self.assertIn(holder["connection"], self.ctl(broker, "-s", "list_connections", "name"))
                (getter,) = pins["got"]["deliveries"]
                self.assertEqual([getter[key] for key in ("consumer_tag", "delivery_tag", "messages")], ["", 3, 1])
                text = self.ctl(broker, "why-pinned")
                for said in ("being written", "consumer 'the-holder': has 2, the oldest is delivery 1", "stream  'log'", "retained messages of exchange 'amq.topic'",
                             "Nobody consumes from it", "close_connection"):
                    self.assertIn(said, text)
            peer.socket.close()

    def test_an_old_segment_is_told_and_goes(self):
        with Broker(memory__budget="96 MiB") as broker, broker.connect() as connection:
            channel = connection.channel()
            channel.queue_declare("old", durable=True)
            channel.basic_publish("", "old", b"z" * 100, PERSISTENT)
            self.assertIsNotNone(channel.basic_get("old")[0])
            self.fill(channel, 7 * 64)
            oldest = self.why(broker, "0")[0]
            self.assertEqual((oldest["segment"], oldest["pins"][0]["name"], oldest["pins"][0]["deliveries"][0]["delivery_tag"]), ("%016x" % 1, "old", 1))
            self.assertIn(oldest["state"], ("replay", "sparse", "copying"))
            self.assertIn("written_until", oldest)
            # As it says, it is emptied by copying when the log has gone on.
            self.fill(channel, 6 * 64)
            until(lambda: self.why(broker, "0")[0]["segment"] != "%016x" % 1, "the end of the oldest segment")
            self.assertIn("no such router or segment", self.ctl(broker, "why-pinned", "0/1", status=1))

    def test_what_it_refuses(self):
        with Broker() as broker:
            for words in (("x",), ("0/",), ("0/zz",), ("--", "-1"), ("0", "1"), ("0/1x",)):
                self.assertRegex(self.ctl(broker, "why-pinned", *words, status=1), "why-pinned takes|usage: gannetctl why-pinned")
            self.assertIn("no such router", self.ctl(broker, "why-pinned", "7", status=1))
            self.assertIn("no such router", self.ctl(broker, "why-pinned", "0/ffff", status=1))


if __name__ == "__main__":
    main()

"""gannetctl journal check and dump: every record of a journal is told, damage in segments that a start doesn't read is found, and nothing is
changed. (What a start would refuse is in damage.py.)"""
import collections
import glob
import json
import os
import shutil
import subprocess
import unittest

import pika

from broker import GANNETCTL, PERSISTENT, Broker
from runner import main

BIG = b"b" * (1 << 20)


def ctl(*words, status=0):
    done = subprocess.run([GANNETCTL, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == status, (done.returncode, done.stdout[-2000:], done.stderr)
    return done


def check(directory, status=0):
    return json.loads(ctl("--json", "-D", directory, "journal", "check", status=status).stdout)


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        was = file.read(1)
        file.seek(offset)
        file.write(bytes([was[0] ^ 0x10]))


class JournalLook(unittest.TestCase):
    def dump(self, broker, *words, status=0):
        done = ctl("--json", "-D", broker.data, "journal", "dump", *words, status=status)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_every_record_is_told(self):
        with Broker() as broker:
            with broker.channel() as channel:
                channel.exchange_declare("e", "topic", durable=True)
                channel.queue_declare("q", durable=True, arguments={"x-max-length": 7})
                channel.queue_bind("q", "e", "a.#")
                channel.basic_publish("e", "a.b", b"the body \xff", PERSISTENT)
                channel.basic_publish("", "q", b"c" * (3 << 20), PERSISTENT)
                channel.basic_ack(channel.basic_get("q")[0].delivery_tag)
            beside = ctl("-D", broker.data, "journal", "check")
            self.assertIn("a broker runs on", beside.stderr)
            self.assertIn("everything is right", beside.stdout)
            broker.stop()
            records = self.dump(broker)
            kinds = collections.Counter(record["kind"] for record in records)
            (result,) = check(broker.data)
            self.assertEqual(result["records"], dict(kinds))
            self.assertEqual((result["starts"], result["clean_end"], result["wrong"], result["cut_bytes"]), (True, True, [], 0))
            self.assertEqual([r["kind"] for r in records if "malformed" in r], [])
            self.assertEqual([r["kind"] for r in records if r["kind"] != "pad"][-1], "clean-end")
            first = {kind: next(r for r in records if r["kind"] == kind) for kind in kinds}
            self.assertEqual((first["queue"]["name"], first["queue"]["arguments"]), ("q", {"x-max-length": 7}))
            self.assertEqual((first["exchange"]["name"], first["bound"]["routing_key"]), ("e", "a.#"))
            message = first["message"]
            self.assertEqual([message[key] for key in ("exchange", "routing_key", "body_bytes", "queues", "persistent")],
                             ["e", "a.b", 10, [[first["queue"]["queue"], 1]], True])
            self.assertNotIn("the body", json.dumps(records))
            large = next(r for r in records if r.get("parts"))
            self.assertEqual(large["part_bytes"] + large["body_bytes"], 3 << 20)
            self.assertEqual((first["settled"]["first"], first["settled"]["count"]), (1, 1))
            shown = self.dump(broker, "--bodies")
            self.assertEqual(next(r for r in shown if r["kind"] == "message")["body"], "the body \ufffd")
            # No hash of a password is shown.
            with open(glob.glob(broker.data + "/router-0/*1.seg")[0], "rb") as file:
                self.assertIn(b"$argon2", file.read())
            text = ctl("-D", broker.data, "journal", "dump", "--bodies").stdout
            self.assertNotIn("argon2", text + json.dumps(shown))
            self.assertEqual(len(text.splitlines()), len(records))
            broker.start()

    def test_segments_before_the_checkpoint(self):
        with Broker(memory__budget="96 MiB") as broker:
            with broker.channel() as channel:
                channel.queue_declare("old", durable=True)
                for _ in range(4):
                    for _ in range(20):  # more than a quarter of each segment is kept
                        channel.basic_publish("", "old", BIG, PERSISTENT)
                    for _ in range(8):
                        channel.basic_publish("", "old", BIG * 16, pika.BasicProperties(delivery_mode=2, expiration="1"))
            broker.stop()
            (right,) = check(broker.data)
            self.assertEqual(right["wrong"], [])
            self.assertIn("checkpoint", right)
            names = sorted(os.path.basename(path) for path in glob.glob(broker.data + "/router-0/*.seg"))
            older = [name for name in names if name < right["checkpoint"]["segment"]]
            self.assertGreater(len(older), 2, names)
            # In the middle of a body of the oldest: a start doesn't look at it, so it doesn't refuse.
            damaged = os.path.join(broker.data, "router-0", older[0])
            flip(damaged, 5 << 20)
            (wrong,) = check(broker.data, status=1)
            self.assertEqual((wrong["starts"], wrong["older_segments_right"], len(wrong["wrong"])), (True, False, 1))
            self.assertIn(damaged + ", offset ", wrong["wrong"][0])
            records = self.dump(broker, status=1)
            self.assertIn(older[1][:-4], {record["segment"] for record in records}, "what is behind the damage is shown")
            flip(damaged, 5 << 20)
            # The very last of those, which only the next segment proves, and one that is cut short.
            last = os.path.join(broker.data, "router-0", older[-1])
            flip(last, 1)
            (wrong,) = check(broker.data, status=1)
            self.assertFalse(wrong["starts"], "a header that is damaged is")
            flip(last, 1)
            # One that has gone leaves a gap, and that is no damage: such are recycled.
            shutil.move(os.path.join(broker.data, "router-0", older[1]), os.path.join(broker.own, "away"))
            (gap,) = check(broker.data)
            self.assertEqual((gap["wrong"], gap["segments"]), ([], right["segments"] - 1))
            shutil.move(os.path.join(broker.own, "away"), os.path.join(broker.data, "router-0", older[1]))
            with open(damaged, "r+b") as file:
                file.truncate(40 << 20)
            (short,) = check(broker.data, status=1)
            self.assertIn("too short", short["wrong"][0])

    def test_what_it_refuses(self):
        with Broker() as broker:
            broker.stop()
            self.assertIn("neither a data directory nor", ctl("journal", "check", broker.own, status=1).stderr)
            self.assertIn("can't be read", ctl("journal", "dump", broker.own + "/nothing", status=1).stderr)
            for words in (("journal",), ("journal", "mend"), ("journal", "check", broker.data, "more")):
                self.assertRegex(ctl(*words, status=1).stderr, "journal check and journal dump take|usage: gannetctl journal")
            copy = os.path.join(broker.own, "copy")
            shutil.copytree(os.path.join(broker.data, "router-0"), copy)
            self.assertIn("everything is right", ctl("journal", "check", copy).stdout)
            with open(os.path.join(copy, "%016x.seg" % 9), "wb") as file:
                file.write(b"short")
            self.assertIn("too short", ctl("journal", "check", copy, status=1).stdout)
            broker.start()


if __name__ == "__main__":
    main()

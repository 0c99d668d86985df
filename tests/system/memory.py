"""What queued messages cost in memory, and that the budget bounds it."""
import struct
import subprocess
import unittest

from broker import GANNET_BENCH, NO_QUARANTINE, PATIENCE_S, SANITIZED, Broker, take
from publish import publish
from runner import main

MIB = 1 << 20
SIZE = 256
COUNT = 100_000 if SANITIZED else 1_000_000
# Messages above the budget: three times as many bytes.
BUDGET_MIB = 64
ABOVE = 3 * BUDGET_MIB * MIB // SIZE // (4 if SANITIZED else 1)
SLACK_MIB = 4  # what the broker touches for the first time besides messages


def bench(broker, *words):
    command = [GANNET_BENCH, "-h", broker.uri, "--quiet", "-u", "q", "-s", str(SIZE), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=5 * PATIENCE_S, check=False)
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout


def fill(broker, count):
    bench(broker, "-y", "0", "-C", str(count), "--durable", "-f", "persistent", "-c", "2000")


def drain_in_order(broker, count):
    """The load generator checks that none is missing, twice there, out of order or damaged."""
    bench(broker, "-x", "0", "-D", str(count), "--durable", "-q", "1000", "-A", "100")


class Memory(unittest.TestCase):
    def warm(self, broker):
        """RSS of a broker that has done a little of everything, its queue empty: what does not count for messages."""
        with broker.channel() as channel:
            channel.queue_declare("q", durable=True)
        publish(broker, [bytes(SIZE)] * 1000, key="q")
        with broker.channel() as channel:
            take(channel, "q", 1000)
        return broker.memory()

    def test_below_the_budget(self):
        """At most 1.2 times the bytes of the bodies and 24 bytes each."""
        with Broker(memory__budget="600 MiB", env=NO_QUARANTINE) as broker:
            base = self.warm(broker)
            fill(broker, COUNT)
            used = broker.memory() - base
            bound = 1.2 * COUNT * SIZE + 24 * COUNT
            print("%d messages of %d bytes: %.1f bytes each, bound %.1f; %.1f MiB for the empty broker" %
                  (COUNT, SIZE, used / COUNT, bound / COUNT, base / MIB))
            # A sanitizer puts its own bytes around and about.
            self.assertLess(used, bound * (1.5 if SANITIZED else 1) + SLACK_MIB * MIB)
            drain_in_order(broker, COUNT)

    def test_bounded_by_the_budget(self):
        """Above it they are on disk only, but for their place in the queue; and come back in order."""
        with Broker(memory__budget="%d MiB" % BUDGET_MIB, env=NO_QUARANTINE) as broker:
            base = self.warm(broker)
            fill(broker, ABOVE)
            used = broker.memory() - base
            bound = BUDGET_MIB * MIB + 24 * ABOVE
            print("%d MiB of messages with a budget of %d MiB: %.1f MiB" % (ABOVE * SIZE // MIB, BUDGET_MIB, used / MIB))
            self.assertLess(used, bound * 1.2)
            drain_in_order(broker, ABOVE)
            self.assertLess(broker.memory("VmHWM") - base, bound * 1.5)

    def test_large_messages_above_the_budget(self):
        size, count = 2 * MIB, 40 if SANITIZED else 120
        with Broker(memory__budget="%d MiB" % BUDGET_MIB, env=NO_QUARANTINE) as broker:
            base = self.warm(broker)
            publish(broker, (struct.pack(">I", n) * (size // 4) for n in range(count)), key="q", window=8)
            self.assertLess(broker.memory() - base, BUDGET_MIB * MIB * 1.5)
            with broker.channel() as channel:
                for n, (data, _) in enumerate(take(channel, "q", count)):
                    self.assertEqual(data[:4] + data[-4:], struct.pack(">I", n) * 2)
            self.assertLess(broker.memory("VmHWM") - base, BUDGET_MIB * MIB * 2)

    def test_transient_messages_above_the_budget(self):
        """They are spilled to a scratch file."""
        with Broker(memory__budget="%d MiB" % BUDGET_MIB, env=NO_QUARANTINE) as broker:
            base = self.warm(broker)
            count = ABOVE // 2
            bench(broker, "-y", "0", "-C", str(count), "--durable", "-c", "2000")
            self.assertLess(broker.memory() - base, (BUDGET_MIB * MIB + 24 * count) * 1.2)
            drain_in_order(broker, count)

    def test_a_stalled_consumer(self):
        """One that takes nothing is a place in the log, not memory; another goes on."""
        with Broker(memory__budget="%d MiB" % BUDGET_MIB, env=NO_QUARANTINE) as broker:
            base = self.warm(broker)
            with broker.channel() as stalled:
                stalled.basic_qos(prefetch_count=10)
                stalled.queue_declare("stalled", durable=True)
                stalled.basic_consume("stalled", lambda *_: None)
                stalled.connection.process_data_events(0)
                publish(broker, (b"%08d" % n * 1000 for n in range(ABOVE * SIZE // 8000)), key="stalled")
                publish(broker, (b"%08d" % n for n in range(10000)), key="q")
                with broker.channel() as channel:
                    self.assertEqual([data for data, _ in take(channel, "q", 10000)], [b"%08d" % n for n in range(10000)])
                self.assertLess(broker.memory() - base, BUDGET_MIB * MIB * 1.5)

    def test_it_is_given_back(self):
        """What has passed through leaves nothing behind but what the allocator keeps for the next time."""
        with Broker(memory__budget="400 MiB", env=NO_QUARANTINE) as broker:
            base = self.warm(broker)
            left = []
            for _ in range(4):
                fill(broker, COUNT // 4)
                drain_in_order(broker, COUNT // 4)
                left.append((broker.memory() - base) / MIB)
            print("each %d MiB that passed left: %s MiB" % (COUNT // 4 * SIZE // MIB, ", ".join("%.1f" % x for x in left)))
            self.assertLess(left[-1], 120)


if __name__ == "__main__":
    main()

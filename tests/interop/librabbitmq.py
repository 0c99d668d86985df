"""Applications in C, with librabbitmq: each case is one of librabbitmq/features.c."""
import os
import subprocess
import unittest
import uuid

from tour import LONG_S, peer, setUpModule, the_broker  # noqa: F401
from runner import main

FEATURES = os.environ.get("LIBRABBITMQ_FEATURES", "librabbitmq-features")
ours = unittest.skipUnless(peer.ON_GANNET, "RabbitMQ 3.10 has no such thing")


class Librabbitmq(unittest.TestCase):
    def run_case(self, name):
        broker = the_broker()
        done = subprocess.run([FEATURES, broker.address, str(broker.port), name, "librabbitmq-" + uuid.uuid4().hex[:12]],
                              capture_output=True, text=True, timeout=2 * LONG_S, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_expires_to_a_dead_letter(self):
        self.run_case("expires_to_a_dead_letter")

    def test_priorities(self):
        self.run_case("priorities")

    def test_a_stream_from_an_offset(self):
        self.run_case("a_stream_from_an_offset")

    def test_a_quorum_queue(self):
        self.run_case("a_quorum_queue")

    def test_a_refusal(self):
        self.run_case("a_refusal")

    @ours
    def test_numbers_and_gaps(self):
        self.run_case("numbers_and_gaps")

    @ours
    def test_last_values(self):
        self.run_case("last_values")

    @ours
    def test_delayed(self):
        self.run_case("delayed")

    @ours
    def test_exactly_once(self):
        self.run_case("exactly_once")


if __name__ == "__main__":
    main()

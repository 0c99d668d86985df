"""Applications in C, with paho's library: each case is one of paho/features.c."""
import os
import subprocess
import unittest
import uuid

from clients_site import LONG_S, setUpModule, the_site  # noqa: F401
from runner import main

FEATURES = os.environ.get("PAHO_FEATURES", "paho-features")


class PahoC(unittest.TestCase):
    maxDiff = None  # what a sanitizer says is long
    def run_case(self, name):
        uri = "tcp://%s:%d" % (the_site().address, the_site().mqtt_port)
        # In a build with sanitizers: the library itself leaks what it has read of a session that is kept.
        environment = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        done = subprocess.run([FEATURES, uri, name, "paho-" + uuid.uuid4().hex[:12]], capture_output=True, text=True, timeout=2 * LONG_S,
                              check=False, env=environment)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_each_qos(self):
        self.run_case("each_qos")

    def test_properties(self):
        self.run_case("properties")

    def test_a_retained_message(self):
        self.run_case("a_retained_message")

    def test_a_session(self):
        self.run_case("a_session")

    def test_a_refusal(self):
        self.run_case("a_refusal")


if __name__ == "__main__":
    main()

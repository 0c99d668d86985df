"""Applications in Ruby, with Debian's ruby-stomp: each case is one of ruby/features.rb; and pika on the other side."""
import os
import subprocess

import pika

from clients_site import LONG_S, WithAmqp, setUpModule, the_site  # noqa: F401
from runner import main

FEATURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ruby", "features.rb")


class Ruby(WithAmqp):
    maxDiff = None

    def run_case(self, case, name=None):
        command = ["/usr/bin/ruby", FEATURES, the_site().address, str(the_site().port_of("stomp")), case, name or "ruby-" + self.unique]
        done = subprocess.run(command, capture_output=True, text=True, timeout=3 * LONG_S, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_versions(self):
        self.run_case("versions")

    def test_escapes(self):
        self.run_case("escapes")

    def test_sizes(self):
        self.run_case("sizes")

    def test_acknowledgements(self):
        self.run_case("acknowledgements")

    def test_transactions(self):
        self.run_case("transactions")

    def test_receipts(self):
        self.run_case("receipts")

    def test_heart_beats(self):
        self.run_case("heart_beats")

    def test_refusals(self):
        self.run_case("refusals")

    def test_to_amqp(self):
        name = self.declare("from-ruby")
        self.run_case("send", name)
        _, properties, body = self.taken(name)
        self.assertEqual((body, properties.delivery_mode, properties.priority, properties.correlation_id, properties.content_type, properties.headers),
                         (b"from ruby", 2, 3, "c", "text/plain", {"mine": "value"}))

    def test_from_amqp(self):
        name = self.declare("to-ruby")
        self.channel.basic_publish("", name, b"from pika", pika.BasicProperties(
            content_type="text/plain", delivery_mode=2, correlation_id="c", headers={"text": "value", "number": -5, "flag": True}))
        self.run_case("receive", name)


if __name__ == "__main__":
    main()

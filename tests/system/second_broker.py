"""Two brokers never work on one data directory."""
import unittest

from broker import PERSISTENT, Broker, drain
from runner import main


class SecondBroker(unittest.TestCase):
    def test_same_data_directory(self):
        with Broker() as first, Broker(data=first.data, start=False) as second:
            with first.channel() as channel:
                channel.queue_declare("q", durable=True)
                said = second.start_fails()
                self.assertRegex(said, r"%s is in use by another broker \(process %d\)" % (first.data, first.pid))
                # The first goes on as if nothing had happened.
                channel.confirm_delivery()
                channel.basic_publish("", "q", b"kept", PERSISTENT)
            first.kill9()
            # Whose broker is dead may be used.
            second.start()
            with second.channel() as channel:
                self.assertEqual([body for body, _ in drain(channel, "q")], [b"kept"])

    def test_same_address(self):
        with Broker() as first:
            taken = "%s:%d" % (first.address, first.port)
            with Broker(start=False, listeners__amqp=taken) as second:
                self.assertIn("cannot listen on %s: " % taken, second.start_fails())

    def test_two_side_by_side(self):
        with Broker() as first, Broker() as second:
            for broker in (first, second):
                with broker.channel() as channel:
                    channel.queue_declare("q", durable=True)
            self.assertNotEqual(first.data, second.data)


if __name__ == "__main__":
    main()

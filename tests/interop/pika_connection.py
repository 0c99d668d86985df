"""Connections and channels: negotiation, refusals, heartbeats, connection.blocked."""
import os
import struct
import tempfile
import time
import unittest

import pika
from pika import spec
from pika.exceptions import (AMQPConnectionError, ChannelClosedByBroker, ConnectionClosedByBroker, ProbableAccessDeniedError,
                             ProbableAuthenticationError)

from tour import Tour, connect, pump, setUpModule, the_broker  # noqa: F401
import peer
from broker import PERSISTENT, Broker
from raw import Raw, any_frame, method
from runner import main


class Connection(Tour):
    def test_server_properties(self):
        properties = self.connection._impl.server_properties
        self.assertIn("product", properties)
        self.assertIn("version", properties)
        for name in ("publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
                     "connection.blocked", "authentication_failure_close", "per_consumer_qos", "direct_reply_to"):
            self.assertIs(properties["capabilities"].get(name), True, name)
        for supported in ("consumer_cancel_notify", "exchange_exchange_bindings", "basic_nack", "publisher_confirms"):
            self.assertTrue(getattr(self.connection, supported + "_supported"), supported)

    def test_negotiation(self):
        with connect(channel_max=7, frame_max=8192, heartbeat=17) as connection:
            parameters = connection._impl.params
            self.assertEqual((parameters.channel_max, parameters.frame_max, parameters.heartbeat), (7, 8192, 17))
            channel = connection.channel()
            name = channel.queue_declare("", exclusive=True).method.queue
            channel.basic_publish("", name, b"m" * 100000)
            self.assertEqual(channel.basic_get(name, auto_ack=True)[2], b"m" * 100000)

    def test_wrong_password(self):
        for capable in (True, False):
            properties = {} if capable else {"capabilities": {"authentication_failure_close": False}}
            with self.assertRaises((ProbableAuthenticationError, ConnectionClosedByBroker, AMQPConnectionError)) as closed:
                connect(credentials=pika.PlainCredentials("guest", "wrong"), client_properties=properties)
            if capable:
                self.assertIn("ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
                              "For details see the broker logfile.", str(closed.exception))

    def test_unknown_vhost(self):
        with self.assertRaises((ConnectionClosedByBroker, ProbableAccessDeniedError)) as closed:
            connect(virtual_host="nowhere")
        self.assertIn("NOT_ALLOWED - vhost nowhere not found", str(closed.exception))

    def test_many_channels(self):
        channels = [self.connection.channel() for _ in range(200)]
        queue = self.queue()
        for n, channel in enumerate(channels):
            channel.basic_publish("", queue, b"%d" % n)
        for channel in channels:
            channel.basic_qos(prefetch_count=1)
        self.assertEqual(sorted(map(int, self.bodies(queue))), list(range(200)))
        for channel in channels[::2]:
            channel.close()
        again = [self.connection.channel() for _ in range(100)]
        for channel in again + channels[1::2]:
            self.assertTrue(channel.is_open)
            channel.basic_qos(prefetch_count=2)

    def test_too_many_channels(self):
        with connect(channel_max=3) as connection:
            for _ in range(3):
                connection.channel()

    def test_closed_channel_number_can_be_used_again(self):
        for _ in range(50):
            channel = self.connection.channel(5)
            with self.assertRaises(ChannelClosedByBroker):
                channel.queue_declare("never-there", passive=True)
        self.connection.channel(5).close()

    def test_update_secret(self):
        """What OAuth clients send when their token is renewed; pika has no such method."""
        with Raw(the_broker()) as client:
            client.open()
            client.send(any_frame(1, 0, struct.pack(">HHI", 10, 70, 3) + b"new" + b"\x07because"))
            self.assertEqual(client.socket.recv(100), any_frame(1, 0, struct.pack(">HH", 10, 71)))
            client.send(method(1, spec.Basic.Qos(prefetch_count=1)))
            client.expect(spec.Basic.QosOk)

    def test_channel_flow(self):
        self.assertTrue(self.channel.flow(True))

    @unittest.skipUnless(peer.ON_GANNET, "RabbitMQ refuses active=false")
    def test_channel_flow_stops_deliveries(self):
        queue, channel = self.queue(), self.connection.channel()
        self.collector(channel, queue, auto_ack=True)
        self.assertFalse(channel.flow(False))
        self.publish("", queue)
        self.until_ready(queue, 1)
        self.assertEqual(self.collected, [])
        self.assertTrue(channel.flow(True))
        self.assertEqual(len(self.deliveries(channel, 1)), 1)

    def test_a_peer_that_stops_answering(self):
        """No heartbeats: it is dropped, and what it held is given back."""
        queue = self.queue()
        self.publish("", queue, b"held")
        with Raw(the_broker()) as dead:
            dead.open(heartbeat=1)
            dead.send(method(1, spec.Basic.Get(queue=queue)))
            dead.expect(spec.Basic.GetOk)
            from_s = time.monotonic()
            self.until_ready(queue, 1)
            self.assertLess(time.monotonic() - from_s, 15)
            self.assertEqual(self.get(queue), b"held")

    def test_heartbeats(self):
        """A connection that is idle for longer than several intervals stays, with both sides beating."""
        with connect(heartbeat=1) as connection:
            channel = connection.channel()
            connection.process_data_events(3.5)
            received = connection._impl._heartbeat_checker._heartbeat_frames_received
            self.assertGreaterEqual(received, 2)
            channel.basic_qos(prefetch_count=1)


class Blocked(unittest.TestCase):
    """What a client hears when the broker has no room for more."""

    @unittest.skipUnless(peer.ON_GANNET, "is about a limit of Gannet's own")
    def test_blocked(self):
        heard = []
        fs = os.statvfs(tempfile.gettempdir())
        # All but what a journal needs at least is to stay free, and some of that is taken.
        limit = (fs.f_blocks - fs.f_bfree + fs.f_bavail) * fs.f_frsize - (323 << 20)
        with tempfile.TemporaryFile() as file:
            os.posix_fallocate(file.fileno(), 0, 80 << 20)
            full = self.enterContext(Broker(routers=1, disk__free_limit="%d" % limit, disk__free_margin="0"))
            connection = full.connect()
            connection.add_on_connection_blocked_callback(lambda _, frame: heard.append(frame.method.reason))
            connection.channel().basic_publish("", "nobody", b"x", PERSISTENT)
            pump(connection, lambda: heard)
            self.assertTrue(heard and heard[0], "no connection.blocked, or without a reason")
            # A blocked connection is not read from, so it can't be closed in order.
            full.kill9()


if __name__ == "__main__":
    main()

"""Peers that do what no client should: each is closed within its limits and named in the log, and all the while other
connections work as ever."""
import contextlib
import os
import random
import resource
import select
import socket
import struct
import threading
import time
import unittest

import pika
from pika import spec

import raw
from broker import NO_QUARANTINE, SANITIZED, Broker, until
from raw import HEADER, Raw, any_frame, header, method
from runner import main

MIB = 1 << 20
SLOWEST_S = 30 if SANITIZED else 15  # of a bystander's round trips, on a machine busy with other tests
CONNECTIONS = 1500 if SANITIZED else 4000
CHANNELS = 100_000 if SANITIZED else 1_000_000


class Bystander:
    """A well-behaved client that publishes and gets in a loop; it must not notice anything."""

    def __init__(self, broker):
        self.connection = broker.connect(connection_attempts=5, retry_delay=0.1)
        self.channel = self.connection.channel()
        self.channel.queue_declare("bystander", durable=True)
        self.channel.confirm_delivery()
        self.rounds = 0
        self.slowest = 0
        self.failed = None
        self.stop = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        until(lambda: self.rounds > 2 or self.failed, "the bystander's first rounds")
        return self

    def _run(self):
        try:
            while not self.stop:
                self._round(b"%d" % self.rounds)
        except Exception as error:  # pylint: disable=broad-except
            self.failed = error

    def _round(self, body):
        from_s = time.monotonic()
        self.channel.basic_publish("", "bystander", body, pika.BasicProperties(delivery_mode=2))
        got = self.channel.basic_get("bystander", auto_ack=True)[2]
        if got != body:
            raise AssertionError("%r came, not %r" % (got, body))
        self.slowest = max(self.slowest, time.monotonic() - from_s)
        self.rounds += 1

    def __exit__(self, kind, *_):
        rounds = self.rounds
        if kind is None:
            until(lambda: self.rounds > rounds + 2 or self.failed, "the bystander's going on")
        self.stop = True
        self.thread.join(60)
        if self.failed:
            raise self.failed
        self.connection.close()
        if self.slowest > SLOWEST_S:
            raise AssertionError("a bystander had to wait for %.1f s" % self.slowest)


class Hostile(unittest.TestCase):
    settings = {}
    env = {}

    def setUp(self):
        self.broker = self.enterContext(Broker(handshake_timeout="1 s", env=self.env, **self.settings))
        self.enterContext(Bystander(self.broker))

    def logged(self, name, what):
        self.assertTrue(self.broker.log.wait(r"front: %s: .*%s" % (name, what), 20),
                        "the log doesn't say '%s' of %s" % (what, name))

    def closed(self, client, code=None):
        """The broker ends the connection, saying why where the protocol has room for it."""
        close = client.at_end()
        if code:
            self.assertTrue(close, "the connection ended without a word, expected %d" % code)
            self.assertEqual(close.reply_code, code, close.reply_text)
        return close


class Handshake(Hostile):
    def test_slow_loris(self):
        """A byte now and then is not enough, be it at the beginning or in a frame."""
        start_ok = method(0, spec.Connection.StartOk(response="\0guest\0guest"))
        for at_once, slowly in ((b"", HEADER), (HEADER, start_ok), (HEADER + start_ok, method(0, spec.Connection.TuneOk(0, 0, 0)))):
            with Raw(self.broker, 20) as client:
                client.send(at_once)
                for byte in slowly * 20:
                    # A byte each time that nothing has come for a while.
                    if self.silent(client) and not client.try_send(bytes([byte])):
                        break
                    if client.ended:
                        break
                self.assertTrue(client.ended, "it is still there")
                self.logged(client.name, "handshake timeout")

    @staticmethod
    def silent(client):
        """Whether nothing comes for 0.2 seconds; what does is thrown away."""
        if not select.select([client.socket], [], [], 0.2)[0]:
            return True
        client.ended = not client.socket.recv(1 << 16)
        return False

    def test_silence_at_every_step(self):
        steps = [b"", HEADER[:5], HEADER, HEADER + method(0, spec.Connection.StartOk(response="\0guest\0guest")),
                 HEADER + method(0, spec.Connection.StartOk(response="\0guest\0guest"))[:30]]
        clients = [Raw(self.broker, 20) for _ in steps]
        for client, step in zip(clients, steps):
            client.send(step)
        for client in clients:
            with client:
                client.at_end()
                self.logged(client.name, "handshake timeout")

    def test_hundreds_of_them(self):
        clients = [Raw(self.broker, 20) for _ in range(300)]
        for client in clients:
            client.send(HEADER[:3])
        for client in clients:
            with client:
                client.at_end()

    def test_garbage(self):
        prng = random.Random(1)
        for size in (1, 7, 8, 9, 100, 70000, 1000000):
            with Raw(self.broker, 20) as client:
                client.try_send(prng.randbytes(size))
                self.assertIsNone(self.closed(client))
                self.logged(client.name, "dropped")

    def test_other_protocols(self):
        hellos = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
                  b"AMQP\x03\x01\x00\x00", b"AMQP\x00\x01\x00\x00", b"SSH-2.0-OpenSSH_9.2\r\n", b"\x10\x16\x00\x04MQTT\x04\x02"]
        for hello in hellos:
            with Raw(self.broker, 20) as client:
                client.send(hello)
                with self.subTest(hello):
                    until(lambda c=client: len(c.data) >= 8 or not c._more(time.monotonic() + 20), "an answer")
                    self.assertEqual(client.data[:8], HEADER)
                    self.closed(client)

    def test_frames_out_of_turn(self):
        """What belongs to a later step of the negotiation."""
        for frame in (method(0, spec.Connection.Open("/")), method(1, spec.Channel.Open()), raw.body(1, b"x"),
                      method(1, spec.Basic.Publish(routing_key="bystander")), method(0, spec.Connection.CloseOk())):
            with Raw(self.broker, 20) as client:
                client.send(HEADER, frame)
                self.closed(client)
                self.logged(client.name, "connection closed|connection dropped")


class Frames(Hostile):
    env = NO_QUARANTINE

    def refused(self, *frames, code=None, what="connection closed|connection dropped", **options):
        with Raw(self.broker, 20) as client:
            client.open(**options)
            client.try_send(*frames)
            self.closed(client, code)
            self.logged(client.name, what)

    def test_garbage_after_the_handshake(self):
        prng = random.Random(2)
        for size in (8, 1000, 200000):
            self.refused(prng.randbytes(size))

    def test_random_methods(self):
        """Whole frames with a right end, of any method with any arguments, in great number."""
        prng = random.Random(3)
        ids = [(c, m) for c in (10, 20, 40, 50, 60, 85, 90, 0, 65535) for m in list(range(0, 120, 10)) + [11, 21, 31, 41, 51, 72, 111]]
        for _ in range(400):
            with Raw(self.broker, 20) as client:
                client.open()
                for _ in range(10):
                    c, m = prng.choice(ids)
                    payload = struct.pack(">HH", c, m) + prng.randbytes(prng.choice((0, 1, 2, 5, 20, 300)))
                    if not client.try_send(any_frame(1, prng.choice((0, 1, 1, 1, 2)), payload)):
                        break
        self.assertTrue(self.broker.running())

    def test_wrong_end_octet(self):
        self.refused(any_frame(8, 0, b"", end=0xcf), code=501)
        self.refused(any_frame(1, 1, struct.pack(">HH", 20, 10) + b"\0", end=0), code=501)

    def test_huge_frames(self):
        for size in (131073, 1 << 24, (1 << 32) - 1):
            self.refused(any_frame(3, 1, b"x" * 100, size=size), code=501)
        self.refused(any_frame(1, 1, bytes(8000)), code=501, frame_max=4096)

    def test_unknown_frame_type(self):
        self.refused(any_frame(7, 1, b"abc"), code=501)

    def test_half_frames(self):
        """They wait for the other half, and cost what they are long, not what they say."""
        before = self.broker.memory()
        clients = [Raw(self.broker, 20).open() for _ in range(300)]
        for client in clients:
            client.send(any_frame(1, 1, bytes(100), size=131064)[:-1])
        with Raw(self.broker) as other:
            other.open()
        grown = self.broker.memory() - before
        self.assertLess(grown, 300 * 64 * 1024 * (4 if SANITIZED else 1), "%d bytes for 300 half frames" % grown)
        for client in clients:
            client.socket.close()

    def test_channels(self):
        self.refused(method(2048, spec.Channel.Open()), code=530)
        self.refused(method(65535, spec.Channel.Open()), code=530)
        self.refused(method(11, spec.Channel.Open()), code=530, channel_max=10)
        self.refused(method(1, spec.Channel.Open()), code=504)  # is open already
        self.refused(method(7, spec.Basic.Get(queue="bystander")), code=504)  # is not open
        self.refused(method(0, spec.Channel.Open()), code=504)

    def test_every_channel_at_once(self):
        with Raw(self.broker) as client:
            client.open(channel=0)
            client.send(*[method(n, spec.Channel.Open()) for n in range(1, 2048)])
            for _ in range(2047):
                client.expect(spec.Channel.OpenOk)
            client.send(method(2048, spec.Channel.Open()))
            self.closed(client, 530)

    def test_channels_opened_and_closed(self):
        """A million does no harm: those closed are gone."""
        before = self.broker.memory()
        numbers = range(1, 501)
        ask = b"".join(method(n, spec.Channel.Open()) + method(n, spec.Channel.Close(200, "", 0, 0)) for n in numbers)
        answer = b"".join(method(n, spec.Channel.OpenOk()) + method(n, spec.Channel.CloseOk()) for n in numbers)
        with Raw(self.broker) as client:
            client.open(channel=0)
            for _ in range(CHANNELS // len(numbers)):
                client.send(ask)
                self.assertEqual(client.bytes(len(answer)), answer)
        self.assertLess(self.broker.memory() - before, 64 * MIB)

    def test_content(self):
        publish = method(1, spec.Basic.Publish(routing_key="bystander-not"))
        self.refused(publish, raw.body(1, b"no header"), code=505)
        self.refused(publish, publish, code=505)
        self.refused(publish, header(1, 3), raw.body(1, b"four"), code=501)  # more than the header says
        self.refused(header(1, 3), code=505)
        self.refused(publish, any_frame(2, 1, bytes(5)), code=502)
        self.refused(publish, any_frame(2, 1, struct.pack(">HHQH", 60, 0, 1, 0xffff) + b"\xff" * 20), raw.body(1, b"x"),
                     code=502)

    def test_methods(self):
        declare = struct.pack(">HHH", 50, 10, 0) + b"\x01q\0" + bytes(4)
        for payload, code in ((struct.pack(">HH", 61, 10), 540),       # no such class
                              (struct.pack(">HH", 50, 99), 540),       # no such method
                              (struct.pack(">HH", 50, 11), 503),       # one that brokers send
                              (b"", 501), (b"\0\x32\0", 501),          # not even ids
                              (declare[:-1], 502), (declare[:7], 502),  # cut short
                              (declare + b"x", 502),                   # goes on
                              (declare[:6] + b"\xffq", 502),           # a string longer than the frame
                              (declare[:-4] + b"\xff\xff\xff\xff", 502)):  # a table longer than the frame
            with self.subTest(payload):
                self.refused(any_frame(1, 1, payload), code=code)

    def test_tables(self):
        for field in (b"\x01kz", b"\x01k\0", b"\x05k", b"\x01kS\0\0\0\x09x", b"\x01kI\0", b"\x01kA\0\0\0\x05S\0\0\0\x01"):
            table = struct.pack(">I", len(field)) + field
            with self.subTest(field):
                self.refused(any_frame(1, 1, struct.pack(">HHH", 50, 10, 0) + b"\x01q\0" + table), code=502)
                self.refused(method(1, spec.Basic.Publish(routing_key="bystander-not")),
                             any_frame(2, 1, struct.pack(">HHQH", 60, 0, 0, 1 << 13) + table), code=502)

    def test_a_message_too_large(self):
        with Raw(self.broker) as client:
            client.open()
            client.send(method(1, spec.Basic.Publish(routing_key="x")), header(1, 1 << 40))
            self.assertEqual(client.expect(spec.Channel.Close).reply_code, 406)

    def test_deep_tables(self):
        table = b""
        for _ in range(5000):
            table = b"\x01aF" + struct.pack(">I", len(table)) + table
        table = struct.pack(">I", len(table)) + table
        declare = struct.pack(">HHH", 50, 10, 0) + b"\x01q\x00" + table
        self.refused(any_frame(1, 1, declare))


class Floods(Hostile):
    settings = {"memory__budget": "128 MiB"}
    env = NO_QUARANTINE

    def test_a_peer_that_never_reads_deliveries(self):
        """What is not read, waits in the queue, not in memory of its own."""
        with self.broker.channel() as channel:
            channel.queue_declare("much")
            for _ in range(60):
                channel.basic_publish("", "much", bytes(MIB))
            channel.queue_declare("much", passive=True)
        before = self.broker.memory()
        with Raw(self.broker) as client:
            client.open()
            client.send(method(1, spec.Basic.Consume(queue="much", no_ack=True)))
            with self.broker.channel() as channel:
                until(lambda: channel.queue_declare("much", passive=True).method.message_count < 60, "deliveries")
            self.assertLess(self.broker.memory() - before, 32 * MIB)

    def test_a_peer_that_never_reads_answers(self):
        """It asks and asks: it is not read from until it takes the answers."""
        before = self.broker.memory()
        with Raw(self.broker) as client:
            client.open()
            client.socket.settimeout(1)
            ask = method(1, spec.Queue.Declare(queue="bystander", passive=True)) * 1000
            sent = 0
            try:
                while sent < 200 * MIB:
                    sent += client.socket.send(ask)
            except socket.timeout:
                pass
            self.assertLess(sent, 200 * MIB, "the broker read on and on")
            self.assertLess(self.broker.memory() - before, 32 * MIB)

    def test_a_publisher_that_never_reads_confirms(self):
        before = self.broker.memory()
        with Raw(self.broker) as client:
            client.open()
            client.send(method(1, spec.Confirm.Select()))
            client.expect(spec.Confirm.SelectOk)
            client.socket.settimeout(1)
            one = method(1, spec.Basic.Publish(routing_key="nowhere")) + header(1, 1) + raw.body(1, b"x")
            sent = 0
            try:
                while sent < 300 * MIB:
                    sent += client.socket.send(one * 1000)
            except socket.timeout:
                pass
            self.assertLess(self.broker.memory() - before, 48 * MIB)

    def test_bodies_begun_and_never_ended(self):
        before = self.broker.memory()
        clients = [Raw(self.broker).open() for _ in range(40)]
        for client in clients:
            client.send(method(1, spec.Basic.Publish(routing_key="x")), header(1, 16 * MIB), raw.body(1, bytes(100000)))
        with Raw(self.broker) as other:
            other.open()
        self.assertLess(self.broker.memory() - before, 64 * MIB)
        for client in clients:
            client.socket.close()

    def test_connect_and_vanish(self):
        """Resets in the middle of everything."""
        prng = random.Random(4)
        steps = b"".join((HEADER, method(0, spec.Connection.StartOk(response="\0guest\0guest")),
                          method(0, spec.Connection.TuneOk(2047, 131072, 0)), method(0, spec.Connection.Open("/")),
                          method(1, spec.Channel.Open()), method(1, spec.Queue.Declare(queue="v%d" % os.getpid())),
                          method(1, spec.Basic.Consume(queue="v%d" % os.getpid())),
                          method(1, spec.Basic.Publish(routing_key="bystander-not")), header(1, 5), raw.body(1, b"hello")))
        for _ in range(300):
            client = Raw(self.broker)
            client.try_send(steps[:prng.randrange(len(steps) + 1)])
            # A reset instead of an orderly end.
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.socket.close()


class Crowds(unittest.TestCase):
    """Thousands of connections."""

    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.most = min(CONNECTIONS, hard - 200)

    def test_within_the_limit(self):
        with Broker(env=NO_QUARANTINE) as broker, Bystander(broker):
            before = broker.memory()
            clients = [Raw(broker).open() for _ in range(self.most)]
            each = (broker.memory() - before) / self.most
            print("%d connections with a channel, %d bytes each" % (self.most, each))
            self.assertLess(each, 64 * 1024)
            for client in clients[::100]:
                client.send(method(1, spec.Queue.Declare(queue="bystander", passive=True)))
                client.expect(spec.Queue.DeclareOk)
            for client in clients:
                client.socket.close()

    def test_above_the_limit(self):
        with Broker(connections_max=50, fronts=1) as broker, Bystander(broker):
            clients = [Raw(broker).open() for _ in range(49)]
            with socket.socket() as refused:
                refused.bind((broker.clients_address, 0))
                # The reset may come before we see that we were connected.
                if refused.connect_ex((broker.address, broker.port)) == 0:
                    with contextlib.suppress(ConnectionError):
                        self.assertEqual(refused.recv(1), b"")
                self.assertTrue(broker.log.wait(r"%s:%d(:| is) refused" % refused.getsockname()))
            clients.pop().socket.close()

            def enters():
                with contextlib.suppress(ConnectionError), Raw(broker) as client:
                    return client.try_send(HEADER) and client.frame() is not None
                return False

            until(enters, "a place that is free again")
            for client in clients:
                client.socket.close()

    def test_the_same_again_and_again(self):
        """Connections leave nothing behind."""
        with Broker(env=NO_QUARANTINE) as broker, Bystander(broker):
            def some():
                for client in [Raw(broker).open() for _ in range(200)]:
                    client.socket.close()
            some()
            before = broker.memory()
            for _ in range(6):
                some()
            self.assertLess(broker.memory() - before, (64 if SANITIZED else 16) * MIB)


if __name__ == "__main__":
    main()

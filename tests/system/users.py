"""Users, virtual hosts and permissions: made by gannetctl, in force at once and at every front, kept over a kill -9."""
import base64
import hashlib
import json
import select
import socket
import struct
import subprocess
import time
import unittest

import pika
from pika.exceptions import AMQPConnectionError, ConnectionClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError, StreamLostError

from broker import GANNETCTL, PERSISTENT, Broker, ready, until
from runner import main

ROUTERS = 3
NAMES = ["q-%d" % n for n in range(9)]  # spread over three routers


class Users(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(routers=ROUTERS, fronts=2)
        self.enterContext(self.broker)

    def crash(self):
        self.broker.kill9()
        self.broker.start()

    # ---- gannetctl ----

    def run_ctl(self, *words, said=None):
        return subprocess.run([GANNETCTL, "-D", self.broker.data, *words], capture_output=True, text=True, timeout=60,
                              check=False, input=said)

    def ctl(self, *words, said=None):
        done = self.run_ctl(*words, said=said)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout

    def rows(self, *words):
        """As lists of values, in order."""
        return sorted(list(row.values()) for row in json.loads(self.ctl("--json", *words)))

    def refused(self, *words):
        done = self.run_ctl(*words)
        self.assertEqual((done.returncode, done.stdout), (1, ""), words)
        return done.stderr.removeprefix("gannetctl: ").strip()

    def connect(self, user, password="pw", vhost="/"):
        connection = self.broker.connect(credentials=pika.PlainCredentials(user, password), virtual_host=vhost)
        self.addCleanup(lambda: connection.is_open and connection.close())
        return connection

    def user(self, name, *patterns, vhost="/"):
        self.ctl("add_user", name, "pw")
        if patterns:
            self.ctl("set_permissions", "-p", vhost, name, *patterns)

    # ---- who there is ----

    def test_it_begins_with_one_user(self):
        self.assertEqual(self.rows("list_users"), [["guest", "administrator"]])
        self.assertEqual(self.rows("list_vhosts"), [["/", "", "", ""]])
        self.assertEqual(self.rows("list_permissions"), [["guest", ".*", ".*", ".*"]])
        self.assertEqual(self.rows("list_topic_permissions"), [])

    def test_all_is_kept(self):
        self.user("u", "^a", "", ".*")
        self.ctl("set_user_tags", "u", "administrator", "monitoring")
        self.ctl("add_vhost", "b", "the second one", "x,y")
        self.ctl("set_permissions", "-p", "b", "u", "c", "w", "r")
        self.ctl("set_topic_permissions", "u", "amq.topic", "^w", "^r")
        self.user("gone")
        self.ctl("delete_user", "gone")
        self.ctl("add_vhost", "gone")
        self.ctl("delete_vhost", "gone")
        for again in self.crash, self.broker.restart, self.crash:
            again()
            self.assertEqual(self.rows("list_users"), [["guest", "administrator"], ["u", "administrator,monitoring"]])
            self.assertEqual(self.rows("list_vhosts"), [["/", "", "", ""], ["b", "the second one", "x,y", ""]])
            self.assertEqual(self.rows("list_user_permissions", "u"), [["/", "^a", "", ".*"], ["b", "c", "w", "r"]])
            self.assertEqual(self.rows("list_permissions", "-p", "b"), [["u", "c", "w", "r"]])
            self.assertEqual(self.rows("list_topic_permissions"), [["u", "amq.topic", "^w", "^r"]])
            self.assertEqual(self.rows("list_user_topic_permissions", "u"), [["/", "amq.topic", "^w", "^r"]])
            self.ctl("authenticate_user", "u", "pw")

    def test_the_configuration_makes_the_first_ones_only(self):
        self.ctl("add_user", "boss", "pw")
        self.ctl("delete_user", "guest")
        self.broker.settings.update({"default_pass": "other", "vhosts": "/,b"})
        self.broker.restart()
        self.assertEqual(self.rows("list_users"), [["boss", ""]])
        self.assertEqual(self.rows("list_vhosts"), [["/", "", "", ""]])

    # ---- logging in ----

    def test_passwords(self):
        self.user("u", ".*", ".*", ".*")
        for wrong in "", "pW", "pw ":
            self.assertRaises(ProbableAuthenticationError, self.connect, "u", wrong)
        self.connect("u")
        self.ctl("change_password", "u", said="new one\n")
        self.assertRaises(ProbableAuthenticationError, self.connect, "u")
        self.connect("u", "new one")
        self.assertEqual(self.refused("authenticate_user", "u", "pw"), "this is not the password of the user")
        self.ctl("clear_password", "u")
        for wrong in "", "new one":
            self.assertRaises(ProbableAuthenticationError, self.connect, "u", wrong)
        self.ctl("add_user", "blank", "")
        self.assertRaises(ProbableAuthenticationError, self.connect, "blank", "")
        self.assertNotIn("new one", self.broker.log.text())

    def test_hashes_of_elsewhere(self):
        for name in "sha256", "sha512":
            salt = bytes(range(4))
            hashed = base64.b64encode(salt + hashlib.new(name, salt + b"p\xc3\xa4ss w\xc3\xb6rd").digest()).decode()
            self.ctl("add_user", name, hashed, "--pre-hashed-password", "--hashing-algorithm", "rabbit_password_hashing_" + name)
            self.ctl("set_permissions", name, ".*", ".*", ".*")
        self.ctl("add_user", "none", "", "--pre-hashed-password")
        for again in lambda: None, self.crash:
            again()
            for name in "sha256", "sha512":
                self.connect(name, "p\xe4ss w\xf6rd").close()
                self.assertRaises(ProbableAuthenticationError, self.connect, name, hashed)
                self.ctl("authenticate_user", name, "p\xe4ss w\xf6rd")
        self.assertRaises(ProbableAuthenticationError, self.connect, "none", "")
        self.ctl("change_password", "none", "--pre-hashed-password", "--hashing-algorithm", "rabbit_password_hashing_sha512", said=hashed)
        self.ctl("authenticate_user", "none", "p\xe4ss w\xf6rd")

    def test_passwords_that_are_looked_at_keep_nobody_waiting(self):
        channel = self.connect("guest", "guest").channel()
        asking = []
        for n in range(16):
            stream = socket.create_connection((self.broker.address, self.broker.port), 60)
            self.addCleanup(stream.close)
            stream.sendall(b"AMQP\0\0\x09\x01")
            self.assertTrue(stream.recv(4096))
            response = b"\0guest\0wrong%02d" % n
            payload = struct.pack(">HHI", 10, 11, 0) + b"\x05PLAIN" + struct.pack(">I", len(response)) + response + b"\x05en_US"
            asking.append((stream, b"\1\0\0" + struct.pack(">I", len(payload)) + payload + b"\xce"))
        for stream, start_ok in asking:
            stream.sendall(start_ok)
        channel.queue_declare("q", exclusive=True)
        streams = [stream for stream, _ in asking]
        self.assertLess(len(select.select(streams, [], [], 0)[0]), len(streams))
        for stream in streams:
            self.assertEqual(stream.recv(4096), b"")  # refused: it has said of no capability to hear why

    def test_failures_slow_an_address_down(self):
        with Broker(fronts=1) as broker:
            for _ in range(4):
                self.assertRaises(ProbableAuthenticationError, broker.connect, credentials=pika.PlainCredentials("guest", "wrong"))
            self.assertIn("login refused: user 'guest'", broker.log.text())
            begin = time.monotonic()
            broker.connect().close()
            broker.connect().close()
            self.assertGreater(time.monotonic() - begin, 0.9)

    def test_anonymous(self):
        class Anonymous(pika.PlainCredentials):
            offered = None

            def response_for(self, start):
                Anonymous.offered = start.mechanisms
                return "ANONYMOUS", b"me@here"

        self.assertRaises(AMQPConnectionError, self.broker.connect, credentials=Anonymous("", ""))
        self.assertNotIn("ANONYMOUS", str(Anonymous.offered))
        with Broker(amqp__anonymous="true") as broker:
            broker.connect(credentials=Anonymous("", "")).channel().queue_declare("q")
            self.assertIn("ANONYMOUS", str(Anonymous.offered))

    def test_a_virtual_host_is_entered_with_permission(self):
        self.ctl("add_vhost", "b")
        self.user("u", "", "", "", vhost="b")
        self.connect("u", vhost="b")
        with self.assertRaises(ProbableAccessDeniedError) as refused:
            self.connect("u")
        self.assertIn("access to vhost '/' refused for user 'u'", str(refused.exception))
        with self.assertRaises(ProbableAccessDeniedError) as refused:
            self.connect("u", vhost="c")
        self.assertIn("vhost c not found", str(refused.exception))

    # ---- virtual hosts ----

    def test_a_virtual_host_has_its_exchanges_at_once(self):
        for name in "b", "ü/c":
            self.ctl("add_vhost", name)
            self.ctl("set_permissions", "-p", name, "guest", ".*", ".*", ".*")
            channel = self.connect("guest", "guest", name).channel()
            channel.confirm_delivery()
            for queue in NAMES:
                channel.queue_declare(queue)
                channel.queue_bind(queue, "amq.fanout")
                channel.queue_bind(queue, "amq.topic", "a.#")
            channel.basic_publish("amq.fanout", "", b"x", mandatory=True)
            channel.basic_publish("amq.topic", "a.b", b"x", mandatory=True)
            self.assertEqual([ready(channel, queue) for queue in NAMES], [2] * len(NAMES))

    def fill(self, vhost):
        self.ctl("add_vhost", vhost)
        self.ctl("set_permissions", "-p", vhost, "guest", ".*", ".*", ".*")
        self.ctl("set_policy", "-p", vhost, "p", ".*", '{"max-length": 2}')
        connection = self.connect("guest", "guest", vhost)
        channel = connection.channel()
        channel.confirm_delivery()
        channel.exchange_declare("x", "fanout", durable=True)
        channel.exchange_bind("x", "amq.direct", "k")
        for queue in NAMES:
            channel.queue_declare(queue, durable=True)
            channel.queue_bind(queue, "x")
        channel.basic_publish("amq.direct", "k", b"1", PERSISTENT, mandatory=True)
        connection.close()

    def empty(self, vhost):
        """That all is as in a virtual host that is made for the first time."""
        self.ctl("add_vhost", vhost)
        self.assertEqual(self.rows("list_permissions", "-p", vhost), [])
        self.assertEqual(self.rows("list_policies", "-p", vhost), [])
        self.ctl("set_permissions", "-p", vhost, "guest", ".*", ".*", ".*")
        channel = self.connect("guest", "guest", vhost).channel()
        channel.exchange_declare("x", "topic")
        for queue in NAMES:
            self.assertEqual(channel.queue_declare(queue).method.message_count, 0)
        channel.connection.close()

    def test_what_is_in_a_virtual_host_goes_with_it(self):
        self.fill("b")
        self.ctl("delete_vhost", "b")
        self.assertEqual(self.rows("queues"), [])
        self.empty("b")

    def test_and_stays_gone(self):
        self.fill("b")
        self.ctl("delete_vhost", "b")
        self.crash()
        self.assertEqual(self.rows("queues"), [])
        self.empty("b")
        self.ctl("delete_vhost", "b")
        self.fill("b")
        self.crash()
        self.assertEqual(len(self.rows("queues")), len(NAMES))

    def test_a_virtual_host_made_again_has_nothing_of_the_first(self):
        self.fill("b")
        self.ctl("delete_vhost", "b")
        self.ctl("add_vhost", "b")
        self.crash()
        self.assertEqual(self.rows("queues"), [])
        self.empty("b")

    # ---- at every front ----

    def test_a_change_counts_for_all_connections(self):
        self.user("u", ".*", ".*", ".*")
        channels = [self.connect("u").channel() for _ in range(20)]
        for n, channel in enumerate(channels):
            channel.queue_declare("own-%d" % n, exclusive=True)
            channel.basic_consume("own-%d" % n, lambda *_: None)
        self.ctl("set_permissions", "u", ".*", ".*", "^own-(1|2)$")
        for n, channel in enumerate(channels):
            if n in (1, 2):
                channel.connection.process_data_events(0)
                self.assertTrue(channel.is_open)
                continue
            until(lambda c=channel: c.connection.process_data_events(0.05) or c.is_closed, "closing the channel")
        self.ctl("delete_user", "u")
        for channel in channels:
            with self.assertRaises((ConnectionClosedByBroker, StreamLostError)):
                channel.connection.process_data_events(5)
                channel.connection.channel()

    # ---- what can't be ----

    def test_what_can_not_be_is_refused(self):
        self.user("u", ".*", ".*", ".*")
        cases = {
            ("add_user", "u", "x"): "user 'u' already exists",
            ("add_user", "", "x"): "a user's name can't be empty",
            ("add_user", "x" * 256, "x"): "a user's name is longer than 255 bytes",
            ("add_user", "v", "x", "--pre-hashed-password"): "this is no password hash of rabbit_password_hashing_sha256",
            ("add_user", "v", "x", "--pre-hashed-password", "--hashing-algorithm", "rabbit_password_hashing_md5"):
                "the password hash is of 'rabbit_password_hashing_md5', which is not supported: give the user a new password, or hash it with "
                "rabbit_password_hashing_sha256 or rabbit_password_hashing_sha512",
            ("authenticate_user", "u", "x", "--pre-hashed-password"): "authenticate_user has no --pre-hashed-password: see gannetctl help authenticate_user",
            ("delete_user", "v"): "user 'v' does not exist",
            ("change_password", "v", "x"): "user 'v' does not exist",
            ("clear_password", "v"): "user 'v' does not exist",
            ("authenticate_user", "v", "x"): "user 'v' does not exist",
            ("set_user_tags", "v", "x"): "user 'v' does not exist",
            ("delete_vhost", "b"): "virtual host 'b' does not exist",
            ("set_permissions", "v", "", "", ""): "user 'v' does not exist",
            ("set_permissions", "-p", "b", "u", "", "", ""): "virtual host 'b' does not exist",
            ("set_permissions", "u", "a", "b", "*"):
                "the pattern '*' is not a regular expression: quantifier does not follow a repeatable item, at offset 0",
            ("set_permissions", "u", "a", "b", "x" * 2049): "the pattern of read is longer than 2048 bytes",
            ("clear_permissions", "v"): "user 'v' does not exist",
            ("list_permissions", "-p", "b"): "virtual host 'b' does not exist",
            ("list_user_permissions", "v"): "user 'v' does not exist",
            ("set_topic_permissions", "v", "e", "", ""): "user 'v' does not exist",
            ("set_permissions", "u", "a"): "usage: gannetctl set_permissions [-p VHOST] USER CONFIGURE WRITE READ",
            ("set_permissions", "u", "a", "b\n", "c"): "names, patterns and passwords may not hold control characters",
            ("set_policy", "-p", "b", "p", ".*", '{"max-length": 1}'): "there is no virtual host b",
        }
        for words, said in cases.items():
            with self.subTest(words[:2]):
                self.assertEqual(self.refused(*words), said)
        self.assertEqual(self.rows("list_permissions"), [["guest", ".*", ".*", ".*"], ["u", ".*", ".*", ".*"]])


if __name__ == "__main__":
    main()

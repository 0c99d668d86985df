"""Limits of users and virtual hosts: one number for all fronts and routers, in force at once, kept over a kill -9."""
import contextlib
import json
import subprocess
import threading
import time
import unittest

import pika
from pika.exceptions import AMQPConnectionError, AMQPError, ChannelClosedByBroker, ConnectionClosedByBroker

from broker import GANNETCTL, PERSISTENT, Broker, until
from runner import main


class Limits(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(routers=3, fronts=2)
        self.enterContext(self.broker)
        self.ctl("add_user", "u", "pw")
        self.ctl("set_permissions", "u", ".*", ".*", ".*")

    def ctl(self, *words):
        done = subprocess.run([GANNETCTL, "-D", self.broker.data, *words], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout

    def rows(self, *words):
        return sorted(list(row.values()) for row in json.loads(self.ctl("--json", *words)))

    def refused(self, *words):
        done = subprocess.run([GANNETCTL, "-D", self.broker.data, *words], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""), words)
        return done.stderr.removeprefix("gannetctl: ").strip()

    def connect(self, user="u", password="pw", vhost="/"):
        connection = self.broker.connect(credentials=pika.PlainCredentials(user, password), virtual_host=vhost)
        self.addCleanup(self.close, connection)
        return connection

    @staticmethod
    def close(connection):
        with contextlib.suppress(AMQPError):
            connection.close()

    def test_what_is_said_is_kept(self):
        self.ctl("add_vhost", "b")
        self.ctl("set_user_limits", "u", '{"max-connections": 5}')
        self.ctl("set_user_limits", "u", '{"max-channels": 7, "max-publish-rate": -1}')
        self.ctl("set_vhost_limits", "-p", "b", '{"max-queues": 3}')
        self.ctl("set_vhost_limits", "-p", "b", '{"max-connections": 2, "max-publish-bytes-rate": 1000}')
        self.ctl("set_vhost_limits", '{"max-queues": 3}')
        self.ctl("clear_vhost_limits")
        for again in self.broker.kill9, self.broker.stop, self.broker.kill9:
            again()
            self.broker.start()
            self.assertEqual(self.rows("list_user_limits"), [["u", '{"max-connections":5,"max-channels":7,"max-publish-rate":-1}']])
            self.assertEqual(self.rows("list_user_limits", "--user", "u"), self.rows("list_user_limits", "--global"))
            self.assertEqual(self.rows("list_user_limits", "--user", "guest"), [])
            self.assertEqual(self.rows("list_vhost_limits"), [])
            self.assertEqual(self.rows("list_vhost_limits", "-p", "b"), [["b", '{"max-connections":2,"max-publish-bytes-rate":1000}']])
            self.assertEqual(self.rows("list_vhost_limits", "--global"), self.rows("list_vhost_limits", "-p", "b"))
        self.ctl("clear_user_limits", "u", "max-channels")
        self.assertEqual(self.rows("list_user_limits"), [["u", '{"max-connections":5,"max-publish-rate":-1}']])
        self.ctl("clear_user_limits", "u", "all")
        self.assertEqual(self.rows("list_user_limits"), [])

    def test_what_can_not_be_is_refused(self):
        cases = {
            ("set_user_limits", "v", "{}"): "user 'v' does not exist",
            ("set_user_limits", "u", "x"): 'limits are a JSON object with numbers, as {"max-connections": 10}',
            ("set_user_limits", "u", '{"max-queues": 1}'): "Unrecognised terms in limits: a user has no 'max-queues'",
            ("set_vhost_limits", '{"max-connections": "x"}'): "max-connections should be a number",
            ("set_vhost_limits", "-p", "b", "{}"): "virtual host 'b' does not exist",
            ("clear_vhost_limits",): "virtual host '/' has no limits",
            ("clear_user_limits", "u", "x"): "there is no limit 'x'",
            ("list_user_limits", "--user", "v"): "user 'v' does not exist",
            ("list_vhost_limits", "-p", "b"): "virtual host 'b' does not exist",
        }
        for words, said in cases.items():
            with self.subTest(words):
                self.assertEqual(self.refused(*words), said)

    def test_connections_of_all_fronts(self):
        self.ctl("set_user_limits", "u", '{"max-connections": 10}')
        opened = [self.connect() for _ in range(10)]
        for _ in range(6):  # whichever front they come to
            with self.assertRaises(AMQPConnectionError):
                self.connect()
        self.connect("guest", "guest").close()
        opened.pop().close()
        opened.append(self.connect())
        with self.assertRaises(AMQPConnectionError):
            self.connect()
        self.ctl("set_user_limits", "u", '{"max-connections": 11}')
        opened.append(self.connect())
        self.ctl("set_user_limits", "u", '{"max-connections": 1}')
        self.assertTrue(all(connection.channel().is_open for connection in opened))  # those that are there stay
        for connection in opened:
            connection.close()
        self.connect()

    def test_a_user_made_again_is_held_to_what_is_still_open(self):
        self.connect().channel()
        self.ctl("delete_user", "u")
        self.ctl("add_user", "u", "pw")
        self.ctl("set_permissions", "u", ".*", ".*", ".*")
        self.ctl("set_user_limits", "u", '{"max-connections": 1}')

        def enters():
            try:
                return self.connect()
            except AMQPConnectionError:
                return None
        until(enters, "the old connection's end")
        self.assertRaises(AMQPConnectionError, self.connect)

    def test_channels_of_all_connections(self):
        self.ctl("set_user_limits", "u", '{"max-channels": 4}')
        channels = [self.connect().channel() for _ in range(4)]
        with self.assertRaises(ConnectionClosedByBroker) as said:
            self.connect().channel()
        self.assertEqual(said.exception.reply_code, 530)
        channels[0].connection.close()
        channels[1].close()
        for _ in range(2):
            channels.append(self.connect().channel())
        with self.assertRaises(ConnectionClosedByBroker):
            self.connect().channel()

    def test_queues_of_all_routers_after_a_start_too(self):
        self.ctl("set_vhost_limits", '{"max-queues": 9}')
        channel = self.connect().channel()
        for n in range(8):
            channel.queue_declare("q-%d" % n, durable=True)
        channel.queue_declare("own", exclusive=True)
        for again in self.broker.kill9, self.broker.stop:
            with self.assertRaises(ChannelClosedByBroker) as said:
                channel.queue_declare("more", durable=True)
            self.assertEqual((said.exception.reply_code, said.exception.reply_text),
                             (406, "PRECONDITION_FAILED - cannot declare queue 'more': queue limit in vhost '/' (9) is reached"))
            again()
            self.broker.start()
            channel = self.connect().channel()
            channel.queue_declare("own", exclusive=True)
        channel.queue_delete("q-0")
        channel.queue_declare("more", durable=True)
        with self.assertRaises(ChannelClosedByBroker):
            channel.queue_declare("one more", durable=True)

    def publish(self, count, size, seconds, *, users=("u", "u", "u", "u")):
        """Of all together, what was published after so long; and that nothing is lost."""
        begin = time.monotonic()
        done = []

        def one(n):
            channel = self.connect(users[n]).channel()
            channel.queue_declare("r-%d" % n)
            for _ in range(count):
                channel.basic_publish("", "r-%d" % n, b"x" * size)
            done.append(channel.queue_declare("r-%d" % n, passive=True).method.message_count)
        threads = [threading.Thread(target=one, args=(n,)) for n in range(len(users))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        took = time.monotonic() - begin
        self.assertEqual(done, [count] * len(users))
        self.assertGreater(took, seconds - 0.15)
        self.assertLess(took, seconds + 3)

    def test_rate_of_a_user_on_all_fronts(self):
        self.ctl("set_user_limits", "u", '{"max-publish-rate": 200}')
        self.publish(100, 10, 2)

    def test_rate_in_bytes(self):
        self.ctl("set_user_limits", "u", '{"max-publish-bytes-rate": 2000000}')
        self.publish(10, 100000, 2)  # in several frames, too

    def test_rate_of_a_virtual_host_counts_for_all_users(self):
        self.ctl("add_user", "w", "pw")
        self.ctl("set_permissions", "w", ".*", ".*", ".*")
        self.ctl("set_vhost_limits", '{"max-publish-rate": 200}')
        self.publish(100, 10, 2, users=("u", "w", "u", "w"))

    def test_who_waits_for_his_rate_is_alive_and_others_are_not_kept_waiting(self):
        self.ctl("set_user_limits", "u", '{"max-publish-rate": 1}')
        slow = self.broker.connect(credentials=pika.PlainCredentials("u", "pw"), heartbeat=1).channel()
        slow.queue_declare("slow")
        for _ in range(8):
            slow.basic_publish("", "slow", b"x")
        channel = self.connect("guest", "guest").channel()
        channel.confirm_delivery()
        channel.queue_declare("quick")
        begin = time.monotonic()
        for _ in range(100):
            channel.basic_publish("", "quick", b"x", PERSISTENT)
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual(slow.queue_declare("slow", passive=True).method.message_count, 8)
        self.assertGreater(time.monotonic() - begin, 5)
        for _ in range(100):
            slow.basic_publish("", "slow", b"x")
        self.ctl("clear_user_limits", "u", "all")  # in force at once
        begin = time.monotonic()
        self.assertEqual(slow.queue_declare("slow", passive=True).method.message_count, 108)
        self.assertLess(time.monotonic() - begin, 5)

    def test_who_waits_for_his_rate_does_not_keep_the_broker_from_ending(self):
        self.ctl("set_user_limits", "u", '{"max-publish-rate": 1}')
        channel = self.connect().channel()
        channel.queue_declare("q", durable=True)
        for _ in range(50):
            channel.basic_publish("", "q", b"x", PERSISTENT)
        begin = time.monotonic()
        stopping = threading.Thread(target=self.broker.stop)
        stopping.start()
        with self.assertRaises(AMQPConnectionError):
            while True:
                channel.connection.process_data_events(1)  # answers the farewell, behind what waits
        stopping.join()
        self.assertLess(time.monotonic() - begin, 5)


if __name__ == "__main__":
    main()

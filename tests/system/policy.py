"""Policies and operator policies: set by gannetctl, in force at once and at every router, kept over a restart and a kill -9."""
import json
import os
import socket
import subprocess
import time
import unittest

import pika
from pika.exceptions import NackError, UnroutableError

from broker import GANNETCTL, PERSISTENT, Broker, drain, ready, shout, until
from runner import main

ROUTERS = 3
# Spread over three routers.
NAMES = ["a-%d" % n for n in range(9)]
MANDATORY = {"mandatory": True}


class Policies(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(routers=ROUTERS, fronts=2, vhosts="/,other")
        self.enterContext(self.broker)
        self.connect()

    def connect(self):
        self.channel = self.broker.connect().channel()
        self.channel.confirm_delivery()

    def tearDown(self):
        if self.channel.is_open:
            self.channel.connection.close()

    def crash(self):
        self.broker.kill9()
        self.broker.start()
        self.connect()

    # ---- gannetctl ----

    def run_ctl(self, *words):
        return subprocess.run([GANNETCTL, "-D", self.broker.data, *words], capture_output=True, text=True, timeout=60,
                              check=False)

    def ctl(self, *words):
        done = self.run_ctl(*words)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout

    def set(self, name, pattern, *options, operator=False, **definition):
        text = json.dumps({key.replace("_", "-"): value for key, value in definition.items()})
        self.assertEqual(self.ctl("set_operator_policy" if operator else "set_policy", *options, name, pattern, text), "")

    def rows(self, *words):
        return json.loads(self.ctl("--json", *words))

    def refused(self, *words):
        """What it says, without its name."""
        done = self.run_ctl(*words)
        self.assertEqual((done.returncode, done.stdout), (1, ""), words)
        self.assertRegex(done.stderr, r"\Agannetctl: [^\n]+\n\Z")
        return done.stderr[len("gannetctl: "):-1]

    def holding(self, vhost="/"):
        """The policy and the operator policy of each queue."""
        return {row["name"]: (row["policy"], row["operator_policy"]) for row in self.rows("queues")
                if row["vhost"] == vhost}

    # ---- messages ----

    def declare(self, *names, **options):
        for name in names:
            self.channel.queue_declare(name, durable=True, **options)

    def publish(self, key, *bodies, exchange="", channel=None, **options):
        for body in bodies:
            (channel or self.channel).basic_publish(exchange, key, body, PERSISTENT, **options)

    def bodies(self, queue):
        return [body for body, _ in drain(self.channel, queue)]

    # ---- queues ----

    def test_a_length_is_kept_at_once_in_all_queues_that_fit(self):
        self.declare(*NAMES, "b")
        for name in [*NAMES, "b"]:
            self.publish(name, b"1", b"2", b"3")
        self.set("short", "^a-", max_length=2)
        for name in NAMES:
            self.assertEqual(ready(self.channel, name), 2)
            self.publish(name, b"4")
            self.assertEqual(self.bodies(name), [b"3", b"4"])
        self.assertEqual(self.bodies("b"), [b"1", b"2", b"3"])
        self.declare("a-later")
        self.publish("a-later", b"1", b"2", b"3")
        self.assertEqual(self.bodies("a-later"), [b"2", b"3"])
        self.ctl("clear_policy", "short")
        self.publish("a-later", b"1", b"2", b"3")
        self.assertEqual(self.bodies("a-later"), [b"1", b"2", b"3"])
        self.assertEqual(set(self.holding().values()), {("", "")})

    def test_a_time_to_live_is_that_of_new_messages(self):
        self.declare(*NAMES)
        for name in NAMES:
            self.publish(name, b"old")
        self.set("ttl", "a", message_ttl=100)
        for name in NAMES:
            self.publish(name, b"new")
        time.sleep(0.3)  # behind the old one, which lasts: it goes when it is at the head
        for name in NAMES:
            self.assertEqual(self.bodies(name), [b"old"])
        self.ctl("clear_policy", "ttl")
        self.publish("a-0", b"lasting")
        time.sleep(0.3)  # what should not happen has no event to wait for
        self.assertEqual(self.bodies("a-0"), [b"lasting"])

    def test_dead_letters(self):
        self.declare("dead", *NAMES)
        self.set("dlx", "^a-", dead_letter_exchange="", dead_letter_routing_key="dead", max_length=1)
        for name in NAMES:
            self.publish(name, name.encode(), b"keeps")
        until(lambda: ready(self.channel, "dead") == len(NAMES), "the dead letters")
        self.assertEqual(sorted(self.bodies("dead")), sorted(name.encode() for name in NAMES))
        self.ctl("clear_policy", "dlx")
        self.set("drops", "^a-", max_length=1)
        self.publish("a-0", b"drops it")
        self.assertEqual(self.bodies("a-0"), [b"drops it"])
        self.assertEqual(self.bodies("dead"), [])

    def test_overflow_and_expires(self):
        self.declare(*NAMES)
        self.set("full", "a-", max_length=1, overflow="reject-publish")
        for name in NAMES:
            self.publish(name, b"1")
            with self.assertRaises(NackError):
                self.publish(name, b"2")
            self.assertEqual(self.bodies(name), [b"1"])
        self.set("full", "a-", expires=100)
        self.set("other", "^nothing$", max_length=1)
        until(lambda: not self.holding(), "the end of unused queues")

    def test_other_policies_leave_a_queue_alone(self):
        self.declare("idle", arguments={"x-expires": 1500})
        end = time.monotonic() + 60
        while "idle" in self.holding():
            self.set("other", "^nothing$", max_length=1)
            self.assertLess(time.monotonic(), end, "what isn't said of it prolongs its life")

    def test_arguments_policies_and_operator_policies_the_lower_number_holds(self):
        self.declare("plain-a")
        self.declare("own-a", arguments={"x-max-length": 3, "x-overflow": "reject-publish"})
        self.set("five", "a$", max_length=5, overflow="drop-head")
        self.set("four", "a$", operator=True, max_length=4)
        self.publish("plain-a", *[b"%d" % n for n in range(9)])
        self.assertEqual(self.bodies("plain-a"), [b"5", b"6", b"7", b"8"])
        self.publish("own-a", b"1", b"2", b"3")
        with self.assertRaises(NackError):  # the declaration's overflow, for it is not a number
            self.publish("own-a", b"4")
        self.assertEqual(self.holding(), {"plain-a": ("five", "four"), "own-a": ("five", "four")})
        self.set("four", "a$", operator=True, max_length=2)
        self.publish("plain-a", b"1", b"2", b"3")
        self.assertEqual(self.bodies("plain-a"), [b"2", b"3"])
        self.ctl("clear_operator_policy", "four")
        self.publish("plain-a", *[b"%d" % n for n in range(9)])
        self.assertEqual(len(self.bodies("plain-a")), 5)

    def test_which_policy_holds(self):
        self.declare("q1", "q2")
        self.declare("quorum", arguments={"x-queue-type": "quorum"})
        self.set("low", "q", max_length=9)
        self.set("high", "1$", "--priority", "5", max_length=8)
        self.set("below", ".", "--priority", "-5", max_length=7)
        self.set("only quorum", ".", "--priority", "9", "--apply-to", "quorum_queues", max_length=6)
        self.set("of exchanges", ".", "--priority", "99", "--apply-to", "exchanges", max_length=1)
        self.assertEqual(self.holding(), {"q1": ("high", ""), "q2": ("low", ""), "quorum": ("only quorum", "")})
        # A delivery limit is nothing that a classic queue can have: such a policy is not for it.
        self.set("low", "q", delivery_limit=1, max_length=9)
        self.assertEqual(self.holding()["q2"], ("below", ""))
        self.set("high", "1$", max_length=8)
        self.ctl("clear_policy", "below")
        self.assertEqual(self.holding()["q1"], ("high", ""))
        self.assertEqual(self.holding()["q2"], ("", ""))

    def test_virtual_hosts_are_apart(self):
        with self.broker.channel(virtual_host="other") as other:
            other.queue_declare("q")
            self.declare("q")
            self.set("here", "q", "-p", "other", max_length=1)
            self.assertEqual((self.holding("other"), self.holding()), ({"q": ("here", "")}, {"q": ("", "")}))
        self.assertEqual(self.rows("list_policies"), [])
        self.assertIn("vhost '/'", self.refused("clear_policy", "here"))
        self.ctl("clear_policy", "-p", "other", "here")
        self.assertEqual(self.holding("other"), {"q": ("", "")})

    def test_lists(self):
        self.set("one", r"^a\.b", "--priority", "3", "--apply-to", "queues", max_length=5, overflow="drop-head")
        self.set("two", "größer|\"", dead_letter_exchange="x\"y\\z")
        self.set("op", ".*", operator=True, message_ttl=1)
        wanted = [("one", r"^a\.b", "queues", {"max-length": 5, "overflow": "drop-head"}, 3),
                  ("two", "größer|\"", "all", {"dead-letter-exchange": "x\"y\\z"}, 0)]
        found = [(row["name"], row["pattern"], row["apply-to"], json.loads(row["definition"]), row["priority"])
                 for row in self.rows("list_policies")]
        self.assertEqual(found, wanted)
        self.assertEqual([row["name"] for row in self.rows("list_operator_policies")], ["op"])
        self.assertIn("apply-to", self.ctl("list_policies"))

    # ---- exchanges ----

    def test_an_alternate_exchange(self):
        self.channel.exchange_declare("e", "topic", durable=True)
        self.channel.exchange_declare("alternate", "fanout", durable=True)
        self.declare(*NAMES, "rest")
        self.channel.queue_bind("rest", "alternate")
        for name in NAMES:
            self.channel.queue_bind(name, "e", name)
        with self.assertRaises(UnroutableError):
            self.publish("nowhere", b"1", exchange="e", **MANDATORY)
        self.set("ae", "^e$", "--apply-to", "exchanges", alternate_exchange="alternate")
        self.look_at_alternate()
        self.declare("late")
        self.channel.queue_bind("late", "e", "late")
        self.publish("late", b"3", exchange="e", **MANDATORY)
        self.assertEqual((self.bodies("late"), self.bodies("rest")), ([b"3"], []))
        self.channel.queue_unbind("late", "e", "late")
        self.publish("late", b"4", exchange="e", **MANDATORY)
        self.assertEqual((self.bodies("late"), self.bodies("rest")), ([], [b"4"]))
        self.crash()
        self.assertIn(self.bodies("rest"), ([], [b"4"]))  # what was taken in the last moment may come again
        self.look_at_alternate()
        self.ctl("clear_policy", "ae")
        with self.assertRaises(UnroutableError):
            self.publish("nowhere", b"1", exchange="e", **MANDATORY)
        # Bindings go and come while it has none; then it has one again.
        for name in NAMES:
            self.channel.queue_unbind(name, "e", name)
        self.channel.queue_bind("a-3", "e", "a-3")
        self.set("ae", "^e$", alternate_exchange="alternate")
        for name in NAMES:
            self.publish(name, name.encode(), exchange="e", **MANDATORY)
        self.assertEqual(sorted(self.bodies("rest")), sorted(name.encode() for name in NAMES if name != "a-3"))
        self.assertEqual(self.bodies("a-3"), [b"a-3"])

    def look_at_alternate(self):
        self.publish("nowhere", b"1", exchange="e", **MANDATORY)
        self.assertEqual(self.bodies("rest"), [b"1"])
        for name in NAMES:
            self.publish(name, b"2", exchange="e", **MANDATORY)
            self.assertEqual((self.bodies(name), self.bodies("rest")), ([b"2"], []))

    def test_the_alternate_of_the_arguments_wins(self):
        for name in ("first", "second"):
            self.channel.exchange_declare(name, "fanout")
            self.declare("to-" + name)
            self.channel.queue_bind("to-" + name, name)
        self.channel.exchange_declare("e", "direct", durable=True, arguments={"alternate-exchange": "first"})
        self.set("ae", "^(e|amq.direct)$", alternate_exchange="second")
        self.publish("k", b"1", exchange="e", **MANDATORY)
        self.publish("k", b"2", exchange="amq.direct", **MANDATORY)
        self.assertEqual((self.bodies("to-first"), self.bodies("to-second")), ([b"1"], [b"2"]))
        self.channel.exchange_declare("e", "direct", durable=True, arguments={"alternate-exchange": "first"})

    # ---- they last ----

    def test_they_are_there_after_a_restart_and_a_kill(self):
        self.declare("dead", *NAMES)
        self.set("short", "^a-", max_length=2, dead_letter_exchange="", dead_letter_routing_key="dead")
        self.set("cleared", "^d", max_length=1)
        self.set("lower", "^a-1", operator=True, max_length=1)
        self.ctl("clear_policy", "cleared")
        before = (self.rows("list_policies"), self.rows("list_operator_policies"), self.holding())
        for again in (self.crash, self.crash, lambda: (self.broker.restart(), self.connect()), self.crash):
            again()
            self.assertEqual((self.rows("list_policies"), self.rows("list_operator_policies"), self.holding()), before)
            for name in ["dead", *NAMES]:  # acknowledgements need not have been safe
                self.channel.queue_purge(name)
            for name in NAMES:
                self.publish(name, b"1", b"2", b"3")
                self.assertEqual(len(self.bodies(name)), 1 if name == "a-1" else 2)
            until(lambda: ready(self.channel, "dead") == len(NAMES) + 1, "the dead letters")
            drain(self.channel, "dead")

    def test_a_time_to_live_goes_on_after_a_kill(self):
        self.declare(*NAMES)
        self.set("ttl", "a", message_ttl=1500)
        for name in NAMES:
            self.publish(name, b"1")
        self.crash()
        for name in NAMES:
            until(lambda n=name: ready(self.channel, n) == 0, "the end of the message")

    # ---- what is wrong ----

    def test_what_is_wrong_is_said_and_changes_nothing(self):
        self.declare("a")
        self.set("good", "a", max_length=5)
        before = (self.rows("list_policies"), self.rows("list_operator_policies"), self.holding())
        one = '{"max-length": 1}'
        for words, wanted in [
                (["set_policy", "p", "a", "{"], "not JSON"),
                (["set_policy", "p", "a", "[1]"], "JSON object"),
                (["set_policy", "p", "a", "5"], "JSON object"),
                (["set_policy", "p", "a", '{"max-length": 1, "max-length": 2}'], "duplicate"),
                (["set_policy", "p", "a", "{}"], "says nothing"),
                (["set_policy", "p", "a", '{"max-length": 1.5}'], "'max-length' must be"),
                (["set_policy", "p", "a", '{"max-length": null}'], "'max-length' must be"),
                (["set_policy", "p", "a", '{"max-length": {"a": 1}}'], "'max-length' must be"),
                (["set_policy", "p", "a", '{"max-length": 99999999999999999999}'], "not JSON"),
                (["set_policy", "p", "a", '{"max-length": "5"}'], "'max-length'"),
                (["set_policy", "good", "a", '{"max-length": -1}'], "'max-length'"),
                (["set_policy", "p", "a", '{"max-lengthy": 1}'], "'max-lengthy' is not something a policy can say"),
                (["set_policy", "p", "a", '{"a=b": 1}'], "'a=b' is not something"),
                (["set_policy", "p", "a", '{"max-length": 3, "message-ttl": -3}'], "'message-ttl'"),
                (["set_policy", "p", "a", '{"overflow": "explode"}'], "'overflow'"),
                (["set_policy", "p", "a", '{"dead-letter-exchange": "%s"}' % ("x" * 256)], "'dead-letter-exchange'"),
                (["set_policy", "p", "a", '{"alternate-exchange": 5}'], "'alternate-exchange'"),
                (["set_policy", "p", "a", '{"alternate-exchange": "a\\nb"}'], "control characters"),
                (["set_policy", "p", "(", one], r"'(' is not a regular expression: "),
                (["set_policy", "p", "[z-a]", one], "offset"),
                (["set_policy", "p", "(*UTF)a", one], "not a regular expression"),
                (["set_policy", "good", "a{99999}", one], "not a regular expression"),
                (["set_policy", "p", "x" * 256, one], "the pattern is longer than 255 bytes"),
                (["set_policy", "x" * 256, "a", one], "the name is longer than 255 bytes"),
                (["set_policy", "", "a", one], "needs a name"),
                (["set_policy", "a\tb", "a", one], "control characters"),
                (["set_policy", "p", "a\tb", one], "control characters"),
                (["set_policy", "--apply-to", "banana", "p", "a", one], "apply-to 'banana'"),
                (["set_policy", "--priority", "high", "p", "a", one], "'high'"),
                (["set_policy", "--priority", "9999999999", "p", "a", one], "32 bits, not 9999999999"),
                (["set_policy", "-p", "nowhere", "p", "a", one], "no virtual host nowhere"),
                (["set_policy", "p", "a", '{"dead-letter-exchange": "%s"}' % ("x" * 20000)], "too long"),
                (["set_policy", "p", "a"], "usage: gannetctl set_policy"),
                (["clear_policy", "p"], "no policy 'p' in vhost '/'"),
                (["clear_operator_policy", "good"], "no operator policy 'good'"),
                (["clear_policy", "-p", "nowhere", "p"], "no virtual host nowhere"),
                (["list_policies", "-p", "nowhere"], "no virtual host nowhere"),
                (["set_operator_policy", "p", "a", '{"overflow": "drop-head"}'], "'overflow' is not something an operator"),
                (["set_operator_policy", "p", "a", '{"alternate-exchange": "x"}'], "'alternate-exchange' is not"),
                (["set_operator_policy", "p", "a", '{"max-length": 1, "dead-letter-exchange": "x"}'], "'dead-letter-exchange'"),
        ]:
            self.assertIn(wanted, self.refused(*words))
            self.assertEqual((self.rows("list_policies"), self.rows("list_operator_policies"), self.holding()), before)

    def test_a_pattern_that_never_ends(self):
        names = ["a" * 200 + "-%d" % n for n in range(100)]
        self.declare(*names)
        self.set("slow", "(a+)+$", "--priority", "1", max_length=1)
        self.set("other", "^a", max_length=2)
        self.assertEqual({policy for policy, _ in self.holding().values()}, {"other"})
        self.assertIn("too many steps", self.broker.log.text())
        self.publish(names[0], b"1", b"2", b"3")
        self.assertEqual(self.bodies(names[0]), [b"2", b"3"])

    def test_as_many_as_there_may_be(self):
        path = os.path.join(self.broker.data, "control.sock")
        for n in range(1024):
            self.assertEqual(self.say(path, b"set_policy\t/\t0\tall\tp%d\tx%d\tmax-length=i:1\n" % (n, n)), b"ok\n")
        self.assertIn(b"as many policies", self.say(path, b"set_policy\t/\t0\tall\tone\tx\tmax-length=i:1\n"))
        self.set("p7", "^a", max_length=1)
        self.declare("a-1")
        self.assertEqual(self.holding(), {"a-1": ("p7", "")})
        self.crash()
        self.assertEqual(len(self.rows("list_policies")), 1024)

    def say(self, path, said):
        answer = b""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(path)
            s.sendall(said)
            while part := s.recv(65536):
                answer += part
        return answer

    def test_hostile_clients_of_the_socket(self):
        path = os.path.join(self.broker.data, "control.sock")
        head = b"set_policy\t/\t0\tall\tp\ta\t"
        for said in [b"set_policy", b"set_policy\t", b"set_policy\t\t\t\t\t\t", b"set_policy\t/", b"set_policy\t/\t0",
                     b"set_policy\t/\t0\tall", b"set_policy\t/\t0\tall\tp", b"set_policy\t/\t0\tall\tp\ta", head, head + b"\t",
                     head + b"=", head + b"=s:", head + b"max-length", head + b"max-length=", head + b"max-length=i",
                     head + b"max-length=i:", head + b"max-length=i: 5", head + b"max-length=i:5x", head + b"max-length=b:yes",
                     head + b"max-length=z:5", head + b"max-length=i:99999999999999999999", head + b"max-length=s:5",
                     head + b"max-length=i:5\t", head + b"x" * 300 + b"=i:5", head + b"max-length=b:true",
                     head + b"\xff\xfe=s:\xff", b"set_policy\t/\t\tall\tp\ta\tmax-length=i:5",
                     b"set_policy\t/\t0x\tall\tp\ta\tmax-length=i:5", b"set_policy\t/\t0\tall\t" + b"p" * 300 + b"\ta\tmax-length=i:5",
                     b"clear_policy", b"clear_policy\t/", b"clear_policy\t/\t", b"clear_policy\t/\t\xff", b"list_policies",
                     b"list_policies\t", b"list_policies\t\xff", b"set_policies\t/", b"\t", b"set_operator_policy\t/\t0",
                     head + b"\t".join(b"dead-letter-exchange=s:" + b"x" * 255 for _ in range(50))]:
            answer = self.say(path, said + b"\n")
            self.assertTrue(answer.startswith((b"error ", b"missing ")), (said, answer))
            self.assertEqual(answer.count(b"\n"), 1, (said, answer))
        for said in (head + b"x" * 100000, b"set_policy\0\t/\n", head):
            shout(path, said)
        self.assertEqual(self.rows("list_policies"), [])
        # What isn't UTF-8 is a name like any other.
        self.assertEqual(self.say(path, b"set_policy\t/\t0\tall\t\xff\xfe\t\xff\tmax-length=i:1\n"), b"ok\n")
        self.assertEqual(self.say(path, b"clear_policy\t/\t\xff\xfe\n"), b"ok\n")


class OneRouter(unittest.TestCase):
    """The same where the registrar is alone."""

    def test_alternate_and_length(self):
        with Broker() as broker, broker.channel() as channel:
            channel.confirm_delivery()
            channel.exchange_declare("e", "direct")
            for name in ("q", "rest"):
                channel.queue_declare(name)
            channel.queue_bind("rest", "amq.fanout")
            channel.queue_bind("q", "e", "q")
            subprocess.run([GANNETCTL, "-D", broker.data, "set_policy", "p", "^[eq]$",
                            '{"alternate-exchange": "amq.fanout", "max-length": 1}'], check=True, timeout=60)
            for key in ("q", "q", "other"):
                channel.basic_publish("e", key, key.encode(), pika.BasicProperties(), **MANDATORY)
            self.assertEqual((ready(channel, "q"), ready(channel, "rest")), (1, 1))


if __name__ == "__main__":
    main()

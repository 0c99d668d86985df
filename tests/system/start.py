"""How a broker starts: quickly, saying what it takes; and how it refuses a wrong configuration."""
import os
import re
import socket
import subprocess
import time
import unittest

import pika

from broker import GANNETD, SANITIZED, Broker, cores
from runner import main

# The promise is a second; a sanitizer, and other tests beside this one, take their share.
START_S = 5 if SANITIZED else 1
BAD_CONFIGURATIONS = [
    ("listeners.ampq = 127.0.0.1:0", r":1: unknown key 'listeners.ampq'; did you mean 'listeners.amqp'\?"),
    ("log.level = info\n# a comment\nmemory.budgte = 1 GiB", r":3: unknown key 'memory.budgte'; did you mean 'memory.budget'\?"),
    ("listeners.amqp = 127.0.0.1", r":1: listeners.amqp: .*'127.0.0.1'"),
    ("listeners.amqp = 127.0.0.1:99999", r":1: listeners.amqp: .*99999"),
    ("listeners.amqp = localhost:5672", r":1: listeners.amqp: .*localhost"),
    ("amqp.frame_max = 1 KiB", r":1: amqp.frame_max: '1 KiB' is not between 4 KiB and 128 KiB"),
    ("amqp.heartbeat = soon", r":1: amqp.heartbeat: 'soon' is not a duration"),
    ("memory.budget = 400 %", r":1: memory.budget: .*'400 %'"),
    ("busy_poll = maybe", r":1: busy_poll: 'maybe' is neither true nor false"),
    ("log.level = loud", r":1: log.level: 'loud' is none of error, warning, info and debug"),
    ("just some words", r":1: 'just some words' is not 'key = value'"),
    ("vhosts = /\nvhosts = a", r":2: vhosts is set in line 1 already"),
    ("cores.router = x", r":1: cores.router: 'x' is neither auto nor a list of cores"),
]
ABSENT = ["management", "metrics"]


def run(*words):
    return subprocess.run([GANNETD, *words], capture_output=True, text=True, timeout=60, check=False)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


class Start(unittest.TestCase):
    def test_within_a_second(self):
        with Broker(start=False, env={"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}) as broker:
            from_s = time.monotonic()
            broker.start()
            took = time.monotonic() - from_s
            print("started in %.0f ms" % (took * 1000))
            self.assertLess(took, START_S)
            broker.connect().close()

    def test_memory_bill(self):
        with Broker(memory__budget="96 MiB", connections_max=100) as broker:
            bill = [line for line in broker.log.lines if " memory: " in line]
            self.assertRegex(bill[0], r"memory\.budget\) +96 MiB = +1 x 96 MiB$")
            self.assertRegex("\n".join(bill), r"100 x ")
            self.assertRegex(bill[-1], r"memory: total +\d+ MiB ")

    def test_log_lines_have_one_form(self):
        with Broker() as broker:
            broker.connect().close()
            broker.stop()
            for line in broker.log.lines:
                self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info|debug) [\w ]+: .+$")

    def test_several_listeners(self):
        with Broker(start=False) as broker:
            wanted = [broker.address + ":0", "127.0.0.1:0"] + (["[::1]:0"] if has_ipv6() else [])
            broker.settings["listeners.amqp"] = ",".join(wanted)
            broker.start()
            self.assertEqual(len(broker.ports), len(wanted))
            for address, port in zip(wanted, broker.ports):
                host = address.rpartition(":")[0].strip("[]")
                with pika.BlockingConnection(pika.ConnectionParameters(host, port)) as connection:
                    connection.channel().queue_declare("from-" + host)
            if len(wanted) == 2:
                print("IPv6 was not tried: this machine has no ::1")

    def test_any_placement(self):
        for fronts, routers, journals in ((1, 1, 1), (3, 4, 2), (1, 8, 8)):
            with Broker(fronts=fronts, routers=routers, cores__journal=cores(journals), disk__free_limit="0") as broker:
                with broker.channel() as channel:
                    for n in range(8):
                        channel.queue_declare("q%d" % n, durable=True)

    def test_another_number_of_routers_is_refused(self):
        with Broker(routers=2) as broker:
            broker.stop()
            broker.settings["cores.router"] = cores(3)
            self.assertRegex(broker.start_fails(), r"made with 2 routers, cores.router asks for 3")
            broker.settings["cores.router"] = "auto"
            broker.start()

    def test_help_version(self):
        helped = run("--help")
        self.assertEqual(helped.returncode, 0)
        for key in ("listeners.amqp", "memory.budget", "--check-config"):
            self.assertIn(key, helped.stdout)
        self.assertRegex(run("--version").stdout, r"^gannetd \d+\.\d+\.\d+\n$")
        self.assertEqual(run("--nonsense").returncode, 2)
        self.assertEqual(run("nonsense").returncode, 2)

    def test_a_core_that_does_not_exist(self):
        with Broker(start=False, cores__front="1023") as broker:
            self.assertRegex(broker.start_fails(), r"cores.front: core 1023 does not exist")

    def test_data_directory_that_cannot_be(self):
        with Broker(start=False) as broker:
            broker.data = "/dev/null/data"
            self.assertIn("cannot make the data directory /dev/null/data: ", broker.start_fails())


class Configuration(unittest.TestCase):
    def file(self, text):
        path = os.path.join(self.broker.own, "gannet.conf")
        with open(path, "w") as f:
            f.write(text + "\n")
        return path

    def setUp(self):
        self.broker = Broker(start=False)
        self.enterContext(self.broker)

    def test_check_config(self):
        good = run("-c", self.file("listeners.amqp = 127.0.0.1:0 # here\n\n  memory.budget=50 %"), "--check-config")
        self.assertEqual((good.returncode, good.stdout, good.stderr), (0, "the configuration is good\n", ""))
        self.assertFalse(os.path.exists(self.broker.data), "--check-config made the data directory")

    def test_bad_configurations(self):
        for text, wanted in BAD_CONFIGURATIONS:
            path = self.file(text)
            for more in (["--check-config"], ["-D", self.broker.data]):
                with self.subTest(text, more=more):
                    refused = run("-c", path, *more)
                    self.assertEqual(refused.returncode, 1)
                    # One sentence, and nothing else.
                    self.assertRegex(refused.stderr, "^" + re.escape(path) + wanted + "[^\n]*\n$")
                    self.assertFalse(os.path.exists(self.broker.data))

    def test_all_errors_at_once(self):
        refused = run("-c", self.file("a = 1\nlog.level = info\nb = 2"), "--check-config")
        self.assertEqual(len(refused.stderr.splitlines()), 2)

    def test_a_file_that_is_not_there(self):
        refused = run("-c", "/nowhere/gannet.conf", "--check-config")
        self.assertEqual((refused.returncode, refused.stderr), (1, "/nowhere/gannet.conf: No such file or directory\n"))

    def test_set_wins_over_the_file(self):
        path = self.file("max_message_size = 1 KiB\nlog.level = info")
        self.assertEqual(run("-c", path, "--set", "max_message_size=2 KiB", "--check-config").returncode, 0)
        refused = run("-c", path, "--set", "max_message_size=1", "--check-config")
        self.assertRegex(refused.stderr, r"^--set: max_message_size: '1' is not between")
        refused = run("--set", "max_message_size", "--check-config")
        self.assertRegex(refused.stderr, r"^--set: 'max_message_size' is not KEY=VALUE")
        self.broker.config = path
        self.broker.settings["max_message_size"] = "2 KiB"
        self.broker.start()
        with self.broker.channel() as channel:
            channel.queue_declare("q")
            channel.confirm_delivery()
            channel.basic_publish("", "q", b"x" * 2048)

    def test_protocols_that_are_not_there(self):
        """Rather than listening less than was asked for."""
        for name in ABSENT:
            refused = run("--set", "listeners.%s=127.0.0.1:0" % name, "--check-config")
            self.assertEqual(refused.returncode, 1, name)
            self.assertRegex(refused.stderr, r"^--set: listeners\.%s: this version of Gannet has no [A-Za-z ]+( \([a-z -]+\))?; remove the line\n$" % name)
        refused = run("--set", "listeners.gopher=127.0.0.1:0", "--check-config")
        self.assertRegex(refused.stderr, r"^--set: unknown key 'listeners.gopher'; did you mean 'listeners\.")


if __name__ == "__main__":
    main()

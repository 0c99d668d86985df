"""gannetctl doctor: what it says of a broker that runs, one that doesn't, and of what is wrong with them."""
import os
import socket
import subprocess
import unittest

from broker import GANNETCTL, PATIENCE_S, Broker
from management import Mgmtd
from runner import main


class Doctor(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(Broker())

    def ctl(self, *words):
        done = subprocess.run([GANNETCTL, "-D", self.broker.data, *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)

    def look(self, *lines, status=0):
        """{what: (ok, warn or FAIL, text)}, with a configuration of these lines."""
        config = os.path.join(self.broker.own, "gannet.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
        done = subprocess.run([GANNETCTL, "-D", self.broker.data, "doctor", "-c", config], capture_output=True, text=True, timeout=PATIENCE_S,
                              check=False)
        self.assertEqual((done.returncode, done.stderr), (status, ""), done.stdout)
        found = {line[6:22].strip(): (line[:6].strip(), line[23:]) for line in done.stdout.splitlines()}
        self.assertEqual(status, int(any(how == "FAIL" for how, _ in found.values())))
        self.assertLessEqual({how for how, _ in found.values()}, {"ok", "warn", "FAIL"})
        return found

    def test_one_that_is_well(self):
        found = self.look()
        for what in "config", "broker", "files", "journals", "listeners", "clock", "io_uring":
            self.assertEqual(found[what][0], "ok", (what, found[what]))
        self.assertIn("process %d" % self.broker.pid, found["broker"][1])
        self.assertIn("%s:%d" % (self.broker.address, self.broker.port), found["listeners"][1])
        self.assertNotIn("huge pages", found)

    def test_the_password_that_everybody_knows(self):
        self.assertEqual(self.look()["guest"][0], "warn")
        self.assertEqual(self.look("loopback_users =", status=1)["guest"][0], "FAIL")
        self.ctl("change_password", "guest", "another")
        self.assertEqual(self.look("loopback_users =")["guest"][0], "ok")

    def test_drained(self):
        self.assertNotIn("drained", self.look())
        self.ctl("suspend_listeners")
        found = self.look(status=1)
        self.assertEqual((found["drained"][0], found["listeners"][0]), ("warn", "FAIL"))
        self.assertIn("Connection refused", found["listeners"][1])

    def test_mgmtd(self):
        self.assertIn("does not run", self.look()["gannet-mgmtd"][1])
        with Mgmtd(self.broker.data):
            self.assertEqual(self.look()["gannet-mgmtd"][0], "ok")

    def test_a_wrong_configuration(self):
        found = self.look("# a comment", "nonsense = 1", status=1)
        self.assertEqual(found["config"][0], "FAIL")
        self.assertIn("nonsense", found["config"][1])

    def test_room_on_the_disk(self):
        self.assertEqual(self.look("disk.free_limit = 1 KiB")["space"][0], "ok")
        self.assertEqual(self.look("disk.free_limit = 1000000 GiB", status=1)["space"][0], "FAIL")

    def test_one_that_does_not_run(self):
        self.broker.stop()
        at = self.broker.settings["listeners.amqp"]
        others = ["listeners.%s =" % kind for kind in ("mqtt", "web_mqtt", "stomp", "web_stomp")]
        found = self.look("listeners.amqp = " + at, *others)
        self.assertEqual((found["broker"][0], found["ports"][0]), ("warn", "ok"))
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((self.broker.address, self.broker.port))
            taken.listen()
            found = self.look("listeners.amqp = " + at, *others, status=1)
            self.assertEqual(found["port %d" % self.broker.port][0], "FAIL")
        self.broker.start()

    def test_a_configuration_for_the_kernel_bypass(self):
        found = self.look("net.transport = dpdk", "dpdk.address = 10.0.0.2/24", "listeners.amqp = 10.0.0.2:5672", "dpdk.eal = --no-huge --no-pci")
        self.assertEqual(found["huge pages"][0], "warn")


if __name__ == "__main__":
    main()

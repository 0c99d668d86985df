"""Each router has alarms of its own: of its share of memory, and of the disk under its journal. Only who publishes to the one
that is short is held back, and told what of; it goes on by itself. Router 1's journal is on a small disk of the test's own."""
import contextlib
import json
import os
import subprocess
import unittest

from broker import GANNETCTL, PERSISTENT, TRANSIENT, Broker, ready, take, until
from management import Mgmtd
from publish import Publishing
from runner import main
from small_disk import MIB, Flood, ballast, number_of, own_mounts, small_disk

FREE_LIMIT = "16 MiB"
SHORT = 1  # the router that is


class Alarms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        own_mounts()

    def setUp(self):
        self.disk = self.enterContext(small_disk())
        self.broker = Broker(routers=2, disk__free_limit=FREE_LIMIT, memory__budget="64 MiB")
        os.makedirs(self.broker.data)
        os.symlink(self.disk, os.path.join(self.broker.data, "router-%d" % SHORT))
        self.enterContext(self.broker)
        self.mgmtd = self.enterContext(Mgmtd(self.broker.data))

    def router_of(self, name):
        """Its declaration is in the journal of its router, and in no other."""
        has = []
        for router in range(2):
            directory = os.path.join(self.broker.data, "router-%d" % router)
            for first in sorted(file for file in os.listdir(directory) if file.endswith(".seg"))[:1]:
                with open(os.path.join(directory, first), "rb") as file:
                    if name.encode() in file.read(4 * MIB):
                        has.append(router)
        self.assertEqual(len(has), 1, name)
        return has[0]

    def queues(self):
        """One of each router."""
        found = {}
        with self.broker.channel() as channel:
            for n in range(64):
                name = "queue-%d-" % n
                channel.queue_declare(name, durable=True)
                found.setdefault(self.router_of(name), name)
                if len(found) == 2:
                    return found[1 - SHORT], found[SHORT]
        raise AssertionError("64 queues of one router")

    def others_go_on(self, queue):
        """At full speed: so many messages, persistent ones too, and nobody is told anything."""
        told = []
        publishing = Publishing(self.broker.parameters(), [b"%d" % n for n in range(500)], key=queue, on_blocked=told.append).run()
        self.assertEqual((len(publishing.confirmed), told), (500, []))
        with self.broker.channel() as channel:
            self.assertEqual([int(data) for data, _ in take(channel, queue, 500)], list(range(500)))

    def check(self, resource):
        """What operators are told: None, or what is short."""
        for path in "alarms", "local-alarms":
            status, body = until(lambda path=path: self.wanted(path, resource), path)
            if resource:
                self.assertIn({"node": body["alarms"][0]["node"], "resource": resource, "router": SHORT}, body["alarms"])
                self.assertIn("%s of router %d" % (resource, SHORT), body["reason"])
        self.check_gannetctl(resource)
        _, (node, *_) = self.mgmtd.status("/api/nodes")
        if resource:
            self.assertTrue(node[{"disk": "disk_free_alarm", "memory": "mem_alarm"}[resource]])
            self.assertIn('gannet_router_alarm_%s{router="%d"} 1' % (resource, SHORT), self.mgmtd.metrics())
            self.assertIn('gannet_router_alarm_%s{router="%d"} 0' % (resource, 1 - SHORT), self.mgmtd.metrics())
        else:
            self.assertEqual((node["mem_alarm"], node["disk_free_alarm"]), (False, False))
        self.assertEqual((node["disk_free_limit"], node["mem_limit"]), (16 * MIB, 80 * MIB))

    def check_gannetctl(self, resource):
        on = json.loads(self.ctl(0, "--json", "alarms"))
        if resource:
            self.assertIn({"router": SHORT, "resource": resource}, on)
            self.assertNotIn(1 - SHORT, [alarm["router"] for alarm in on])
        else:
            self.assertEqual(on, [])
        for verb in "check_alarms", "check_local_alarms":
            said = self.ctl(1 if resource else 0, verb)
            self.assertIn("router %d is short of %s" % (SHORT, resource) if resource else "No alarm", said)
        (self.assertRegex if resource else self.assertNotRegex)(self.ctl(0, "top", "--once"), "ALARM: short of .*%s" % (resource or ""))

    def ctl(self, status, *words):
        done = subprocess.run([GANNETCTL, "-D", self.broker.data, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stdout)
        return done.stdout

    def wanted(self, path, resource):
        status, body = self.mgmtd.status("/api/health/checks/" + path)
        if (status == 503) != bool(resource) or (resource and resource not in body["reason"]):
            return None
        return status, body

    def drain(self, queue, count):
        with self.broker.channel() as channel:
            return [number_of(data) for data, _ in take(channel, queue, count)]

    def hold_back(self, properties, resource, reason, fine, short):
        flood = Flood(self.broker, key=short, properties=properties)
        flood.until_told(True)
        self.assertEqual(flood.reasons[0], reason)
        self.others_go_on(fine)
        self.check(resource)
        return flood

    def goes_on(self, flood, short, resource):
        """Consumers make room: what was held back comes through. (Were it to send more, it would soon be held back again.)"""
        flood.stop = True
        with self.broker.channel() as channel:
            left = ready(channel, short)
        got = self.drain(short, left)
        flood.until_told(False)
        publishing = flood.end()
        self.assertEqual((len(publishing.waiting), len(publishing.nacked)), (0, 0))
        self.assertGreater(publishing.sent, left)
        with self.broker.channel() as channel:
            left = ready(channel, short)
        self.assertEqual(got + self.drain(short, left), list(range(publishing.sent)))
        line = 'gannet_router_alarm_%s{router="%d"} 0' % (resource, SHORT)
        until(lambda: line in self.mgmtd.metrics(), "the alarm's end")

    def test_disk(self):
        fine, short = self.queues()
        self.check(None)
        flood = self.hold_back(PERSISTENT, "disk", "low on disk (router 1)", fine, short)
        self.goes_on(flood, short, "disk")
        self.check(None)
        self.assertTrue(self.broker.log.wait("router 1 has room on disk again"))
        self.assertFalse(self.broker.log.find("router 0 has no room"))

    def test_memory(self):
        """Pages would be spilled first, but the disk is full of something else."""
        fine, short = self.queues()
        with ballast(self.disk, 1 * MIB):
            flood = self.hold_back(TRANSIENT, "memory", "low on memory (router 1)", fine, short)
            self.goes_on(flood, short, "memory")
        self.assertTrue(self.broker.log.wait("router 1 has memory for messages again"))
        self.assertFalse(self.broker.log.find("router 0 is out of memory"))


if __name__ == "__main__":
    main()

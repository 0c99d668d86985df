"""The broker on a port of DPDK whose other end is the kernel of this machine (net_tap), and pika over it.

Root only: the test is in a network namespace of its own, where it may make interfaces.
"""
import contextlib
import ctypes
import os
import socket
import subprocess
import sys
import threading
import unittest

import pika

from broker import PERSISTENT, Broker, cores, drain, own_address, take, until
from runner import MESON_SKIP, main

CLONE_NEWNET = 0x40000000
PORT, OURS = "10.9.0.2", "10.9.0.1"
PORT6, OURS6 = "fd00:9::2", "fd00:9::1"
TAP, KERNEL = "gannettap0", "gannetkernel0"
EAL = "--no-huge --no-pci -m 192 --vdev=net_tap0,iface=" + TAP


def own_network():
    """True if this process is now in a network namespace of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun") or libc.unshare(CLONE_NEWNET) != 0:
        return False
    return subprocess.run(["ip", "link", "set", "lo", "up"], check=False).returncode == 0


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class DpdkBroker(Broker):
    """The interface is there when the broker is, and goes with it."""

    def __init__(self, **settings):
        settings.setdefault("listeners__amqp", PORT + ":5672")
        super().__init__(net__transport="dpdk", dpdk__eal=EAL, dpdk__address="%s/24,%s/64" % (PORT, PORT6), **settings)
        self.address = PORT

    def start(self):
        super().start()
        ip("addr", "add", OURS + "/24", "dev", TAP)
        ip("addr", "add", OURS6 + "/64", "dev", TAP, "nodad")
        return self


# What stands for the kernel's side of the exception path: a host of its own with the port's address, which echoes.
ECHO_HOST = """
import socket, subprocess, sys, threading
interface, address = sys.argv[1:]
print(flush=True)
sys.stdin.readline()
for words in (["link", "set", "lo", "up"], ["addr", "add", address, "dev", interface], ["link", "set", interface, "up"]):
    subprocess.run(["ip", *words], check=True)
listener = socket.create_server(("", 0))
print(listener.getsockname()[1], flush=True)

def echo(s):
    with s:
        while data := s.recv(65536):
            s.sendall(data)
while True:
    threading.Thread(target=echo, args=listener.accept()[:1], daemon=True).start()
"""


@contextlib.contextmanager
def kernel_host(interface):
    """Gives the interface to a process in a network namespace of its own; yields the port where that echoes."""
    host = subprocess.Popen(["unshare", "-n", sys.executable, "-c", ECHO_HOST, interface, PORT + "/24"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        host.stdout.readline()
        ip("link", "set", interface, "netns", str(host.pid))
        host.stdin.write("\n")
        host.stdin.flush()
        yield int(host.stdout.readline())
    finally:
        host.kill()
        host.wait()


def echoed(address, data):
    """What comes back of it."""
    got = b""
    with socket.create_connection(address, 10) as s:
        sender = threading.Thread(target=s.sendall, args=(data,))
        sender.start()
        while len(got) < len(data) and (part := s.recv(65536)):
            got += part
        sender.join()
    return got


class DpdkTap(unittest.TestCase):
    def sizes(self, broker):
        """Messages of many sizes, confirmed, there and back."""
        bodies = [bytes([n % 251]) * (n * n * 7) for n in range(150)]
        with broker.channel() as channel:
            channel.queue_declare("sizes", durable=True)
            channel.confirm_delivery()
            for body in bodies:
                channel.basic_publish("", "sizes", body, PERSISTENT)
            self.assertEqual([body for body, _ in take(channel, "sizes", len(bodies))], bodies)

    def test_publish_and_consume(self):
        with DpdkBroker() as broker:
            self.assertTrue(broker.log.find(r"dpdk: net_tap0 \(net_tap\), "))
            self.sizes(broker)

    def test_two_fronts(self):
        with DpdkBroker(fronts=2) as broker:
            self.assertTrue(broker.log.find(r"the fronts hand frames over"))
            for _ in range(8):
                self.sizes(broker)

    def test_kill9(self):
        with DpdkBroker() as broker:
            with broker.channel() as channel:
                channel.queue_declare("q", durable=True)
                channel.confirm_delivery()
                for n in range(200):
                    channel.basic_publish("", "q", b"%d" % n, PERSISTENT)
            broker.kill9()
            broker.restart()
            with broker.channel() as channel:
                self.assertEqual([body for body, _ in drain(channel, "q")], [b"%d" % n for n in range(200)])

    def test_ipv6_and_sockets_beside(self):
        beside = own_address()
        with DpdkBroker(listeners__amqp="[::]:5672,sockets:%s:0" % beside) as broker:
            broker.address = PORT6
            self.sizes(broker)
            broker.address = beside
            with pika.BlockingConnection(pika.ConnectionParameters(beside, broker.ports[1])) as connection:
                self.assertEqual(connection.channel().queue_declare("sizes", durable=True).method.message_count, 0)

    def test_connections_come_and_go(self):
        with DpdkBroker() as broker:
            for n in range(100):
                with socket.create_connection((PORT, 5672), 10) as s:
                    s.sendall(b"AMQP\x00\x00\x09\x01"[:n % 9])
                    if n % 3 == 0:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection((PORT, 5673), 10)
            self.sizes(broker)

    def test_the_kernel_gets_what_is_not_for_the_broker(self):
        with DpdkBroker(dpdk__kernel=KERNEL) as broker, kernel_host(KERNEL) as port:
            text = os.urandom(300000)
            for _ in range(3):
                self.assertEqual(echoed((PORT, port), text), text)
                self.sizes(broker)
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection((PORT, port + 1), 10)
            subprocess.run(["ping", "-c", "2", "-i", "0.2", "-W", "5", PORT], check=True, stdout=subprocess.DEVNULL)

    def test_frames_are_recorded(self):
        with DpdkBroker(start=False) as broker:
            path = os.path.join(broker.own, "x.pcap")
            broker.settings["dpdk.pcap"] = path
            broker.start()
            broker.connect().close()
            # A turn without frames writes them out.
            until(lambda: os.path.getsize(path) > 2000, "frames in the file")
            with open(path, "rb") as file:
                self.assertEqual(file.read(4), b"\x4d\x3c\xb2\xa1")

    def test_it_sleeps_when_idle(self):
        with DpdkBroker(cores__front=cores(1)) as broker:
            broker.connect().close()

            def ticks():
                with open("/proc/%d/stat" % broker.pid, encoding="ascii") as file:
                    return sum(int(word) for word in file.read().rsplit(")", 1)[1].split()[11:13])

            before = ticks()
            with self.assertRaises(AssertionError):
                until(lambda: False, "nothing", 2)
            self.assertLess((ticks() - before) / os.sysconf("SC_CLK_TCK"), 1.2)


if not own_network():
    print("skipped: needs root, /dev/net/tun and ip (iproute2)")
    sys.exit(MESON_SKIP)
main()

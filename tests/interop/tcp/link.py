"""A Linux kernel of our own (a network namespace, this process's and its children's) with interfaces on which our TCP is
the other side.

    with link.Peer(listen=True, receive=1000, send=1000) as peer:
        with peer.connect() as stream:
            link.exchange(stream, send=1000, receive=1000, listening=False)
        peer.done()
    link.main()

The namespace has no name and goes with the process, so tests run side by side and leave nothing behind.
"""
import ctypes
import os
import re
import select
import socket
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "system"))
import runner  # noqa: E402

PEER = os.environ.get("TCP_PEER", "tcp-peer")
PATIENCE_S = int(os.environ.get("PATIENCE_S", "60"))
PORT = 7000
CLONE_NEWNET = 0x40000000

# ---- the bytes: as in pattern.c ----

PERIOD = 65521
WAY_OFFSET = 30011
PIECE = 1 << 20


def _block():
    x, out = 1, bytearray()
    for _ in range(PERIOD):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(x >> 24)
    return bytes(out) * (PIECE // PERIOD + 2)


BLOCK = memoryview(_block())


def pattern(listening, position, length):
    """At most PIECE bytes of what the listening (or the connecting) side sends."""
    start = (position + (WAY_OFFSET if listening else 0)) % PERIOD
    return BLOCK[start:start + min(length, PIECE)]


# ---- the namespace ----

def _obstacle():
    if os.geteuid() != 0:
        return "making network namespaces needs root"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    if not shutil.which("ip"):
        return "there is no ip (iproute2)"
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return "unshare: " + os.strerror(ctypes.get_errno())
    return None


def main():
    """Runs the tests of the file in a network of this process's own."""
    why_not = _obstacle()
    if why_not:
        print("skipped: " + why_not)
        sys.exit(runner.MESON_SKIP)
    run("ip link set lo up")
    runner.main()


def run(command, **options):
    return subprocess.run(command.split(), check=True, **options)


def sysctl(name, value):
    """Of this namespace only. Returns what it was."""
    path = "/proc/sys/net/ipv4/" + name
    with open(path) as file:
        before = file.read().strip()
    with open(path, "w") as file:
        file.write(str(value))
    return before


# ---- our TCP ----

def arguments(options):
    words = []
    for key, value in options.items():
        words.append("--" + key.replace("_", "-"))
        if value is not True:
            words.append(str(value))
    return words


class Peer:
    """The process. The kernel's end of its interface is address(1), its own address(2)."""
    count = 0

    def __init__(self, family=4, mtu=1500, device=None, interface=None, listen=False, **options):
        Peer.count += 1
        self.number = Peer.count
        self.family = family
        self.mtu = mtu
        self.tap = interface or "t%d" % self.number
        self.lines = []
        self.listener = None
        own = {"device": device or "tap:" + self.tap, "mtu": mtu, "seed": self.number,
               "address": "%s/%d" % (self.address(2), 24 if family == 4 else 64)}
        if listen:
            own["listen"] = self.text(2, PORT)
        else:
            self.listener = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
            self.listener.settimeout(PATIENCE_S)
        self.options = dict(own, **options)
        self.process = None

    def address(self, host):
        if self.family == 4:
            return "10.%d.%d.%d" % (1 + self.number // 250, self.number % 250, host)
        return "fd00:%d::%d" % (self.number, host)

    def text(self, host, port):
        return ("%s:%d" if self.family == 4 else "[%s]:%d") % (self.address(host), port)

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _start(self):
        if self.listener:
            self.options.setdefault("connect", self.text(1, PORT))
        # setpriv: should this test be killed, the peer goes with it.
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", PEER] + arguments(self.options),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # DPDK may say something before.
        while (line := self.process.stdout.readline()) and line.strip() != "ready":
            pass
        assert line, "the peer did not start"
        self._up()
        if self.listener:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((self.address(1), PORT))
            self.listener.listen(1024)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def _up(self):
        if self.family == 4:
            # Or the kernel's own first words are on the wire.
            sysctl("../ipv6/conf/%s/disable_ipv6" % self.tap, 1)
        run("ip link set %s mtu %d up" % (self.tap, self.mtu))
        run("ip addr add %s/%d dev %s%s" % (self.address(1), 24 if self.family == 4 else 64, self.tap,
                                            "" if self.family == 4 else " nodad"))

    def __exit__(self, *_):
        if self.listener:
            self.listener.close()
        if self.process:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            if hasattr(self, "reader"):
                self.reader.join(PATIENCE_S)
            self.process.stdout.close()

    def go(self):
        """It connects now."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def connect(self, receive_buffer=0):
        stream = socket.socket(socket.AF_INET if self.family == 4 else socket.AF_INET6)
        if receive_buffer:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        stream.settimeout(PATIENCE_S)
        stream.connect((self.address(2), PORT))
        return stream

    def accept(self):
        stream, _ = self.listener.accept()
        stream.settimeout(PATIENCE_S)
        return stream

    def done(self, status=0):
        """It has ended by itself. Returns its connections' lines and the stack's counters."""
        assert self.process.wait(PATIENCE_S) == status, "the peer ended with %r: %s" % (self.process.returncode, self.lines)
        self.reader.join(PATIENCE_S)
        stats = {key: int(value) for line in self.lines if line.startswith(("stats", "wire"))
                 for key, value in re.findall(r"(\w+)=(\d+)", line)}
        return [line for line in self.lines if not line.startswith(("stats", "wire"))], stats


# ---- the kernel's side of a connection ----

def exchange(stream, send, receive, listening, more=lambda sent, received: None, shut=False):
    """Sends so many bytes and takes so many at the same time, checking each. shut: the FIN follows the last byte at once."""
    sent = received = 0
    stream.setblocking(False)
    while sent < send or received < receive:
        more(sent, received)
        readable, writable, _ = select.select([stream] if received < receive else [], [stream] if sent < send else [], [],
                                              PATIENCE_S)
        assert readable or writable, "nothing goes on at %d of %d sent, %d of %d received" % (sent, send, received, receive)
        if readable:
            data = stream.recv(min(PIECE, receive - received))
            assert data, "it ended after %d of %d bytes" % (received, receive)
            assert data == pattern(not listening, received, len(data)), "wrong bytes after %d" % received
            received += len(data)
        if writable:
            sent += stream.send(pattern(listening, sent, send - sent))
            if sent == send and shut:
                stream.shutdown(socket.SHUT_WR)
    stream.settimeout(PATIENCE_S)


def at_end(stream):
    """Whether the FIN is what comes next."""
    return stream.recv(1) == b""

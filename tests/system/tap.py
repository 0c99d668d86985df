"""Brokers on our own TCP: with GANNET_TRANSPORT=dpdk every broker of a test is on a port of DPDK whose other end is an
interface of this machine (net_tap), so that clients of the kernel's sockets reach it.

The test's process is then in a network namespace of its own; each broker has an interface and a network of its own there:
the broker is 10.9.N.2, its clients are 10.9.N.1. Root only.
"""
import ctypes
import os
import subprocess
import sys

WANTED = os.environ.get("GANNET_TRANSPORT") == "dpdk"
CLONE_NEWNET = 0x40000000
SKIPPED = 77  # for meson
# A kernel whose process is killed resets its connections; a port that is gone says nothing, so clients have to ask.
KEEPALIVE = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 5, "TCP_USER_TIMEOUT": 5000}


def enter():
    """This process and its children, from now on, have a network of their own; or it ends, with the reason."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0:
        reason = "it makes an interface, and that wants root"
    elif not os.path.exists("/dev/net/tun"):
        reason = "there is no /dev/net/tun"
    elif libc.unshare(CLONE_NEWNET) != 0:
        reason = "no network namespace: " + os.strerror(ctypes.get_errno())
    else:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    print("skipped: " + reason)
    sys.exit(SKIPPED)


class Tap:
    """One broker's port."""

    count = 0

    def __init__(self):
        Tap.count += 1
        self.number = Tap.count
        self.interface = "gtap%d" % self.number
        self.address = "10.9.%d.2" % self.number
        self.ours = "10.9.%d.1" % self.number

    def settings(self):
        # No hugepages are needed, and memory enough for the port's buffers of four fronts.
        return {"net.transport": "dpdk", "dpdk.address": self.address + "/24",
                "dpdk.eal": "--no-huge --no-pci -m 192 --vdev=net_tap0,iface=" + self.interface}

    def up(self):
        """The interface comes and goes with the broker's process: after each start."""
        subprocess.run(["ip", "addr", "add", self.ours + "/24", "dev", self.interface], check=True)

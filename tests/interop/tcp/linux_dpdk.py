"""Our TCP on DPDK's ports for a Linux peer: net_tap, and net_af_packet on a veth."""
import os
import unittest

import link

MIB = 1 << 20
EAL = "dpdk:--no-pci --no-huge -m 256 --file-prefix gannet-test-%d --vdev=%s"


class Dpdk(unittest.TestCase):
    def bulk(self, device, interface, **options):
        size = 2 * MIB
        with link.Peer(device=EAL % (os.getpid(), device), interface=interface, listen=True, send=size, receive=size, end="first",
                       **options) as peer:
            with peer.connect() as stream:
                link.exchange(stream, size, size, listening=False)
                self.assertTrue(link.at_end(stream))
            lines, stats = peer.done()
            self.assertEqual(lines, ["closed sent=%d received=%d error=0" % (size, size)])
            self.assertEqual(stats["sum"], 0)

    def test_tap(self):
        self.bulk("net_tap0,iface=dtap0", "dtap0")

    def test_tap_ipv6_with_loss(self):
        self.bulk("net_tap0,iface=dtap1", "dtap1", family=6, lost=5000)

    def test_af_packet_on_a_veth(self):
        link.run("ip link add vpeer type veth peer name vours")
        # What the kernel leaves to a device that isn't there: sums, and cutting into segments.
        link.run("ethtool -K vpeer tx off", stdout=-3)
        link.sysctl("../ipv6/conf/vours/disable_ipv6", 1)
        link.run("ip link set vours up")
        self.bulk("net_af_packet0,iface=vours,blocksz=65536,framesz=2048,framecnt=4096", "vpeer", lost=1000)


if __name__ == "__main__":
    link.main()

"""What a broker says to a configuration for DPDK that can't work: one sentence, that names the key and what to do."""
import os
import subprocess
import unittest

from broker import GANNETD, Broker, arguments, cores
from runner import main

ADDRESS = "10.9.0.2/24"
NULL = "--no-huge --no-pci -m 64 --vdev=net_null0"

# Found without starting anything: (settings, what is said).
CONTRADICTIONS = [
    ({"dpdk.address": ""}, r"dpdk\.address is empty and a listener is DPDK's: give the port an address of its own"),
    ({"dpdk.address": "10.9.0.2"}, r"dpdk\.address: '10\.9\.0\.2' is not ADDRESS/BITS, such as"),
    ({"dpdk.address": "10.9.0.2/33"}, r"dpdk\.address: '10\.9\.0\.2/33' is not ADDRESS/BITS"),
    ({"dpdk.address": "127.0.0.1/8", "listeners.amqp": "0.0.0.0:1"}, r"dpdk\.address: 127\.0\.0\.1/8 is no address of a host"),
    ({"dpdk.gateway": "10.9.1.1"}, r"dpdk\.gateway: 10\.9\.1\.1 is in none of the networks of dpdk\.address"),
    ({"dpdk.gateway": "10.9.0.2"}, r"dpdk\.gateway: 10\.9\.0\.2 is in dpdk\.address: it is the broker itself"),
    ({"dpdk.gateway": "10.9.0.1,10.9.0.3"}, r"dpdk\.gateway: 10\.9\.0\.3 is the second for IPv4"),
    ({"dpdk.gateway": "router"}, r"dpdk\.gateway: 'router' is not an IPv4 or IPv6 address"),
    ({"listeners.amqp": "10.9.0.3:5672"}, r"listeners\.amqp: 10\.9\.0\.3:5672 is DPDK's and is none of dpdk\.address"),
    ({"net.transport": "sockets", "listeners.amqp": "dpdk:10.9.0.3:1"}, r"listeners\.amqp: dpdk:10\.9\.0\.3:1 is DPDK's"),
    ({"listeners.amqp": "rdma:10.9.0.2:5672"}, r"listeners\.amqp: 'rdma:10\.9\.0\.2' is not an IPv4 address"),
    ({"net.transport": "xdp"}, r"net\.transport: 'xdp' is none of sockets and dpdk"),
    ({"tcp.congestion": "bbr"}, r"tcp\.congestion: 'bbr' is none of cubic and newreno"),
    ({"dpdk.mtu": "9001"}, r"dpdk\.mtu: '9001' is not between 576 and 9000"),
    ({"dpdk.address": "fd00::2/64", "dpdk.mtu": "1000", "listeners.amqp": "[::]:1"}, r"dpdk\.mtu: IPv6 .* needs 1280 or more"),
    ({"dpdk.vlan": "4095"}, r"dpdk\.vlan: '4095' is not between 0 and 4094"),
]
# Found by DPDK, or with its help.
FAILURES = [
    ({"dpdk.eal": "--frob"}, r"dpdk\.eal: DPDK does not know these arguments: unrecognized option '--frob'"),
    ({"dpdk.eal": "frob"}, r"dpdk\.eal: 'frob' is no argument of DPDK"),
    ({"dpdk.eal": "--vdev='net_null0"}, r"dpdk\.eal: a quote is not closed"),
    ({"dpdk.eal": "--no-huge --no-pci -m 64"}, r"DPDK has no port: bind a network card to vfio-pci with dpdk-devbind\.py"),
    ({"dpdk.eal": "--no-huge --no-pci -m 64 --vdev=net_nothing0"}, r"dpdk\.eal: DPDK does not start with .*net_nothing0"),
    ({"dpdk.port": "net_tap7"}, r"dpdk\.port: DPDK has no port net_tap7; it has net_null0$"),
    ({"dpdk.buffers": "500000"}, r"DPDK has no memory for 500000 buffers .*or lower dpdk\.buffers$"),
    ({"dpdk.mtu": "9000", "dpdk.eal": "--no-huge --no-pci -m 64 --vdev=net_af_packet0,iface=lo"},
     r"dpdk\.mtu: net_af_packet0 \(net_af_packet\) takes \d+ to \d+, not 9000$"),
    ({"dpdk.mtu": "9000", "dpdk.eal": "--no-huge --no-pci -m 64 --vdev=net_memif0,role=client,bsize=2048"},
     r"dpdk\.mtu: frames of 9000 bytes do not fit the buffers of net_memif0: add bsize=9216 to its arguments in dpdk\.eal$"),
    ({"cores.front": cores(2), "dpdk.eal": "--no-huge --no-pci -m 64 --vdev=net_pcap0,iface=lo"},
     r"net_pcap0 has 1 transmit queues and there are 2 fronts: name at most 1 in cores\.front$"),
    ({"dpdk.pcap": "/nowhere/x.pcap"}, r"cannot write frames to /nowhere/x\.pcap: No such file or directory$"),
    ({"listeners.amqp": "10.9.0.2:5672", "dpdk.kernel": "no/name"}, r"dpdk\.kernel: the interface no/name cannot be made"),
]


def settings(more):
    return {"net.transport": "dpdk", "dpdk.address": ADDRESS, "listeners.amqp": "10.9.0.2:5672", "dpdk.eal": NULL, **more}


def kernel_device():
    """A PCI device that a driver of the kernel has, or None."""
    folder = "/sys/bus/pci/devices"
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if os.path.islink(os.path.join(folder, name, "driver")):
            return name
    return None


class DpdkConfig(unittest.TestCase):
    def test_contradictions(self):
        for more, said in CONTRADICTIONS:
            with self.subTest(more):
                done = subprocess.run([GANNETD, "--check-config", *arguments(settings(more))], capture_output=True, text=True,
                                      timeout=60, check=False)
                self.assertRegex(done.stderr, said)
                self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1))

    def test_what_is_good_is_good(self):
        for more in [{}, {"listeners.amqp": "0.0.0.0:5672,sockets:127.0.0.1:5672"}, {"dpdk.gateway": "10.9.0.1"},
                     {"dpdk.address": "10.9.0.2/24,fd00::2/64", "dpdk.gateway": "10.9.0.1,fd00::1", "listeners.amqp": "[fd00::2]:1"}]:
            with self.subTest(more):
                done = subprocess.run([GANNETD, "--check-config", *arguments(settings(more))], capture_output=True, text=True,
                                      timeout=60, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_failures(self):
        failures = list(FAILURES)
        device = kernel_device()
        if device:
            failures.append(({"dpdk.eal": "--no-huge -m 64 -a " + device},
                             r"dpdk\.eal: %s is still bound to the kernel's driver .*dpdk-devbind\.py --bind=vfio-pci" % device))
        for more, said in failures:
            with self.subTest(more), Broker(start=False) as broker:
                broker.settings.update(settings(more))
                text = broker.start_fails()
                last = text.splitlines()[-1]
                self.assertRegex(last, r" error main: ")
                self.assertRegex(last, said)

    def test_without_memory(self):
        with open("/proc/sys/vm/nr_hugepages", encoding="ascii") as file:
            if int(file.read()):
                self.skipTest("this machine has huge pages")
        with Broker(start=False) as broker:
            broker.settings.update(settings({"dpdk.eal": "--no-pci --vdev=net_null0"}))
            self.assertRegex(broker.start_fails(), r"reserve huge pages .*nr_hugepages.*dpdk-hugepages\.py.*--no-huge")


main()

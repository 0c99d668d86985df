"""The broker on a real PCI driver: deploy/guest boots a QEMU guest whose card DPDK has, and publishes and consumes through it.
Skipped where that can't be: not root, no network to fetch what is missing."""
import os
import subprocess
import unittest

from broker import GANNETD
from runner import main

GUEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/guest")
PREPARE_S = 240
RUN_S = 280


def deploy_guest(*words, seconds):
    """Its exit status, and what it said. It cleans up after itself when it is ended."""
    process = subprocess.Popen([GUEST, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said, _ = process.communicate(timeout=seconds)
    except BaseException:
        process.terminate()
        print(process.communicate()[0], flush=True)
        raise
    return process.returncode, said


class Guest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("network namespaces and tap devices are made by root")
        status, said = deploy_guest("--prepare", seconds=PREPARE_S)
        if status != 0:
            raise unittest.SkipTest("deploy/guest can't be prepared: " + said.strip().split("\n")[-1])

    def test_gannetd_on_a_card(self):
        status, said = deploy_guest("--build", os.path.dirname(os.path.abspath(GANNETD)), seconds=RUN_S)
        print(said, flush=True)
        self.assertEqual(status, 0)


main()

"""Our TCP against lwIP's: no SACK, no timestamps, a window of 64 KiB, timers of half a second. Bytes both ways, each is checked.
Nothing here needs root: the wire is a pair of sockets."""
import os
import socket
import subprocess
import unittest

import link

LWIP = os.environ.get("LWIP_PEER", "lwip-peer")
MIB = 1 << 20
BUFFER = 4 << 20


class Lwip(unittest.TestCase):
    def both(self, size, **options):
        for we_listen in (True, False):
            self.one(size, we_listen, **options)

    def one(self, size, we_listen, **options):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        place = {"listen": "10.0.0.2:%d" % link.PORT} if we_listen else {"connect": "10.0.0.1:%d" % link.PORT}
        words = link.arguments(dict(place, device="fd:%d" % ours.fileno(), address="10.0.0.2/24", send=size, receive=size, end="first",
                                    seed=size % 9973 + we_listen, **options))
        processes = []

        def start(end, *command):
            # setpriv: should this test be killed, they go with it.
            processes.append(subprocess.Popen(("setpriv", "--pdeathsig", "KILL") + command, pass_fds=[end.fileno()],
                                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True))
            return processes[-1]

        try:
            with ours, theirs:
                peer = start(ours, link.PEER, *words)
                lwip = start(theirs, LWIP, str(theirs.fileno()), "connect" if we_listen else "listen", str(size))
            said, _ = lwip.communicate(timeout=link.PATIENCE_S)
            lines, _ = peer.communicate(timeout=link.PATIENCE_S)
        finally:
            for process in processes:
                process.kill()
                process.wait()
                process.stdout.close()
        self.assertEqual(said, "good\n")
        self.assertIn("closed sent=%d received=%d error=0" % (size, size), lines.split("\n"))
        self.assertEqual((peer.returncode, lwip.returncode), (0, 0))
        print("   ", lines.split("\n")[-3], flush=True)

    def test_no_loss(self):
        self.both(4 * MIB)

    def test_loss_tenth_of_a_percent(self):
        self.both(MIB, lost=1000)

    def test_loss_one_percent(self):
        self.both(MIB, lost=10000)

    def test_reordered_and_duplicated(self):
        self.both(MIB // 2, overtaken=10000, late_us=1000, delay_us=200, duplicated=10000)


if __name__ == "__main__":
    link.runner.main()

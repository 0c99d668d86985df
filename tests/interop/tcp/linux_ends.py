"""How connections begin and end between our TCP and the kernel's: who closes, who resets, who stops reading, who vanishes; and
a thousand of them at once."""
import contextlib
import errno
import select
import socket
import struct
import threading
import time
import unittest

import link

MIB = 1 << 20
SOME = 300000
CONNECTIONS = 1000
EACH = 4096


def reset(stream):
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


class Ends(unittest.TestCase):
    def one_line(self, peer, **want):
        lines, stats = peer.done()
        self.assertEqual(len(lines), 1, lines)
        for key, value in want.items():
            self.assertIn("%s=%s" % (key, value), lines[0].split(), lines[0])
        self.assertEqual(stats["connections"], 0)
        return stats

    # ---- closing ----

    def test_we_close_first(self):
        with link.Peer(listen=True, send=SOME, receive=SOME, end="first") as peer, peer.connect() as stream:
            link.exchange(stream, SOME, SOME, listening=False)
            self.assertTrue(link.at_end(stream))
            # It is through with us, and answers nevertheless: FIN for FIN.
            stream.close()
            self.one_line(peer, sent=SOME, received=SOME, error=0)

    def test_the_kernel_closes_first(self):
        with link.Peer(listen=True, send=SOME, receive=SOME) as peer:
            with peer.connect() as stream:
                link.exchange(stream, SOME, SOME, listening=False)
            self.one_line(peer, sent=SOME, received=SOME, error=0)

    def test_both_close_at_once(self):
        for lost in (0, 20000):
            with link.Peer(listen=True, send=EACH, receive=EACH, end="first", lost=lost, delay_us=20000) as peer:
                with peer.connect() as stream:
                    link.exchange(stream, EACH, EACH, listening=False)
                    # What we sent is half way, and so will our FIN be when the other comes.
                    time.sleep(0.01)
                    stream.shutdown(socket.SHUT_WR)
                    self.assertTrue(link.at_end(stream))
                self.one_line(peer, sent=EACH, received=EACH, error=0)

    def test_the_kernel_half_closes(self):
        """Its FIN comes first; what we had to send still arrives, whole, over a bad wire."""
        with link.Peer(listen=True, send=2 * MIB, receive=0, lost=5000, delay_us=200) as peer:
            with peer.connect() as stream:
                # When something is here, the peer has sent: a FIN before that would be the end.
                self.assertTrue(select.select([stream], [], [], link.PATIENCE_S)[0])
                stream.shutdown(socket.SHUT_WR)
                link.exchange(stream, 0, 2 * MIB, listening=False)
                self.assertTrue(link.at_end(stream))
            self.one_line(peer, sent=2 * MIB, received=0, error=0)

    def test_echo(self):
        with link.Peer(listen=True, echo=True, lost=5000) as peer:
            with peer.connect() as stream:
                link.exchange(stream, MIB, MIB, listening=False)
            self.one_line(peer, sent=MIB, received=MIB, error=0)

    # ---- resets ----

    def test_the_kernel_resets(self):
        with link.Peer(listen=True, send=4 * MIB) as peer:
            stream = peer.connect()
            link.exchange(stream, EACH, EACH, listening=False)
            reset(stream)
            stats = self.one_line(peer, received=EACH, error="ECONNRESET")
            self.assertGreater(stats["resets_in"], 0)

    def test_we_reset(self):
        with link.Peer(listen=True, send=EACH, receive=SOME, end="abort") as peer, peer.connect() as stream:
            with self.assertRaises(ConnectionResetError):
                link.exchange(stream, SOME, MIB, listening=False)
            lines, _ = peer.done()
            self.assertEqual(lines, ["aborted sent=%d received=%d error=0" % (EACH, SOME)])

    def test_nobody_listens(self):
        with link.Peer() as peer:
            peer.listener.close()
            peer.go()
            self.one_line(peer, sent=0, received=0, error="ECONNREFUSED")
        with link.Peer(listen=True) as peer, socket.socket() as stream:
            stream.settimeout(link.PATIENCE_S)
            self.assertEqual(stream.connect_ex((peer.address(2), link.PORT + 1)), errno.ECONNREFUSED)

    # ---- windows ----

    def test_the_kernel_stops_reading(self):
        with link.Peer(listen=True, send=2 * MIB, receive=EACH) as peer:
            with peer.connect(receive_buffer=65536) as stream:
                stream.sendall(link.pattern(False, 0, EACH))
                time.sleep(1.5)
                link.exchange(stream, 0, 2 * MIB, listening=False)
            self.one_line(peer, sent=2 * MIB, received=EACH, error=0)

    def test_the_window_opens_over_a_bad_wire(self):
        """The update may be lost: then our probes must bring it."""
        for _ in range(3):
            with link.Peer(listen=True, send=SOME, receive=EACH, lost=50000, delay_us=100) as peer:
                with peer.connect(receive_buffer=32768) as stream:
                    stream.sendall(link.pattern(False, 0, EACH))
                    time.sleep(0.5)
                    link.exchange(stream, 0, SOME, listening=False)
                self.one_line(peer, sent=SOME, received=EACH, error=0)

    def test_we_stop_reading(self):
        size = 4 * MIB
        with link.Peer(listen=True, send=EACH, receive=size, end="first", pause_at=100000, pause_ms=1500,
                       rx_window=262144) as peer:
            with peer.connect() as stream:
                link.exchange(stream, size, EACH, listening=False)
                self.assertTrue(link.at_end(stream))
            self.one_line(peer, sent=EACH, received=size, error=0)

    # ---- silence ----

    def test_the_peer_vanishes_while_we_send(self):
        with link.Peer(listen=True, send=8 * MIB, give_up_ms=1500) as peer, peer.connect() as stream:
            stream.recv(1000)
            link.run("ip link set %s down" % peer.tap)
            self.one_line(peer, received=0, error="ETIMEDOUT")

    def test_the_peer_vanishes_while_we_wait(self):
        with link.Peer(listen=True, send=EACH, keepalive_ms=300, give_up_ms=900) as peer, peer.connect() as stream:
            link.exchange(stream, 0, EACH, listening=False)
            link.run("ip link set %s down" % peer.tap)
            stats = self.one_line(peer, sent=EACH, error="ETIMEDOUT")
            self.assertGreater(stats["keepalives"], 2)

    def test_the_wire_is_cut_and_mended(self):
        with link.Peer(listen=True, send=8 * MIB, receive=0, delay_us=1000) as peer, peer.connect(65536) as stream:
            stream.recv(1)
            link.run("ip link set %s down" % peer.tap)
            time.sleep(0.7)
            link.run("ip link set %s up" % peer.tap)
            got = 1
            while got < 8 * MIB:
                data = stream.recv(link.PIECE)
                self.assertEqual(data, link.pattern(True, got, len(data)))
                got += len(data)
            stream.close()
            self.one_line(peer, sent=8 * MIB, error=0)

    def test_an_idle_connection_is_kept_alive(self):
        with link.Peer(listen=True, send=EACH, receive=EACH, keepalive_ms=100, give_up_ms=600) as peer:
            with peer.connect() as stream:
                link.exchange(stream, 0, EACH, listening=False)
                time.sleep(1.2)
                link.exchange(stream, EACH, 0, listening=False)
            self.assertGreater(self.one_line(peer, sent=EACH, received=EACH, error=0)["keepalives"], 2)

    # ---- many ----

    def judge_many(self, peer):
        lines, stats = peer.done()
        self.assertEqual(lines, ["closed sent=%d received=%d error=0" % (EACH, EACH)] * CONNECTIONS)
        self.assertEqual(stats["connections"], 0)

    def test_a_thousand_connections_of_the_kernels(self):
        with link.Peer(listen=True, connections=CONNECTIONS, send=EACH, receive=EACH, lost=1000) as peer:
            with contextlib.ExitStack() as stack:
                streams = [stack.enter_context(peer.connect()) for _ in range(CONNECTIONS)]
                for stream in streams:
                    link.exchange(stream, EACH, EACH, listening=False)
            self.judge_many(peer)

    def test_a_thousand_connections_of_ours(self):
        with link.Peer(connections=CONNECTIONS, send=EACH, receive=EACH, end="first") as peer:
            with contextlib.ExitStack() as stack:
                # Somebody accepts all the while: a full backlog is another test. And nothing is lost: we wait for the other's
                # FIN so long (5 s) and no longer, and one comes after the other here.
                streams = []
                accepting = threading.Thread(
                    target=lambda: streams.extend(stack.enter_context(peer.accept()) for _ in range(CONNECTIONS)))
                accepting.start()
                peer.go()
                accepting.join()
                for stream in streams:
                    link.exchange(stream, EACH, EACH, listening=True)
                    self.assertTrue(link.at_end(stream))
            self.judge_many(peer)


if __name__ == "__main__":
    link.main()

"""Bytes both ways at once between our TCP and the kernel's, over wires good and bad, whoever begins. Each byte is checked."""
import unittest

import link

MIB = 1 << 20


class Bulk(unittest.TestCase):
    def both(self, size, **options):
        """Whoever connects. Returns the counters of the second run."""
        self.kernel_connects(size, **options)
        return self.we_connect(size, **options)

    def kernel_connects(self, size, **options):
        with link.Peer(listen=True, send=size, receive=size, end="first", **options) as peer:
            with peer.connect() as stream:
                link.exchange(stream, size, size, listening=False)
                self.assertTrue(link.at_end(stream))
            return self.judge(peer, size, options)

    def we_connect(self, size, **options):
        with link.Peer(send=size, receive=size, **options) as peer:
            peer.go()
            with peer.accept() as stream:
                link.exchange(stream, size, size, listening=True)
            return self.judge(peer, size, options)

    def judge(self, peer, size, options):
        lines, stats = peer.done()
        self.assertEqual(lines, ["closed sent=%d received=%d error=0" % (size, size)])
        self.assertEqual(stats["sum"], 0)
        self.assertEqual(stats["connections"], 0)
        for fault in ("lost", "duplicated", "overtaken"):
            # At a chance of a thousandth it may be none.
            if options.get(fault, 0) > 1000:
                self.assertGreater(stats[fault], 0)
        print("   ", " ".join("%s=%d" % (key, stats[key]) for key in ("segments_out", "retransmitted", "rto", "tlp", "fast",
                                                                     "spurious", "out_of_order")), flush=True)
        return stats

    def nothing_lost(self, stats):
        """A busy machine may be late, and a timer send something again; acknowledgements must not tell of a loss."""
        self.assertTrue(stats["rto"] or stats["fast"] == 0, stats)

    # ---- loss ----

    def test_no_loss(self):
        self.nothing_lost(self.both(8 * MIB))

    def test_no_loss_ipv6(self):
        self.nothing_lost(self.both(8 * MIB, family=6))

    def test_loss_tenth_of_a_percent(self):
        self.both(8 * MIB, lost=1000)

    def test_loss_one_percent(self):
        self.both(4 * MIB, lost=10000, delay_us=200)

    def test_loss_one_percent_ipv6(self):
        self.both(4 * MIB, family=6, lost=10000, delay_us=200)

    def test_loss_five_percent(self):
        self.both(MIB, lost=50000, delay_us=200)

    def test_loss_five_percent_newreno(self):
        self.both(MIB, lost=50000, delay_us=200, congestion="newreno")

    # ---- order ----

    def test_reordered(self):
        self.both(4 * MIB, overtaken=50000, late_us=2000, delay_us=500)

    def test_duplicated(self):
        self.both(4 * MIB, duplicated=50000)

    def test_everything_at_once(self):
        self.both(2 * MIB, lost=5000, duplicated=20000, overtaken=20000, late_us=3000, delay_us=500)

    # ---- sizes of frames ----

    def test_mtu_576(self):
        self.both(2 * MIB, mtu=576, lost=1000)

    def test_mtu_1280(self):
        self.both(2 * MIB, mtu=1280, lost=1000)
        self.both(2 * MIB, mtu=1280, lost=1000, family=6)

    def test_mtu_9000(self):
        self.both(8 * MIB, mtu=9000, lost=1000)
        self.both(8 * MIB, mtu=9000, lost=1000, family=6)

    # ---- what the kernel doesn't offer ----

    def without(self, size=2 * MIB, **settings):
        before = {name: link.sysctl(name, value) for name, value in settings.items()}
        try:
            self.both(size, lost=10000, duplicated=10000, overtaken=10000, late_us=1000, delay_us=200)
        finally:
            for name, value in before.items():
                link.sysctl(name, value)

    def test_without_sack(self):
        self.without(tcp_sack=0)

    def test_without_dsack(self):
        self.without(tcp_dsack=0)

    def test_without_timestamps(self):
        self.without(tcp_timestamps=0)

    def test_without_window_scaling(self):
        self.without(tcp_window_scaling=0)

    def test_without_any_option(self):
        self.without(MIB, tcp_sack=0, tcp_timestamps=0, tcp_window_scaling=0)

    def test_peer_wants_ecn(self):
        self.without(tcp_ecn=1)


if __name__ == "__main__":
    link.main()

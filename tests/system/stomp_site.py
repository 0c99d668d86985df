"""A broker that listens for STOMP, for all tests of a class, and clients that have connected."""
import re
import unittest

from broker import Broker
from stomp_peer import Peer


class StompSite(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(routers=2, listeners__stomp="127.0.0.1:0").__enter__()
        cls.port = int(re.findall(r"stomp listens on \S*:(\d+)$", cls.broker.log.text(), re.M)[-1])

    @classmethod
    def tearDownClass(cls):
        cls.broker.__exit__(None, None, None)

    def peer(self, version="1.2", **headers):
        peer = Peer("127.0.0.1", self.port, version, **headers)
        self.assertEqual(peer.connected.command, "CONNECTED", peer.connected)
        self.addCleanup(peer.socket.close)
        return peer

"""Permissions over STOMP: each that a frame takes, in transactions, and when they are taken away."""
import subprocess
import time

from broker import GANNETCTL
from runner import main
from stomp_peer import Peer
from stomp_site import StompSite


class Access(StompSite):
    def ctl(self, *words):
        subprocess.run([GANNETCTL, "-D", self.broker.data, *words], check=True, timeout=60)

    def test_permissions(self):
        def user(*patterns):
            self.ctl("set_permissions", "stomper", *patterns)
            return self.peer(login="stomper", passcode="pw")

        self.ctl("add_user", "stomper", "pw")
        self.assertEqual(Peer("127.0.0.1", self.port, login="stomper", passcode="pw").connected.command, "ERROR")
        cases = [
            (("", ".*", ".*"), "SEND", {"destination": "/queue/p"}, "configure access to queue 'p'"),
            ((".*", "", ".*"), "SEND", {"destination": "/queue/p"}, "write access to exchange 'amq.default'"),
            ((".*", "", ".*"), "SEND", {"destination": "/topic/p"}, "write access to exchange 'amq.topic'"),
            ((".*", "^amq.topic", ".*"), "SEND", {"destination": "/exchange/none/p"}, "write access to exchange 'none'"),
            (("", ".*", ".*"), "SUBSCRIBE", {"id": "s", "destination": "/queue/p"}, "configure access to queue 'p'"),
            ((".*", ".*", ""), "SUBSCRIBE", {"id": "s", "destination": "/queue/p"}, "read access to queue 'p'"),
            (("", ".*", ".*"), "SUBSCRIBE", {"id": "s", "destination": "/topic/p"}, "configure access to queue 'stomp-subscription-"),
            ((".*", "", ".*"), "SUBSCRIBE", {"id": "s", "destination": "/topic/p"}, "write access to queue 'stomp-subscription-"),
            ((".*", ".*", "^stomp"), "SUBSCRIBE", {"id": "s", "destination": "/topic/p"}, "read access to exchange 'amq.topic'"),
            ((".*", ".*", "^amq"), "SUBSCRIBE", {"id": "s", "destination": "/topic/p"}, "read access to queue 'stomp-subscription-"),
            ((".*", "^amq", ".*"), "SEND", {"destination": "/queue/d", "x-dead-letter-exchange": "dlx"}, "write access to exchange 'dlx'"),
            ((".*", ".*", ""), "SEND", {"destination": "/queue/d", "x-dead-letter-exchange": "dlx"}, "read access to queue 'd'"),
            ((".*", "^amq", ".*"), "SUBSCRIBE", {"id": "s", "destination": "/queue/d", "x-dead-letter-exchange": "dlx"},
             "write access to exchange 'dlx'"),
        ]
        for patterns, command, headers, said in cases:
            with self.subTest((patterns, command, headers)):
                peer = user(*patterns)
                peer.send(command, headers, b"x" if command == "SEND" else b"")
                self.assertIn(said, peer.expect("ERROR").headers["message"])
        peer = user("^(q-own|stomp-)", "^(amq|stomp-)", "^(q-own|stomp-|amq.topic)")
        for destination in "/queue/q-own", "/topic/t":
            peer.ask("SUBSCRIBE", {"id": destination, "destination": destination})
            peer.send("SEND", {"destination": destination}, b"x")
            self.assertEqual(peer.expect("MESSAGE").body, b"x")

    def test_later(self):
        """In transactions, and for a queue that others have deleted."""
        def permit(*patterns):
            self.ctl("set_permissions", "later", *patterns)

        self.ctl("add_user", "later", "pw")
        permit(".*", "", ".*")
        peer = self.peer(login="later", passcode="pw")
        peer.send("BEGIN", {"transaction": "t"})
        peer.send("SEND", {"destination": "/topic/p", "transaction": "t"}, b"x")
        self.assertIn("write access to exchange 'amq.topic'", peer.expect("ERROR").headers["message"])

        permit(".*", ".*", ".*")
        peer = self.peer(login="later", passcode="pw")
        peer.ask("BEGIN", {"transaction": "t"})
        peer.ask("SEND", {"destination": "/topic/p", "transaction": "t"})
        permit(".*", "", ".*")
        peer.send("COMMIT", {"transaction": "t"})
        self.assertIn("write access to exchange 'amq.topic'", peer.expect("ERROR").headers["message"])

        permit(".*", ".*", ".*")
        queue = {"destination": "/queue/lapses", "auto-delete": "true"}
        peer, other = self.peer(login="later", passcode="pw"), self.peer()
        for _ in range(2):
            peer.ask("SEND", queue)
            other.ask("SUBSCRIBE", queue | {"id": "s"})
            other.ask("UNSUBSCRIBE", {"id": "s"})
        permit("", ".*", ".*")
        peer.send("SEND", queue)
        self.assertIn("configure access to queue 'lapses'", peer.expect("ERROR").headers["message"])

    def test_limits(self):
        self.ctl("add_user", "few", "pw")
        self.ctl("add_vhost", "small")
        self.ctl("set_permissions", "-p", "small", "few", ".*", ".*", ".*")
        self.ctl("set_vhost_limits", "-p", "small", '{"max-queues": 1}')
        self.ctl("set_user_limits", "few", '{"max-connections": 1}')
        peer = self.peer(login="few", passcode="pw", host="small")
        refused = Peer("127.0.0.1", self.port, login="few", passcode="pw", host="small").connected
        self.assertEqual(refused.command, "ERROR")
        self.assertIn("connection refused for user 'few': user connection limit (1) is reached", refused.headers["message"])
        peer.ask("SUBSCRIBE", {"id": "a", "destination": "/queue/a"})
        peer.send("SUBSCRIBE", {"id": "b", "destination": "/queue/b"})
        self.assertIn("cannot declare queue 'b': queue limit in vhost 'small' (1) is reached", peer.expect("ERROR").headers["message"])
        self.ctl("set_user_limits", "few", '{"max-connections": 2, "max-publish-rate": 10}')
        peer = self.peer(login="few", passcode="pw", host="small")
        begin = time.monotonic()
        for _ in range(10):
            peer.ask("SEND", {"destination": "/queue/a"}, b"x")
        self.assertGreater(time.monotonic() - begin, 0.7)

    def test_revocation(self):
        self.ctl("add_user", "gone", "pw")
        self.ctl("set_permissions", "gone", ".*", ".*", ".*")
        reader, idle = (self.peer(login="gone", passcode="pw") for _ in range(2))
        reader.ask("SUBSCRIBE", {"id": "s", "destination": "/queue/r"})
        self.ctl("set_permissions", "gone", ".*", ".*", "^other")
        self.assertIn("read access to queue 'r'", reader.expect("ERROR").headers["message"])
        self.ctl("set_permissions", "gone", ".*", ".*", ".*")
        self.ctl("set_topic_permissions", "gone", "amq.topic", "^w", "^r")
        writer, reader = (self.peer(login="gone", passcode="pw") for _ in range(2))
        writer.ask("SEND", {"destination": "/topic/w.x"})
        writer.send("SEND", {"destination": "/topic/r.x"})
        self.assertIn("write access to topic 'r.x' in exchange 'amq.topic'", writer.expect("ERROR").headers["message"])
        reader.ask("SUBSCRIBE", {"id": "s", "destination": "/topic/r.x"})
        self.ctl("set_topic_permissions", "gone", "amq.topic", "^w", "^w")
        self.assertIn("read access to topic 'r.x' in exchange 'amq.topic'", reader.expect("ERROR").headers["message"])
        self.ctl("delete_user", "gone")
        self.assertIn("user 'gone' is deleted", idle.expect("ERROR").headers["message"])


if __name__ == "__main__":
    main()

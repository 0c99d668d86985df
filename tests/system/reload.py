"""SIGHUP: what can be reread is reread, the rest is named, a bad file changes nothing; clients notice nothing."""
import os
import signal
import unittest

from broker import Broker, NotifySocket
from runner import main
from raw import Raw


class Reload(unittest.TestCase):
    def setUp(self):
        self.notify = self.enterContext(NotifySocket())
        self.broker = self.enterContext(Broker(start=False, env=self.notify.env))
        self.broker.config = os.path.join(self.broker.own, "gannet.conf")
        self.write("log.level = info\nhandshake_timeout = 5 s\n")
        self.broker.start()
        self.assertIn("STATUS", self.notify.told())
        self.assertEqual(self.notify.told()["READY"], "1")

    def write(self, text):
        with open(self.broker.config, "w") as f:
            f.write(text)

    def reload(self, wanted, text=None):
        """Returns the lines that the reload added to the log."""
        if text is not None:
            self.write(text)
        before = len(self.broker.log.lines)
        self.broker.signal(signal.SIGHUP)
        found = self.broker.log.wait(wanted, 20)
        self.assertTrue(found, "no '%s' in the log" % wanted)
        return "\n".join(self.broker.log.lines[before:])

    def test_read_again(self):
        with self.broker.channel() as channel:
            channel.queue_declare("q")
            said = self.reload("the configuration has been read again")
            self.assertNotIn("warning", said)
            channel.queue_declare("q", passive=True)

    def test_what_counts_from_the_next_start_on(self):
        said = self.reload("read again", "log.level = info\nhandshake_timeout = 6 s\nconnections_max = 99\n")
        self.assertIn("handshake_timeout has changed; that counts from the next start on", said)
        self.assertIn("connections_max has changed", said)
        self.assertNotIn("log.level has changed", said)

    def garbage(self):
        """A client that gets itself a line in the log; returns its name."""
        with Raw(self.broker) as client:
            client.send(b"not AMQP at all")
            client.at_end()
            return client.name

    def level(self, level):
        """Returns when the new level counts."""
        self.write("log.level = %s\n" % level)
        self.broker.signal(signal.SIGHUP)
        self.assertEqual(self.notify.told()["RELOADING"], "1")
        self.assertEqual(self.notify.told()["READY"], "1")

    def test_the_level_counts_at_once(self):
        self.level("error")
        before = len(self.broker.log.lines)
        quiet = self.garbage()
        self.level("info")
        loud = self.garbage()
        self.assertTrue(self.broker.log.wait("%s: connection dropped" % loud, 20))
        self.assertNotIn(quiet, "\n".join(self.broker.log.lines[before:]))

    def test_a_bad_file_changes_nothing(self):
        said = self.reload("the old one goes on", "log.level = error\nhandshake_timeuot = 5 s\n")
        self.assertIn("the configuration has errors, the old one goes on", said)
        self.assertIn("%s:2: unknown key 'handshake_timeuot'; did you mean 'handshake_timeout'?" % self.broker.config,
                      self.broker.log.text())
        said = self.reload("read again", "log.level = info\nhandshake_timeout = 5 s\n")
        self.assertIn("info main: the configuration has been read again", said)

    def test_the_file_has_gone(self):
        os.unlink(self.broker.config)
        self.reload("the old one goes on")
        self.broker.connect().close()

    def test_many_at_once(self):
        for _ in range(50):
            self.broker.signal(signal.SIGHUP)
        self.broker.connect().close()
        self.assertTrue(self.broker.log.wait("read again", 20))


if __name__ == "__main__":
    main()

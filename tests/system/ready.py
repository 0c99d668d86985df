"""Readiness by sd_notify: the test plays systemd."""
import signal
import unittest

from broker import Broker, NotifySocket
from runner import main


class Notified(unittest.TestCase):
    def life(self, notify):
        with Broker(start=False, env=notify.env) as broker:
            broker.launch()
            self.assertEqual(notify.told(), {"STATUS": "reading the journals back"})
            told = notify.told()
            self.assertEqual(told["READY"], "1")
            self.assertRegex(told["STATUS"], r"1 fronts?, 1 routers?, \d+ threads?")
            # Ready means that it listens: whoever reads the log now finds the port in it, and may connect.
            broker.ports = [int(broker.log.wait(r"amqp listens on \S*:(\d+)$").group(1))]
            broker.connect().close()
            broker.signal(signal.SIGHUP)
            self.assertEqual(notify.told()["RELOADING"], "1")
            self.assertEqual(notify.told()["READY"], "1")
            broker.signal(signal.SIGTERM)
            self.assertEqual(notify.told()["STOPPING"], "1")
            broker.wait_end()

    def test_socket_with_a_path(self):
        with NotifySocket() as notify:
            self.life(notify)

    def test_abstract_socket(self):
        with NotifySocket(abstract=True) as notify:
            self.life(notify)

    def test_a_start_that_fails(self):
        """It never says that it is ready."""
        with NotifySocket() as notify, Broker() as first:
            with Broker(data=first.data, start=False, env=notify.env) as second:
                second.start_fails()
            self.assertTrue(notify.nothing())

    def test_a_socket_that_nobody_has(self):
        with Broker(env={"NOTIFY_SOCKET": "/nowhere/notify"}) as broker:
            broker.connect().close()


if __name__ == "__main__":
    main()

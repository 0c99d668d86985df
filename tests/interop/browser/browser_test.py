"""In a real browser, headless: its own WebSocket against ../websocket/echo.c; and a tab of stompjs and a tab of mqtt.js that
exchange messages with each other and with pika, through the broker."""
import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "system"), HERE]

import pika  # noqa: E402

from broker import GANNETD, Broker, take, until  # noqa: E402
from pages import Browser  # noqa: E402
from runner import main  # noqa: E402

ECHO = os.environ.get("WS_ECHO", "ws-echo")
PATIENCE_S = 60
MIB = bytes(range(256)) * 4096
TEXT = "grüß Gott, €, 🐦, "


def certificate(directory):
    files = [os.path.join(directory, name) for name in ("broker.pem", "broker.key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=broker", "-out", files[0], "-keyout", files[1]], check=True, capture_output=True, timeout=PATIENCE_S)
    return files


class Raw(unittest.TestCase):
    """The browser's WebSocket, and nothing of the broker above ours."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="gannet-browser-")
        cls.echo = subprocess.Popen([ECHO, *certificate(cls.directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True)
        cls.port = dict((name, int(port)) for name, port in (cls.echo.stdout.readline().split() for _ in range(4)))
        cls.browser = Browser("127.0.0.1", "raw")
        cls.browser.__enter__()
        cls.tab = cls.browser["raw"]

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()
        if not cls.echo.stdin.closed:
            cls.echo.stdin.close()
        cls.echo.stdout.close()
        cls.echo.wait(PATIENCE_S)
        shutil.rmtree(cls.directory)

    def setUp(self):
        self.tab.ask("forget")

    def url(self, name, path="/ws"):
        return "%s://127.0.0.1:%d%s" % ("wss" if name.endswith("_tls") else "ws", self.port[name], path)

    def take(self, size):
        got = b""
        while len(got) < size:
            part, = self.tab.ask("take", count=1)
            got += part["text"].encode() if "text" in part else base64.b64decode(part["base64"])
        return got

    def test_messages(self):
        for name, protocol in (("any", None), ("binary", "mqtt"), ("any_tls", "v12.stomp"), ("binary_tls", "mqtt")):
            with self.subTest(name):
                opened = self.tab.ask("open", url=self.url(name), protocols=[protocol] if protocol else None)
                self.assertEqual(opened, {"open": True, "protocol": protocol or "", "extensions": ""})
                for size in (1, 125, 126, 65535, 65536, len(MIB)):
                    self.tab.ask("send", base64=base64.b64encode(MIB[:size]).decode())
                    self.assertEqual(self.take(size), MIB[:size])
                self.tab.ask("close", code=3456, reason="done")
                closed, = self.tab.ask("happened", count=1)
                self.assertEqual(closed, {"closed": 3456, "reason": "", "clean": True})

    def test_texts(self):
        self.tab.ask("open", url=self.url("any"))
        self.tab.ask("send", text=TEXT)
        self.assertEqual(self.tab.ask("take", count=1), [{"text": TEXT}])
        self.tab.ask("send", base64="/w==")
        self.assertEqual(self.tab.ask("take", count=1), [{"base64": "/w=="}])
        self.tab.ask("close")
        self.assertEqual(self.tab.ask("happened", count=1), [{"closed": 1005, "reason": "", "clean": True}])

    def test_refusals(self):
        for url, protocols in ((self.url("any", "/"), None), (self.url("binary"), None), (self.url("binary"), ["v12.stomp"]),
                               (self.url("any").replace("127.0.0.1", "127.0.0.2"), None)):
            self.assertFalse(self.tab.ask("open", url=url, protocols=protocols)["open"], url)
            self.tab.ask("forget")

    def test_a_text_where_none_may_come(self):
        self.tab.ask("open", url=self.url("binary"), protocols=["mqtt"])
        self.tab.ask("send", text="text")
        closed, = self.tab.ask("happened", count=1)
        self.assertEqual((closed["closed"], closed["clean"]), (1003, True))

    def test_z_shutdown(self):
        """The last of them: the server ends."""
        self.tab.ask("open", url=self.url("any_tls"))
        self.echo.stdin.close()
        closed, = self.tab.ask("happened", count=1)
        self.assertEqual((closed["closed"], closed["clean"]), (1001, True))


def speaks(kind):
    """Whether this broker has such a listener."""
    said = subprocess.run([GANNETD, "--set", "listeners.%s=127.0.0.1:0" % kind, "--check-config"], capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)
    return said.returncode == 0


class Tabs(unittest.TestCase):
    """A STOMP tab, an MQTT tab, pika. secure: by wss."""

    secure = False

    @classmethod
    def setUpClass(cls):
        names = ("web_stomps", "web_mqtts") if cls.secure else ("web_stomp", "web_mqtt")
        missing = [name for name in ("web_stomp", "web_mqtt") if not speaks(name)]
        if missing:
            raise unittest.SkipTest("the broker has no listeners.%s" % missing[0])
        cls.directory = tempfile.mkdtemp(prefix="gannet-browser-")
        cls.broker = Broker(fronts=2, routers=2, start=False)
        if cls.secure:
            cls.broker.settings.update(zip(("tls.certificate", "tls.key"), certificate(cls.directory)))
        for name in names:
            cls.broker.settings["listeners." + name] = cls.broker.address + ":0"
        cls.broker.start()
        cls.browser = Browser(cls.broker.address, "stomp", "mqtt")
        cls.url = {}
        for name in names:
            port = int(re.search(r"%s listens on \S*:(\d+)$" % name, cls.broker.log.text(), re.M).group(1))
            cls.url[name[4:].rstrip("s")] = "%s://%s:%d/ws" % ("wss" if cls.secure else "ws", cls.broker.address, port)
            cls.broker.settings["listeners." + name] = "%s:%d" % (cls.broker.address, port)  # after a restart too
        cls.browser.__enter__()
        cls.stomp, cls.mqtt = cls.browser["stomp"], cls.browser["mqtt"]

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()
        cls.broker.__exit__(None, None, None)
        shutil.rmtree(cls.directory)

    def setUp(self):
        if not self.broker.running():
            self.broker.start()
        opened = self.stomp.ask("open", url=self.url["stomp"])
        self.assertEqual(opened, {"version": "1.2", "protocol": "v12.stomp"})
        self.assertEqual(self.mqtt.ask("open", url=self.url["mqtt"]), {"reason": 0})
        self.pika = self.broker.connect()
        self.channel = self.pika.channel()

    def tearDown(self):
        for tab in (self.stomp, self.mqtt):
            tab.ask("close")
            tab.ask("forget")
        if self.pika.is_open:
            self.pika.close()

    def bound(self, key):
        """A queue of pika's, bound to amq.topic."""
        queue = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.queue_bind(queue, "amq.topic", key)
        return queue

    def bodies(self, queue, count):
        return [body.decode() for body, _ in take(self.channel, queue, count)]

    def message(self, queue):
        """The next one: (body, properties)."""
        def got():
            method, properties, body = self.channel.basic_get(queue, auto_ack=True)
            return (body, properties) if method else None
        return until(got, "a message in " + queue)

    def stomp_bodies(self, count):
        return [message["body"] for message in self.stomp.ask("take", count=count)]

    def mqtt_messages(self, count):
        return [(message["topic"], message["body"]) for message in self.mqtt.ask("take", count=count)]

    def test_each_to_all(self):
        queue = self.bound("news.#")
        self.stomp.ask("subscribe", destination="/topic/news.#")
        self.assertEqual(self.mqtt.ask("subscribe", topic="news/#"), [1])
        self.stomp.ask("publish", destination="/topic/news.stomp", body=TEXT + "s")
        self.mqtt.ask("publish", topic="news/mqtt", body=TEXT + "m")
        self.channel.basic_publish("amq.topic", "news.pika", (TEXT + "p").encode())
        all_bodies = sorted(TEXT + who for who in "smp")
        self.assertEqual(sorted(self.bodies(queue, 3)), all_bodies)
        self.assertEqual(sorted(self.stomp_bodies(3)), all_bodies)
        self.assertEqual(sorted(self.mqtt_messages(3)), sorted((("news/stomp", TEXT + "s"), ("news/mqtt", TEXT + "m"),
                                                                ("news/pika", TEXT + "p"))))

    def test_a_queue_between_stomp_and_pika(self):
        self.channel.queue_declare("work", auto_delete=True)
        self.stomp.ask("publish", destination="/queue/work", body="from stomp", headers={"persistent": "true", "own": "a:b\nc"})
        body, properties = self.message("work")
        self.assertEqual((body, properties.delivery_mode, properties.headers["own"]), (b"from stomp", 2, "a:b\nc"))
        self.stomp.ask("subscribe", destination="/amq/queue/work")
        self.channel.basic_publish("", "work", b"from pika", pika.BasicProperties(headers={"own": "x"}, content_type="text/plain"))
        got, = self.stomp.ask("take", count=1)
        self.assertEqual((got["body"], got["headers"]["own"], got["headers"]["content-type"]), ("from pika", "x", "text/plain"))

    def test_sizes(self):
        """Large ones span frames, records and parts; the pages check that each comes as it was sent."""
        queue = self.bound("size.*")
        self.stomp.ask("subscribe", destination="/topic/size.*")
        self.mqtt.ask("subscribe", topic="size/+")
        for size in (0, 1, 100, 16384, 65535, 65536, 1 << 20):
            body = (TEXT * (size // len(TEXT) + 1))[:size]
            self.stomp.ask("publish", destination="/topic/size.s", body=body)
            self.mqtt.ask("publish", topic="size/m", body=body)
            self.channel.basic_publish("amq.topic", "size.p", body.encode())
            self.assertEqual(self.bodies(queue, 3), [body] * 3)
            self.assertEqual(self.stomp_bodies(3), [body] * 3)
            self.assertEqual([got for _, got in self.mqtt_messages(3)], [body] * 3)

    def test_many_in_order(self):
        count = 2000
        expected = [str(number) for number in range(count)]
        for sender, words in ((self.stomp, {"destination": "/topic/many.x"}), (self.mqtt, {"topic": "many/x", "qos": 1}),
                              (self.mqtt, {"topic": "many/x", "qos": 2})):
            queue = self.bound("many.x")
            self.stomp.ask("subscribe", destination="/topic/many.x", headers={"id": "many"})
            self.mqtt.ask("subscribe", topic="many/x", qos=2)
            sender.ask("publishMany", count=count, **words)
            self.assertEqual(self.bodies(queue, count), expected)
            self.assertEqual(self.stomp_bodies(count), expected)
            self.assertEqual([body for _, body in self.mqtt_messages(count)], expected)
            self.tearDown()
            self.setUp()

    def test_user_properties_are_headers(self):
        queue = self.bound("p.q")
        self.mqtt.ask("subscribe", topic="p/q")
        self.mqtt.ask("publish", topic="p/q", body="x", user={"own": "1"})
        _, properties = self.message(queue)
        self.assertEqual(properties.headers["own"], "1")
        self.assertEqual(self.mqtt.ask("take", count=1)[0]["user"], {"own": "1"})

    def test_retained(self):
        self.channel.basic_publish("amq.topic", "kept.x", b"not kept")
        self.mqtt.ask("publish", topic="kept/x", body="kept", retain=True)
        self.mqtt.ask("subscribe", topic="kept/#")
        got, = self.mqtt.ask("take", count=1)
        self.assertEqual((got["body"], got["retain"]), ("kept", True))
        self.mqtt.ask("publish", topic="kept/x", body="", retain=True)

    def test_both_come_back_after_a_restart(self):
        for tab in (self.stomp, self.mqtt):
            tab.ask("close")
            tab.ask("forget")
        self.stomp.ask("open", url=self.url["stomp"], reconnectMs=100)
        self.mqtt.ask("open", url=self.url["mqtt"], reconnectMs=100, version=4)
        self.broker.restart()
        closed, = self.stomp.ask("happened", count=1)
        self.assertIn(closed["closed"], (1000, 1001))
        deadline = time.monotonic() + PATIENCE_S
        for tab in (self.stomp, self.mqtt):
            while not tab.ask("happened", count=1)[0].get("connected"):
                self.assertLess(time.monotonic(), deadline)
        self.mqtt.ask("subscribe", topic="back/x")
        self.stomp.ask("publish", destination="/topic/back.x", body="back")
        self.assertEqual(self.mqtt_messages(1), [("back/x", "back")])

    def test_idle_tabs_stay(self):
        """Longer than both heart-beats."""
        time.sleep(12)
        self.mqtt.ask("subscribe", topic="idle/x")
        self.stomp.ask("publish", destination="/topic/idle.x", body="still here")
        self.assertEqual(self.mqtt_messages(1), [("idle/x", "still here")])

    def test_pages_of_others(self):
        with Browser("127.0.0.1", "stomp-2", "raw") as other:
            for name in ("stomp", "mqtt"):
                opened = other["raw"].ask("open", url=self.url[name], protocols=["v12.stomp", "mqtt"])
                self.assertFalse(opened["open"])
        self.assertTrue(self.broker.log.wait(r"no WebSocket \(403\)"))


class SecureTabs(Tabs):
    secure = True


if __name__ == "__main__":
    main()

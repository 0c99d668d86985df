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
sys.path[:0] = [os.path.join(HERE, "..", "..", "system"), os.path.join(HERE, ".."), HERE]

import pika  # noqa: E402

import peer  # noqa: E402
from broker import Broker, speaks, until  # noqa: E402
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


def needs(*kinds):
    """A case for a broker that speaks them."""
    def decorate(case):
        def run(self):
            for kind in kinds:
                if kind not in self.kinds:
                    self.skipTest("the broker has no listeners.web_%s" % kind)
            case(self)
        return run
    return decorate


ours = unittest.skipUnless(peer.ON_GANNET, "of the broker's own, or of MQTT 5.0, which RabbitMQ 3.10 does not speak")


class Tabs(unittest.TestCase):
    """A STOMP tab, an MQTT tab, pika: those that the broker speaks. secure: by wss."""

    secure = False

    @classmethod
    def setUpClass(cls):
        cls.kinds = [kind for kind in ("stomp", "mqtt") if not peer.ON_GANNET or speaks("web_" + kind)]
        if not cls.kinds:
            raise unittest.SkipTest("the broker has neither listeners.web_stomp nor listeners.web_mqtt")
        if not peer.ON_GANNET:
            cls.broker = peer.Running()
            cls.url = {kind: "ws://%s:%s/ws" % (cls.broker.address, os.environ["PEER_WEB_%s_PORT" % kind.upper()]) for kind in cls.kinds}
        else:
            cls.start()
        cls.browser = Browser(cls.broker.address, *cls.kinds)
        cls.browser.__enter__()
        cls.stomp, cls.mqtt = (cls.browser.tabs.get(kind) for kind in ("stomp", "mqtt"))

    @classmethod
    def start(cls):
        cls.directory = tempfile.mkdtemp(prefix="gannet-browser-")
        cls.broker = Broker(fronts=2, routers=2, start=False)
        if cls.secure:
            cls.broker.settings.update(zip(("tls.certificate", "tls.key"), certificate(cls.directory)))
        names = {kind: "web_" + kind + ("s" if cls.secure else "") for kind in cls.kinds}
        for name in names.values():
            cls.broker.settings["listeners." + name] = cls.broker.address + ":0"
        cls.broker.start()
        cls.url = {}
        for kind, name in names.items():
            port = int(re.search(r"%s listens on \S*:(\d+)$" % name, cls.broker.log.text(), re.M).group(1))
            cls.url[kind] = "%s://%s:%d/ws" % ("wss" if cls.secure else "ws", cls.broker.address, port)
            cls.broker.settings["listeners." + name] = "%s:%d" % (cls.broker.address, port)  # after a restart too

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()
        cls.broker.__exit__(None, None, None)
        if peer.ON_GANNET:
            shutil.rmtree(cls.directory)

    def setUp(self):
        self.open()
        self.pika = pika.BlockingConnection(peer.parameters(self.broker))
        self.channel = self.pika.channel()

    def tearDown(self):
        self.close()
        if self.pika.is_open:
            self.pika.close()

    def open(self, **words):
        if self.stomp:
            opened = self.stomp.ask("open", url=self.url["stomp"], **words)
            self.assertEqual(opened, {"version": "1.2", "protocol": "v12.stomp"})
        if self.mqtt:
            opened = self.mqtt.ask("open", url=self.url["mqtt"], version=5 if peer.ON_GANNET else 4, **words)
            self.assertEqual(opened, {"reason": 0})

    def close(self):
        for kind in self.kinds:
            self.browser[kind].ask("close")
            self.browser[kind].ask("forget")

    def bound(self, key):
        """A queue of pika's, bound to amq.topic."""
        queue = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.queue_bind(queue, "amq.topic", key)
        return queue

    def subscribe(self, *words):
        """All of them; words: of the topic."""
        if self.stomp:
            self.stomp.ask("subscribe", destination="/topic/" + ".".join(words))
        if self.mqtt:
            granted = self.mqtt.ask("subscribe", topic="/".join(words).replace("*", "+"), qos=2)
            self.assertEqual(granted, [2 if peer.ON_GANNET else 1])
        return self.bound(".".join(words))

    def publish(self, who, *words, body):
        if who == "stomp":
            self.stomp.ask("publish", destination="/topic/" + ".".join(words), body=body)
        elif who == "mqtt":
            self.mqtt.ask("publish", topic="/".join(words), body=body)
        else:
            self.channel.basic_publish("amq.topic", ".".join(words), body.encode())

    def take(self, queue, count):
        """What has come to each of them, which must be the same: pairs of topic and body."""
        seen = {"pika": [(got.routing_key, body.decode()) for got, body in self.taken(queue, count)]}
        if self.mqtt:
            seen["mqtt"] = [(got["topic"].replace("/", "."), got["body"]) for got in self.mqtt.ask("take", count=count)]
        if self.stomp:
            seen["stomp"] = [(got["headers"]["destination"].rsplit("/", 1)[1], got["body"])
                             for got in self.stomp.ask("take", count=count)]
        return seen

    def taken(self, queue, count):
        got = []
        for method, _, body in self.channel.consume(queue, auto_ack=True, inactivity_timeout=PATIENCE_S):
            self.assertIsNotNone(method, "%d of %d messages came to pika" % (len(got), count))
            got.append((method, body))
            if len(got) == count:
                break
        self.channel.cancel()
        return got

    def message(self, queue):
        """The next one: (body, properties)."""
        def got():
            method, properties, body = self.channel.basic_get(queue, auto_ack=True)
            return (body, properties) if method else None
        return until(got, "a message in " + queue)

    def test_each_to_all(self):
        queue = self.subscribe("news", "#")
        expected = []
        for who in ("pika", *self.kinds):
            self.publish(who, "news", who, body=TEXT + who)
            expected.append(("news." + who, TEXT + who))
        for who, got in self.take(queue, len(expected)).items():
            self.assertEqual(sorted(got), sorted(expected), who)

    def test_sizes(self):
        """Large ones span frames, records and parts."""
        queue = self.subscribe("size", "*")
        for size in (0, 1, 100, 16384, 65535, 65536, 1 << 20):
            for who in ("pika", *self.kinds):
                if who == "mqtt" and size == 0:
                    continue
                body = (TEXT * (size // len(TEXT) + 1))[:size]
                self.publish(who, "size", who, body=body)
                for whom, got in self.take(queue, 1).items():
                    self.assertEqual(got, [("size." + who, body)], "%s to %s" % (who, whom))

    @unittest.skipUnless(peer.ON_GANNET, "RabbitMQ 3.10 drops the STOMP tab's stream in the middle of it (1006)")
    def test_many_in_order(self):
        count = 2000
        expected = [("many.x", str(number)) for number in range(count)]
        ways = [(self.stomp, {"destination": "/topic/many.x"})] if self.stomp else []
        ways += [(self.mqtt, {"topic": "many/x", "qos": qos}) for qos in (0, 1, 2)] if self.mqtt else []
        queue = self.subscribe("many", "x")
        for sender, words in ways:
            sender.ask("publishMany", count=count, **words)
            for who, got in self.take(queue, count).items():
                self.assertEqual(got, expected, "%s to %s" % (words, who))

    @needs("stomp")
    def test_a_queue_between_stomp_and_pika(self):
        self.channel.queue_declare("work", auto_delete=True)
        self.stomp.ask("publish", destination="/amq/queue/work", body="from stomp", headers={"persistent": "true", "own": "a:b\nc"})
        body, properties = self.message("work")
        self.assertEqual((body, properties.delivery_mode, properties.headers["own"]), (b"from stomp", 2, "a:b\nc"))
        self.stomp.ask("subscribe", destination="/amq/queue/work")
        self.channel.basic_publish("", "work", b"from pika", pika.BasicProperties(headers={"own": "x"}, content_type="text/plain"))
        got, = self.stomp.ask("take", count=1)
        self.assertEqual((got["body"], got["headers"]["own"], got["headers"]["content-type"]), ("from pika", "x", "text/plain"))

    @ours
    @needs("mqtt")
    def test_user_properties_are_headers(self):
        queue = self.bound("p.q")
        self.mqtt.ask("subscribe", topic="p/q")
        self.mqtt.ask("publish", topic="p/q", body="x", user={"own": "1"})
        _, properties = self.message(queue)
        self.assertEqual(properties.headers["own"], "1")
        self.assertEqual(self.mqtt.ask("take", count=1)[0]["user"], {"own": "1"})

    @needs("mqtt")
    def test_retained(self):
        self.mqtt.ask("publish", topic="kept/x", body="kept", retain=True)
        self.mqtt.ask("subscribe", topic="kept/x")
        got, = self.mqtt.ask("take", count=1)
        self.assertEqual((got["body"], got["retain"]), ("kept", True))
        self.mqtt.ask("publish", topic="kept/x", body="", retain=True)

    @ours
    def test_all_come_back_after_a_restart(self):
        self.close()
        self.open(reconnectMs=100)
        self.pika.close()  # it would not see the broker's farewell
        self.broker.restart()
        if self.stomp:
            event, = self.stomp.ask("happened", count=1)
            if "error" in event:  # a broker may say in STOMP, too, that it ends
                event, = self.stomp.ask("happened", count=1)
            self.assertIn(event["closed"], (1000, 1001))
        deadline = time.monotonic() + PATIENCE_S
        for kind in self.kinds:
            while not self.browser[kind].ask("happened", count=1)[0].get("connected"):
                self.assertLess(time.monotonic(), deadline)
        self.pika = pika.BlockingConnection(peer.parameters(self.broker))
        self.channel = self.pika.channel()
        self.close()  # its subscriptions are gone with the old connection
        self.open()
        queue = self.subscribe("back", "x")
        self.publish(self.kinds[0], "back", "x", body="back")
        for who, got in self.take(queue, 1).items():
            self.assertEqual(got, [("back.x", "back")], who)

    def test_idle_tabs_stay(self):
        """Longer than all heart-beats and keep-alives."""
        queue = self.subscribe("idle", "x")
        time.sleep(12)
        self.publish(self.kinds[0], "idle", "x", body="still here")
        for who, got in self.take(queue, 1).items():
            self.assertEqual(got, [("idle.x", "still here")], who)

    @ours
    def test_pages_of_others(self):
        with Browser("127.0.0.1", "raw") as other:
            for kind in self.kinds:
                opened = other["raw"].ask("open", url=self.url[kind], protocols=["v12.stomp", "mqtt"])
                self.assertFalse(opened["open"])
        self.assertTrue(self.broker.log.wait(r"no WebSocket \(403\)"))


@ours
class SecureTabs(Tabs):
    secure = True


if __name__ == "__main__":
    main()

"""What the broker speaks over WebSocket, plain and over TLS: who is let in, who is refused and how, and how it ends. The client is
Debian's python3-websocket."""
import contextlib
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import unittest

import websocket

from broker import PATIENCE_S, Broker, speaks
from runner import main

# What each begins with, and what the broker's answer begins with.
KINDS = {
    "web_stomp": ("v12.stomp", b"CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0", b"CONNECTED\n"),
    "web_mqtt": ("mqtt", b"\x10\x1a\0\4MQTT\4\xc2\0\0\0\0\0\5guest\0\5guest", b"\x20\x02\0\0"),
}
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def certificate(directory):
    files = [os.path.join(directory, name) for name in ("broker.pem", "broker.key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=broker", "-out", files[0], "-keyout", files[1]], check=True, capture_output=True, timeout=PATIENCE_S)
    return files


class Start(unittest.TestCase):
    def test_origins(self):
        for origin in ("app.example", "https://app.example/", "https://", "https://a b", "://x"):
            with self.subTest(origin), Broker(start=False, web__origins=origin) as broker:
                said = broker.start_fails()
                self.assertIn("web.origins: '%s' is no origin, such as https://app.example or *" % origin, said)
        for origins in ("*", "https://app.example:8443,http://localhost", "null"):
            with Broker(web__origins=origins):
                pass


class Web(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kinds = [kind for kind in KINDS if speaks(kind)]
        if not cls.kinds:
            raise unittest.SkipTest("nothing is spoken over WebSocket")
        cls.directory = tempfile.mkdtemp(prefix="gannet-web-")
        cls.certificate, cls.key = certificate(cls.directory)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    @contextlib.contextmanager
    def running(self, **settings):
        broker = Broker(start=False, tls__certificate=self.certificate, tls__key=self.key, **settings)
        for kind in self.kinds:
            broker.settings["listeners." + kind] = broker.settings["listeners." + kind + "s"] = broker.address + ":0"
        with broker:
            broker.start()
            yield broker

    @staticmethod
    def port(broker, name):
        return int(broker.log.find(name + r" listens on \S*:(\d+)$").group(1))

    def connect(self, broker, name):
        """A WebSocket on which the protocol has begun."""
        protocol, hello, answer = KINDS[name.rstrip("s")]
        stream = websocket.create_connection(
            "%s://%s:%d/ws" % ("wss" if name.endswith("s") else "ws", broker.address, self.port(broker, name)), timeout=PATIENCE_S,
            subprotocols=[protocol], sslopt={"cert_reqs": ssl.CERT_NONE, "check_hostname": False})
        self.assertEqual(stream.getsubprotocol(), protocol)
        for at in range(len(hello)):
            stream.send_binary(hello[at:at + 1])
        got = b""
        while len(got) < len(answer):
            got += stream.recv()
        self.assertEqual(got[:len(answer)], answer)
        return stream

    def each(self):
        return [kind + suffix for kind in self.kinds for suffix in ("", "s")]

    def test_speaks(self):
        with self.running(fronts=3) as broker:
            for name in self.each():
                for _ in range(6):
                    self.connect(broker, name).close()
            for kind in self.kinds:
                with broker.channel() as channel:
                    channel.queue_declare("q", exclusive=True)
                self.connect(broker, kind).close()

    def ask(self, broker, kind, path="/ws", **header):
        """The answer to a request, and its text."""
        connection = http.client.HTTPConnection(broker.address, self.port(broker, kind), timeout=PATIENCE_S)
        connection.request("GET", path, headers={**UPGRADE, "Sec-WebSocket-Protocol": KINDS[kind][0], **header})
        answer = connection.getresponse()
        text = answer.read() if answer.status != 101 else b""
        connection.close()
        return answer, text

    def test_refusals(self):
        with self.running(web__origins="https://app.example") as broker:
            for kind in self.kinds:
                for status, words in ((101, {}), (404, {"path": "/"}), (426, {"Sec-WebSocket-Version": "8"}), (426, {"Upgrade": "h2c"}),
                                      (400, {"Sec-WebSocket-Key": "short"}), (403, {"Origin": "http://" + broker.address}),
                                      (101, {"Origin": "https://app.example"})):
                    answer, text = self.ask(broker, kind, **words)
                    self.assertEqual(answer.status, status, words)
                    self.assertEqual(answer.getheader("Sec-WebSocket-Version"), "13" if status == 426 else None)
                    self.assertTrue(status == 101 or text.endswith(b".\n") or text.endswith(b").\n"), text)
            self.assertTrue(broker.log.wait(r"no WebSocket \(403\): Pages of this origin may not connect"))

    def test_other_bytes(self):
        with self.running() as broker:
            for name in self.each():
                for data in (b"AMQP\0\0\x09\x01", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + os.urandom(600), os.urandom(5000),
                             b"GET / HTTP/1.0\r\n\r\n", b"G" * 70000, b"CONNECT\n\n\0", b"\x10\x0c\0\4MQTT\4\0\0\0\0\0"):
                    with socket.create_connection((broker.address, self.port(broker, name)), PATIENCE_S) as stream:
                        with contextlib.suppress(ConnectionError):
                            stream.sendall(data)
                            while stream.recv(4096):
                                pass
                self.connect(broker, name).close()

    def test_half_requests_end(self):
        with self.running(handshake_timeout="300 ms") as broker:
            streams = [socket.create_connection((broker.address, self.port(broker, kind)), PATIENCE_S)
                       for kind in self.kinds for _ in range(20)]
            for stream in streams[::2]:
                stream.sendall(b"GET /ws HTTP/1.1\r\n")
            for stream in streams:
                with contextlib.suppress(ConnectionError):
                    self.assertEqual(stream.recv(1), b"")
                stream.close()
            self.assertTrue(broker.log.wait("the request for WebSocket took too long"))

    def test_the_end_says_1001(self):
        with self.running() as broker:
            streams = [self.connect(broker, name) for name in self.each()]
            broker.signal(15)
            for stream in streams:
                opcode = data = None
                while opcode != websocket.ABNF.OPCODE_CLOSE:  # the protocol may say something before
                    opcode, data = stream.recv_data(control_frame=True)
                self.assertEqual(data[:2], b"\x03\xe9")
                stream.close()
            broker.wait_end()


if __name__ == "__main__":
    main()

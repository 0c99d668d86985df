"""WebSocket with Debian's python3-websockets and python3-websocket, against websocket/echo.c: the broker's transport over kernel
sockets, plain and over TLS, with somebody above it who sends back what comes."""
import asyncio
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import unittest

import websocket
import websockets

sys.path.append( os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from runner import main  # noqa: E402

ECHO = os.environ.get("WS_ECHO", "ws-echo")
PATIENCE_S = 60
MIB = bytes(range(256)) * 4096


def certificate(directory):
    files = [os.path.join(directory, name) for name in ("broker.pem", "broker.key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=broker", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", files[0], "-keyout", files[1]],
                   check=True, capture_output=True, timeout=PATIENCE_S)
    return files


class Echo:
    """The server, as a process."""

    def __init__(self, files):
        self.process = subprocess.Popen([ECHO, *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        self.port = dict((name, int(port)) for name, port in (self.process.stdout.readline().split() for _ in range(4)))

    def end(self):
        """Its input ends. Returns what it logged."""
        self.process.stdin.close()
        log = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        status = self.process.wait(PATIENCE_S)
        if status:
            raise AssertionError("the server ended with %d: %s" % (status, log))
        return log


class WebSocket(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="gannet-ws-")
        cls.files = certificate(cls.directory)
        cls.context = ssl.create_default_context(cafile=cls.files[0])

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    def setUp(self):
        self.echo = Echo(self.files)

    def tearDown(self):
        if self.echo.process.poll() is None:
            self.echo.end()

    def url(self, name="any", path="/ws"):
        return "%s://127.0.0.1:%d%s" % ("wss" if name.endswith("_tls") else "ws", self.echo.port[name], path)

    def connect(self, name="any", path="/ws", **words):
        """A connection of python3-websockets."""
        if name.endswith("_tls"):
            words["ssl"] = self.context
        words.setdefault("subprotocols", ["mqtt"] if name.startswith("binary") else None)
        return websockets.connect(self.url(name, path), max_size=None, **words)

    @staticmethod
    async def take(stream, count):
        got = b""
        while len(got) < count:
            part = await stream.recv()
            got += part.encode() if isinstance(part, str) else part
        return got

    @staticmethod
    def run_all(*tasks):
        async def both():
            await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)
        asyncio.run(both())

    # ---- python3-websockets ----

    async def talk(self, name):
        async with self.connect(name) as stream:
            for size in (0, 1, 125, 126, 127, 65535, 65536, len(MIB)):
                await stream.send(MIB[:size])
                self.assertEqual(await self.take(stream, size), MIB[:size])
            await stream.send([MIB[:10], b"", MIB[10:70000], MIB[70000:]])  # in fragments
            self.assertEqual(await self.take(stream, len(MIB)), MIB)
            for payload in (b"", b"beat", b"x" * 125):
                await asyncio.wait_for(await stream.ping(payload), PATIENCE_S)
        self.assertEqual(stream.close_code, 1000)

    def test_messages_of_every_size(self):
        for name in ("any", "binary", "any_tls", "binary_tls"):
            with self.subTest(name):
                self.run_all(self.talk(name))

    def test_many_at_once(self):
        self.run_all(*(self.talk(name) for name in ("any", "binary", "any_tls", "binary_tls") for _ in range(6)))

    async def talk_text(self):
        async with self.connect() as stream:
            await stream.send("grüß Gott €")
            self.assertEqual(await stream.recv(), "grüß Gott €")
            await stream.send(["frag", "ments ", "€"])
            got = ""
            while len(got) < 11:
                part = await stream.recv()
                got += part if isinstance(part, str) else part.decode()
            self.assertEqual(got, "fragments €")
            await stream.send(b"\xff")
            self.assertEqual(await stream.recv(), b"\xff")

    def test_texts(self):
        self.run_all(self.talk_text())

    async def flood(self, name):
        """64 MiB, read only after a while: who doesn't read isn't read from, and nothing is lost."""
        async with self.connect(name, max_queue=2) as stream:
            async def send():
                for _ in range(64):
                    await stream.send(MIB)
            sending = asyncio.create_task(send())
            await asyncio.sleep(1)
            self.assertFalse(sending.done())
            got = 0
            while got < 64 * len(MIB):
                part = await stream.recv()
                at = got % len(MIB)
                self.assertEqual(part, (MIB + MIB)[at:at + len(part)])
                got += len(part)
            await sending

    def test_back_pressure(self):
        for name in ("binary", "binary_tls"):
            with self.subTest(name):
                self.run_all(self.flood(name))

    async def refused(self, status, **words):
        with self.assertRaises(websockets.InvalidStatusCode) as caught:
            async with self.connect(**words):
                pass
        self.assertEqual(caught.exception.status_code, status)

    def test_refusals(self):
        self.run_all(self.refused(404, path="/"), self.refused(404, path="/ws/x"), self.refused(400, name="binary", subprotocols=None),
                     self.refused(400, name="binary_tls", subprotocols=["v12.stomp"]), self.refused(403, origin="http://evil.example"))

    async def negotiate(self):
        async with self.connect(subprotocols=["v11.stomp", "v12.stomp"], origin="http://127.0.0.1:8080") as stream:
            self.assertEqual(stream.subprotocol, "v12.stomp")
        async with self.connect(subprotocols=["other"]) as stream:
            self.assertIsNone(stream.subprotocol)

    def test_subprotocols(self):
        self.run_all(self.negotiate())

    async def closed_with(self, name, message, code):
        async with self.connect(name) as stream:
            with self.assertRaises(websockets.ConnectionClosed) as caught:
                await stream.send(message)
                await self.take(stream, 1 << 40)
        self.assertEqual(caught.exception.rcvd.code, code)

    def test_close_codes(self):
        self.run_all(self.closed_with("binary", "text", 1003), self.closed_with("any_tls", MIB * 5, 1009))

    def test_shutdown_says_1001(self):
        async def talk():
            async with self.connect("any") as one, self.connect("any_tls") as two:
                await asyncio.get_running_loop().run_in_executor(None, self.echo.end)
                for stream in (one, two):
                    await stream.wait_closed()
                    self.assertEqual(stream.close_code, 1001)
        self.run_all(talk())

    # ---- python3-websocket ----

    def test_the_other_client(self):
        for name, protocol in (("any", "v12.stomp"), ("binary_tls", "mqtt")):
            stream = websocket.create_connection(self.url(name), timeout=PATIENCE_S, sslopt={"ca_certs": self.files[0]},
                                                 subprotocols=[protocol])
            for size in (1, 125, 126, 65535, 65536, len(MIB)):
                stream.send_binary(MIB[:size])
                got = b""
                while len(got) < size:
                    got += stream.recv()
                self.assertEqual(got, MIB[:size])
            stream.ping("x")
            self.assertEqual(stream.recv_data_frame(True)[0], websocket.ABNF.OPCODE_PONG)
            stream.close()
        with self.assertRaises(websocket.WebSocketBadStatusException):
            websocket.create_connection(self.url("binary"), timeout=PATIENCE_S)


if __name__ == "__main__":
    main()

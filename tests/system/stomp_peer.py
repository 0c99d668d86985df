"""A client of STOMP in few lines, which does what it is told."""
import socket


def escape(s):
    return s.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n").replace(":", "\\c")


def unescape(s):
    out, i = "", 0
    while i < len(s):
        if s[i] == "\\":
            out += {"n": "\n", "r": "\r", "c": ":", "\\": "\\"}[s[i + 1]]
            i += 1
        else:
            out += s[i]
        i += 1
    return out


class Frame:
    def __init__(self, command, headers, body):
        self.command, self.headers, self.body = command, headers, body

    def __repr__(self):
        return "%s %r %r" % (self.command, self.headers, self.body[:80])


class Peer:
    def __init__(self, address, port, version="1.2", timeout=20, **headers):
        self.socket = socket.create_connection((address, port), timeout)
        self.buffer = b""
        self.version = version
        self.receipts = 0
        self.beats = 0
        headers = {"accept-version": version, "host": "/", "login": "guest", "passcode": "guest",
                   **{name.replace("_", "-"): value for name, value in headers.items()}}
        headers = {name: value for name, value in headers.items() if value is not None}
        self.send("CONNECT", headers)
        self.connected = self.read()

    def send(self, command, headers, body=b"", length=True):
        escaped = escape if self.version != "1.0" and command != "CONNECT" else str
        lines = [command] + ["%s:%s" % (escaped(name), escaped(value)) for name, value in headers.items()]
        if body and length:
            lines.append("content-length:%d" % len(body))
        self.socket.sendall("\n".join(lines).encode() + b"\n\n" + body + b"\0")

    def fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(self.buffer)
        self.buffer += data

    def read(self):
        while True:
            while self.buffer[:1] == b"\n":
                self.buffer = self.buffer[1:]
                self.beats += 1
            head, there, rest = self.buffer.partition(b"\n\n")
            if there:
                break
            self.fill()
        lines = head.decode().split("\n")
        clean = unescape if self.version != "1.0" and lines[0] != "CONNECTED" else str
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers.setdefault(clean(name), clean(value))
        if "content-length" in headers:
            length = int(headers["content-length"])
            while len(rest) <= length:
                self.fill()
                rest = self.buffer[len(head) + 2:]
        else:
            while b"\0" not in rest:
                self.fill()
                rest = self.buffer[len(head) + 2:]
            length = rest.index(b"\0")
        assert rest[length] == 0, rest[:100]
        self.buffer = rest[length + 1:]
        return Frame(lines[0], headers, rest[:length])

    def expect(self, command):
        frame = self.read()
        assert frame.command == command, frame
        return frame

    def ask(self, command, headers, body=b""):
        """Sends it with a receipt, and waits for that; returns what came before."""
        self.receipts += 1
        name = "r:%d" % self.receipts if self.version != "1.0" else "r%d" % self.receipts
        self.send(command, {**headers, "receipt": name}, body)
        before = []
        while (frame := self.read()).command != "RECEIPT":
            assert frame.command == "MESSAGE", frame
            before.append(frame)
        assert frame.headers["receipt-id"] == name, frame
        return before

    def ask_after(self, receipts, command, headers):
        """The same, and those receipts come first, in that order."""
        self.send(command, {**headers, "receipt": "last"})
        got = []
        while not got or got[-1] != "last":
            got.append(self.expect("RECEIPT").headers["receipt-id"])
        assert got == receipts + ["last"], got

    def closed(self):
        try:
            return not self.socket.recv(1)
        except ConnectionError:
            return True

    def nothing(self, seconds=0.3):
        self.socket.settimeout(seconds)
        try:
            while True:
                assert self.buffer.strip(b"\n") == b"", self.buffer
                self.fill()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(20)

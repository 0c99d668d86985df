"""STOMP 1.0, 1.1 and 1.2 on the wire, as the conversations need it: frames, right and, when told so, wrong.

What comes is read strictly: whatever the specification forbids a server to send is a Mismatch.
"""
from amqp import Mismatch

FROM_SERVER = {"CONNECTED": ("version",), "MESSAGE": ("destination", "message-id", "subscription"), "RECEIPT": ("receipt-id",), "ERROR": ("message",)}
# All that isn't a header of the server's own.
STANDARD = ("version", "session", "server", "heart-beat", "destination", "message-id", "subscription", "ack", "redelivered", "receipt-id", "message",
            "content-length", "content-type")
ESCAPES = {"1.0": {}, "1.1": {"\\": "\\\\", "\n": "\\n", ":": "\\c"}, "1.2": {"\\": "\\\\", "\n": "\\n", ":": "\\c", "\r": "\\r"}}


def data_of(value):
    return value if isinstance(value, bytes) else str(value).encode()


def readable(data):
    """Text where it is some."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def escape(version, text):
    return "".join(ESCAPES[version].get(c, c) for c in text)


def header(version, name, value):
    if isinstance(value, bytes):
        return escape(version, name).encode() + b":" + value
    return (escape(version, name) + ":" + escape(version, str(value))).encode()


def encode(version, what, fields):
    """headers=[[name value] ...] are further headers, raw=[line ...] lines as they are; eol=, end=: what ends lines, and the frame."""
    fields = dict(fields)
    command = fields.pop("command", what.upper())
    if command in ("CONNECT", "STOMP"):
        version = "1.0"
    raw, more, eol = fields.pop("raw", []), fields.pop("headers", []), data_of(fields.pop("eol", "\n"))
    body, end = data_of(fields.pop("body", b"")), data_of(fields.pop("end", b"\0"))
    lines = [data_of(command)]
    lines += [header(version, name.replace("_", "-"), value) for name, value in fields.items() if value != ("absent",)]
    lines += [header(version, name, value) for name, value in more] + [data_of(line) for line in raw]
    return eol.join(lines) + eol * 2 + body + end


def unescape(version, text):
    back = {"\\n": "\n", "\\c": ":", "\\\\": "\\", "\\r": "\r"}
    out = ""
    while text:
        if text[0] != "\\":
            out, text = out + text[0], text[1:]
        elif text[:2] in back and (version == "1.2" or text[:2] != "\\r"):
            out, text = out + back[text[:2]], text[2:]
        else:
            raise Mismatch("an escape that there is not in %r" % text)
    return out


def read_header(version, line):
    name, colon, value = line.partition(":")
    if not colon or not name:
        raise Mismatch("a header without a colon, or a name: %r" % line)
    if version == "1.0":
        return [name, value]
    if ":" in value or (version == "1.2" and "\r" in line):
        raise Mismatch("%r isn't escaped" % line)
    return [unescape(version, name), unescape(version, value)]


def decode(version, head, body):
    """(name, fields) of what a server has sent; a Mismatch if no server may. Names are written with _ for -; "others" are pairs."""
    command, *lines = head.split("\n")
    if command not in FROM_SERVER:
        raise Mismatch("a server has sent %r" % command)
    pairs = [read_header("1.0" if command == "CONNECTED" else version, line) for line in lines]
    fields = {}
    for name, value in pairs:
        if fields.setdefault(name.replace("-", "_"), value) is not value and name in STANDARD:
            raise Mismatch("%s with %s twice" % (command, name))
    for name in FROM_SERVER[command]:
        if name.replace("-", "_") not in fields:
            raise Mismatch("%s without %s" % (command, name))
    if body and command in ("CONNECTED", "RECEIPT"):
        raise Mismatch("%s with a body" % command)
    if command == "MESSAGE" and "content_length" not in fields:
        raise Mismatch("MESSAGE without content-length")
    fields["others"] = [pair for pair in pairs if pair[0] not in STANDARD]
    fields["body"] = readable(body)
    return command.lower(), fields


class Frames:
    """Bytes that came, cut into frames: (head, body); beats counts what stood between them."""

    def __init__(self):
        self.data = bytearray()
        self.beats = 0

    def feed(self, data):
        self.data += data

    def skip(self):
        while self.data[:1] == b"\n":
            del self.data[0]
            self.beats += 1

    def take(self):
        self.skip()
        head, there, rest = bytes(self.data).partition(b"\n\n")
        if not there:
            return None
        length = next((int(line[15:]) for line in head.split(b"\n") if line.startswith(b"content-length:")), None)
        if length is None:
            length = rest.find(b"\0")
        if length < 0 or len(rest) <= length:
            return None
        if rest[length]:
            raise Mismatch("no NUL behind %r" % head)
        del self.data[:len(head) + 2 + length + 1]
        return head.decode(), rest[:length]

"""AMQP 0-9-1 on the wire, as the conversations need it: frames, methods (read from methods.def), properties, tables."""
import os
import re
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
METHODS_DEF = os.path.join(HERE, "../../dataplane/codec/amqp/methods.def")


class Mismatch(Exception):
    pass


class Frames:
    """Bytes that came, cut into frames."""

    def __init__(self):
        self.data = bytearray()

    def feed(self, data):
        self.data += data

    def take(self):
        if len(self.data) < 8:
            return None
        kind, channel, size = struct.unpack_from(">BHI", self.data)
        if bytes(self.data[:4]) == b"AMQP":
            return None
        if len(self.data) < size + 8:
            return None
        payload = bytes(self.data[7:7 + size])
        if self.data[7 + size] != 0xce:
            raise Mismatch("a frame ends with %02x" % self.data[7 + size])
        del self.data[:size + 8]
        return kind, channel, payload


# ---- tables ----

NUMBERS = {"b": "b", "B": "B", "s": "h", "u": "H", "I": "i", "i": "I", "l": "q", "L": "q", "f": "f", "d": "d", "T": "Q"}


class Typed:
    """A value of a table that is sent, or expected, with a type of its own: l(5), T(1700000000)."""

    def __init__(self, kind, value):
        self.kind, self.value = kind, value

    def __repr__(self):
        return "%s(%r)" % (self.kind, self.value)

    def encode(self):
        if self.kind in NUMBERS:
            data = struct.pack(">" + NUMBERS[self.kind], self.value)
        elif self.kind == "D":
            data = struct.pack(">Bi", *self.value)
        elif self.kind == "t":
            data = struct.pack(">B", self.value)
        else:
            return encode_value(self.value)
        return self.kind.encode() + data


class Number(int):
    """An int that knows how it came."""

    kind = ""


def encode_table(table):
    data = b""
    for name, value in table.items():
        name = name.encode()
        data += struct.pack(">B", len(name)) + name + encode_value(value)
    return struct.pack(">I", len(data)) + data


def encode_value(value):
    if isinstance(value, Typed):
        return value.encode()
    if isinstance(value, bool):
        return b"t" + struct.pack(">B", value)
    if isinstance(value, int):
        return b"I" + struct.pack(">i", value) if -2**31 <= value < 2**31 else b"l" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"d" + struct.pack(">d", value)
    if value is None:
        return b"V"
    if isinstance(value, dict):
        return b"F" + encode_table(value)
    if isinstance(value, list):
        data = b"".join(encode_value(v) for v in value)
        return b"A" + struct.pack(">I", len(data)) + data
    data = value.encode() if isinstance(value, str) else value
    return b"S" + struct.pack(">I", len(data)) + data


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise Mismatch("%d bytes missing" % (self.at + n - len(self.data)))
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))[0]

    def short(self):
        return text(self.take(self.number("B")))

    def long(self):
        return text(self.take(self.number("I")))

    def table(self):
        end = self.number("I") + self.at
        table = {}
        while self.at < end:
            name = self.short()
            table[name] = self.value()
        return table

    def value(self):
        kind = chr(self.number("B"))
        if kind in NUMBERS:
            value = self.number(NUMBERS[kind])
            if isinstance(value, int):
                value = Number(value)
                value.kind = kind
            return value
        if kind == "t":
            return bool(self.number("B"))
        if kind == "V":
            return None
        if kind == "D":
            return (self.number("B"), self.number("i"))
        if kind in "Sx":
            return self.long()
        if kind == "F":
            return self.table()
        if kind == "A":
            end, array = self.number("I") + self.at, []
            while self.at < end:
                array.append(self.value())
            return array
        raise Mismatch("a table has a field of type %r" % kind)


def text(data):
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


# ---- methods ----

class Method:
    def __init__(self, name, class_id, method_id, fields):
        self.name, self.fields = name, fields
        self.names = [f for _, f in fields]
        self.id = struct.pack(">HH", class_id, method_id)

    def encode(self, values):
        unknown = set(values) - set(self.names)
        if unknown:
            raise Mismatch("%s has no %s" % (self.name, ", ".join(unknown)))
        data, bits, count = b"", 0, 0
        for kind, name in self.fields + [("END", None)]:
            if count and (kind != "BIT" or count == 8):
                data, bits, count = data + struct.pack(">B", bits), 0, 0
            if kind == "END":
                break
            value = values.get(name)
            if kind == "BIT":
                bits, count = bits | bool(value) << count, count + 1
            elif kind in ("STR", "TEXT"):
                value = value or ""
                value = value.encode() if isinstance(value, str) else value
                data += struct.pack(">B" if kind == "STR" else ">I", len(value)) + value
            elif kind == "TABLE":
                data += value if isinstance(value, bytes) else encode_table(value or {})
            else:
                form = {"OCTET": "B", "SHORT": "H", "LONG": "I", "LONGLONG": "Q"}[kind]
                data += struct.pack(">" + form, value or 0)
        return data

    def decode(self, data):
        reader, values, bits, left = Reader(data), {}, 0, 0
        for kind, name in self.fields:
            if kind != "BIT":
                left = 0
            if kind == "BIT":
                if not left:
                    bits, left = reader.number("B"), 8
                values[name], bits, left = bits & 1, bits >> 1, left - 1
            elif kind == "STR":
                values[name] = reader.short()
            elif kind == "TEXT":
                values[name] = reader.long()
            elif kind == "TABLE":
                values[name] = reader.table()
            else:
                values[name] = reader.number({"OCTET": "B", "SHORT": "H", "LONG": "I", "LONGLONG": "Q"}[kind])
        if reader.at != len(data):
            raise Mismatch("%s has %d bytes too many" % (self.name, len(data) - reader.at))
        return values


class Methods:
    """The rows of methods.def: X(NAME, class, method, "name", FIELD(name) ..., handler, when)."""

    def __init__(self, path):
        with open(path) as f:
            source = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
        self.by_name, self.by_id = {}, {}
        for row in re.finditer(r'X\(\w+, (\d+), (\d+), "([^"]+)",(.*?),\s*\w+,\s*\w+\)', source, flags=re.S):
            fields = re.findall(r"(OCTET|SHORT|LONG|LONGLONG|STR|TEXT|TABLE|BIT)\((\w+)\)", row.group(4))
            method = Method(row.group(3), int(row.group(1)), int(row.group(2)), fields)
            self.by_name[method.name] = self.by_id[method.id] = method

    def frame(self, channel, name, values):
        if name not in self.by_name:
            raise Mismatch("no method %s" % name)
        method = self.by_name[name]
        return self.raw_frame(1, channel, method.id + method.encode(values))

    @staticmethod
    def raw_frame(kind, channel, payload, size=None, end=0xce):
        size = len(payload) if size is None else size
        return struct.pack(">BHI", kind, channel, size) + payload + struct.pack(">B", end)


METHODS = Methods(METHODS_DEF)

# ---- content headers ----

PROPERTIES = [("content_type", "s"), ("content_encoding", "s"), ("headers", "T"), ("delivery_mode", "B"),
              ("priority", "B"), ("correlation_id", "s"), ("reply_to", "s"), ("expiration", "s"), ("message_id", "s"),
              ("timestamp", "Q"), ("type", "s"), ("user_id", "s"), ("app_id", "s"), ("cluster_id", "s")]


def encode_header(values):
    data, flags = b"", 0
    for i, (name, kind) in enumerate(PROPERTIES):
        if name not in values:
            continue
        flags |= 1 << (15 - i)
        value = values[name]
        if kind == "T":
            data += value if isinstance(value, bytes) else encode_table(value)
        elif kind == "s":
            value = value.encode() if isinstance(value, str) else value
            data += struct.pack(">B", len(value)) + value
        else:
            data += struct.pack(">" + kind, value)
    flags = values.get("flags", flags)
    return struct.pack(">HHQH", values.get("class", 60), values.get("weight", 0), values.get("size", 0), flags) + data


def decode_header(data):
    reader = Reader(data)
    values = {"class": reader.number("H"), "weight": reader.number("H"), "size": reader.number("Q")}
    flags = reader.number("H")
    for i, (name, kind) in enumerate(PROPERTIES):
        if flags & 1 << (15 - i):
            values[name] = (reader.table() if kind == "T" else reader.short() if kind == "s" else reader.number(kind))
    return values


ABSENT = ("absent",)


def match(wanted, got):
    """Tables and arrays are compared as a whole, but for what "..." lets in besides."""
    if isinstance(wanted, tuple) and wanted[0] == "regex":
        return re.search(wanted[1], got if isinstance(got, str) else repr(got)) is not None
    if isinstance(wanted, Typed):
        return getattr(got, "kind", None) == wanted.kind and match(wanted.value, got)
    if isinstance(wanted, dict):
        return isinstance(got, dict) and match_table(wanted, got)
    if isinstance(wanted, list):
        if not isinstance(got, list):
            return False
        if wanted and wanted[-1] == "...":
            wanted, got = wanted[:-1], got[:len(wanted) - 1]
        return len(wanted) == len(got) and all(match(w, g) for w, g in zip(wanted, got))
    if isinstance(wanted, bytes) and isinstance(got, str):
        return wanted == got.encode()
    return wanted == got


def match_table(wanted, got):
    wanted = dict(wanted)
    if not wanted.pop("...", False) and set(got) - set(wanted):
        return False
    return all(v == ABSENT and k not in got or k in got and match(v, got[k]) for k, v in wanted.items())

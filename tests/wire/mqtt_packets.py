"""MQTT 3.1, 3.1.1 and 5.0 on the wire, as the conversations need it: packets and properties, right and, when told so, wrong.

What comes is read strictly: whatever the standard forbids a server to send is a Mismatch.
"""
import struct

from amqp import Mismatch

PACKETS = ["", "connect", "connack", "publish", "puback", "pubrec", "pubrel", "pubcomp", "subscribe", "suback", "unsubscribe", "unsuback",
           "pingreq", "pingresp", "disconnect", "auth"]
TYPES = {name: number for number, name in enumerate(PACKETS) if name}
ANSWERS = ("puback", "pubrec", "pubrel", "pubcomp")
FROM_SERVER = ("connack", "publish", "puback", "pubrec", "pubrel", "pubcomp", "suback", "unsuback", "pingresp", "disconnect")

# name: identifier, type, packets in which a server may send it
PROPERTIES = {
    "format": (0x01, "byte", ("publish",)),
    "expiry": (0x02, "four", ("publish",)),
    "content_type": (0x03, "text", ("publish",)),
    "response_topic": (0x08, "text", ("publish",)),
    "correlation": (0x09, "binary", ("publish",)),
    "subscription_id": (0x0b, "varint", ("publish",)),
    "session_expiry": (0x11, "four", ("connack",)),
    "assigned_id": (0x12, "text", ("connack",)),
    "server_keep_alive": (0x13, "two", ("connack",)),
    "auth_method": (0x15, "text", ()),
    "auth_data": (0x16, "binary", ()),
    "want_problems": (0x17, "byte", ()),
    "will_delay": (0x18, "four", ()),
    "want_response_info": (0x19, "byte", ()),
    "response_info": (0x1a, "text", ("connack",)),
    "server_reference": (0x1c, "text", ("connack", "disconnect")),
    "why": (0x1f, "text", ("connack", "suback", "unsuback", "disconnect") + ANSWERS),
    "receive_maximum": (0x21, "two", ("connack",)),
    "alias_maximum": (0x22, "two", ("connack",)),
    "alias": (0x23, "two", ("publish",)),
    "maximum_qos": (0x24, "byte", ("connack",)),
    "retain_available": (0x25, "byte", ("connack",)),
    "pairs": (0x26, "pair", ("connack", "publish", "suback", "unsuback", "disconnect") + ANSWERS),
    "maximum_packet": (0x27, "four", ("connack",)),
    "wildcards": (0x28, "byte", ("connack",)),
    "subscription_ids": (0x29, "byte", ("connack",)),
    "shared": (0x2a, "byte", ("connack",)),
}
BY_ID = {row[0]: (name,) + row[1:] for name, row in PROPERTIES.items()}
NUMBERS = {"byte": ">B", "two": ">H", "four": ">I"}
REASONS = {
    "connack": {0x00, *range(0x80, 0x8b), 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f},
    "puback": {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    "pubrec": {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    "pubrel": {0x00, 0x92},
    "pubcomp": {0x00, 0x92},
    "suback": {0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2},
    "unsuback": {0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91},
    "disconnect": {0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b,
                   0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2},
}


def data_of(value):
    return value if isinstance(value, bytes) else str(value).encode()


def binary(value):
    data = data_of(value)
    return struct.pack(">H", len(data)) + data


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number % 128 | 128])
        number //= 128
    return out + bytes([number])


# ---- sending ----


def property_bytes(name, value):
    number, kind, _ = PROPERTIES[name]
    if kind == "pair":
        return b"".join(bytes([number]) + binary(a) + binary(b) for a, b in value)
    if kind in ("text", "binary"):
        return bytes([number]) + binary(value)
    if kind == "varint":
        return bytes([number]) + varint(value)
    return bytes([number]) + struct.pack(NUMBERS[kind], value)


def take_properties(version, fields):
    """Those among the fields, with their length; properties=BYTES come behind them; properties_length=N lies about it."""
    data = b"".join(property_bytes(name, fields.pop(name)) for name in list(fields) if name in PROPERTIES)
    data += data_of(fields.pop("properties", b""))
    length = fields.pop("properties_length", len(data))
    return varint(length) + data if version == 5 else b""


def connect(version, fields):
    will, user, password = (fields.pop(name, None) for name in ("will", "user", "password"))
    flags = (2 if fields.pop("clean", 1) else 0) | (128 if user is not None else 0) | (64 if password is not None else 0)
    if will is not None:
        flags |= 4 | will.pop("qos", 0) << 3 | will.pop("retain", 0) << 5
    name = fields.pop("protocol", "MQIsdp" if version == 3 else "MQTT")
    body = binary(name) + bytes([fields.pop("level", version), fields.pop("connect_flags", flags)])
    body += struct.pack(">H", fields.pop("keep_alive", 0))
    client_id = fields.pop("id", "")
    body += take_properties(version, fields) + binary(client_id)
    if will is not None:
        topic, payload = will.pop("topic"), will.pop("payload", "")
        body += take_properties(version, will) + binary(topic) + binary(payload)
    return body + b"".join(binary(part) for part in (user, password) if part is not None)


def publish(version, fields):
    flags = fields.pop("dup", 0) << 3 | fields.pop("qos", 0) << 1 | fields.pop("retain", 0)
    fields.setdefault("flags", flags)
    body = binary(fields.pop("topic", ""))
    if "id" in fields:
        body += struct.pack(">H", fields.pop("id"))
    payload = data_of(fields.pop("payload", b""))
    return body + take_properties(version, fields) + payload


def answer(version, fields):
    """Of two bytes, if nothing is to be said; with a reason; with properties behind it."""
    body = struct.pack(">H", fields.pop("id"))
    reason = fields.pop("reason", None)
    properties = take_properties(version, fields)
    if reason is None and len(properties) < 2:
        return body
    return body + bytes([reason or 0]) + (properties if len(properties) > 1 else b"")


def filters(fields):
    """Topic filters and their options, one behind the other: filters=["a" 1 "b" 0x2d]; or one: filter="a" qos=1 no_local=1."""
    if "filters" in fields:
        return fields.pop("filters")
    options = fields.pop("qos", 0) | fields.pop("no_local", 0) << 2 | fields.pop("as_published", 0) << 3 | fields.pop("handling", 0) << 4
    return [fields.pop("filter"), options] if "filter" in fields else []


def subscribe(version, fields):
    listed = filters(fields)
    body = struct.pack(">H", fields.pop("id", 1)) + take_properties(version, fields)
    for name, options in zip(listed[::2], listed[1::2]):
        body += binary(name) + bytes([options])
    return body


def unsubscribe(version, fields):
    listed = [fields.pop("filter")] if "filter" in fields else fields.pop("filters", [])
    return struct.pack(">H", fields.pop("id", 1)) + take_properties(version, fields) + b"".join(binary(name) for name in listed)


def farewell(version, fields):
    reason = fields.pop("reason", None)
    properties = take_properties(version, fields)
    if version != 5 or (reason is None and len(properties) < 2):
        return b""
    return bytes([reason or 0]) + (properties if len(properties) > 1 else b"")


WRITERS = dict(connect=connect, publish=publish, subscribe=subscribe, unsubscribe=unsubscribe, disconnect=farewell, auth=farewell,
               pingreq=lambda version, fields: b"", **{name: answer for name in ANSWERS})
USUAL_FLAGS = {"pubrel": 2, "subscribe": 2, "unsubscribe": 2}


def encode(version, what, fields):
    """Any packet: flags=, length= and more=BYTES make it a wrong one. what "packet": type= and body=."""
    fields = dict(fields)
    if what == "packet":
        kind, body = fields.pop("type"), data_of(fields.pop("body", b""))
    else:
        kind, body = TYPES[what], WRITERS[what](version, fields)
    body += data_of(fields.pop("more", b""))
    head = bytes([kind << 4 | fields.pop("flags", USUAL_FLAGS.get(what, 0))]) + varint(fields.pop("length", len(body)))
    if fields:
        raise Mismatch("%s has no %s" % (what, ", ".join(fields)))
    return head + body


# ---- reading ----


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, n):
        if len(self.data) < n:
            raise Mismatch("a packet ends too early")
        data, self.data = self.data[:n], self.data[n:]
        return data

    def number(self, kind):
        return struct.unpack(NUMBERS[kind], self.take(struct.calcsize(NUMBERS[kind])))[0]

    def varint(self):
        value = shift = 0
        for i in range(4):
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                if i and not byte:
                    raise Mismatch("a number has more bytes than it needs")
                return value
        raise Mismatch("a number of more than four bytes")

    def binary(self):
        return self.take(self.number("two"))

    def text(self):
        data = self.binary()
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise Mismatch("no UTF-8: %r" % data) from None
        if "\0" in text:
            raise Mismatch("U+0000 in %r" % text)
        return text


def readable(data):
    """Text where it is some."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def read_value(reader, kind):
    if kind == "pair":
        return [reader.text(), reader.text()]
    if kind == "text":
        return reader.text()
    if kind == "binary":
        return readable(reader.binary())
    return reader.varint() if kind == "varint" else reader.number(kind)


def read_properties(reader, what, fields):
    reader = Reader(reader.take(reader.varint()))
    while reader.data:
        number = reader.varint()
        if number not in BY_ID:
            raise Mismatch("%s with property 0x%02x" % (what, number))
        name, kind, packets = BY_ID[number]
        if what not in packets:
            raise Mismatch("%s with the property %s" % (what, name))
        value = read_value(reader, kind)
        if name in ("pairs", "subscription_id"):
            fields.setdefault(name, []).append(value)
        elif name in fields:
            raise Mismatch("%s with %s twice" % (what, name))
        else:
            fields[name] = value
    if "subscription_id" in fields:
        fields["subscription_id"].sort()  # their order means nothing


def read_publish(version, reader, flags, fields):
    fields.update(dup=flags >> 3, qos=flags >> 1 & 3, retain=flags & 1, topic=reader.text())
    if fields["qos"] == 3 or (fields["dup"] and not fields["qos"]):
        raise Mismatch("publish with flags %d" % flags)
    if fields["qos"]:
        fields["id"] = reader.number("two")
        if not fields["id"]:
            raise Mismatch("publish with packet identifier 0")
    if version == 5:
        read_properties(reader, "publish", fields)
        if not fields["topic"] and "alias" not in fields:
            raise Mismatch("publish without a topic")
    if "+" in fields["topic"] or "#" in fields["topic"] or (version < 5 and not fields["topic"]):
        raise Mismatch("publish with topic %r" % fields["topic"])
    fields["payload"] = readable(reader.take(len(reader.data)))


def read_connack(version, reader, fields):
    present, code = reader.number("byte"), reader.number("byte")
    fields.update(present=present, reason=code)
    if present > 1 or (present and code):
        raise Mismatch("connack with flags %d and reason %d" % (present, code))
    if version == 5:
        read_properties(reader, "connack", fields)
        check_reason("connack", code)
    elif code > 5:
        raise Mismatch("connack with return code %d" % code)


def check_reason(what, reason):
    if reason not in REASONS[what]:
        raise Mismatch("%s with reason 0x%02x" % (what, reason))


def read_codes(version, what, reader, fields):
    fields["id"] = reader.number("two")
    if version == 5:
        read_properties(reader, what, fields)
    if version == 5 or what == "suback":
        fields["codes"] = list(reader.take(len(reader.data)))
        for code in fields["codes"]:
            if version == 5:
                check_reason(what, code)
            elif code not in (0, 1, 2, 0x80):
                raise Mismatch("suback with return code 0x%02x" % code)


def read_reason(version, what, reader, fields):
    fields["reason"] = 0
    if version < 5 or not reader.data:
        return
    fields["reason"] = reader.number("byte")
    check_reason(what, fields["reason"])
    if reader.data:
        read_properties(reader, what, fields)


def decode(version, head, body):
    """(name, fields) of what a server has sent; a Mismatch if no server may."""
    what, reader, fields = PACKETS[head >> 4], Reader(body), {}
    if what not in FROM_SERVER or (what == "disconnect" and version < 5):
        raise Mismatch("a server has sent a packet of type %d" % (head >> 4))
    if what == "publish":
        read_publish(version, reader, head & 15, fields)
        return what, fields
    if head & 15 != USUAL_FLAGS.get(what, 0):
        raise Mismatch("%s with flags %d" % (what, head & 15))
    if what == "connack":
        read_connack(version, reader, fields)
    elif what in ANSWERS:
        fields["id"] = reader.number("two")
        read_reason(version, what, reader, fields)
    elif what in ("suback", "unsuback"):
        read_codes(version, what, reader, fields)
    elif what == "disconnect":
        read_reason(version, what, reader, fields)
    if reader.data:
        raise Mismatch("%s with %d bytes too many" % (what, len(reader.data)))
    return what, fields


class Packets:
    """Bytes that came, cut into packets: (first byte, body, bytes in all)."""

    def __init__(self):
        self.data = bytearray()

    def feed(self, data):
        self.data += data

    def take(self):
        length = shift = 0
        for i, byte in enumerate(self.data[1:5], 2):
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        else:
            return None
        if len(self.data) < i + length:
            return None
        head, body = self.data[0], bytes(self.data[i:i + length])
        del self.data[:i + length]
        return head, body, i + length

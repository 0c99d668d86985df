"""A client of MQTT 5.0 in few lines, which does what it is told and keeps no promise by itself."""
import select
import socket
import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK = range(1, 10)
DISCONNECT = 14
SESSION_EXPIRY = 0x11


def text(s):
    data = s.encode()
    return struct.pack(">H", len(data)) + data


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n % 128 | 128])
        n //= 128
    return out + bytes([n])


class Peer:
    def __init__(self, address, port, client_id, expiry=1000, clean=False, will=None, timeout=20):
        self.socket = socket.create_connection((address, port), timeout)
        self.buffer = b""
        self.early = []
        properties = struct.pack(">BI", SESSION_EXPIRY, expiry)
        flags = (2 if clean else 0) | (4 | 1 << 3 if will else 0)
        body = text("MQTT") + bytes([5, flags]) + struct.pack(">H", 0) + varint(len(properties)) + properties + text(client_id)
        if will:
            body += b"\0" + text(will[0]) + text(will[1])
        self.send(CONNECT, 0, body)
        kind, _, body = self.read()
        assert kind == CONNACK and body[1] == 0, (kind, body)
        self.present = body[0] == 1

    def send(self, kind, flags, body):
        self.socket.sendall(bytes([kind << 4 | flags]) + varint(len(body)) + body)

    def answer(self, kind, number):
        self.send(kind, 2 if kind == PUBREL else 0, struct.pack(">H", number))

    def publish(self, topic, payload, qos=0, number=0, dup=False, retain=False):
        body = text(topic) + (struct.pack(">H", number) if qos else b"") + b"\0" + payload
        self.send(PUBLISH, (8 if dup else 0) | qos << 1 | retain, body)

    def subscribe(self, topic, qos):
        self.send(SUBSCRIBE, 2, struct.pack(">H", 1) + b"\0" + text(topic) + bytes([qos]))
        early = []
        while (packet := self.read())[0] != SUBACK:
            early.append(packet)  # the broker may send what was subscribed to before it says so
        assert packet[2][3] == qos, packet
        self.early += early

    def _packet(self):
        """The first packet in the buffer, or None."""
        length = shift = 0
        for i, byte in enumerate(self.buffer[1:5], 2):
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        else:
            return None
        if len(self.buffer) < i + length:
            return None
        head, body = self.buffer[0], self.buffer[i:i + length]
        self.buffer = self.buffer[i + length:]
        return head >> 4, head & 15, body

    def read(self):
        if self.early:
            return self.early.pop(0)
        while True:
            packet = self._packet()
            if packet:
                return packet
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the broker has closed the connection")
            self.buffer += data

    def waiting(self, seconds):
        """Whether a packet, or the end, can be read."""
        return bool(self.early or (self.buffer and self._peek())) or bool(select.select([self.socket], [], [], seconds)[0])

    def _peek(self):
        whole = self.buffer
        packet = self._packet()
        self.buffer = whole
        return packet

    def close(self):
        self.socket.close()


def message(flags, body):
    """topic, packet identifier (0: QoS 0), payload"""
    length = struct.unpack(">H", body[:2])[0]
    topic, rest = body[2:2 + length].decode(), body[2 + length:]
    number = 0
    if flags & 6:
        number, rest = struct.unpack(">H", rest[:2])[0], rest[2:]
    assert rest[0] < 128
    return topic, number, rest[1 + rest[0]:]

"""A client that says what it likes: bytes and frames on a socket, made and read by means of pika's codec."""
import socket
import struct
import time

import pika
from pika import frame, spec

from broker import PATIENCE_S

HEADER = b"AMQP\0\0\x09\x01"


def method(channel, m):
    return frame.Method(channel, m).marshal()


def header(channel, size, properties=None):
    return frame.Header(channel, size, properties or pika.BasicProperties()).marshal()


def body(channel, data):
    return frame.Body(channel, data).marshal()


def any_frame(kind, channel, payload, size=None, end=0xce):
    return struct.pack(">BHI", kind, channel, len(payload) if size is None else size) + payload + bytes([end])


class Raw:
    def __init__(self, broker, seconds=PATIENCE_S):
        self.seconds = seconds
        self.socket = socket.create_connection((broker.address, broker.port), timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""
        self.ended = False  # for whoever reads the socket by himself

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @property
    def name(self):
        """As the broker's log names us."""
        return "%s:%d" % self.socket.getsockname()

    def send(self, *data):
        self.socket.sendall(b"".join(data))

    def try_send(self, *data):
        """False if the broker has closed the connection."""
        try:
            self.send(*data)
        except OSError:
            return False
        return True

    def _more(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise AssertionError("nothing came from the broker within %g s" % self.seconds)
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        except socket.timeout:
            raise AssertionError("nothing came from the broker within %g s" % self.seconds) from None
        self.data += data
        return bool(data)

    def bytes(self, count):
        """The next so many, or as many as there are before the end."""
        deadline = time.monotonic() + self.seconds
        while len(self.data) < count and self._more(deadline):
            pass
        data, self.data = self.data[:count], self.data[count:]
        return data

    def frame(self):
        """The next frame that isn't a heartbeat, or None at the end of the stream."""
        deadline = time.monotonic() + self.seconds
        while True:
            used, found = frame.decode_frame(self.data) if self.data else (0, None)
            if found is None:
                if not self._more(deadline):
                    return None
                continue
            self.data = self.data[used:]
            if not isinstance(found, frame.Heartbeat):
                return found

    def expect(self, kind):
        found = self.frame()
        if not isinstance(getattr(found, "method", None), kind):
            raise AssertionError("%r came, expected %s" % (found, kind.NAME))
        return found.method

    def open(self, channel=1, frame_max=0, channel_max=0, heartbeat=0, capabilities=()):
        self.send(HEADER)
        self.expect(spec.Connection.Start)
        properties = {"capabilities": {name: True for name in capabilities}}
        self.send(method(0, spec.Connection.StartOk(properties, response="\0guest\0guest")))
        tune = self.expect(spec.Connection.Tune)
        self.send(method(0, spec.Connection.TuneOk(channel_max or tune.channel_max, frame_max or tune.frame_max,
                                                   heartbeat)))
        self.send(method(0, spec.Connection.Open("/")))
        self.expect(spec.Connection.OpenOk)
        if channel:
            self.send(method(channel, spec.Channel.Open()))
            self.expect(spec.Channel.OpenOk)
        return self

    def at_end(self):
        """Reads until the broker closes; the connection.close it sent before, if any."""
        close = None
        while True:
            deadline = time.monotonic() + self.seconds
            if self.data.startswith(b"AMQP"):
                self.data = self.data[8:]
            used, found = frame.decode_frame(self.data) if self.data else (0, None)
            self.data = self.data[used:]
            if isinstance(getattr(found, "method", None), spec.Connection.Close):
                close = found.method
                self.try_send(method(0, spec.Connection.CloseOk()))
            if not used and not self._more(deadline):
                return close

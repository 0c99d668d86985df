#!/usr/bin/python3
"""Runs conversations (mqtt_*.mqtt) against an MQTT broker; the words and options are wire.py's, README.md has the language.

    mqtt.py --broker build/gannetd FILE...    starts a broker of its own
    mqtt.py --port 1883 --peer mosquitto FILE...
"""
import re
import socket
import time

import mqtt_packets
import wire
from amqp import Mismatch
from script import in_versions

VERSIONS = re.compile(r" \(v([345](?: v[345])*)\)$")


class Connection(wire.Stream):
    """Messages are a lane of their own: when they come between answers is nobody's promise."""

    def __init__(self, address, timeout, tls=None):
        super().__init__(address, timeout, tls, mqtt_packets.Packets())
        self.version = 5
        self.lanes = {True: [], False: []}  # messages and their PUBRELs; all else

    def _sort(self):
        """What has come goes to the lanes."""
        packet = self.frames.take()
        while packet:
            head, body, size = packet
            what, fields = mqtt_packets.decode(self.version, head, body)
            self.lanes[what in ("publish", "pubrel")].append((what, dict(fields, size=size)))
            packet = self.frames.take()

    def packet(self, message, timeout=None):
        """The next of that lane; None at the end of the stream."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            self._sort()
            if self.lanes[message]:
                return self.lanes[message].pop(0)
            if self.ended:
                return None
            self._fill(deadline)

    def rest(self, timeout):
        """All that comes until the end of the stream, or of the time."""
        deadline = time.monotonic() + timeout
        try:
            while not self.ended:
                self._fill(deadline)
        except socket.timeout:
            pass
        self._sort()
        return self.lanes[False] + self.lanes[True]


class Conversation(wire.Talk):
    def run(self, steps):
        super().run(steps)
        for name, connection in self.connections.items():
            left = connection.lanes[False] + connection.lanes[True]
            if left:
                raise wire.Failure("%s: nobody asked for what came on @%s: %r" % (steps[-1].where, name, left[0]))

    def do_stream(self, step):
        """A bare stream; version=3, 4 or 5 is how it is read."""
        c = self.connections[step.name] = Connection(self.address, self.timeout, self.tls)
        c.version = self.values(step.fields).get("version", self.variables.get("v", 5))

    def do_connect(self, step):
        """A stream, CONNECT, and a CONNACK that says yes; present= is what it says of the session."""
        self.do_stream(step)
        c, fields = self.connection(step), self.values(step.fields)
        fields.pop("version", None)
        present = fields.pop("present", 0)
        c.send(self.encode(c, "connect", fields))
        self.expect(step, "connack", {"reason": 0, "present": present})

    def do_version(self, step):
        self.variables["v"] = step.version

    def do_send(self, step):
        self.connection(step).send(self.bytes_of(step) * step.times)

    def bytes_of(self, step):
        if step.what == "bytes":
            return self.values(step.fields)["data"]
        return self.encode(self.connection(step), step.what, self.values(step.fields))

    def encode(self, c, what, fields):
        """Who has no name may come from this machine only, and so not over our own TCP: there it is guest."""
        if wire.tap.WANTED and what == "connect" and not {"user", "password", "connect_flags"} & set(fields):
            fields = dict(fields, user="guest", password="guest")
        return mqtt_packets.encode(c.version, what, fields)

    def do_expect(self, step):
        c = self.connection(step)
        if step.what == "closed":
            left = c.rest(self.timeout)
            if left or not c.ended:
                raise Mismatch("%r came, expected the end of the stream" % (left or "nothing"))
        elif step.what == "nothing":
            left = c.rest(0.2)
            if left or c.ended:
                raise Mismatch("%r came, expected nothing" % (left or "the end of the stream"))
        elif step.what == "bytes":
            data, wanted = c.raw(len(step.fields["data"])), step.fields["data"]
            if data != wanted:
                raise Mismatch("%r came, expected %r" % (data, wanted))
        else:
            for _ in range(step.times):
                self.expect(step, step.what, step.fields)

    def expect(self, step, what, fields):
        if what not in mqtt_packets.TYPES:
            raise Mismatch("no packet %s" % what)
        packet = self.connection(step).packet(what in ("publish", "pubrel"))
        if not packet or packet[0] != what:
            raise Mismatch("%s came, expected %s" % (packet or "the end of the stream", what))
        self.compare(what, fields, packet[1])


def parse(path):
    """A title that ends in (v3 v4 v5) is that many conversations; $v is the version."""
    return in_versions(path, VERSIONS, " v", int)


if __name__ == "__main__":
    wire.main("mqtt", Conversation, parse)

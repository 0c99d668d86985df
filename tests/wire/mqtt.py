#!/usr/bin/python3
"""Runs conversations (mqtt_*.mqtt) against an MQTT broker; the words and options are wire.py's, README.md has the language.

    mqtt.py --broker build/gannetd FILE...    starts a broker of its own
    mqtt.py --port 1883 --peer mosquitto FILE...
"""
import re

import lanes
import mqtt_packets
import wire
from amqp import Mismatch
from script import in_versions

VERSIONS = re.compile(r" \(v([345](?: v[345])*)\)$")


class Connection(lanes.Connection):
    def __init__(self, address, timeout, tls=None):
        super().__init__(address, timeout, tls, mqtt_packets.Packets())
        self.version = 5

    def sort(self):
        """What has come goes to the lanes."""
        packet = self.frames.take()
        while packet:
            head, body, size = packet
            what, fields = mqtt_packets.decode(self.version, head, body)
            self.lanes[what in ("publish", "pubrel")].append((what, dict(fields, size=size)))
            packet = self.frames.take()


class Conversation(lanes.Conversation):
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

    def bytes_of(self, step):
        if step.what == "bytes":
            return self.values(step.fields)["data"]
        return self.encode(self.connection(step), step.what, self.values(step.fields))

    def encode(self, c, what, fields):
        """Who has no name may come from this machine only, and so not over our own TCP: there it is guest."""
        if wire.tap.WANTED and what == "connect" and not {"user", "password", "connect_flags"} & set(fields):
            fields = dict(fields, user="guest", password="guest")
        return mqtt_packets.encode(c.version, what, fields)

    def expect(self, step, what, fields):
        if what not in mqtt_packets.TYPES:
            raise Mismatch("no packet %s" % what)
        self.expect_next(step, what, fields, what in ("publish", "pubrel"))


def parse(path):
    """A title that ends in (v3 v4 v5) is that many conversations; $v is the version."""
    return in_versions(path, VERSIONS, " v", int)


if __name__ == "__main__":
    wire.main("mqtt", Conversation, parse)

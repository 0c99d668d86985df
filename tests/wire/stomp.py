#!/usr/bin/python3
"""Runs conversations (stomp_*.stomp) against a STOMP broker; the words and options are wire.py's, README.md has the language.

    stomp.py --broker build/gannetd FILE...    starts a broker of its own
    stomp.py --port 61613 --peer rabbitmq FILE...
"""
import re
import time

import lanes
import stomp_frames
import wire
from amqp import Mismatch
from script import in_versions

VERSIONS = re.compile(r" \((1\.[012](?: 1\.[012])*)\)$")


class Connection(lanes.Connection):
    def __init__(self, address, timeout, tls=None):
        super().__init__(address, timeout, tls, stomp_frames.Frames())
        self.version = "1.0"  # until CONNECTED has come
        self.failed = False
        self.acks = {}  # of subscriptions: how they are answered for

    def sort(self):
        """What has come goes to the lanes."""
        frame = self.frames.take()
        while frame:
            if self.failed:
                raise Mismatch("%r came behind ERROR" % (frame,))
            what, fields = stomp_frames.decode(self.version, *frame)
            self.failed = what == "error"
            if what == "connected":
                self.version = fields["version"]
            if what == "message":
                self._check(fields)
            self.lanes[what == "message"].append((what, fields))
            frame = self.frames.take()

    def _check(self, fields):
        """The header ack is for those who will answer, in 1.2."""
        wanted = self.version == "1.2" and self.acks.get(fields["subscription"], "auto") != "auto"
        if ("ack" in fields) != wanted:
            raise Mismatch("%r, %s the header ack" % (fields, "without" if wanted else "with"))

    def beat(self):
        deadline = time.monotonic() + self.timeout
        while not self.frames.beats and not self.ended:
            self._fill(deadline)
            self.frames.skip()
        beats, self.frames.beats = self.frames.beats, 0
        return beats


class Conversation(lanes.Conversation):
    def do_stream(self, step):
        self.connections[step.name] = Connection(self.address, self.timeout, self.tls)

    def do_connect(self, step):
        """A stream, CONNECT, and CONNECTED of the version that was asked for."""
        self.do_stream(step)
        version = self.variables.get("v", "1.2")
        fields = {"accept_version": version, "host": "/", "login": "guest", "passcode": "guest", **self.values(step.fields)}
        self.connection(step).send(stomp_frames.encode("1.0", "connect", fields))
        self.expect(step, "connected", {"version": version})

    def bytes_of(self, step):
        fields = self.values(step.fields)
        if step.what == "bytes":
            return fields["data"]
        c = self.connection(step)
        if step.what == "subscribe" and "ack" in fields:
            c.acks[str(fields.get("id", fields.get("destination")))] = fields["ack"]
        return stomp_frames.encode(c.version, step.what, fields)

    def do_expect(self, step):
        if step.what != "heartbeat":
            super().do_expect(step)
        elif not self.connection(step).beat():
            raise Mismatch("the stream ended, expected a heart-beat")

    def expect(self, step, what, fields):
        if what.upper() not in stomp_frames.FROM_SERVER:
            raise Mismatch("no frame %s" % what)
        self.expect_next(step, what, fields, what == "message")


def parse(path):
    """A title that ends in (1.0 1.1 1.2) is that many conversations; $v is the version."""
    return in_versions(path, VERSIONS, " ", str)


if __name__ == "__main__":
    wire.main("stomp", Conversation, parse)

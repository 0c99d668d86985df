"""What the conversations of MQTT and STOMP have in common: messages are a lane of their own, since when they come between answers is
nobody's promise."""
import socket
import time

import wire
from amqp import Mismatch


class Connection(wire.Stream):
    """sort() of those who inherit it puts what has come to the lanes."""

    def __init__(self, address, timeout, tls, frames):
        super().__init__(address, timeout, tls, frames)
        self.lanes = {True: [], False: []}  # messages; all else

    def next(self, message, timeout=None):
        """The next of that lane; None at the end of the stream."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            self.sort()
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
        self.sort()
        return self.lanes[False] + self.lanes[True]


class Conversation(wire.Talk):
    """What is sent is bytes_of a step; expect is how one answer is looked at."""

    def run(self, steps):
        super().run(steps)
        for name, connection in self.connections.items():
            left = connection.lanes[False] + connection.lanes[True]
            if left:
                raise wire.Failure("%s: nobody asked for what came on @%s: %r" % (steps[-1].where, name, left[0]))

    def do_version(self, step):
        self.variables["v"] = step.version

    def do_send(self, step):
        self.connection(step).send(self.bytes_of(step) * step.times)

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

    def expect_next(self, step, what, fields, message):
        got = self.connection(step).next(message)
        if not got or got[0] != what:
            raise Mismatch("%s came, expected %s" % (got or "the end of the stream", what))
        self.compare(what, fields, got[1])

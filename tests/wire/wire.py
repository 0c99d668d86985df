#!/usr/bin/python3
"""Runs conversations (*.wire) against an AMQP 0-9-1 broker.

    wire.py --broker build/dataplane/gannetd FILE...    starts a broker of its own in a temporary directory
    wire.py --tls --broker build/dataplane/gannetd FILE...    the same, over TLS
    wire.py --port 5672 [--peer rabbitmq] FILE...       talks to one that runs

The language is described in README.md. Prints one line per conversation that fails, then "N passed, N failed".
"""
import argparse
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

import tap  # noqa: E402
from amqp import ABSENT, Frames, METHODS, Mismatch, Typed, decode_header, encode_header, match  # noqa: E402
from script import parse_file  # noqa: E402

TIMEOUT_S = 5


class Failure(Exception):
    pass


class Stream:
    """Of TCP or of TLS over it, and what came on it: frames.feed cuts it into pieces."""

    def __init__(self, address, timeout, tls, frames):
        self.socket = socket.create_connection(address, timeout=timeout)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.socket.settimeout(timeout)
        self.timeout = timeout
        self.frames = frames
        self.ended = False

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # what the broker had to say before is still to be read

    def _fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout()
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            self.ended = True
        self.frames.feed(data)

    def raw(self, n):
        deadline = time.monotonic() + self.timeout
        while len(self.frames.data) < n and not self.ended:
            self._fill(deadline)
        data, self.frames.data = bytes(self.frames.data[:n]), self.frames.data[n:]
        return data

    def close(self):
        self.socket.close()


class Connection(Stream):
    """Of AMQP."""

    def __init__(self, address, timeout, tls=None):
        super().__init__(address, timeout, tls, Frames())

    def frame(self, timeout=None, heartbeats=False):
        """The next frame, or None at the end of the stream. Heartbeats are passed over unless asked for."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            frame = self.frames.take()
            if frame and (heartbeats or frame[0] != 8):
                return frame
            if not frame:
                if self.ended:
                    return None
                self._fill(deadline)


def show(frame):
    if frame is None:
        return "the end of the stream"
    kind, channel, payload = frame
    if kind == 1:
        method = METHODS.by_id.get(payload[:4])
        if method:
            fields = method.decode(payload[4:])
            return "%s on channel %d: %r" % (method.name, channel, fields)
    if kind == 2:
        return "header on channel %d: %r" % (channel, decode_header(payload))
    return "frame of type %d on channel %d: %r" % (kind, channel, payload[:60])


# gannetctl or rabbitmqctl, of the broker that is talked to.
CONTROL = os.environ.get("PEER_CTL", "").split()


class Talk:
    """Steps one behind the other, and the values of variables: what conversations of every protocol are. Each verb is a do_VERB."""

    def __init__(self, address, timeout, tls=None):
        self.address = address
        self.tls = tls
        self.timeout = timeout
        self.connections = {}
        self.variables = {"t": "%08x" % (time.time_ns() & 0xffffffff)}

    def run(self, steps):
        try:
            for step in steps:
                try:
                    getattr(self, "do_" + step.verb)(step)
                except socket.timeout:
                    raise Failure("%s: nothing came" % step.where)
                except Mismatch as error:
                    raise Failure("%s: %s" % (step.where, error))
        finally:
            for connection in self.connections.values():
                connection.close()

    def do_ctl(self, step):
        words = [self.value(word) for word in step.fields["words"]]
        done = subprocess.run([*CONTROL, *words], capture_output=True, text=True, timeout=60, check=False) if CONTROL else None
        if not done or done.returncode:
            raise Failure("%s: %s" % (step.where, done.stderr.strip() if done else "no PEER_CTL is given"))

    # ---- streams ----

    def connection(self, step):
        if step.name not in self.connections:
            raise Failure("%s: no connection %s" % (step.where, step.name))
        return self.connections[step.name]

    # ---- values ----

    def values(self, fields):
        return {name: self.value(v) for name, v in fields.items()}

    def value(self, v):
        if isinstance(v, str):
            return re.sub(r"\$(\w+)", lambda m: str(self.variables.get(m.group(1), m.group(0))), v)
        if isinstance(v, bytes):
            return v
        if isinstance(v, dict):
            return {self.value(k): self.value(x) for k, x in v.items()}
        if isinstance(v, list):
            return [self.value(x) for x in v]
        if isinstance(v, tuple) and v[0] == "variable":
            if v[1] not in self.variables:
                raise Mismatch("$%s has no value yet" % v[1])
            return self.variables[v[1]]
        if isinstance(v, tuple) and v[0] == "typed":
            return Typed(v[1], self.value(v[2]))
        if isinstance(v, tuple) and v[0] == "regex":
            return ("regex", self.value(v[1]))
        return v

    def compare(self, what, wanted, got):
        """Every field that is named must be as said; a variable without a value takes it."""
        for name, v in wanted.items():
            if v == ABSENT and name not in got:
                continue
            if name not in got:
                raise Mismatch("%s: no %s in %r" % (what, name, got))
            if isinstance(v, tuple) and v[0] == "variable" and v[1] not in self.variables:
                self.variables[v[1]] = got[name]
                continue
            v = self.value(v)
            if not match(v, got[name]):
                raise Mismatch("%s: %s is %r, expected %r" % (what, name, got[name], v))

    # ---- steps ----

    def do_sleep(self, step):
        time.sleep(step.fields["seconds"])

    def do_now(self, step):
        self.variables[step.fields["variable"]] = int(time.time())

    def do_abort(self, step):
        """The stream ends without a word."""
        self.connection(step).close()
        del self.connections[step.name]


class Conversation(Talk):
    """Of AMQP."""

    def do_stream(self, step):
        """A bare stream."""
        self.connections[step.name] = Connection(self.address, self.timeout, self.tls)

    def do_connect(self, step):
        """A stream, and the negotiation up to connection.open-ok, and channel 1."""
        self.do_stream(step)
        c = self.connection(step)
        options = dict(user="guest", password="guest", vhost="/", frame_max=None, channel_max=None, heartbeat=0,
                       capabilities=True, channel=1)
        options.update(self.values(step.fields))
        names = ("consumer_cancel_notify", "connection.blocked", "authentication_failure_close", "basic.nack",
                 "publisher_confirms", "exchange_exchange_bindings")
        properties = {"capabilities": {n: True for n in names}} if options["capabilities"] else {}
        c.send(b"AMQP\0\0\x09\x01")
        self.expect(step, c, 0, "connection.start", {})
        response = "\0%s\0%s" % (options["user"], options["password"])
        c.send(METHODS.frame(0, "connection.start-ok", dict(client_properties=properties, mechanism="PLAIN",
                                                            response=response, locale="en_US")))
        tune = self.expect(step, c, 0, "connection.tune", {})
        ok = {f: tune[f] if options[f] is None else options[f] for f in ("frame_max", "channel_max", "heartbeat")}
        c.send(METHODS.frame(0, "connection.tune-ok", ok))
        c.send(METHODS.frame(0, "connection.open", dict(virtual_host=options["vhost"])))
        self.expect(step, c, 0, "connection.open-ok", {})
        if options["channel"]:
            c.send(METHODS.frame(1, "channel.open", {}))
            self.expect(step, c, 1, "channel.open-ok", {})

    # ---- sending ----

    def do_send(self, step):
        self.sent = self.bytes_of(step) * step.times
        self.connection(step).send(self.sent)

    def bytes_of(self, step):
        fields = self.values(step.fields)
        if step.what == "bytes":
            return fields["data"]
        if step.what == "frame":
            return METHODS.raw_frame(fields.get("type", 1), step.channel, fields.get("payload", b""), fields.get("size"),
                                     fields.get("end", 0xce))
        if step.what == "header":
            return METHODS.raw_frame(2, step.channel, encode_header(fields))
        if step.what == "body":
            return METHODS.raw_frame(3, step.channel, fields.get("data", b""))
        if step.what == "heartbeat":
            return METHODS.raw_frame(8, step.channel, b"")
        if step.what == "publish":
            return self.publish(step, fields)
        return METHODS.frame(step.channel, step.what, fields)

    def publish(self, step, fields):
        body = fields.pop("body", b"")
        body = body.encode() if isinstance(body, str) else body
        names = METHODS.by_name["basic.publish"].names
        method = {k: fields.pop(k) for k in list(fields) if k in names}
        data = METHODS.frame(step.channel, "basic.publish", method)
        data += METHODS.raw_frame(2, step.channel, encode_header(dict(fields, size=len(body))))
        most = 4088
        for at in range(0, len(body), most):
            data += METHODS.raw_frame(3, step.channel, body[at:at + most])
        return data

    def do_reopen(self, step):
        """The channel was closed by the broker: once more."""
        c = self.connection(step)
        c.send(METHODS.frame(step.channel, "channel.close-ok", {}) + METHODS.frame(step.channel, "channel.open", {}))
        self.expect(step, c, step.channel, "channel.open-ok", {})

    # ---- expecting ----

    def do_until(self, step):
        """What was sent last is sent again until its answer is this."""
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                return self.do_expect(step)
            except Mismatch:
                if time.monotonic() > deadline or self.connection(step).ended:
                    raise
            time.sleep(0.05)
            self.connection(step).send(self.sent)

    def do_expect(self, step):
        c = self.connection(step)
        what = step.what
        if what == "closed":
            frame = c.frame()
            if frame:
                raise Mismatch("%s came, expected the end of the stream" % show(frame))
        elif what == "nothing":
            self.nothing(c)
        elif what == "bytes":
            data, wanted = c.raw(len(step.fields["data"])), step.fields["data"]
            if data != wanted:
                raise Mismatch("%r came, expected %r" % (data, wanted))
        elif what == "heartbeat":
            while True:
                frame = c.frame(heartbeats=True)
                if frame and frame[0] == 8:
                    return
                if not frame:
                    raise Mismatch("the stream ended, expected a heartbeat")
        else:
            for _ in range(step.times):
                self.expect_frames(step, c)

    def nothing(self, c):
        try:
            frame = c.frame(timeout=0.2)
        except socket.timeout:
            return
        raise Mismatch("%s came, expected nothing" % show(frame))

    def expect_frames(self, step, c):
        what, fields = step.what, dict(step.fields)
        if what in ("deliver", "get-ok", "return"):
            names = METHODS.by_name["basic." + what].names
            body = fields.pop("body", None)
            method = {k: fields.pop(k) for k in list(fields) if k in names}
            self.expect(step, c, step.channel, "basic." + what, method)
            self.content(step, c, fields, body)
        elif what == "header":
            self.compare("header", fields, self.header(step, c))
        elif what == "body":
            kind, _, payload = c.frame() or (None, None, None)
            if kind != 3 or payload != fields["data"]:
                raise Mismatch("body %r came, expected %r" % (payload, fields["data"]))
        else:
            self.expect(step, c, step.channel, what, fields)

    def header(self, step, c):
        frame = c.frame()
        if not frame or frame[0] != 2 or frame[1] != step.channel:
            raise Mismatch("%s came, expected a header" % show(frame))
        return decode_header(frame[2])

    def content(self, step, c, properties, body):
        got = self.header(step, c)
        self.compare("properties", properties, got)
        data = b""
        while len(data) < got["size"]:
            frame = c.frame()
            if not frame or frame[0] != 3 or frame[1] != step.channel:
                raise Mismatch("%s came, expected a body" % show(frame))
            data += frame[2]
        body = self.value(body)
        body = body.encode() if isinstance(body, str) else body
        if body is not None and data != body:
            raise Mismatch("the body is %r (%d bytes), expected %r" % (data[:60], len(data), body[:60]))

    def expect(self, step, c, channel, name, fields):
        frame = c.frame()
        method = METHODS.by_name.get(name)
        if not method:
            raise Mismatch("no method %s" % name)
        if not frame or frame[0] != 1 or frame[2][:4] != method.id or frame[1] != channel:
            raise Mismatch("%s came, expected %s on channel %d" % (show(frame), name, channel))
        got = method.decode(frame[2][4:])
        self.compare(name, fields, got)
        return got


class Broker:
    """A gannetd in a directory of its own."""

    def __init__(self, program, more, tls, kind="amqp"):
        self.directory = tempfile.mkdtemp(prefix="gannet-wire-")
        self.log = open(os.path.join(self.directory, "log"), "w+b")
        port = tap.Tap() if tap.WANTED else None
        self.address = port.address if port else "127.0.0.1"
        command = [program, "-D", os.path.join(self.directory, "data"), "--set", "listeners.amqp=%s:0" % self.address,
                   *(word for other in ("mqtt", "web_mqtt", "stomp", "web_stomp") for word in ("--set", "listeners.%s=" % other)),
                   "--set", "listeners.%s=%s:0" % (kind, self.address)]
        self.control = [os.path.join(os.path.dirname(os.path.abspath(program)), "mgmt", "gannetctl"), "-D",
                        os.path.join(self.directory, "data")]
        self.kind, self.scheme = kind, kind + "s" if tls else kind
        if tls:
            more = more + self._certify()
        if port:
            more = more + ["%s=%s" % setting for setting in port.settings().items()] + ["loopback_users=", "memory.budget=256 MiB"]
        for setting in more:
            command += ["--set", setting]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.port = self._wait()
        if port:
            port.up()

    def _certify(self):
        """Makes a certificate, and returns the settings for it."""
        self.certificate, key = os.path.join(self.directory, "certificate.pem"), os.path.join(self.directory, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", self.certificate],
                       check=True, capture_output=True)
        return ["listeners.%s=%s:0" % (self.scheme, self.address), "tls.certificate=" + self.certificate, "tls.key=" + key]

    def text(self):
        self.log.flush()
        with open(self.log.name, "rb") as f:
            return f.read().decode(errors="replace")

    def _wait(self):
        """Its port, once gannetctl is answered too: that is later than the port listens."""
        for _ in range(200):
            found = re.search(r"\b%s listens on \S*?:(\d+)\b.*\bready after\b" % self.scheme, self.text(), re.DOTALL)
            if found:
                return int(found.group(1))
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        print(self.text(), file=sys.stderr)
        self.stop()
        sys.exit("the broker did not start")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        status = self.process.returncode
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        return status


def run_all(arguments, address, tls, conversation, parse):
    passed = failed = skipped = 0
    for path in arguments.files:
        for title, only, steps in parse(path):
            if (only and only != arguments.peer) or (arguments.match and arguments.match not in title):
                skipped += 1
                continue
            if arguments.verbose:
                print(title, flush=True)
            try:
                conversation(address, arguments.timeout, tls).run(steps)
                passed += 1
            except (Failure, OSError) as error:
                failed += 1
                print("FAILED %s: %s: %s" % (os.path.basename(path), title, error))
    print("%d passed, %d failed%s" % (passed, failed, ", %d skipped" % skipped if skipped else ""))
    return failed


def main(kind="amqp", conversation=Conversation, parse=parse_file):
    """parse: what makes (title, only, steps) of a file; conversation: what runs the steps."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker")
    parser.add_argument("--tls", action="store_true", help="with --broker")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--port", type=int)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--peer", default="gannet")
    parser.add_argument("--match", help="only conversations whose title has this in it")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S)
    parser.add_argument("--show-log", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    if tap.WANTED:
        tap.enter()
    broker = Broker(arguments.broker, arguments.set, arguments.tls, kind) if arguments.broker else None
    if broker:
        CONTROL[:] = broker.control
    tls = ssl.create_default_context(cafile=broker.certificate) if broker and arguments.tls else None
    try:
        address = (broker.address, broker.port) if broker else (arguments.host, arguments.port)
        failed = run_all(arguments, address, tls, conversation, parse)
        if broker and (failed or arguments.show_log):
            print(broker.text())
    finally:
        status = broker.stop() if broker else 0
    if status:
        print("the broker ended with status %d" % status)
    sys.exit(1 if failed or status else 0)


if __name__ == "__main__":
    main()

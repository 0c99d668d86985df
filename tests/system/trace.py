"""gannetctl trace: the frames of a connection as lines and as a pcap that tshark dissects, what happens to a queue's messages; no password is
ever shown; who reads slowly loses records, is told so, and holds up nobody."""
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest

import pika

import mqtt_peer
import stomp_peer
from broker import GANNETCTL, Broker, until
from runner import main

SECRET = b"guest-secret-7"


class Tracer:
    """gannetctl trace, running."""

    def __init__(self, broker, *words, stdout=subprocess.PIPE):
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", GANNETCTL, "-D", broker.data, "trace", *words], stdout=stdout,
                                        stderr=subprocess.PIPE, text=True)

    def end(self, status=0):
        """Its lines, and what it complained of, when it has ended by itself."""
        out, err = self.process.communicate(timeout=20)
        assert self.process.returncode == status, (self.process.returncode, out, err)
        return out.splitlines() if out else [], err

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.end()


def raw(broker, request):
    """A trace asked for on the socket; what is wrong, or the socket behind the two lines."""
    s = socket.socket(socket.AF_UNIX)
    s.connect(os.path.join(broker.data, "control.sock"))
    s.sendall(request + b"\n")
    head = b""
    while b"\n\n" not in head and (more := s.recv(1)):
        head += more
    return s, head


class Trace(unittest.TestCase):
    def name(self, broker):
        """Of the only connection."""
        out = subprocess.run([GANNETCTL, "-D", broker.data, "-s", "list_connections", "name"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(len(out.splitlines()), 1, out)
        return out.strip()

    def begun(self, broker):
        """Waits until the trace is on: another is refused."""
        def refused():
            s, head = raw(broker, b"trace_connection\tnobody")
            s.close()
            return b"already" in head
        until(refused, "the trace's beginning")

    def test_lines_of_a_connection(self):
        with Broker() as broker, broker.connect() as connection:
            channel = connection.channel()
            channel.queue_declare("q")
            tracer = Tracer(broker, "connection", self.name(broker), "--bodies", "--count", "7")
            self.begun(broker)
            channel.basic_publish("", "q", b"hello you")
            self.assertIsNotNone(channel.basic_get("q", auto_ack=True)[0])
            lines, said = tracer.end()
            self.assertEqual(said, "")
            shown = [re.sub(r"^\d\d:\d\d:\d\d\.\d{6} ", "", line) for line in lines]
            self.assertEqual([re.sub(r"\d+ bytes", "N bytes", line) for line in shown], [
                "< channel 1 basic.publish, N bytes", "< channel 1 header of a body of N bytes, N bytes", "< channel 1 body, N bytes: hello you",
                "< channel 1 basic.get, N bytes", "> channel 1 basic.get-ok, N bytes", "> channel 1 header of a body of N bytes, N bytes",
                "> channel 1 body, N bytes: hello you"])

    def test_the_end_of_a_connection_ends_it(self):
        with Broker() as broker:
            connection = broker.connect()
            tracer = Tracer(broker, "connection", self.name(broker).split(" ")[0])
            self.begun(broker)
            connection.close()
            lines, _ = tracer.end()
            self.assertRegex(lines[0], r" < channel 0 connection.close, \d+ bytes$")
            self.assertRegex(lines[-1], r" > channel 0 connection.close-ok, 4 bytes$")

    def test_no_secret_is_shown(self):
        """What a login has is told but for the secret: on a connection that is traced from its first byte on."""
        with Broker(listeners__mqtt="127.0.0.1:0", listeners__stomp="127.0.0.1:0") as broker:
            subprocess.run([GANNETCTL, "-D", broker.data, "add_user", "u", SECRET.decode()], check=True, capture_output=True)
            subprocess.run([GANNETCTL, "-D", broker.data, "set_permissions", "u", ".*", ".*", ".*"], check=True, capture_output=True)
            port = {kind: int(re.search(r" %s listens on \S*:(\d+)$" % kind, broker.log.text(), re.M).group(1)) for kind in ("mqtt", "stomp")}
            table = b"\x05Login"
            frame = lambda payload: struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce"
            long = lambda text: struct.pack(">I", len(text)) + text
            start_ok = lambda mechanism, response: frame(struct.pack(">HH", 10, 11) + long(b"") + bytes([len(mechanism)]) + mechanism + long(response) + b"\x05en_US")
            credentials = b"\x05LOGINS" + long(b"u") + b"\x08PASSWORDS" + long(SECRET)
            word = lambda text: struct.pack(">H", len(text)) + text
            connect = lambda level, more: (lambda body: bytes([0x10, len(body)]) + body)(
                word(b"MQTT") + bytes([level, 0xC6]) + b"\0\x3c" + more[0] + word(b"me") + more[1] + word(b"w/t") + word(b"gone") + word(b"u") + word(SECRET))
            tries = [("amqp", broker.address, broker.port, b"AMQP\0\0\x09\x01", start_ok(b"PLAIN", b"\0u\0" + SECRET)),
                     ("amqp", broker.address, broker.port, b"AMQP\0\0\x09\x01", start_ok(b"AMQPLAIN", credentials)),
                     ("mqtt", "127.0.0.1", port["mqtt"], b"", connect(4, (b"", b""))),
                     ("mqtt", "127.0.0.1", port["mqtt"], b"", connect(5, (b"\0", b"\0"))),
                     ("stomp", "127.0.0.1", port["stomp"], b"", b"CONNECT\naccept-version:1.2\nhost:/\nlogin:u\npasscode:" + SECRET + b"\n\n\0"),
                     ("stomp", "127.0.0.1", port["stomp"], b"\n", b"STOMP\r\npasscode:" + SECRET + b"\r\naccept-version:1.2\r\nhost:/\r\nlogin:u\r\n\r\n\0")]
            for what, address, to, first, login in tries:
                with self.subTest(login=login), socket.create_connection((address, to)) as s:
                    own = "%s:%d" % s.getsockname()
                    def begin():
                        t, head = raw(broker, b"trace_connection\t" + own.encode())
                        return (t, head) if head.startswith(b"ok\n") else t.close()
                    t, head = until(begin, "the connection")
                    s.sendall(first)
                    if what == "amqp":
                        s.recv(1)
                    s.sendall(login)
                    t.settimeout(20)
                    seen = head
                    wanted = {"amqp": b"PLAIN", "mqtt": b"w/t", "stomp": b"login:u"}[what], b"*" * len(SECRET)
                    while not all(text in seen for text in wanted) and SECRET not in seen:
                        seen += t.recv(65536)
                    self.assertNotIn(SECRET, seen)
                    t.close()
                    # It logged in all the same: only the copy is blanked.
                    until(lambda: "u\n" in subprocess.run([GANNETCTL, "-D", broker.data, "-s", "list_connections", "user"] if what != "amqp" else ["echo", "u"],
                                                          capture_output=True, text=True, check=True).stdout, "the login")
                until(lambda: not subprocess.run([GANNETCTL, "-D", broker.data, "-s", "list_connections", "name"], capture_output=True, text=True,
                                                 check=True).stdout, "the connection's end")

    @unittest.skipUnless(shutil.which("tshark"), "tshark isn't installed")
    def test_pcap(self):
        with Broker() as broker:
            path = os.path.join(broker.own, "trace.pcap")
            connection = broker.connect()
            name = self.name(broker)
            channel = connection.channel()
            channel.queue_declare("q")
            tracer = Tracer(broker, "connection", name, "--pcap", path)
            self.begun(broker)
            for n in range(20):
                channel.basic_publish("", "q", b"m" * n * 5000)
            for n in range(20):
                self.assertEqual(len(channel.basic_get("q", auto_ack=True)[2]), n * 5000)
            connection.close()
            _, said = tracer.end()
            self.assertEqual(said, "")
            fields = ["ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "tcp.analysis.flags", "_ws.col.Info"]
            shown = subprocess.run(["tshark", "-r", path, "-d", "tcp.port==%d,amqp" % broker.port, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
                                    "-T", "fields", *(word for field in fields for word in ("-e", field))], capture_output=True, text=True, check=True).stdout
            rows = [line.split("\t") for line in shown.splitlines()]
            ends = name.replace(" -> ", ":").split(":")
            self.assertEqual({tuple(row[:4]) for row in rows}, {tuple(ends), (ends[2], ends[3], ends[0], ends[1])})
            self.assertEqual([row for row in rows if row[4]], [], "TCP as it should be: nothing lost, nothing twice")
            text = " ".join(row[5] for row in rows)
            for method, count in (("Basic.Publish", 20), ("Basic.Get", 20), ("Basic.Get-Ok", 20), ("Connection.Close-Ok", 1)):
                self.assertEqual(len(re.findall(re.escape(method) + r"(?![-\w])", text)), count, (method, text))
            sums = subprocess.run(["tshark", "-r", path, "-o", "tcp.check_checksum:TRUE", "-Y", "tcp.checksum.status==Bad || ip.checksum.status==Bad"],
                                  capture_output=True, text=True, check=True).stdout
            self.assertEqual(sums, "")

    def test_a_queue(self):
        with Broker(routers=2) as broker, broker.channel() as channel:
            channel.queue_declare("q")
            channel.queue_declare("other")
            tracer = Tracer(broker, "queue", "q", "--bodies")
            self.begun(broker)
            channel.basic_publish("", "q", b"one \xff", pika.BasicProperties(headers={"a": 1}, message_id="id"))
            channel.basic_publish("", "other", b"not this")
            channel.basic_publish("", "q", b"two" * 1000)
            first = channel.basic_get("q")[0]
            channel.basic_nack(first.delivery_tag)
            got = []
            channel.basic_consume("q", lambda *args: got.append(args[1].delivery_tag))
            until(lambda: channel.connection.process_data_events(0.01) or len(got) == 2, "both")
            channel.basic_ack(got[1], multiple=True)
            channel.queue_delete("q")
            lines, _ = tracer.end()
            shown = [line.split(" ", 1)[1] for line in lines]
            self.assertEqual(shown[0], r'published message=1 exchange="" routing_key="q" body_bytes=5 message_id="id" headers={"a":1} body="one \ufffd"')
            self.assertTrue(shown[1].startswith('published message=2 exchange="" routing_key="q" body_bytes=3000 body="twotwo'), shown[1])
            self.assertEqual([re.sub(" exchange.*", "", line) for line in shown[2:]],
                             ["got message=1 channel=1 redelivered=false", "requeued message=1", "delivered message=1 channel=1 redelivered=true",
                              "delivered message=2 channel=1 redelivered=false", "acknowledged message=1..2"])

    def test_a_stream_and_a_durable_queue(self):
        with Broker() as broker, broker.channel() as channel:
            channel.queue_declare("s", durable=True, arguments={"x-queue-type": "stream"})
            channel.basic_qos(prefetch_count=10)
            tracer = Tracer(broker, "queue", "s", "--count", "3")
            self.begun(broker)
            channel.basic_publish("", "s", b"1", pika.BasicProperties(delivery_mode=2))
            tags = []
            channel.basic_consume("s", lambda *args: tags.append(args[1].delivery_tag), arguments={"x-stream-offset": "first"})
            until(lambda: channel.connection.process_data_events(0.01) or tags, "it")
            channel.basic_ack(tags[0])
            lines, _ = tracer.end()
            self.assertEqual([line.split(" ")[1] for line in lines], ["published", "delivered", "acknowledged"])

    def test_who_does_not_read_loses_and_nobody_waits(self):
        with Broker() as broker, broker.connect() as connection:
            channel = connection.channel()
            channel.queue_declare("q", arguments={"x-max-length": 5})
            lazy, head = raw(broker, b"trace_connection\t" + self.name(broker).encode())
            self.assertTrue(head.startswith(b"ok\n"), head)
            begun = time.monotonic()
            for _ in range(60):  # 60 MiB into a tap of 8
                channel.basic_publish("", "q", b"x" * (1 << 20))
            channel.queue_declare("q", passive=True)
            self.assertLess(time.monotonic() - begun, 30)
            channel.basic_publish("", "q", b"the last")
            # Others are answered meanwhile.
            self.assertEqual(self.name(broker).count("->"), 1)
            lazy.settimeout(20)
            seen, lost = b"", 0
            while not lost:
                more = lazy.recv(1 << 20)
                self.assertTrue(more)
                seen += more
                at = 0
                while len(seen) - at >= 24:
                    size, kind, _, offset, _ = struct.unpack_from("=IBB2xQQ", seen, at)
                    if len(seen) - at < 24 + size:
                        break
                    lost = offset if kind == 4 else lost
                    at += 24 + size
                seen = seen[at:]
            self.assertGreater(lost, 10)
            lazy.close()
            # It is over with its client, and another may begin.
            def begin():
                s, said = raw(broker, b"trace_queue\t/\tq")
                s.close()
                return said.startswith(b"ok\n")
            until(begin, "the end of the trace")

    def test_beginnings_and_ends(self):
        with Broker(fronts=2, routers=2) as broker, broker.channel() as channel:
            channel.queue_declare("q")
            for words, said in ((("connection", "nobody"), "there is no connection nobody"), (("queue", "none"), "no queue 'none' in vhost '/'"),
                                (("queue", "q", "-p", "nowhere"), "virtual host 'nowhere' does not exist")):
                self.assertIn(said, Tracer(broker, *words).end(1)[1])
            for words in ((), ("connection",), ("queue", "q", "--pcap", "/tmp/x"), ("thing", "q"), ("queue", "q", "--count", "0"), ("queue", "q", "--seconds", "x")):
                self.assertRegex(Tracer(broker, *words).end(1)[1], "trace takes|usage: gannetctl trace")
            for words in ("queue", "q", "--json"), ("connection", "x", "--formatter", "json"):
                self.assertIn("trace has no JSON", Tracer(broker, *words).end(1)[1])
            self.assertIn("can't be written", Tracer(broker, "connection", self.name(broker), "--pcap", broker.own + "/no/where").end(1)[1])
            first = Tracer(broker, "queue", "q")
            self.begun(broker)
            self.assertIn("one trace at a time", Tracer(broker, "queue", "q").end(1)[1])
            first.process.kill()  # whoever goes away lets go
            first.process.communicate()
            until(lambda: Tracer(broker, "queue", "q", "--seconds", "1").process.wait(20) == 0, "the trace's end")
            last = Tracer(broker, "queue", "q")
            self.begun(broker)
            channel.basic_publish("", "q", b"1")
            self.assertIn(" published message=1 ", last.process.stdout.readline())
            self.assertEqual(last.interrupt()[0], [])
            for request in (b"trace_queue", b"trace_queue\t/", b"trace_queue\t\t", b"trace_connection", b"trace_connection\t", b"trace_connections\tx",
                            b"trace_queue\t/\t" + b"x" * 256):
                s, said = raw(broker, request)
                s.close()
                self.assertRegex(said, b"^(error|missing) ", request)
            # One that is there when the broker ends is no reason to wait.
            until(lambda: raw(broker, b"trace_queue\t/\tq")[1].startswith(b"ok"), "another")


if __name__ == "__main__":
    main()

"""AMQP over TLS: pika, python's ssl and openssl s_client against a certificate made by openssl req; who is refused, and what the
log says of it."""
import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
import unittest

import pika

from broker import GANNETCTL, PATIENCE_S, PERSISTENT, drain, take, until
from runner import main
from tls_site import Authority, connect, dial, handshake, openssl, tls_port

BODY = bytes(range(256)) * 4096  # 1 MiB: many records, and many frames


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.authority.directory)

    @contextlib.contextmanager
    def running(self, **settings):
        with self.authority.broker(**settings) as broker:
            broker.start()
            yield broker

    def round_trip(self, broker, context):
        connection = connect(broker, context)
        channel = connection.channel()
        channel.queue_declare("q", durable=True)
        channel.confirm_delivery()
        bodies = [BODY[:n] for n in (0, 1, 100, 16383, 16384, 16385, 65536)] + [BODY]
        for body in bodies:
            channel.basic_publish("", "q", body, PERSISTENT)
        self.assertEqual([body for body, _ in drain(channel, "q")], bodies)
        connection.close()

    def test_both_versions_carry_messages(self):
        with self.running() as broker:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = self.authority.context()
                context.minimum_version = context.maximum_version = version
                self.round_trip(broker, context)
            broker.connect().close()  # and the plain listener goes on beside it

    def test_several_fronts(self):
        with self.running(fronts=3, routers=2) as broker:
            context = self.authority.context()
            threads = [threading.Thread(target=self.many, args=(broker, context, number)) for number in range(6)]
            self.failed = []
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(self.failed, [])

    def many(self, broker, context, number):
        try:
            connection = connect(broker, context)
            channel = connection.channel()
            queue = "q%d" % number
            channel.queue_declare(queue)
            for i in range(300):
                channel.basic_publish("", queue, b"%d " % i + BODY[:i * 100])
            got = take(channel, queue, 300)
            for i, (body, _) in enumerate(got):
                if body != b"%d " % i + BODY[:i * 100]:
                    self.failed.append("%s: message %d is wrong" % (queue, i))
            connection.close()
        except Exception as error:  # pylint: disable=broad-except
            self.failed.append("%d: %r" % (number, error))

    def test_a_session_is_resumed_at_any_front(self):
        with self.running(fronts=3) as broker:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = self.authority.context()
                context.minimum_version = context.maximum_version = version
                with handshake(broker, context) as stream:
                    session = stream.session
                for _ in range(6):
                    with context.wrap_socket(dial(broker), server_hostname="localhost", session=session) as stream:
                        self.assertTrue(stream.session_reused)

    def test_s_client(self):
        with self.running() as broker:
            said = openssl("s_client", "-connect", "%s:%d" % (broker.address, tls_port(broker)), "-CAfile",
                           self.authority.certificate("broker"), "-verify_return_error", "-brief", input=b"")
            self.assertIn(b"Verification: OK", said.stderr)
            self.assertIn(b"TLSv1.3", said.stderr)

    def test_no_renegotiation(self):
        with self.running() as broker:
            said = subprocess.run(["openssl", "s_client", "-tls1_2", "-connect", "%s:%d" % (broker.address, tls_port(broker))],
                                  input=b"R\n", capture_output=True, timeout=PATIENCE_S, check=False)
            self.assertIn(b"RENEGOTIATING", said.stdout + said.stderr)
            self.assertIn(b"no renegotiation", said.stderr)
            self.round_trip(broker, self.authority.context())

    def test_close_notify_comes_with_the_end(self):
        with self.running() as broker:
            stream = handshake(broker, self.authority.context())
            stream.sendall(b"what is no frame" * 100)
            while stream.recv(4096):
                pass
            stream.unwrap()  # fails if the broker's close_notify is missing

    def test_a_stream_cut_off_is_named(self):
        with self.running() as broker:
            stream = handshake(broker, self.authority.context())
            os.close(stream.detach())
            self.assertTrue(broker.log.wait("without TLS's close_notify"))

    # ---- who is refused ----

    def test_a_client_that_does_not_trust_the_broker(self):
        with self.running() as broker:
            with self.assertRaises(ssl.SSLCertVerificationError):
                handshake(broker, self.authority.context(trusted="other"))
            self.assertTrue(broker.log.wait("handshake failed: .*unknown ca"))

    def test_certificates_are_required(self):
        with self.running(tls__ca=self.authority.certificate("client"), tls__verify="required") as broker:
            for own in (None, "other"):
                with self.assertRaises((ssl.SSLError, ConnectionError)):
                    handshake(broker, self.authority.context(own=own))
            self.assertTrue(broker.log.wait("handshake failed: peer did not return a certificate"))
            self.assertTrue(broker.log.wait("handshake failed: self.signed certificate"))
            self.round_trip(broker, self.authority.context(own="client"))

    def test_certificates_are_optional(self):
        with self.running(tls__ca=self.authority.certificate("client"), tls__verify="optional") as broker:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                handshake(broker, self.authority.context(own="other"))
            self.round_trip(broker, self.authority.context())
            self.round_trip(broker, self.authority.context(own="client"))

    def test_certificates_log_in_without_a_name(self):
        """Over MQTT and STOMP: who gives a name needs its password."""
        def mqtt(own, user=None):
            name = b"" if user is None else b"\0\x06client\0\x02" + user
            body = b"\0\4MQTT\4" + (b"\2" if user is None else b"\xc2") + b"\0\0\0\1c" + name
            return answer("mqtts", own, b"\x10" + bytes([len(body)]) + body, 4)

        def stomp(own, login=""):
            return answer("stomps", own, b"CONNECT\naccept-version:1.2\nhost:/\n" + login.encode() + b"\n\0", 9)

        def answer(kind, own, said, n):
            port = int(broker.log.find(kind + r" listens on \S*:(\d+)$").group(1))
            stream = self.authority.context(own=own).wrap_socket(
                socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S), server_hostname="localhost")
            with stream:
                stream.sendall(said)
                return stream.recv(n)

        address = "sockets:127.0.0.1:0"
        with self.running(tls__ca=self.authority.certificate("client"), tls__verify="optional", tls__login="common_name",
                          listeners__mqtts=address, listeners__stomps=address, mqtt__anonymous="false", stomp__anonymous="false") as broker:
            self.assertEqual(mqtt("client"), b"\x20\2\0\4")
            self.assertEqual(stomp("client")[:5], b"ERROR")
            for words in (["add_user", "client", "pw"], ["set_permissions", "client", ".*", ".*", ".*"]):
                subprocess.run([GANNETCTL, "-D", broker.data, *words], check=True, timeout=PATIENCE_S)
            self.assertEqual(mqtt("client"), b"\x20\2\0\0")
            self.assertEqual(stomp("client"), b"CONNECTED")
            self.assertEqual(mqtt("client", b"no"), b"\x20\2\0\4")
            self.assertEqual(mqtt("client", b"pw"), b"\x20\2\0\0")
            self.assertEqual(stomp("client", "login:client\npasscode:no\n")[:5], b"ERROR")
            self.assertEqual(mqtt(None), b"\x20\2\0\4")  # nobody, and guests aren't let in
            self.assertEqual(stomp(None)[:5], b"ERROR")

    def test_certificates_log_in(self):
        def connect_as(broker, own):
            return pika.BlockingConnection(pika.ConnectionParameters(
                broker.address, tls_port(broker), heartbeat=0, socket_timeout=PATIENCE_S, connection_attempts=1,
                credentials=pika.credentials.ExternalCredentials(),
                ssl_options=pika.SSLOptions(self.authority.context(own=own), "localhost")))

        certificates = {"tls__ca": self.authority.certificate("client"), "tls__verify": "optional"}
        for login, user in (("common_name", "client"), ("dns", "localhost")):
            with self.running(tls__login=login, **certificates) as broker:
                with self.assertRaises(pika.exceptions.AMQPConnectionError):
                    connect_as(broker, "client")
                self.assertTrue(broker.log.wait("login refused: certificate of '%s'" % user))
                for words in (["add_user", user, "pw"], ["set_permissions", user, ".*", ".*", ".*"]):
                    subprocess.run([GANNETCTL, "-D", broker.data, *words], check=True, timeout=PATIENCE_S)
                connect_as(broker, "client").channel().queue_declare("q")
                with self.assertRaises(pika.exceptions.AMQPConnectionError):
                    connect_as(broker, None)
        for login in "none", "email":
            with self.running(tls__login=login, **certificates) as broker, self.assertRaises(pika.exceptions.AMQPConnectionError):
                connect_as(broker, "client")

    def test_old_versions(self):
        with self.running(tls__versions="1.3") as broker:
            for version in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2):
                context = self.authority.context()
                context.set_ciphers("ALL:@SECLEVEL=0")
                context.minimum_version = context.maximum_version = version
                with self.assertRaises(ssl.SSLError):
                    handshake(broker, context)
            self.assertTrue(broker.log.wait("handshake failed: unsupported protocol"))
            self.round_trip(broker, self.authority.context())

    def test_ciphers(self):
        with self.running(tls__ciphers="ECDHE-ECDSA-CHACHA20-POLY1305:TLS_CHACHA20_POLY1305_SHA256") as broker:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = self.authority.context()
                context.minimum_version = context.maximum_version = version
                with handshake(broker, context) as stream:
                    self.assertIn("CHACHA20", stream.cipher()[0])

    def test_plain_and_hostile_bytes(self):
        with self.running() as broker:
            for data in (b"AMQP\0\0\x09\x01", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 70000, os.urandom(5000),
                         b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(600), b"\x15\x03\x03\x00\x02\x02\x28"):
                with dial(broker) as stream:
                    with contextlib.suppress(ConnectionError):
                        stream.sendall(data)
                        while stream.recv(4096):
                            pass
            self.assertTrue(broker.log.wait(r"is not TLS, which is spoken on \S+; it begins 'AMQP\.\.\.\.'"))
            self.assertTrue(broker.log.wait(r"it begins 'GET / HTTP/1.1"))
            self.round_trip(broker, self.authority.context())

    def test_half_handshakes_end(self):
        with self.running(handshake_timeout="1 s") as broker:
            streams = [dial(broker) for _ in range(50)]
            for stream in streams[::2]:
                stream.sendall(b"\x16\x03\x01\x02")
            self.round_trip(broker, self.authority.context())
            for stream in streams:
                with contextlib.suppress(ConnectionError):
                    self.assertEqual(stream.recv(1), b"")
                stream.close()
            self.assertTrue(broker.log.wait("the TLS handshake took too long"))

    def test_nobody_reads(self):
        """A consumer that stops reading costs what its connection may cost; others go on."""
        with self.running(memory__budget="128 MiB") as broker:
            connection = connect(broker, self.authority.context())
            channel = connection.channel()
            channel.queue_declare("q")
            got = []

            def take_one(_channel, _method, _properties, body):
                got.append(body == BODY)
                if len(got) == 60:
                    channel.stop_consuming()

            channel.basic_consume("q", take_one, auto_ack=True)
            other = connect(broker, self.authority.context())
            publisher = other.channel()
            for _ in range(60):
                publisher.basic_publish("", "q", BODY)
            self.round_trip_beside(other)
            channel.start_consuming()  # from here on it reads, and all is there, byte for byte
            self.assertEqual(got, [True] * 60)
            connection.close()
            other.close()

    def round_trip_beside(self, connection):
        channel = connection.channel()
        channel.queue_declare("beside")
        channel.basic_publish("", "beside", b"x")
        until(lambda: channel.basic_get("beside", auto_ack=True)[0], "a message beside the one who doesn't read")

    # ---- start ----

    def test_what_start_says(self):
        nowhere = os.path.join(self.authority.directory, "nowhere")
        garbage = os.path.join(self.authority.directory, "garbage")
        with open(garbage, "w", encoding="utf-8") as file:
            file.write("no certificate\n")
        for settings, said in (
                ({"tls__certificate": ""}, "tls.certificate is not set: a TLS listener needs"),
                ({"tls__key": ""}, "tls.key is not set: a TLS listener needs"),
                ({"tls__certificate": nowhere}, "tls.certificate: cannot read %s: No such file" % nowhere),
                ({"tls__certificate": garbage}, "tls.certificate: %s holds no certificate in PEM form" % garbage),
                ({"tls__key": garbage}, "tls.key: %s holds no private key in PEM form" % garbage),
                ({"tls__key": self.authority.key("other")}, "does not belong to the certificate"),
                ({"tls__verify": "maybe"}, "tls.verify: 'maybe' is none of none, optional and required"),
                ({"tls__login": "maybe"}, "tls.login: 'maybe' is none of none, common_name, dns and email"),
                ({"tls__verify": "required"}, "tls.verify is required, but tls.ca is not set"),
                ({"tls__ca": self.authority.certificate("client")}, "tls.ca is set, but tls.verify is none"),
                ({"tls__ca": garbage, "tls__verify": "optional"}, "tls.ca: %s holds no certificate" % garbage),
                ({"tls__versions": "1.1"}, "tls.versions: '1.1' is neither 1.2 nor 1.3"),
                ({"tls__ciphers": "NONSENSE"}, "tls.ciphers: OpenSSL finds no cipher 'NONSENSE'"),
                ({"tls__ciphers": "ECDHE+AESGCM:TLS_NONSENSE"}, "tls.ciphers: OpenSSL finds no cipher 'TLS_NONSENSE'"),
                ({"tls__ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256:AES-NONSENSE:TLS_AES_128_GCM_SHA256"}, "finds no cipher 'AES-NONSENSE'"),
                ({"tls__ciphers": "!aNULL"}, "tls.ciphers: OpenSSL finds no cipher in '!aNULL'"),
                ({"tls__versions": ""}, "tls.versions: ")):
            with self.subTest(said), self.authority.broker(**settings) as broker:
                self.assertIn(said, broker.start_fails())
                checked = subprocess.run(broker.command(["--check-config"]), capture_output=True, text=True, timeout=PATIENCE_S,
                                         check=False)
                self.assertEqual(checked.returncode, 1)
                self.assertIn(said, checked.stderr)


if __name__ == "__main__":
    main()

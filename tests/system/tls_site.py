"""What the tests of TLS have in common: certificates made by openssl, a broker with them, clients of it."""
import os
import socket
import ssl
import subprocess
import tempfile
import time

import pika

from broker import PATIENCE_S, Broker

CA = """[ca]
default_ca = own
[own]
database = %s
unique_subject = no
rand_serial = yes
serial = none
default_md = sha256
policy = any
[any]
commonName = supplied
"""


def openssl(*words, **options):
    return subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=PATIENCE_S, **options)


class Authority:
    """Certificates, in a directory of their own."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="gannet-tls-")
        for name in ("broker", "client", "other"):
            self.make(name)

    def make(self, name, names=("localhost",), days=90, key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        """One that signs itself."""
        more = ["-addext", "subjectAltName=" + ",".join("DNS:" + n for n in names)] if names else []
        openssl("req", "-x509", "-newkey", *key, "-nodes", "-days", str(days), "-subj", "/CN=" + name, *more,
                "-keyout", self.key(name), "-out", self.certificate(name))

    def make_ending(self, name, seconds):
        """One that ends in so many seconds, or has."""
        database = os.path.join(self.directory, "database")
        config = os.path.join(self.directory, "ca.conf")
        open(database, "w", encoding="utf-8").close()
        with open(config, "w", encoding="utf-8") as file:
            file.write(CA % database)
        request = os.path.join(self.directory, "request")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout", self.key(name),
                "-out", request)
        times = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + s)) for s in (seconds - 86400, seconds)]
        openssl("ca", "-batch", "-selfsign", "-notext", "-rand_serial", "-config", config, "-in", request, "-keyfile", self.key(name),
                "-startdate", times[0], "-enddate", times[1], "-outdir", self.directory, "-out", self.certificate(name))

    def certificate(self, name):
        return os.path.join(self.directory, name + ".pem")

    def key(self, name):
        return os.path.join(self.directory, name + ".key")

    def broker(self, **settings):
        """A broker that is not started yet."""
        settings.setdefault("tls__certificate", self.certificate("broker"))
        settings.setdefault("tls__key", self.key("broker"))
        broker = Broker(start=False, **settings)
        broker.settings["listeners.amqps"] = broker.address + ":0"
        return broker

    def context(self, trusted="broker", own=None):
        context = ssl.create_default_context(cafile=self.certificate(trusted))
        if own:
            context.load_cert_chain(self.certificate(own), self.key(own))
        return context


def tls_port(broker):
    return int(broker.log.find(r"amqps listens on \S*:(\d+)$").group(1))


def connect(broker, context):
    return pika.BlockingConnection(pika.ConnectionParameters(
        broker.address, tls_port(broker), heartbeat=0, socket_timeout=PATIENCE_S, stack_timeout=PATIENCE_S, connection_attempts=1,
        ssl_options=pika.SSLOptions(context, "localhost")))


def dial(broker):
    return socket.create_connection((broker.address, tls_port(broker)), timeout=PATIENCE_S)


def handshake(broker, context):
    """A stream whose handshake is done: a byte of the broker's answer says so, TLS 1.3's client is done before its server."""
    stream = context.wrap_socket(dial(broker), server_hostname="localhost")
    stream.sendall(b"AMQP\0\0\x09\x01")
    if not stream.recv(1):
        raise ConnectionResetError("the broker closed the stream")
    return stream

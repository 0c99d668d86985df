"""Every listener over TLS that the broker can have, by the clients that people use: pika, paho-mqtt over TLS and over WebSocket, stomp.py,
websocket-client, openssl s_client. What one sends another gets."""
import os
import queue
import shutil
import subprocess
import sys
import unittest

import paho.mqtt.client
import stomp
import websocket

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

from broker import PATIENCE_S, until  # noqa: E402
from runner import main  # noqa: E402
from tls_site import Authority, connect, openssl  # noqa: E402

KINDS = ("amqps", "mqtts", "stomps", "web_mqtts", "web_stomps")


class Paho:
    """A subscriber and publisher of paho's."""

    def __init__(self, site, kind):
        self.got, self.subscribed = queue.Queue(), queue.Queue()
        self.client = paho.mqtt.client.Client(transport="websockets" if kind == "web_mqtts" else "tcp")
        self.client.username_pw_set("guest", "guest")
        self.client.tls_set(site.authority.certificate("broker"))
        if kind == "web_mqtts":
            self.client.ws_set_options(path="/ws")
        self.client.tls_insecure_set(True)  # the name: it is called by its address
        self.client.on_connect = lambda client, *_: client.subscribe("t/#", 1)
        self.client.on_subscribe = lambda *_: self.subscribed.put(True)
        self.client.on_message = lambda _client, _user, message: self.got.put(message.payload)
        self.client.connect(site.broker.address, site.port(kind), keepalive=60)
        self.client.loop_start()
        self.subscribed.get(timeout=PATIENCE_S)

    def publish(self, body):
        self.client.publish("t/x", body, qos=1).wait_for_publish(PATIENCE_S)

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


class Stomp(stomp.ConnectionListener):
    """The same of stomp.py's."""

    def __init__(self, site, kind):
        self.got, self.receipts = queue.Queue(), queue.Queue()
        at = [(site.broker.address, site.port(kind))]
        self.client = stomp.Connection12(at, vhost="/", reconnect_attempts_max=1, auto_decode=False)
        self.client.set_ssl(at, ca_certs=site.authority.certificate("broker"))
        self.client.set_listener("", self)
        self.client.connect("guest", "guest", wait=True)
        self.client.subscribe("/topic/t.#", id="1", headers={"receipt": "subscribed"})
        self.receipts.get(timeout=PATIENCE_S)

    def on_message(self, frame):
        self.got.put(frame.body)

    def on_receipt(self, frame):
        self.receipts.put(frame.headers["receipt-id"])

    def publish(self, body):
        self.client.send("/topic/t.x", body, receipt="sent")
        self.receipts.get(timeout=PATIENCE_S)

    def end(self):
        self.client.disconnect()


class WebStomp:
    """STOMP by hand, over websocket-client."""

    def __init__(self, site, kind):
        self.got = queue.Queue()
        self.client = websocket.create_connection(
            "wss://%s:%d/ws" % (site.broker.address, site.port(kind)), subprotocols=["v12.stomp"], timeout=PATIENCE_S,
            sslopt={"ca_certs": site.authority.certificate("broker"), "server_hostname": "localhost"})
        self.client.send("CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0")
        self.next("CONNECTED")
        self.client.send("SUBSCRIBE\nid:1\ndestination:/topic/t.#\nreceipt:s\n\n\0")
        self.next("RECEIPT")

    def next(self, command):
        frame = self.client.recv()
        frame = frame.encode() if isinstance(frame, str) else frame
        if not frame.startswith(command.encode() + b"\n"):
            raise AssertionError("%r came, not a %s" % (frame[:200], command))
        return frame.split(b"\n\n", 1)[1].rstrip(b"\n")[:-1]

    def publish(self, body):
        self.client.send_binary(b"SEND\ndestination:/topic/t.x\n\n" + body + b"\0")
        self.got.put(self.next("MESSAGE"))  # its own

    def end(self):
        self.client.close()


class Pika:
    def __init__(self, site, _kind):
        self.connection = connect(site.broker, site.authority.context())
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        self.queue = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.queue_bind(self.queue, "amq.topic", "t.#")

    def publish(self, body):
        self.channel.basic_publish("amq.topic", "t.x", body)

    def take(self):
        return until(lambda: self.channel.basic_get(self.queue, auto_ack=True)[2], "a message at pika's")

    def end(self):
        self.connection.close()


CLIENTS = {"amqps": Pika, "mqtts": Paho, "web_mqtts": Paho, "stomps": Stomp, "web_stomps": WebStomp}


class Clients(unittest.TestCase):
    def setUp(self):
        self.authority = Authority()
        self.addCleanup(shutil.rmtree, self.authority.directory)
        self.broker = self.authority.broker(fronts=2)
        for kind in KINDS:
            self.broker.settings["listeners." + kind] = self.broker.address + ":0"
        self.enterContext(self.broker)
        if not self.broker.running():
            self.broker.start()

    def port(self, kind):
        return int(self.broker.log.find(kind + r" listens on \S*:(\d+)$").group(1))

    def test_all_speak_to_each_other(self):
        clients = {kind: CLIENTS[kind](self, kind) for kind in KINDS}
        for sender, client in clients.items():
            for n in (1, 100, 50000):
                body = (sender[0] + str(n)).encode().ljust(n, b".")
                client.publish(body)
                for kind, other in clients.items():
                    if kind == "amqps":
                        got = other.take()
                    elif kind == "web_stomps" and other is not client:
                        got = other.next("MESSAGE")
                    else:
                        got = other.got.get(timeout=PATIENCE_S)
                    self.assertEqual(got, body, (sender, kind, n))
        for client in clients.values():
            client.end()

    def test_s_client_likes_each(self):
        for kind in KINDS:
            for version in ("-tls1_2", "-tls1_3"):
                said = openssl("s_client", version, "-connect", "%s:%d" % (self.broker.address, self.port(kind)), "-servername", "localhost", "-CAfile",
                               self.authority.certificate("broker"), "-verify_return_error", "-verify_hostname", "localhost", "-brief", input=b"")
                self.assertIn(b"Verification: OK", said.stderr, (kind, version))
            for wrong in ("-tls1", "-tls1_1"):
                said = subprocess.run(["openssl", "s_client", wrong, "-cipher", "ALL:@SECLEVEL=0", "-connect",
                                       "%s:%d" % (self.broker.address, self.port(kind))],
                                      input=b"", capture_output=True, timeout=PATIENCE_S, check=False)
                self.assertIn(b"Cipher is (NONE)", said.stdout, (kind, wrong))

    def ciphers(self, version, names, at):
        """Which of these a listener agrees to."""
        option = "-ciphersuites" if version == "-tls1_3" else "-cipher"
        found = []
        for name in names:
            said = subprocess.run(["openssl", "s_client", version, option, name, "-connect", at], input=b"", capture_output=True, timeout=PATIENCE_S,
                                  check=False)
            if b"Cipher is " + name.encode() in said.stdout:
                found.append(name)
        return found

    def test_only_good_ciphers(self):
        """What RFC 9325 recommends, of all that openssl has; with a certificate of P-256."""
        at = "%s:%d" % (self.broker.address, self.port("amqps"))
        has = openssl("ciphers", "-tls1_2", "-s", "ALL:@SECLEVEL=0").stdout.decode().strip().split(":")
        self.assertEqual(set(self.ciphers("-tls1_2", has, at)),
                         {"ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"})
        three = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
        self.assertEqual(self.ciphers("-tls1_3", three, at), three)


if __name__ == "__main__":
    main()

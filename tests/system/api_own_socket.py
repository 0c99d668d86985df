"""What clients do (declare, bind, publish, get, definitions) over mgmtd.sock, where nobody logs in; and amqp.sock, by which gannet-mgmtd does it."""
import json
import os
import socket
import stat
import unittest

import pika
from broker import Broker
from management import ANY, Api, Mgmtd
from runner import main


class OwnSocket(Api):
    def own(self, status, method, path, body=None):
        response, text = self.mgmtd.ask("/api/" + path, method, body)
        self.assertEqual(response.status, status, (method, path, text))
        return json.loads(text) if text else None

    def test_what_clients_do(self):
        self.own(201, "PUT", "queues/%2F/q", {"durable": True})
        self.own(201, "PUT", "exchanges/%2F/e", {"type": "topic"})
        self.own(201, "POST", "bindings/%2F/e/e/q/q", {"routing_key": "a.#"})
        message = {"routing_key": "a.b", "properties": {}, "payload": "hello", "payload_encoding": "string"}
        self.assertEqual(self.own(200, "POST", "exchanges/%2F/e/publish", message), {"routed": True})
        got = self.own(200, "POST", "queues/%2F/q/get", {"count": 5, "ackmode": "ack_requeue_false", "encoding": "auto"})
        self.assertEqual([one["payload"] for one in got], ["hello"])
        self.own(204, "DELETE", "queues/%2F/q/contents")
        self.own(204, "DELETE", "queues/%2F/q")
        self.own(204, "DELETE", "exchanges/%2F/e")
        self.own(404, "DELETE", "queues/%2F/none")

    def test_as_whom(self):
        self.user("a", "administrator")
        self.user("m", "", "%2F")
        # The first administrator is "a", who may use nothing.
        self.assertIn("'a'", self.own(401, "PUT", "queues/%2F/q", {})["reason"])
        self.own(404, "PUT", "queues/%2F/q?as=none", {})
        self.own(400, "PUT", "queues/%2F/q?as=" + 300 * "x", {})
        self.own(201, "PUT", "queues/%2F/q?as=m", {})
        self.done(204, "PUT", "permissions/%2F/m", dict(ANY, configure="^x"))
        self.assertIn("'m'", self.own(401, "PUT", "queues/%2F/y?as=m", {})["reason"])
        # On TCP one is who one has logged in as.
        self.assertIn("'a'", self.refused(401, "PUT", "queues/%2F/q?as=guest", {}, "a:pw"))
        self.done(204, "PUT", "users/a", {"password": "pw", "tags": ""})
        self.done(204, "PUT", "users/guest", {"password": "guest", "tags": "management"})
        self.assertIn("as=USER", self.own(400, "PUT", "queues/%2F/q", {})["reason"])

    def test_definitions(self):
        definitions = {"vhosts": [{"name": "v"}], "permissions": [dict(ANY, user="guest", vhost="v")],
                       "queues": [{"name": "q", "vhost": "v", "durable": True}], "exchanges": [{"name": "e", "vhost": "v", "type": "fanout"}],
                       "bindings": [{"source": "e", "vhost": "v", "destination": "q", "destination_type": "queue", "routing_key": "k"}]}
        self.own(204, "POST", "definitions", definitions)
        self.assertEqual(self.own(200, "GET", "bindings/v/e/e/q/q")[0]["routing_key"], "k")
        self.user("n", "administrator")
        refused = {"queues": [{"name": "q2", "vhost": "v", "durable": True}]}
        self.assertIn("user 'n'", self.own(400, "POST", "definitions?as=n", refused)["reason"])


class AmqpSocket(unittest.TestCase):
    def login(self, path, mechanism, response):
        """The broker's answer to a start-ok: the method's class and number."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(path)
            client.sendall(b"AMQP\x00\x00\x09\x01")
            start = client.recv(65536)
            self.assertIn(b"PLAIN AMQPLAIN EXTERNAL", start)
            args = b"\0\0\0\0" + bytes([len(mechanism)]) + mechanism + len(response).to_bytes(4, "big") + response + b"\x05en_US"
            payload = b"\0\x0a\0\x0b" + args
            client.sendall(b"\x01\0\0" + len(payload).to_bytes(4, "big") + payload + b"\xce")
            answer = client.recv(65536)
            return answer[7:11]

    def test_who_may_open_it_is_any_user(self):
        with Broker() as broker:
            path = os.path.join(broker.data, "amqp.sock")
            mode = os.stat(path).st_mode
            self.assertTrue(stat.S_ISSOCK(mode))
            self.assertEqual(stat.S_IMODE(mode), 0o660)
            tune = b"\0\x0a\0\x1e"
            self.assertEqual(self.login(path, b"EXTERNAL", b"guest"), tune)
            self.assertEqual(self.login(path, b"PLAIN", b"\0guest\0guest"), tune)
            for mechanism, response in (b"EXTERNAL", b"none"), (b"EXTERNAL", b""), (b"EXTERNAL", 300 * b"x"), (b"PLAIN", b"\0guest\0x"):
                self.assertNotEqual(self.login(path, mechanism, response), tune, response)
            # Nobody is whom he wants where clients come.
            with self.assertRaises(pika.exceptions.AuthenticationError):
                broker.connect(credentials=pika.credentials.ExternalCredentials())
        self.assertFalse(os.path.exists(path))

    def test_the_broker_was_killed(self):
        with Broker() as broker, Mgmtd(broker.data) as mgmtd:
            broker.kill9()
            self.assertEqual(mgmtd.ask("/api/queues/%2F/q", "PUT", {})[0].status, 503)
            broker.restart()
            self.assertEqual(mgmtd.ask("/api/queues/%2F/q", "PUT", {})[0].status, 201)


if __name__ == "__main__":
    main()

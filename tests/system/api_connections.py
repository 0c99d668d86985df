"""Connections that an operator closes, over the HTTP API and by gannetctl: what clients of each protocol are told."""
import queue
import subprocess
import unittest
import urllib.parse

import pika
from broker import GANNETCTL, PATIENCE_S, Broker, own_address, speaks, until
from management import Api, Mgmtd
from mqtt_peer import DISCONNECT
from mqtt_peer import Peer as MqttPeer
from runner import main
from stomp_peer import Peer as StompPeer

try:
    import paho.mqtt.client as paho
except ImportError:
    paho = None


class Connections(Api):
    def setUp(self):
        others = {"listeners__" + kind: own_address() + ":0" for kind in ("mqtt", "stomp") if speaks(kind)}
        self.broker = self.enterContext(Broker(fronts=2, **others))
        self.mgmtd = self.enterContext(Mgmtd(self.broker.data))

    def at(self, protocol):
        """Where its listener is."""
        (address, port), = {(listener["ip_address"], listener["port"]) for listener in self.get("overview")["listeners"] if listener["protocol"] == protocol}
        return address, port

    def names(self, user="guest"):
        return [connection["name"] for connection in self.get("connections/username/" + user)]

    def path(self):
        name, = self.names()
        return "connections/" + urllib.parse.quote(name, "")

    def told(self, connection):
        """What pika's connection was closed with."""
        with self.assertRaises(pika.exceptions.ConnectionClosedByBroker) as closed:
            while True:
                connection.process_data_events(time_limit=PATIENCE_S)
        return closed.exception.reply_code, closed.exception.reply_text

    def close(self, path, reason=None, user="guest:guest"):
        return self.call("DELETE", path, user=user, headers={"X-Reason": reason} if reason else None)


class Closing(Connections):
    def test_with_a_reason(self):
        for reason in None, "for the test", "x" * 1000:
            connection = self.broker.connect()
            self.assertEqual(self.close(self.path(), reason), (204, None))
            code, text = self.told(connection)
            self.assertEqual(code, 320)
            self.assertTrue(text.startswith("CONNECTION_FORCED - " + (reason or "Closed via management plugin")[:200]), text)
            until(lambda: not self.names(), "the end of the connection")

    def test_who_may(self):
        self.user("m", "management", "%2F")
        self.user("w", "monitoring", "%2F")
        connection = self.broker.connect()
        path = self.path()
        self.assertEqual(self.close(path, user="m:pw")[0], 404)
        self.assertEqual(self.close(path, user="w:pw")[0], 401)
        self.assertEqual(self.close("connections/none")[0], 404)
        self.assertEqual(self.close(path, "\xff")[0], 400)
        for user in "m:pw", "w:pw":
            self.assertEqual(self.close("connections/username/guest", user=user)[0], 401)
        own = self.broker.connect(credentials=pika.PlainCredentials("m", "pw"))
        name, = self.names("m")
        self.assertEqual(self.close("connections/" + urllib.parse.quote(name, ""), user="m:pw")[0], 204)
        self.assertEqual(self.told(own)[0], 320)
        connection.process_data_events()
        self.assertEqual(len(self.names()), 1)
        connection.close()

    def test_all_of_a_user(self):
        self.user("m", "management", "%2F")
        connections = [self.broker.connect(credentials=pika.PlainCredentials("m", "pw")) for _ in range(3)]
        other = self.broker.connect()
        self.assertEqual(self.close("connections/username/m", "all of them"), (204, None))
        for connection in connections:
            self.assertIn("all of them", self.told(connection)[1])
        until(lambda: not self.names("m"), "the end of the connections")
        self.assertEqual(self.close("connections/username/m"), (204, None))
        other.process_data_events()
        other.close()

    def test_by_gannetctl(self):
        connection = self.broker.connect()
        name, = self.names()
        self.ctl("close_connection", name, "by hand")
        self.assertIn("by hand", self.told(connection)[1])
        until(lambda: not self.names(), "the end of the connection")
        connection = self.broker.connect()
        self.ctl("close_all_user_connections", "guest", "all of them")
        self.assertIn("all of them", self.told(connection)[1])
        for words in ("close_connection", name, "x"), ("close_connection", name), ("close_connection", "", "x"), ("close_all_user_connections", "", "x"):
            done = subprocess.run([GANNETCTL, "-D", self.broker.data, *words], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 1, words)

    def test_publishers_and_consumers_go_on_elsewhere(self):
        with self.broker.channel() as other:
            other.queue_declare("q")
            busy = self.broker.connect(client_properties={"connection_name": "busy"})
            channel = busy.channel()
            channel.basic_consume("q", lambda *_: None)
            other.basic_publish("", "q", b"x")
            busy.process_data_events(time_limit=1)
            path, = ["connections/" + urllib.parse.quote(c["name"], "") for c in self.get("connections") if c["user_provided_name"] == "busy"]
            self.assertEqual(self.close(path)[0], 204)
            self.told(busy)
            until(lambda: other.queue_declare("q", passive=True).method.message_count == 1, "the message back in its queue")


@unittest.skipUnless(speaks("mqtt"), "MQTT has no listener")
class OverMqtt(Connections):
    def test_a_disconnect_and_the_will(self):
        watch = MqttPeer(*self.at("mqtt"), "watch", clean=True)
        watch.subscribe("gone", 0)
        name, = self.names()
        peer = MqttPeer(*self.at("mqtt"), "c", clean=True, expiry=0, will=("gone", "will"))
        path, = ["connections/" + urllib.parse.quote(other, "") for other in self.names() if other != name]
        self.assertEqual(self.close(path, "for the test"), (204, None))
        kind, _, body = peer.read()
        self.assertEqual((kind, body[0]), (DISCONNECT, 0x98))
        self.assertIn(b"for the test", body)
        _, _, body = watch.read()
        self.assertTrue(body.endswith(b"will"), body)

    @unittest.skipUnless(paho, "paho isn't there")
    def test_paho(self):
        connected, ended = queue.Queue(), queue.Queue()
        client = paho.Client("p", protocol=paho.MQTTv5)
        client.username_pw_set("guest", "guest")
        client.on_connect = lambda *_: connected.put(True)
        client.on_disconnect = lambda client, data, code, *more: (client.disconnect(), ended.put(code))
        client.connect(*self.at("mqtt"))
        client.loop_start()
        connected.get(timeout=PATIENCE_S)
        self.assertEqual(self.close(self.path())[0], 204)
        code = ended.get(timeout=PATIENCE_S)
        client.loop_stop()
        self.assertEqual(getattr(code, "value", code), 0x98)


@unittest.skipUnless(speaks("stomp"), "STOMP has no listener")
class OverStomp(Connections):
    def test_an_error(self):
        peer = StompPeer(*self.at("stomp"))
        self.assertEqual(self.close(self.path(), "for the test"), (204, None))
        frame = peer.read()
        self.assertEqual(frame.command, "ERROR")
        self.assertIn("for the test", str(frame))


if __name__ == "__main__":
    main()

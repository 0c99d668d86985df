"""Debian's python3-paho-mqtt, of every version and over WebSocket; and pika on the other side."""
import queue

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from clients_site import LONG_S, Inbox, WithAmqp, setUpModule, the_site  # noqa: F401
from runner import main

VERSIONS = {"3.1": paho.MQTTv31, "3.1.1": paho.MQTTv311, "5.0": paho.MQTTv5}


def properties(packet, **values):
    made = Properties(packet)
    for name, value in values.items():
        setattr(made, name, value)
    return made


class Client(Inbox):
    """paho's, with its callbacks made into queues."""

    def __init__(self, client_id, version=paho.MQTTv5, transport="tcp", **options):
        more = {} if version == paho.MQTTv5 else {"clean_session": options.pop("clean", True)}
        self.v5 = version == paho.MQTTv5
        self.client = paho.Client(client_id, protocol=version, transport=transport, **more)
        self.messages, self.connected, self.ended, self.subscribed = (queue.Queue() for _ in range(4))
        self.client.on_message = lambda client, data, message: self.messages.put(message)
        self.client.on_connect = lambda client, data, flags, code, *more: self.connected.put((flags, code, more))
        self.client.on_disconnect = lambda client, data, code, *more: self.ended.put((code, more))
        self.client.on_subscribe = lambda client, data, mid, codes, *more: self.subscribed.put(codes)
        self.client.on_unsubscribe = lambda client, data, mid, *more: self.subscribed.put(more)
        self.options = options

    def connect(self, refused=False, **connect):
        kind = "web_mqtt" if self.client._transport == "websockets" else "mqtt"
        for name, values in self.options.items():
            getattr(self.client, name)(**values) if isinstance(values, dict) else getattr(self.client, name)(*values)
        self.client.connect(the_site().address, the_site().port_of(kind), keepalive=60, **connect)
        self.client.loop_start()
        self.flags, code, self.said = self.connected.get(timeout=LONG_S)
        self.code = getattr(code, "value", code)
        if self.code and not refused:
            raise AssertionError("refused: %s" % code)
        return self

    def subscribe(self, *args, **options):
        self.client.subscribe(*args, **options)
        return [getattr(code, "value", code) for code in self.subscribed.get(timeout=LONG_S)]

    def publish(self, topic, payload=b"", qos=0, retain=False, **values):
        made = properties(PacketTypes.PUBLISH, **values) if values else None
        info = self.client.publish(topic, payload, qos, retain, made) if self.v5 else self.client.publish(topic, payload, qos, retain)
        info.wait_for_publish(LONG_S)
        if not info.is_published():
            raise AssertionError("not published")

    def drained(self):
        """The numbers that have come, when no more come."""
        got = []
        while True:
            try:
                got.append(int(self.messages.get(timeout=1).payload))
            except queue.Empty:
                return got

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def break_off(self):
        self.client._sock_close()
        self.client.loop_stop()


class Paho(WithAmqp):
    def client(self, name="c", version=paho.MQTTv5, connect=None, **options):
        made = Client("%s%s" % (name, self.unique), version, **options)
        self.addCleanup(made.close)
        return made.connect(**(connect or {}))

    def topic(self, rest=""):
        return "t%s/%s" % (self.unique, rest)

    # ---- among clients of MQTT ----

    def test_each_version_and_qos(self):
        for number, version in VERSIONS.items():
            for qos in (0, 1, 2):
                with self.subTest(version=number, qos=qos):
                    client = self.client("v%d" % qos, version)
                    self.assertEqual(client.subscribe(self.topic("#"), qos), [qos])
                    client.publish(self.topic("a/b"), b"hello", qos)
                    message = client.next()
                    self.assertEqual((message.topic, message.payload, message.qos, message.retain, message.dup),
                                     (self.topic("a/b"), b"hello", qos, 0, 0))
                    client.close()

    def test_over_websocket(self):
        for number, version in VERSIONS.items():
            with self.subTest(version=number):
                client = self.client("w", version, transport="websockets", ws_set_options={"path": "/ws"})
                client.subscribe(self.topic("#"), 2)
                for qos in (0, 1, 2):
                    client.publish(self.topic("x"), b"%d" % qos, qos)
                self.assertEqual([client.next().payload for _ in range(3)], [b"0", b"1", b"2"])
                client.publish(self.topic("x"), b"l" * 200000, 1)
                self.assertEqual(client.next().payload, b"l" * 200000)
                client.close()

    def test_all_properties(self):
        client = self.client()
        client.subscribe(self.topic("#"), options=SubscribeOptions(1), properties=properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=12))
        client.publish(self.topic("x"), "text", 1, PayloadFormatIndicator=1, MessageExpiryInterval=100, ContentType="text/plain",
                       ResponseTopic=self.topic("answers"), CorrelationData=b"\x00\xff", UserProperty=[("b", "1"), ("a", "2"), ("b", "3")])
        said = client.next().properties
        self.assertEqual((said.PayloadFormatIndicator, said.ContentType, said.ResponseTopic, said.CorrelationData, said.UserProperty),
                         (1, "text/plain", self.topic("answers"), b"\x00\xff", [("b", "1"), ("a", "2"), ("b", "3")]))
        self.assertIn(said.MessageExpiryInterval, (99, 100))
        self.assertEqual(said.SubscriptionIdentifier, [12])

    def test_many_messages_in_order(self):
        for qos in (0, 1, 2):
            client = self.client("m%d" % qos)
            client.client.max_inflight_messages_set(200)
            client.subscribe(self.topic("#"), qos)
            for i in range(2000):
                client.client.publish(self.topic("x"), b"%d" % i, qos)
            self.assertEqual([int(client.next().payload) for _ in range(2000)], list(range(2000)))
            client.close()

    def test_large_messages(self):
        client = self.client()
        client.subscribe(self.topic("#"), 1)
        client.publish(self.topic("x"), b"l" * 8000000, 1)
        self.assertEqual(client.next().payload, b"l" * 8000000)

    def test_retained(self):
        client = self.client()
        client.publish(self.topic("r"), b"old", 1, retain=True)
        client.publish(self.topic("r"), b"new", 1, retain=True)
        client.subscribe(self.topic("r"), options=SubscribeOptions(1))
        message = client.next()
        self.assertEqual((message.payload, message.retain), (b"new", 1))
        client.subscribe(self.topic("r"), options=SubscribeOptions(1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB))
        client.subscribe(self.topic("r"), options=SubscribeOptions(1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND))
        self.assertTrue(client.silent())
        client.publish(self.topic("r"), b"", 1, retain=True)
        self.assertEqual(client.next().payload, b"")
        client.subscribe(self.topic("r"), options=SubscribeOptions(1))
        self.assertTrue(client.silent())

    def test_options_of_subscriptions(self):
        client, other = self.client(), self.client("o")
        client.subscribe(self.topic("#"), options=SubscribeOptions(2, noLocal=True, retainAsPublished=True))
        client.publish(self.topic("x"), b"mine", 1)
        other.publish(self.topic("x"), b"yours", 1, retain=True)
        message = client.next()
        self.assertEqual((message.payload, message.retain), (b"yours", 1))
        other.publish(self.topic("x"), b"", 1, retain=True)

    def test_a_session_is_kept(self):
        kept = properties(PacketTypes.CONNECT, SessionExpiryInterval=100)
        away = self.client("away", connect={"clean_start": False, "properties": kept})
        self.assertFalse(away.flags["session present"])
        away.subscribe(self.topic("#"), 2)
        away.close()
        out = self.client("out")
        for qos in (1, 2):
            out.publish(self.topic("x"), b"%d" % qos, qos)
        away = self.client("away", connect={"clean_start": False, "properties": kept})
        self.assertTrue(away.flags["session present"])
        self.assertEqual([away.next().payload for _ in range(2)], [b"1", b"2"])

    def test_a_session_of_3_1_1_is_kept(self):
        away = self.client("old", paho.MQTTv311, clean=False)
        away.subscribe(self.topic("#"), 1)
        away.close()
        self.client("out").publish(self.topic("x"), b"kept", 1)
        away = self.client("old", paho.MQTTv311, clean=False)
        self.assertTrue(away.flags["session present"])
        self.assertEqual(away.next().payload, b"kept")

    def test_a_session_is_taken_over(self):
        first, second = self.client("same"), self.client("same")
        code, _ = first.ended.get(timeout=LONG_S)
        first.client.loop_stop()
        self.assertEqual(code.value, 0x8e)
        second.subscribe(self.topic("#"))

    def test_wills(self):
        watch = self.client("watch")
        watch.subscribe(self.topic("#"), 2)
        for number, version in VERSIONS.items():
            with self.subTest(version=number):
                made = Client("w" + self.unique, version, will_set=(self.topic("will"), b"gone", 1, False)).connect()
                made.break_off()
                self.assertEqual(watch.next().payload, b"gone")
        made = Client("w" + self.unique, will_set=(self.topic("will"), b"gone", 1, False)).connect()
        made.close()
        self.assertTrue(watch.silent())

    def test_shared_subscriptions(self):
        members = [self.client("s%d" % i) for i in range(3)]
        for member in members:
            self.assertEqual(member.subscribe("$share/g/" + self.topic("#"), 1), [1])
        out = self.client("out")
        for i in range(300):
            out.publish(self.topic("x"), b"%d" % i, 1)
        got = [member.drained() for member in members]
        self.assertEqual(sorted(sum(got, [])), list(range(300)))
        self.assertTrue(all(mine == sorted(mine) and len(mine) > 10 for mine in got), [len(mine) for mine in got])

    def test_topic_aliases(self):
        """paho hands them up as they come."""
        client = self.client(connect={"properties": properties(PacketTypes.CONNECT, TopicAliasMaximum=10)})
        self.assertEqual(client.said[0].TopicAliasMaximum, 64)
        client.subscribe(self.topic("#"), 0)
        client.publish(self.topic("x"), b"1", 1, TopicAlias=5)
        client.publish(self.topic("x"), b"2", 1)
        first, second = client.next(), client.next()
        self.assertEqual((first.topic, second.topic), (self.topic("x"), ""))
        self.assertEqual(first.properties.TopicAlias, second.properties.TopicAlias)

    def test_refusals(self):
        made = Client("c" + self.unique, username_pw_set=("guest", "wrong")).connect(refused=True)
        made.client.loop_stop()
        self.assertEqual(made.code, 0x86)
        made = Client("c" + self.unique, paho.MQTTv311, username_pw_set=("guest", "wrong")).connect(refused=True)
        made.client.loop_stop()
        self.assertEqual(made.code, 4)
        client = self.client(username_pw_set=("/:guest", "guest"))
        self.assertEqual(client.subscribe(self.topic("ok"), 0), [0])

    # ---- with AMQP ----

    def test_to_amqp(self):
        queue_name = self.queue("m%s.#" % self.unique)
        self.client().publish("m%s/a.b/c" % self.unique, b"text", 1, ContentType="text/plain", CorrelationData=b"id 7", MessageExpiryInterval=60,
                              ResponseTopic="answers/x", UserProperty=[("k", "v"), ("l", "w")])
        method, said, body = self.taken(queue_name)
        self.assertEqual((method.routing_key, method.exchange, body), ("m%s.a/b.c" % self.unique, "amq.topic", b"text"))
        self.assertEqual((said.delivery_mode, said.content_type, said.correlation_id, said.expiration), (2, "text/plain", "id 7", "60000"))
        self.assertEqual({name: said.headers.get(name) for name in ("k", "l", "x-reply-to-topic")},
                         {"k": "v", "l": "w", "x-reply-to-topic": "answers.x"})

    def test_qos_0_to_amqp_is_transient(self):
        queue_name = self.queue("q%s" % self.unique)
        self.client().publish("q%s" % self.unique, b"x", 0)
        self.assertNotEqual(self.taken(queue_name)[1].delivery_mode, 2)

    def test_from_amqp(self):
        client = self.client()
        client.subscribe(self.topic("#"), 2)
        key = self.topic("a.b").replace(".", "\0").replace("/", ".").replace("\0", "/")
        self.publish(key, b"text", content_type="text/plain", correlation_id="id", delivery_mode=2, expiration="30000",
                     headers={"k": "v", "n": 5, "x-reply-to-topic": "answers.x"})
        message = client.next()
        self.assertEqual((message.topic, message.payload, message.qos), (self.topic("a.b"), b"text", 1))
        said = message.properties
        self.assertEqual((said.ContentType, said.CorrelationData, said.ResponseTopic, said.UserProperty),
                         ("text/plain", b"id", "answers/x", [("k", "v")]))
        self.assertIn(said.MessageExpiryInterval, (29, 30))
        self.publish(key, b"transient", delivery_mode=1)
        self.assertEqual(client.next().qos, 0)

    def test_large_messages_both_ways(self):
        client, queue_name = self.client(), self.queue("big%s.#" % self.unique)
        client.subscribe("big%s/back" % self.unique, 1)
        for size in (70000, 1000000, 9000000):
            client.publish("big%s/there" % self.unique, b"m" * size, 1, ContentType="t")
            self.assertEqual(self.taken(queue_name)[2], b"m" * size)
            self.publish("big%s.back" % self.unique, b"a" * size, delivery_mode=2, content_type="t")
            message = client.next()
            self.assertEqual((message.payload, message.properties.ContentType), (b"a" * size, "t"))
            self.taken(queue_name)  # its own copy

    def test_from_amqp_what_is_no_topic(self):
        client = self.client()
        client.subscribe("#", options=SubscribeOptions(1, retainHandling=2))
        self.publish("", b"empty")
        self.publish("a.#.b", b"a wildcard")
        self.publish(self.topic("x").replace("/", "."), b"a topic", headers={"x-reply-to-topic": "a.#"})
        message = client.next()
        self.assertEqual(message.payload, b"a topic")
        self.assertFalse(hasattr(message.properties, "ResponseTopic"))

    def test_a_question_and_its_answer(self):
        """From MQTT to AMQP and back, by response topic and correlation data."""
        client, queue_name = self.client(), self.queue("ask%s" % self.unique)
        client.subscribe(self.topic("answer"), 1)
        client.publish("ask%s" % self.unique, b"2 + 2", 1, ResponseTopic=self.topic("answer"), CorrelationData=b"7")
        _, said, _ = self.taken(queue_name)
        self.publish(said.headers["x-reply-to-topic"], b"4", correlation_id=said.correlation_id)
        message = client.next()
        self.assertEqual((message.topic, message.payload, message.properties.CorrelationData), (self.topic("answer"), b"4", b"7"))

    def test_a_session_is_a_queue(self):
        kept = properties(PacketTypes.CONNECT, SessionExpiryInterval=100)
        client = self.client("queue", connect={"clean_start": False, "properties": kept})
        client.subscribe(self.topic("#"), 1)
        client.close()
        self.publish(self.topic("x").replace("/", "."), b"waits", delivery_mode=2)
        name = "mqtt-subscription-queue%sqos1" % self.unique
        self.assertEqual(self.channel.queue_declare(name, passive=True).method.message_count, 1)


if __name__ == "__main__":
    main()

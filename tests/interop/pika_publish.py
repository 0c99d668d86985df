"""Publishing: properties, bodies, mandatory, confirms."""
import decimal
import struct

import pika
from pika import spec
from pika.exceptions import ChannelClosedByBroker, UnroutableError

from tour import Tour, setUpModule, the_broker  # noqa: F401
from broker import PERSISTENT
from raw import Raw, body, header, method
from runner import main


class Publishing(Tour):
    def test_properties_and_body(self):
        queue = self.queue()
        headers = {"text": "größer", "int": 7, "negative": -7, "long": 1 << 40, "bool": True, "decimal": decimal.Decimal("1.5"), "none": None,
                   "list": [1, "two", [3]], "table": {"a": {"b": "c"}}, "bytes": bytes(range(20))}
        sent = dict(content_type="text/plain", content_encoding="utf-8", headers=headers, delivery_mode=2, priority=3,
                    correlation_id="c", reply_to="r", expiration="60000", message_id="m", timestamp=1234567890, type="t",
                    user_id="guest", app_id="a", cluster_id="cl")
        for size in (0, 1, 4088, 131064, 131065, 300000):
            body = bytes(n % 251 for n in range(size))
            self.publish("", queue, body, **sent)
            _, properties, got = self.channel.basic_get(queue, auto_ack=True)
            self.assertEqual(got, body)
            self.assertEqual({key: getattr(properties, key) for key in sent}, sent)

    def test_user_id(self):
        self.refuses(406, "PRECONDITION_FAILED - user_id property set to 'someone' but authenticated user was 'guest'",
                     "basic_publish", "", "q", b"x", pika.BasicProperties(user_id="someone"))

    def test_expirations(self):
        for text in ("0", "+5", "-0", "007", "4294967296", "315360000000"):
            self.channel.basic_publish("", "nobody", b"x", pika.BasicProperties(expiration=text))
        self.channel.basic_qos(prefetch_count=1)
        for text, why in (("soon", "no_integer"), ("", "no_integer"), (" 5", "no_integer"), ("--5", "no_integer"),
                          ("10s", '{leftover_string,"s"}'), ("1.5", '{leftover_string,".5"}'), ('5 "m\\', '{leftover_string," \\"m\\\\"}'),
                          ("-1", "{value_negative,-1}"), ("315360000001", "{value_too_large,315360000001}")):
            self.refuses(406, "PRECONDITION_FAILED - invalid expiration '%s': %s" % (text, why), "basic_publish", "", "q", b"x",
                         pika.BasicProperties(expiration=text))

    def test_delivery_modes(self):
        for mode in (0, 3, 255):
            self.refuses(406, "PRECONDITION_FAILED - invalid message: {delivery_mode_unknown,%d}" % mode, "basic_publish", "", "q",
                         b"x", pika.BasicProperties(delivery_mode=mode))

    def test_a_long_text_is_cut(self):
        text = "NOT_FOUND - no exchange '" + "e" * 255
        self.refuses(404, text[:252] + "...", "basic_publish", "e" * 255, "q", b"x")

    def test_large_bodies(self):
        queue = self.queue(durable=True)
        self.channel.confirm_delivery()
        sizes = [1 << 20, (4 << 20) + 1, 16 << 20]
        for size in sizes:
            self.channel.basic_publish("", queue, struct.pack(">Q", size) * (size // 8) + b"z" * (size % 8), PERSISTENT)
        for size in sizes:
            got = self.get(queue)
            self.assertEqual(len(got), size)
            self.assertEqual(got, struct.pack(">Q", size) * (size // 8) + b"z" * (size % 8))

    def test_too_large_a_body(self):
        self.refuses(406, "PRECONDITION_FAILED - message size 16777217 is larger than configured max size 16777216",
                     "basic_publish", "", "q", bytes((16 << 20) + 1))

    def test_mandatory(self):
        returned = []
        self.channel.add_on_return_callback(lambda _, *what: returned.append(what))
        self.channel.basic_publish("amq.direct", "nobody-there", b"back", pika.BasicProperties(message_id="7"), mandatory=True)
        self.channel.basic_publish("amq.direct", "nobody-there", b"not back")
        queue = self.queue()
        self.channel.basic_publish("", queue, b"arrives", mandatory=True)
        self.pump(lambda: returned)
        method, properties, body = returned[0]
        self.assertEqual((method.reply_code, method.reply_text, method.exchange, method.routing_key),
                         (312, "NO_ROUTE", "amq.direct", "nobody-there"))
        self.assertEqual((properties.message_id, body, len(returned)), ("7", b"back", 1))
        self.assertEqual(self.get(queue), b"arrives")

    def test_immediate(self):
        """pika can't ask for it."""
        with Raw(the_broker()) as client:
            client.open()
            client.send(method(1, spec.Basic.Publish(routing_key="q", immediate=True)), header(1, 1), body(1, b"x"))
            close = client.expect(spec.Connection.Close)
            self.assertEqual((close.reply_code, close.reply_text), (540, "NOT_IMPLEMENTED - immediate=true"))

    def test_unknown_exchange(self):
        self.refuses(404, "NOT_FOUND - no exchange 'tour-none' in vhost '/'", "basic_publish", "tour-none", "k", b"x")

    def test_order(self):
        queue = self.queue()
        for n in range(2000):
            self.publish("", queue, b"%d" % n)
        self.assertEqual(self.bodies(queue), [b"%d" % n for n in range(2000)])


class Confirms(Tour):
    def test_confirmed(self):
        queue = self.queue(durable=True)
        self.channel.confirm_delivery()
        for n in range(20):
            self.channel.basic_publish("", queue, b"%d" % n, PERSISTENT)
        self.assertEqual(self.ready(queue), 20)

    def test_unroutable(self):
        self.channel.confirm_delivery()
        self.channel.basic_publish("amq.fanout", "nobody", b"x")  # confirmed all the same
        with self.assertRaises(UnroutableError) as unroutable:
            self.channel.basic_publish("amq.direct", "nobody", b"x", mandatory=True)
        self.assertEqual(unroutable.exception.messages[0].method.reply_code, 312)

    def test_tags_count_from_the_select(self):
        confirmed = []
        self.publish("amq.fanout", "nobody")
        channel = self.channel._impl
        channel.confirm_delivery(lambda frame: confirmed.append((frame.method.NAME, frame.method.delivery_tag, frame.method.multiple)))
        for _ in range(100):
            self.publish("amq.fanout", "nobody")
        self.pump(lambda: confirmed and confirmed[-1][1] >= 100)
        tags = set()
        for name, tag, multiple in confirmed:
            self.assertEqual(name, "Basic.Ack")
            fresh = set(range(1, tag + 1)) - tags if multiple else {tag}
            self.assertFalse(fresh & tags, "%d is confirmed twice" % tag)
            tags |= fresh
        self.assertEqual(tags, set(range(1, 101)))

    def test_return_comes_before_the_confirm(self):
        events = []
        channel = self.channel._impl
        channel.confirm_delivery(lambda frame: events.append("confirm"))
        channel.add_on_return_callback(lambda *_: events.append("return"))
        for _ in range(10):
            channel.basic_publish("amq.direct", "nobody", b"x", mandatory=True)
        self.pump(lambda: events.count("return") == 10 and events[-1] == "confirm")
        self.assertEqual(events[0], "return")

    def test_transactions_and_confirms_exclude_each_other(self):
        channel = self.connection.channel()
        channel.confirm_delivery()
        with self.assertRaises(ChannelClosedByBroker) as closed:
            channel.tx_select()
        self.assertEqual((closed.exception.reply_code, closed.exception.reply_text),
                         (406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode"))
        channel = self.connection.channel()
        channel.tx_select()
        with self.assertRaises(ChannelClosedByBroker) as closed:
            channel.confirm_delivery()
        self.assertEqual((closed.exception.reply_code, closed.exception.reply_text),
                         (406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode"))


if __name__ == "__main__":
    main()

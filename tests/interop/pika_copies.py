"""Sender-selected distribution: the headers CC and BCC name more routing keys; BCC is taken out before anybody sees it."""
import pika
from pika.exceptions import UnroutableError

from tour import Tour, setUpModule  # noqa: F401
from runner import main

REFUSED = "PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,\"%s\",%s}"


class Copies(Tour):
    def got(self, queue):
        """(routing key, headers) of each message."""
        got = []
        while True:
            method_frame, properties, _ = self.channel.basic_get(queue, auto_ack=True)
            if not method_frame:
                return got
            got.append((method_frame.routing_key, properties.headers))

    def test_default_exchange(self):
        queues = [self.queue() for _ in range(12)]
        headers = {"before": 1, "CC": queues[1:5], "between": "x", "BCC": queues[5:8], "after": [1, 2]}
        self.publish("", queues[0], headers=headers, content_type="text/plain", correlation_id="7")
        del headers["BCC"]
        for queue in queues[:8]:
            self.assertEqual(self.got(queue), [(queues[0], headers)])
        for queue in queues[8:]:
            self.assertEqual(self.got(queue), [])

    def test_properties_around_are_kept(self):
        queue, other = self.queue(), self.queue()
        sent = dict(content_type="text/plain", content_encoding="utf-8", delivery_mode=2, priority=3, correlation_id="c",
                    reply_to="r", expiration="60000", message_id="m", timestamp=1234567890, type="t", user_id="guest", app_id="a",
                    cluster_id="cl")
        for size in (0, 5, 200000, 3000000):
            self.publish("", queue, b"y" * size, headers={"BCC": [other]}, **sent)
            for name in (queue, other):
                _, properties, got = self.channel.basic_get(name, auto_ack=True)
                self.assertEqual(len(got), size)
                self.assertEqual({key: getattr(properties, key) for key in sent}, sent)
                self.assertEqual(properties.headers, {})

    def test_each_queue_once(self):
        exchange = self.exchange("topic")
        queues = self.queues_bound(exchange, "a.*", "#", "b", "c")
        self.channel.queue_bind(queues[0], exchange, "b")
        self.publish(exchange, "a.x", headers={"CC": ["a.x", "a.y", "b", "b"], "BCC": ["b", "a.x"]})
        self.assertEqual([len(self.got(queue)) for queue in queues], [1, 1, 1, 0])
        self.publish("", queues[0], headers={"CC": [queues[0], queues[1], queues[1]]})
        self.assertEqual([len(self.got(queue)) for queue in queues], [1, 1, 0, 0])

    def test_direct(self):
        exchange = self.exchange("direct")
        queues = self.queues_bound(exchange, "a", "b", "c")
        self.assertEqual(self.routed(queues, exchange, "a", headers={"CC": ["c"]}), [0, 2])
        self.assertEqual(self.routed(queues, exchange, "nobody", headers={"BCC": ["b"]}), [1])
        self.assertEqual(self.routed(queues, exchange, "a", headers={"cc": ["c"], "bcc": ["b"]}), [0])

    def test_fanout_and_headers_do_not_look_at_keys(self):
        fanout, by_headers = self.exchange("fanout"), self.exchange("headers")
        queues = self.queues_bound(fanout, "a", "b") + self.queues_bound(by_headers, {"k": 1}, {"k": 2})
        self.assertEqual(self.routed(queues, fanout, "a", headers={"CC": ["b"]}), [0, 1])
        self.assertEqual(self.routed(queues, by_headers, "a", headers={"CC": ["b"], "k": 2}), [3])

    def test_headers_exchanges_do_not_see_bcc(self):
        exchange = self.exchange("headers")
        queues = self.queues_bound(exchange, {"BCC": None}, {"CC": None})
        self.assertEqual(self.routed(queues, exchange, headers={"CC": ["b"], "BCC": ["c"]}), [1])

    def test_through_other_exchanges(self):
        first, second, last = self.exchange("direct"), self.exchange("topic"), self.exchange("fanout")
        self.channel.exchange_bind(second, first, "go.on")
        queues = self.queues_bound(second, "go.*", "stay")
        # Each exchange on the way looks at all keys.
        self.assertEqual(self.routed(queues, first, "stay", headers={"CC": ["go.on"]}), [0, 1])
        with_alternate = self.exchange("direct", arguments={"alternate-exchange": last})
        queues = self.queues_bound(with_alternate, "there") + self.queues_bound(last, "")
        self.assertEqual(self.routed(queues, with_alternate, "nobody", headers={"CC": ["there"]}), [0])
        self.assertEqual(self.routed(queues, with_alternate, "nobody", headers={"CC": ["nobody2"]}), [1])

    def test_odd_arrays(self):
        queue, other = self.queue(), self.queue()
        # What is no long string in an array is passed over.
        self.publish("", queue, headers={"CC": [1, None, {"a": 1}, ["nested"], True, other, b"bytes"]})
        self.assertEqual((len(self.got(queue)), len(self.got(other))), (1, 1))
        self.publish("", queue, headers={"CC": [], "BCC": []})
        self.assertEqual(self.got(queue), [(queue, {"CC": []})])
        long = self.exchange("topic")
        queues = self.queues_bound(long, "#.end")
        self.assertEqual(self.routed(queues, long, "x", headers={"CC": ["long." * 1000 + "end"]}), [0])

    def test_wrong_types(self):
        queue = self.queue()
        for value, kind in (("text", "longstr"), (7, "signedint"), (None, "void"), ({"a": 1}, "table"), (True, "bool"),
                            (1 << 40, "long"), (b"b", "binary")):
            for name in ("CC", "BCC"):
                with self.subTest(name=name, kind=kind):
                    self.refuses(406, REFUSED % (name, kind), "basic_publish", "", queue, b"x",
                                 pika.BasicProperties(headers={name: value}))
        self.refuses(406, REFUSED % ("CC", "longstr"), "basic_publish", "", queue, b"x",
                     pika.BasicProperties(headers={"BCC": 1, "CC": "a"}))
        self.assertEqual(self.got(queue), [])

    def test_confirmed_and_returned(self):
        queues = [self.queue(durable=True) for _ in range(8)]
        self.channel.confirm_delivery()
        for _ in range(20):
            self.channel.basic_publish("", queues[0], b"x", pika.BasicProperties(delivery_mode=2, headers={"CC": queues[1:]}),
                                       mandatory=True)
        self.assertEqual([self.ready(queue) for queue in queues], [20] * 8)
        # One that only a copy reaches is routed.
        self.channel.basic_publish("", "nobody", b"x", pika.BasicProperties(headers={"BCC": queues[:1]}), mandatory=True)
        nobody = [self.name() for _ in range(5)]
        with self.assertRaises(UnroutableError) as unroutable:
            self.channel.basic_publish("", "nobody", b"x", pika.BasicProperties(headers={"CC": nobody, "BCC": nobody}), mandatory=True)
        self.assertEqual([message.properties.headers for message in unroutable.exception.messages], [{"CC": nobody}])

    def test_in_a_transaction(self):
        queues, tx = [self.queue(durable=True) for _ in range(6)], self.connection.channel()
        tx.tx_select()
        tx.basic_publish("", queues[0], b"x", pika.BasicProperties(delivery_mode=2, headers={"CC": queues[1:3], "BCC": queues[3:]}))
        self.assertEqual([self.ready(queue) for queue in queues], [0] * 6)
        tx.tx_commit()
        self.assertEqual([self.got(queue) for queue in queues], [[(queues[0], {"CC": queues[1:3]})]] * 6)


if __name__ == "__main__":
    main()

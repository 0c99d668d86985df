"""Exchanges and bindings: who gets a message."""
import datetime
import decimal

from pika.exceptions import UnroutableError

from tour import Tour, setUpModule  # noqa: F401
from runner import main


class Exchanges(Tour):
    def test_direct(self):
        exchange = self.exchange("direct")
        queues = self.queues_bound(exchange, "a", "a", "b", "")
        self.assertEqual(self.routed(queues, exchange, "a"), [0, 1])
        self.assertEqual(self.routed(queues, exchange, "b"), [2])
        self.assertEqual(self.routed(queues, exchange, ""), [3])
        self.assertEqual(self.routed(queues, exchange, "c"), [])

    def test_fanout(self):
        exchange = self.exchange("fanout")
        queues = self.queues_bound(exchange, "a", "b", "")
        self.assertEqual(self.routed(queues, exchange, "whatever"), [0, 1, 2])

    def test_topic(self):
        exchange = self.exchange("topic")
        queues = self.queues_bound(exchange, "a.b.c", "a.*.c", "a.#", "#", "#.c", "*", "a.#.c", "*.*")
        self.assertEqual(self.routed(queues, exchange, "a.b.c"), [0, 1, 2, 3, 4, 6])
        self.assertEqual(self.routed(queues, exchange, "a.c"), [2, 3, 4, 6, 7])
        self.assertEqual(self.routed(queues, exchange, "a"), [2, 3, 5])
        self.assertEqual(self.routed(queues, exchange, "a.x.y.c"), [2, 3, 4, 6])
        self.assertEqual(self.routed(queues, exchange, ""), [3])
        self.assertEqual(self.routed(queues, exchange, "b.c"), [3, 4, 7])

    def test_headers(self):
        exchange = self.exchange("headers")
        queues = self.queues_bound(
            exchange, {"x-match": "all", "a": 1, "b": "two"}, {"x-match": "any", "a": 1, "b": "two"},
            {"a": 1}, {"x-match": "any", "a": None}, {"x-match": "all", "x-odd": 1, "a": 1},
            {"x-match": "all-with-x", "x-odd": 1, "a": 1}, {"x-match": "any-with-x", "x-odd": 1})
        self.assertEqual(self.routed(queues, exchange, headers={"a": 1, "b": "two"}), [0, 1, 2, 3, 4])
        self.assertEqual(self.routed(queues, exchange, headers={"a": 1}), [1, 2, 3, 4])
        self.assertEqual(self.routed(queues, exchange, headers={"a": 1, "x-odd": 1}), [1, 2, 3, 4, 5, 6])
        self.assertEqual(self.routed(queues, exchange, headers={"x-odd": 1}), [6])
        self.assertEqual(self.routed(queues, exchange, headers={"a": 2}), [3])
        self.assertEqual(self.routed(queues, exchange, headers={}), [])
        self.assertEqual(self.routed(queues, exchange), [])

    def test_headers_without_a_sensible_match(self):
        queue = self.queue()
        for value, text in (("some", 'field value <<"some">>; expected all, any, all-with-x, or any-with-x'),
                            (5, "field type signedint (value 5); expected longstr"),
                            (True, "field type bool (value true); expected longstr"),
                            (None, "field type void (value undefined); expected longstr")):
            self.refuses(406, "PRECONDITION_FAILED - Invalid x-match " + text, "queue_bind", queue, "amq.headers", "",
                         arguments={"x-match": value})
            self.refuses(406, "PRECONDITION_FAILED - Invalid x-match " + text, "exchange_bind", "amq.fanout", "amq.headers", "",
                         arguments={"x-match": value})

    def test_headers_of_many_types(self):
        exchange = self.exchange("headers")
        values = {"int": 5, "long": 1 << 40, "bool": True, "text": "t", "decimal": decimal.Decimal("1.5"), "time": datetime.datetime(2020, 2, 3, 4, 5, 6), "list": [1, "a"], "table": {"x": 1},
                  "nothing": None}
        queues = self.queues_bound(exchange, *({"x-match": "all", key: value} for key, value in values.items()))
        for i, (key, value) in enumerate(values.items()):
            self.assertEqual(self.routed(queues, exchange, headers={key: value}), [i], key)

    def test_default_exchange(self):
        queue = self.queue()
        self.assertEqual(self.routed([queue], "", queue), [0])
        refused = (403, "ACCESS_REFUSED - operation not permitted on the default exchange")
        self.refuses(*refused, "queue_bind", queue, "", "k")
        self.refuses(*refused, "queue_unbind", queue, "", "k")
        self.refuses(*refused, "exchange_declare", "", "direct")
        self.refuses(*refused, "exchange_delete", "")
        self.refuses(*refused, "exchange_bind", "amq.fanout", "")

    def test_predeclared(self):
        for name, kind in (("amq.direct", "direct"), ("amq.fanout", "fanout"), ("amq.topic", "topic"),
                           ("amq.headers", "headers"), ("amq.match", "headers")):
            self.channel.exchange_declare(name, passive=True)
            self.channel.exchange_declare(name, kind, durable=True)
        self.refuses(403, "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'",
                     "exchange_declare", "amq.mine", "direct")
        self.refuses(403, "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed",
                     "exchange_delete", "amq.direct")

    def test_passive(self):
        self.refuses(404, "NOT_FOUND - no exchange 'tour-none' in vhost '/'", "exchange_declare", "tour-none", passive=True)

    def test_not_equivalent(self):
        name = self.exchange("direct", durable=True)
        text = "PRECONDITION_FAILED - inequivalent arg '%s' for exchange '" + name + "' in vhost '/': received '%s' but current is '%s'"
        self.refuses(406, text % ("type", "topic", "direct"), "exchange_declare", name, "topic", durable=True)
        self.refuses(406, text % ("durable", "false", "true"), "exchange_declare", name, "direct")
        self.refuses(406, text % ("auto_delete", "true", "false"), "exchange_declare", name, "direct", durable=True,
                     auto_delete=True)
        self.refuses(406, text % ("internal", "true", "false"), "exchange_declare", name, "direct", durable=True, internal=True)
        with_alternate = self.exchange("direct", arguments={"alternate-exchange": "amq.fanout"})
        self.refuses(406, "PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange '%s' in vhost '/': received "
                     "none but current is the value 'amq.fanout' of type 'longstr'" % with_alternate,
                     "exchange_declare", with_alternate, "direct")

    def shares(self, exchange, queues, messages, **properties):
        """How many of the messages each queue gets."""
        for i in range(messages):
            self.publish(exchange, "key-%d" % i, b"x", **{name: value(i) for name, value in properties.items()})
        return [len(self.bodies(queue)) for queue in queues]

    def test_consistent_hash(self):
        exchange = self.exchange("x-consistent-hash")
        queues = self.queues_bound(exchange, "1", "1", "4")
        shares = self.shares(exchange, queues, 1200)
        self.assertEqual(sum(shares), 1200)
        for share, expected in zip(shares, (200, 200, 800)):
            self.assertGreater(share, expected * 0.7)
            self.assertLess(share, expected * 1.3)
        # One key, one queue: and when a queue is taken away, the keys of the others stay where they are.
        where = {i: self.routed(queues, exchange, "key-%d" % i) for i in range(40)}
        self.assertEqual(where, {i: self.routed(queues, exchange, "key-%d" % i) for i in range(40)})

    def test_consistent_hash_by_header_and_property(self):
        exchange = self.exchange("x-consistent-hash", arguments={"hash-header": "h"})
        queues = self.queues_bound(exchange, "5", "5", "5")
        self.assertEqual(sorted(self.shares(exchange, queues, 100, headers=lambda i: {"h": "same", "i": i})), [0, 0, 100])
        self.assertEqual(sorted(self.shares(exchange, queues, 100, headers=lambda i: {"i": i})), [0, 0, 100])
        self.assertTrue(all(self.shares(exchange, queues, 300, headers=lambda i: {"h": i})))
        for name, value in (("message_id", str), ("correlation_id", str), ("timestamp", int)):
            exchange = self.exchange("x-consistent-hash", arguments={"hash-property": name})
            queues = self.queues_bound(exchange, "5", "5", "5")
            self.assertEqual(sorted(self.shares(exchange, queues, 100)), [0, 0, 100])
            self.assertTrue(all(self.shares(exchange, queues, 300, **{name: value})), name)

    def test_consistent_hash_refused(self):
        exchange, queue = self.exchange("x-consistent-hash"), self.queue()
        for key, text in (("a", 'an integer: <<"a">>'), ("", "an integer: <<>>"), ("0", "greater than 0"), ("-3", "greater than 0")):
            self.refuses(406, "PRECONDITION_FAILED - The binding key must be " + text, "queue_bind", queue, exchange, key)
        self.refuses(406, "PRECONDITION_FAILED - Unsupported property: user_id", "exchange_declare", self.name(),
                     "x-consistent-hash", arguments={"hash-property": "user_id"})
        self.refuses(406, "PRECONDITION_FAILED - hash-header and hash-property are mutually exclusive", "exchange_declare",
                     self.name(), "x-consistent-hash", arguments={"hash-property": "message_id", "hash-header": "h"})

    def test_one_of_many(self):
        for kind in "x-modulus-hash", "x-random":
            exchange = self.exchange(kind)
            self.assertEqual(self.routed([], exchange, "k"), [])
            queues = self.queues_bound(exchange, "a", "", "c")
            shares = self.shares(exchange, queues, 300)
            self.assertEqual(sum(shares), 300)
            self.assertGreater(min(shares), 60, kind)

    def test_unknown_type(self):
        self.refuses_connection(503, "COMMAND_INVALID - unknown exchange type 'carousel'",
                                lambda channel: channel.exchange_declare("tour-carousel", "carousel"))

    def test_internal(self):
        name = self.exchange("fanout", internal=True)
        self.refuses(403, "ACCESS_REFUSED - cannot publish to internal exchange '%s' in vhost '/'" % name,
                     "basic_publish", name, "", b"x")

    def test_auto_delete(self):
        name = self.exchange("fanout", auto_delete=True)
        queue = self.queues_bound(name, "")[0]
        self.channel.exchange_declare(name, passive=True)
        self.channel.queue_unbind(queue, name, "")
        self.refuses(404, "NOT_FOUND - no exchange '%s' in vhost '/'" % name, "exchange_declare", name, passive=True)

    def test_delete(self):
        name = self.exchange("fanout")
        self.queues_bound(name, "")
        self.refuses(406, "PRECONDITION_FAILED - exchange '%s' in vhost '/' in use" % name, "exchange_delete", name,
                     if_unused=True)
        self.channel.exchange_delete(name)
        self.channel.exchange_delete(name)  # is no error
        self.refuses(404, "NOT_FOUND - no exchange '%s' in vhost '/'" % name, "basic_publish", name, "", b"x")

    def test_exchange_to_exchange(self):
        source, middle, last = self.exchange("topic"), self.exchange("fanout"), self.exchange("direct")
        self.channel.exchange_bind(middle, source, "*.x")
        self.channel.exchange_bind(last, middle)
        queues = self.queues_bound(middle, "") + self.queues_bound(last, "k.x") + self.queues_bound(source, "#")
        self.assertEqual(self.routed(queues, source, "k.x"), [0, 1, 2])
        self.assertEqual(self.routed(queues, source, "l.x"), [0, 2])
        self.assertEqual(self.routed(queues, source, "l.y"), [2])
        self.channel.exchange_unbind(last, middle)
        self.assertEqual(self.routed(queues, source, "k.x"), [0, 2])
        self.channel.exchange_bind(source, middle)  # a circle
        self.assertEqual(self.routed(queues, source, "k.x"), [0, 2])
        self.channel.exchange_delete(middle)
        self.assertEqual(self.routed(queues, source, "k.x"), [2])
        self.refuses(404, "NOT_FOUND - no exchange 'tour-none' in vhost '/'", "exchange_bind", source, "tour-none")

    def test_a_queue_gets_one_copy(self):
        exchange = self.exchange("topic")
        queue = self.queues_bound(exchange, "#")[0]
        self.channel.queue_bind(queue, exchange, "a.*")
        self.channel.queue_bind(queue, exchange, "a.b")
        self.publish(exchange, "a.b", b"once")
        self.assertEqual(self.bodies(queue), [b"once"])

    def test_an_alternate_that_is_no_name(self):
        name = self.name()
        self.refuses(406, "PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' in exchange '%s' in vhost '/'" %
                     name, "exchange_declare", name, "direct", arguments={"alternate-exchange": 5})

    def test_unbinding_what_is_not_there(self):
        self.channel.exchange_unbind("tour-none", "amq.direct", "k")
        self.channel.exchange_unbind("amq.direct", "tour-none", "k")
        self.channel.queue_unbind("tour-none", "amq.direct", "k")

    def test_alternate_exchange(self):
        last = self.exchange("fanout")
        middle = self.exchange("direct", arguments={"alternate-exchange": last})
        first = self.exchange("topic", arguments={"alternate-exchange": middle})
        queues = self.queues_bound(first, "a.#") + self.queues_bound(middle, "b") + self.queues_bound(last, "")
        self.assertEqual(self.routed(queues, first, "a.x"), [0])
        self.assertEqual(self.routed(queues, first, "b"), [1])
        self.assertEqual(self.routed(queues, first, "c"), [2])
        # One that is routed by an alternate is not returned.
        self.channel.confirm_delivery()
        self.channel.basic_publish(first, "c", b"x", mandatory=True)
        self.channel.queue_unbind(queues[2], last, "")
        with self.assertRaises(UnroutableError):
            self.channel.basic_publish(first, "c", b"x", mandatory=True)

    def test_redeclared_binding(self):
        exchange = self.exchange("direct")
        queue = self.queues_bound(exchange, "k")[0]
        self.channel.queue_bind(queue, exchange, "k")  # the same once more
        self.publish(exchange, "k")
        self.assertEqual(len(self.bodies(queue)), 1)
        self.channel.queue_unbind(queue, exchange, "k")
        self.publish(exchange, "k")
        self.assertEqual(self.bodies(queue), [])
        self.channel.queue_unbind(queue, exchange, "k")  # is no error


if __name__ == "__main__":
    main()

"""Queues: declared, refused, exclusive, deleted, purged."""
from pika.exceptions import ChannelClosedByBroker

from tour import Tour, connect, setUpModule  # noqa: F401
from runner import main


class Queues(Tour):
    def test_declare(self):
        queue = self.queue(durable=True, arguments={"x-something": 1})
        self.publish("", queue)
        self.until_ready(queue, 1)
        declared = self.channel.queue_declare(queue, durable=True, arguments={"x-something": 1}).method
        self.assertEqual((declared.queue, declared.message_count, declared.consumer_count), (queue, 1, 0))
        self.channel.basic_consume(queue, lambda *_: None)
        self.assertEqual(self.channel.queue_declare(queue, passive=True).method.consumer_count, 1)

    def test_server_named(self):
        names = {self.channel.queue_declare("", exclusive=True).method.queue for _ in range(20)}
        self.assertEqual(len(names), 20)
        for name in names:
            self.assertTrue(name.startswith("amq.gen-"), name)

    def test_the_last_one_declared_is_meant_by_no_name(self):
        queue = self.queue()
        self.channel.queue_bind("", "amq.direct", queue)
        self.publish("amq.direct", queue, b"there")
        self.assertEqual(self.get(""), b"there")
        other = self.connection.channel()
        with self.assertRaises(ChannelClosedByBroker) as closed:
            other.basic_get("")
        self.assertEqual((closed.exception.reply_code, closed.exception.reply_text),
                         (404, "NOT_FOUND - no previously declared queue"))

    def test_refusals(self):
        missing = "NOT_FOUND - no queue 'tour-none' in vhost '/'"
        for ask, args in (("queue_declare", ("tour-none", True)), ("queue_purge", ("tour-none",)), ("basic_get", ("tour-none",)),
                          ("queue_bind", ("tour-none", "amq.direct", "k")), ("basic_consume", ("tour-none", print))):
            self.refuses(404, missing, ask, *args)
        queue = self.queue()
        self.refuses(404, "NOT_FOUND - no exchange 'tour-none' in vhost '/'", "queue_bind", queue, "tour-none", "k")
        self.refuses(403, "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'", "queue_declare", "amq.mine")
        self.channel.queue_delete("tour-none")  # is no error

    def test_not_equivalent(self):
        name = self.queue(arguments={"x-number": 5})
        text = "PRECONDITION_FAILED - inequivalent arg '%s' for queue '" + name + "' in vhost '/': received '%s' but current is '%s'"
        arguments = {"x-number": 5}
        self.refuses(406, text % ("durable", "true", "false"), "queue_declare", name, durable=True, arguments=arguments)
        self.refuses(406, text % ("auto_delete", "true", "false"), "queue_declare", name, auto_delete=True, arguments=arguments)
        self.refuses(405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '%s' in vhost '/'. It could be "
                     "originally declared on another connection or the exclusive property value does not match that of the "
                     "original declaration." % name, "queue_declare", name, exclusive=True, arguments=arguments)

    def test_exclusive(self):
        mine = self.queue(exclusive=True)
        locked = ("RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '%s' in vhost '/'. It could be originally "
                  "declared on another connection or the exclusive property value does not match that of the original "
                  "declaration." % mine)
        self.connection.channel().queue_declare(mine, exclusive=True)
        with connect() as other:
            for ask, args in (("queue_declare", (mine, True)), ("queue_purge", (mine,)), ("queue_delete", (mine,)),
                              ("basic_get", (mine,)), ("basic_consume", (mine, print)), ("queue_bind", (mine, "amq.direct", "k"))):
                with self.subTest(ask), self.assertRaises(ChannelClosedByBroker) as closed:
                    getattr(other.channel(), ask)(*args)
                self.assertEqual((closed.exception.reply_code, closed.exception.reply_text), (405, locked))
            # Publishing is not forbidden.
            other.channel().basic_publish("", mine, b"from outside")
            self.until_ready(mine, 1)
        self.connection.close()
        with connect() as other:
            with self.assertRaises(ChannelClosedByBroker) as closed:
                other.channel().queue_declare(mine, passive=True)
            self.assertEqual(closed.exception.reply_code, 404)

    def test_auto_delete(self):
        queue = self.queue(auto_delete=True)
        other = self.connection.channel()
        tags = [other.basic_consume(queue, lambda *_: None) for _ in range(2)]
        other.basic_cancel(tags[0])
        self.assertEqual(self.ready(queue), 0)
        other.basic_cancel(tags[1])
        self.refuses(404, "NOT_FOUND - no queue '%s' in vhost '/'" % queue, "queue_declare", queue, passive=True)

    def test_auto_delete_with_its_channel(self):
        queue = self.queue(auto_delete=True)
        other = self.connection.channel()
        other.basic_consume(queue, lambda *_: None)
        other.close()
        self.refuses(404, "NOT_FOUND - no queue '%s' in vhost '/'" % queue, "queue_declare", queue, passive=True)

    def test_delete(self):
        queue = self.queue()
        self.publish("", queue)
        self.refuses(406, "PRECONDITION_FAILED - queue '%s' in vhost '/' not empty" % queue, "queue_delete", queue, if_empty=True)
        self.assertEqual(self.get(queue), b"x")
        tag = self.channel.basic_consume(queue, lambda *_: None)
        self.refuses(406, "PRECONDITION_FAILED - queue '%s' in vhost '/' in use" % queue, "queue_delete", queue, if_unused=True)
        self.channel.basic_cancel(tag)
        for _ in range(3):
            self.publish("", queue)
        self.assertEqual(self.channel.queue_delete(queue).method.message_count, 3)

    def test_purge(self):
        queue = self.queue()
        for n in range(5):
            self.publish("", queue, b"%d" % n)
        held = self.channel.basic_get(queue)[0]
        self.assertEqual(self.channel.queue_purge(queue).method.message_count, 4)
        self.channel.basic_nack(held.delivery_tag)
        self.until_ready(queue, 1)
        self.assertEqual(self.get(queue), b"0")

    def test_purge_of_the_last_one_declared(self):
        queue = self.queue()
        self.publish("", queue)
        self.assertEqual(self.channel.queue_purge("").method.message_count, 1)

    def test_many(self):
        names = [self.queue() for _ in range(200)]
        exchange = self.exchange("fanout")
        for name in names:
            self.channel.queue_bind(name, exchange)
        self.publish(exchange, "", b"to all")
        self.assertEqual({self.get(name) for name in names}, {b"to all"})


if __name__ == "__main__":
    main()

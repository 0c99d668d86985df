"""Consumers, prefetch, cancelling, direct reply-to."""
import pika
from pika import spec
from pika.exceptions import ChannelClosedByBroker

from tour import Tour, connect, setUpModule, the_broker  # noqa: F401
from raw import Raw, body, header, method
from runner import main


class Consuming(Tour):
    def holds_at(self, channel, queue, count):
        """So many deliveries come, of 20 messages, and no more: the rest stays ready, and nothing is on its way."""
        self.assertEqual(len(self.deliveries(channel, count)), count)
        self.until_ready(queue, 20 - count)
        for _ in range(3):
            channel.queue_declare(queue, passive=True)
        self.assertEqual((len(self.collected), self.ready(queue)), (count, 20 - count))

    def test_deliveries(self):
        queue = self.queue()
        tag = self.collector(self.channel, queue, consumer_tag="mine", auto_ack=True)
        for n in range(50):
            self.publish("", queue, b"%d" % n)
        got = self.deliveries(self.channel, 50)
        self.assertEqual([body for _, _, body in got], [b"%d" % n for n in range(50)])
        method = got[0][0]
        self.assertEqual((tag, method.consumer_tag, method.exchange, method.routing_key, method.redelivered, method.delivery_tag),
                         ("mine", "mine", "", queue, False, 1))

    def test_tags_made_by_the_broker(self):
        """pika makes its own."""
        with Raw(the_broker()) as client:
            client.open()
            client.send(method(1, spec.Basic.Consume(queue=self.queue())) * 2)
            tags = [client.expect(spec.Basic.ConsumeOk).consumer_tag for _ in range(2)]
            self.assertRegex(tags[0], "^amq.ctag-.")
            self.assertNotEqual(*tags)

    def test_prefetch_of_each_consumer(self):
        queue, channel = self.queue(), self.connection.channel()
        for n in range(20):
            self.publish("", queue, b"%d" % n)
        channel.basic_qos(prefetch_count=3)
        self.collector(channel, queue)
        self.holds_at(channel, queue, 3)
        channel.basic_ack(self.collected[1][0].delivery_tag, multiple=True)
        self.holds_at(channel, queue, 5)
        self.assertEqual([body for _, _, body in self.collected], [b"0", b"1", b"2", b"3", b"4"])
        # A second consumer has a window of its own.
        channel.basic_consume(queue, lambda _, *delivery: self.collected.append(delivery))
        self.holds_at(channel, queue, 8)

    def test_prefetch_of_the_channel(self):
        queue, channel = self.queue(), self.connection.channel()
        for n in range(20):
            self.publish("", queue, b"%d" % n)
        channel.basic_qos(prefetch_count=4, global_qos=True)
        self.collector(channel, queue)
        channel.basic_consume(queue, lambda _, *delivery: self.collected.append(delivery))
        self.holds_at(channel, queue, 4)
        channel.basic_ack(0, multiple=True)
        self.holds_at(channel, queue, 8)

    def test_prefetch_does_not_bind_get_nor_auto_ack(self):
        queue, channel = self.queue(), self.connection.channel()
        for n in range(10):
            self.publish("", queue, b"%d" % n)
        channel.basic_qos(prefetch_count=1)
        for _ in range(3):
            self.assertIsNotNone(channel.basic_get(queue)[0])
        self.collector(channel, queue, auto_ack=True)
        self.assertEqual(len(self.deliveries(channel, 7)), 7)

    def test_prefetch_size_is_not_there(self):
        self.refuses_connection(540, "NOT_IMPLEMENTED - prefetch_size!=0 (1)", lambda channel: channel.basic_qos(prefetch_size=1))

    def test_exclusive(self):
        queue = self.queue()
        tag = self.channel.basic_consume(queue, lambda *_: None, exclusive=True)
        self.refuses(403, "ACCESS_REFUSED - queue '%s' in vhost '/' in exclusive use" % queue, "basic_consume", queue, print)
        self.channel.basic_cancel(tag)
        tag = self.channel.basic_consume(queue, lambda *_: None)
        self.refuses(403, "ACCESS_REFUSED - queue '%s' in vhost '/' in exclusive use" % queue, "basic_consume", queue, print,
                     exclusive=True)

    def test_a_tag_in_use(self):
        """pika looks itself whether a tag is in use, so the second request goes round it."""
        queue = self.queue()

        def twice(channel):
            channel.basic_consume(queue, lambda *_: None, consumer_tag="taken")
            channel.connection._impl._send_method(channel.channel_number, spec.Basic.Consume(queue=queue, consumer_tag="taken"))
        self.refuses_connection(530, "NOT_ALLOWED - attempt to reuse consumer tag 'taken'", twice)

    def test_cancel(self):
        queue = self.queue()
        tag = self.collector(self.channel, queue, auto_ack=True)
        self.channel.basic_cancel(tag)
        self.publish("", queue)
        self.until_ready(queue, 1)
        self.assertEqual(self.collected, [])

    def test_cancel_by_the_broker(self):
        queue, cancelled = self.queue(), []
        self.channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
        tag = self.channel.basic_consume(queue, lambda *_: None)
        with connect() as other:
            other.channel().queue_delete(queue)
        self.pump(lambda: cancelled)
        self.assertEqual(cancelled, [tag])

    def test_shared_in_turn(self):
        queue, shares = self.queue(), [[], [], []]
        channels = [self.connection.channel() for _ in shares]
        for channel, share in zip(channels, shares):
            channel.basic_qos(prefetch_count=1)
            channel.basic_consume(queue, lambda c, method, _, body, share=share: (share.append(body), c.basic_ack(method.delivery_tag)))
        for n in range(90):
            self.publish("", queue, b"%d" % n)
        self.pump(lambda: sum(map(len, shares)) == 90)
        self.assertEqual(sorted(map(int, sum(shares, []))), list(range(90)))
        for share in shares:
            self.assertGreater(len(share), 5)
            self.assertEqual(share, sorted(share, key=int))

    def test_no_local_is_ignored(self):
        """As RabbitMQ does; pika can't ask for it."""
        with Raw(the_broker()) as client:
            client.open()
            queue = self.queue()
            client.send(method(1, spec.Basic.Consume(queue=queue, no_local=True, no_ack=True)))
            client.expect(spec.Basic.ConsumeOk)
            client.send(method(1, spec.Basic.Publish(routing_key=queue)), header(1, 2), body(1, b"me"))
            self.assertEqual(client.expect(spec.Basic.Deliver).routing_key, queue)

    def test_channel_close_gives_back(self):
        queue, channel = self.queue(), self.connection.channel()
        for n in range(3):
            self.publish("", queue, b"%d" % n)
        self.collector(channel, queue)
        self.deliveries(channel, 3)
        channel.close()
        self.until_ready(queue, 3)
        method, _, body = self.channel.basic_get(queue, auto_ack=True)
        self.assertEqual((body, method.redelivered), (b"0", True))


class DirectReplyTo(Tour):
    REPLY = "amq.rabbitmq.reply-to"

    def test_rpc(self):
        queue, asked = self.queue(), self.connection.channel()
        replies = []
        self.channel.basic_consume(self.REPLY, lambda *delivery: replies.append(delivery), auto_ack=True)
        asked.basic_consume(queue, lambda c, method, properties, body: c.basic_publish(
            "", properties.reply_to, body.upper(), pika.BasicProperties(correlation_id=properties.correlation_id)), auto_ack=True)
        for n in range(20):
            self.publish("", queue, b"question %d" % n, reply_to=self.REPLY, correlation_id=str(n))
        self.pump(lambda: len(replies) == 20)
        self.assertEqual([(properties.correlation_id, body) for _, _, properties, body in replies],
                         [(str(n), b"QUESTION %d" % n) for n in range(20)])

    def test_the_name_is_replaced(self):
        queue = self.queue()
        self.channel.basic_consume(self.REPLY, lambda *_: None, auto_ack=True)
        self.publish("", queue, b"x", reply_to=self.REPLY)
        _, properties, _ = self.channel.basic_get(queue, auto_ack=True)
        self.assertTrue(properties.reply_to.startswith(self.REPLY + "."), properties.reply_to)
        # It is there as long as its consumer is, whoever asks.
        with connect() as other:
            other.channel().queue_declare(properties.reply_to, passive=True)

    def test_wrong_use(self):
        self.refuses(406, "PRECONDITION_FAILED - reply consumer cannot acknowledge", "basic_consume", self.REPLY, print)
        self.refuses(406, "PRECONDITION_FAILED - fast reply consumer does not exist", "basic_publish", "", "q", b"x",
                     pika.BasicProperties(reply_to=self.REPLY))
        channel = self.connection.channel()
        channel.basic_consume(self.REPLY, lambda *_: None, auto_ack=True)
        with self.assertRaises(ChannelClosedByBroker) as closed:
            channel.basic_consume(self.REPLY, lambda *_: None, auto_ack=True)
        self.assertEqual((closed.exception.reply_code, closed.exception.reply_text),
                         (406, "PRECONDITION_FAILED - reply consumer already set"))


if __name__ == "__main__":
    main()

"""basic.get and what becomes of deliveries: acknowledged, refused, given back."""
import socket

from pika.exceptions import ChannelClosedByBroker

from tour import Tour, connect, setUpModule  # noqa: F401
from runner import main


class Acknowledging(Tour):
    def fill(self, count):
        queue = self.queue()
        for n in range(count):
            self.publish("", queue, b"%d" % n)
        return queue

    def take(self, queue, count):
        return [self.channel.basic_get(queue)[0].delivery_tag for _ in range(count)]

    def left(self, queue):
        """(body, redelivered) of what is ready."""
        got = []
        while True:
            method, _, body = self.channel.basic_get(queue, auto_ack=True)
            if not method:
                return got
            got.append((int(body), method.redelivered))

    def test_get(self):
        queue = self.fill(3)
        method, _, body = self.channel.basic_get(queue)
        self.assertEqual((body, method.message_count, method.redelivered, method.delivery_tag), (b"0", 2, False, 1))
        self.assertEqual(self.channel.basic_get(self.queue()), (None, None, None))

    def test_ack_of_several(self):
        queue = self.fill(6)
        tags = self.take(queue, 5)
        self.channel.basic_ack(tags[2], multiple=True)
        self.channel.basic_ack(tags[4])
        self.channel.basic_recover(requeue=True)
        self.assertEqual(self.left(queue), [(3, True), (5, False)])

    def test_nack_of_several(self):
        queue = self.fill(6)
        tags = self.take(queue, 5)
        self.channel.basic_nack(tags[1], multiple=True, requeue=False)
        self.channel.basic_nack(tags[3], multiple=True, requeue=True)
        self.until_ready(queue, 3)
        self.assertEqual(self.left(queue), [(2, True), (3, True), (5, False)])

    def test_requeued_go_back_to_their_old_places(self):
        queue = self.fill(8)
        tags = self.take(queue, 6)
        for i in (4, 0, 3, 1):
            self.channel.basic_reject(tags[i], requeue=True)
        self.until_ready(queue, 6)
        self.assertEqual(self.left(queue), [(0, True), (1, True), (3, True), (4, True), (6, False), (7, False)])

    def test_reject_without_requeue(self):
        queue = self.fill(2)
        self.channel.basic_reject(self.take(queue, 1)[0], requeue=False)
        self.assertEqual(self.left(queue), [(1, False)])

    def test_recover(self):
        queue = self.fill(3)
        self.take(queue, 2)
        self.channel.basic_recover(requeue=True)
        self.assertEqual(self.left(queue), [(0, True), (1, True), (2, False)])
        self.refuses_connection(540, "NOT_IMPLEMENTED - requeue=false", lambda channel: channel.basic_recover(requeue=False))

    def test_unknown_tags(self):
        for ask, args in (("basic_ack", (7,)), ("basic_nack", (7,)), ("basic_reject", (7,)), ("basic_ack", (7, True))):
            self.refuses(406, "PRECONDITION_FAILED - unknown delivery tag 7", ask, *args)
        queue = self.fill(1)
        channel = self.connection.channel()
        tag = channel.basic_get(queue)[0].delivery_tag
        channel.basic_ack(tag)
        with self.assertRaises(ChannelClosedByBroker) as closed:
            channel.basic_ack(tag)
            channel.basic_qos(prefetch_count=1)
        self.assertEqual(closed.exception.reply_text, "PRECONDITION_FAILED - unknown delivery tag 1")
        # Nothing to acknowledge is no error for tag 0 with multiple.
        channel = self.connection.channel()
        channel.basic_ack(0, multiple=True)
        channel.basic_qos(prefetch_count=1)

    def test_everything_comes_back_when_the_connection_is_lost(self):
        queue = self.fill(4)
        other = connect()
        other.channel().basic_get(queue)
        other.channel().basic_get(queue)
        other._impl._transport._sock.shutdown(socket.SHUT_RDWR)
        self.until_ready(queue, 4)
        self.assertEqual(self.left(queue), [(0, True), (1, True), (2, False), (3, False)])


if __name__ == "__main__":
    main()

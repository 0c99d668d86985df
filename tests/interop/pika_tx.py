"""Transactions."""

from tour import Tour, setUpModule  # noqa: F401
from broker import PERSISTENT
from runner import main


class Transactions(Tour):
    def test_commit(self):
        queue, tx = self.queue(durable=True), self.connection.channel()
        tx.tx_select()
        for n in range(3):
            tx.basic_publish("", queue, b"%d" % n, PERSISTENT)
        tx.basic_qos(prefetch_count=1)
        self.assertEqual(self.ready(queue), 0)
        tx.tx_commit()
        self.assertEqual(self.bodies(queue), [b"0", b"1", b"2"])

    def test_rollback(self):
        queue, tx = self.queue(), self.connection.channel()
        tx.tx_select()
        tx.basic_publish("", queue, b"never")
        tx.tx_rollback()
        tx.tx_commit()
        self.assertEqual(self.ready(queue), 0)

    def test_acks(self):
        queue, tx = self.queue(), self.connection.channel()
        for n in range(4):
            self.publish("", queue, b"%d" % n)
        tx.tx_select()
        for _ in range(2):
            tx.basic_ack(tx.basic_get(queue)[0].delivery_tag)
        tx.tx_commit()
        tx.basic_ack(tx.basic_get(queue)[0].delivery_tag)
        tx.tx_rollback()
        tx.close()
        self.until_ready(queue, 2)
        self.assertEqual(self.bodies(queue), [b"2", b"3"])

    def test_rejects(self):
        queue, tx = self.queue(), self.connection.channel()
        self.publish("", queue, b"again")
        tx.tx_select()
        tx.basic_nack(tx.basic_get(queue)[0].delivery_tag, requeue=True)
        self.assertIsNone(self.get(queue))
        tx.tx_commit()
        self.until_ready(queue, 1)
        self.assertEqual(self.get(queue), b"again")

    def test_several_queues_at_once(self):
        exchange = self.exchange("fanout")
        queues = self.queues_bound(exchange, "", "", "")
        tx = self.connection.channel()
        tx.tx_select()
        for n in range(10):
            tx.basic_publish(exchange, "", b"%d" % n)
        tx.tx_commit()
        for queue in queues:
            self.assertEqual(self.bodies(queue), [b"%d" % n for n in range(10)])

    def test_not_transactional(self):
        text = "PRECONDITION_FAILED - channel is not transactional"
        self.refuses(406, text, "tx_commit")
        self.refuses(406, text, "tx_rollback")

    def test_closed_channel_forgets(self):
        queue, tx = self.queue(), self.connection.channel()
        tx.tx_select()
        tx.basic_publish("", queue, b"never")
        tx.close()
        self.assertEqual(self.ready(queue), 0)


if __name__ == "__main__":
    main()

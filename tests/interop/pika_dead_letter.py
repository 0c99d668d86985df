"""Dead letters: where messages go that expire, are shed or rejected, and what they say of it."""
import datetime
import time

from pika.exceptions import NackError

from tour import Tour, peer, setUpModule  # noqa: F401
from runner import main

SHORT_MS = 100


class DeadLetters(Tour):
    def setUp(self):
        super().setUp()
        self.dead = self.queue(durable=True)
        self.since = int(time.time())

    def dying(self, exchange="", key=None, **arguments):
        """A queue with this dead-letter exchange; the default one gives to self.dead."""
        arguments = {"x-" + name.replace("_", "-"): value for name, value in arguments.items()}
        arguments["x-dead-letter-exchange"] = exchange
        if key is not None or exchange == "":
            arguments["x-dead-letter-routing-key"] = key or self.dead
        return self.queue(durable=True, arguments=arguments)

    def letters(self, count, queue=None):
        """(headers, body) of the next dead letters."""
        queue = queue or self.dead
        self.until_ready(queue, count)
        got = [self.channel.basic_get(queue, auto_ack=True) for _ in range(count)]
        return [(properties.headers, body) for _, properties, body in got]

    def reject(self, queue, requeue=False):
        method, properties, body = self.channel.basic_get(queue)
        self.channel.basic_reject(method.delivery_tag, requeue=requeue)
        return properties, body

    def death(self, queue, reason, count=1, exchange="", keys=None, **more):
        return dict({"count": count, "reason": reason, "queue": queue, "exchange": exchange, "routing-keys": keys or [queue]},
                    **more)

    def died(self, headers, *deaths):
        """The headers tell of these deaths, the last one first."""
        deaths, first = list(deaths), deaths[-1]
        told = [dict(death) for death in headers["x-death"]]
        for death in told:
            when = death.pop("time").replace(tzinfo=datetime.timezone.utc).timestamp()
            self.assertTrue(self.since <= when <= time.time(), when)
        self.assertEqual(told, deaths)
        for field in "reason", "queue", "exchange":
            self.assertEqual(headers["x-first-death-" + field], first[field])
            if peer.ON_GANNET:  # RabbitMQ 3.13 and later
                self.assertEqual(headers["x-last-death-" + field], deaths[0][field])

    def test_rejected(self):
        queue = self.dying()
        self.publish("", queue, b"1", headers={"a": 1}, content_type="text/plain")
        self.publish("", queue, b"2")
        self.reject(queue)
        method, _, _ = self.channel.basic_get(queue)
        self.channel.basic_nack(method.delivery_tag, requeue=False)
        (headers, body), (others, second) = self.letters(2)
        self.assertEqual((body, headers["a"], second), (b"1", 1, b"2"))
        self.died(headers, self.death(queue, "rejected"))
        self.died(others, self.death(queue, "rejected"))

    def test_expired(self):
        queue = self.dying(message_ttl=SHORT_MS)
        self.publish("", queue, b"x")
        (headers, body), = self.letters(1)
        self.assertEqual(body, b"x")
        self.died(headers, self.death(queue, "expired"))

    def test_expired_of_itself(self):
        """The expiration is told, and is no longer one."""
        queue = self.dying()
        self.publish("", queue, b"x", expiration="%d" % SHORT_MS)
        self.until_ready(self.dead, 1)
        _, properties, _ = self.channel.basic_get(self.dead)
        self.assertIsNone(properties.expiration)
        self.died(properties.headers, self.death(queue, "expired", **{"original-expiration": "%d" % SHORT_MS}))

    def test_shed(self):
        queue = self.dying(max_length=1)
        for body in b"1", b"2", b"3":
            self.publish("", queue, body)
        letters = self.letters(2)
        self.assertEqual([body for _, body in letters], [b"1", b"2"])
        self.died(letters[0][0], self.death(queue, "maxlen"))
        self.assertEqual(self.bodies(queue), [b"3"])

    def test_refused_and_yet_dead(self):
        queue = self.dying(max_length=1, overflow="reject-publish-dlx")
        self.channel.confirm_delivery()
        self.publish("", queue, b"1")
        with self.assertRaises(NackError):
            self.publish("", queue, b"2")
        (headers, body), = self.letters(1)
        self.assertEqual(body, b"2")
        self.died(headers, self.death(queue, "maxlen"))

    def test_the_routing_key_stays_or_is_replaced(self):
        exchange = self.exchange("topic")
        kept, replaced = self.queues_bound(exchange, "kept.#", "replaced")
        for arguments, key, reached in (({}, "kept.a", kept), ({"key": "replaced"}, "kept.a", replaced)):
            queue = self.dying(exchange, **arguments)
            self.channel.queue_bind(queue, "amq.topic", queue)
            self.channel.queue_bind(queue, "amq.topic", key + "." + self.unique)
            self.publish("amq.topic", key + "." + self.unique, b"x")
            self.reject(queue)
            (headers, _), = self.letters(1, reached)
            self.died(headers, self.death(queue, "rejected", exchange="amq.topic", keys=[key + "." + self.unique]))

    def test_several_deaths(self):
        """Round and round: retried with a delay. Counted for each queue and reason; the last is in front."""
        work = self.name()
        wait = self.dying(key=work, message_ttl=SHORT_MS)
        self.queue(queue=work, durable=True, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": wait})
        self.publish("", work, b"x")
        for turn in range(1, 4):
            self.until_ready(work, 1)
            properties, _ = self.reject(work)
            if turn > 1:
                self.died(properties.headers, self.death(wait, "expired", turn - 1), self.death(work, "rejected", turn - 1))

    def test_a_circle_without_a_rejection_is_broken(self):
        name = self.name()
        self.queue(queue=name, arguments={"x-message-ttl": SHORT_MS, "x-dead-letter-exchange": "",
                                          "x-dead-letter-routing-key": name})
        self.publish("", name, b"x")
        self.until_ready(name, 0)
        time.sleep(2 * SHORT_MS / 1000)
        self.assertEqual(self.ready(name), 0)

    def test_an_exchange_that_is_not_there(self):
        queue = self.dying(self.name(), key="k")
        self.publish("", queue, b"x")
        self.reject(queue)
        self.assertIsNone(self.get(queue))

    def test_a_quorum_queue_at_least_once(self):
        queue = self.dying(queue_type="quorum", dead_letter_strategy="at-least-once", overflow="reject-publish",
                           message_ttl=SHORT_MS)
        self.channel.confirm_delivery()
        for n in range(20):
            self.publish("", queue, b"%d" % n, delivery_mode=2)
        letters = self.letters(20)
        self.assertEqual([body for _, body in letters], [b"%d" % n for n in range(20)])
        self.died(letters[0][0], self.death(queue, "expired"))

    def test_large_ones(self):
        queue = self.dying(max_length=1)
        bodies = [bytes([n]) * 300000 for n in range(3)]
        for body in bodies:
            self.publish("", queue, body, correlation_id="c")
        self.assertEqual([body for _, body in self.letters(2)], bodies[:2])

    def test_refusals(self):
        name = self.name()
        self.refuses(406, "PRECONDITION_FAILED - invalid arg 'x-dead-letter-routing-key' for queue '%s' in vhost '/': "
                          "routing_key_but_no_dlx_defined" % name,
                     "queue_declare", name, arguments={"x-dead-letter-routing-key": "k"})
        self.refuses(406, "PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue '%s' "
                          "in vhost '/'" % name,
                     "queue_declare", name, arguments={"x-dead-letter-exchange": 5})


if __name__ == "__main__":
    main()

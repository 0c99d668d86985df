#!/usr/bin/python3
"""What deploy/guest asks of its broker: guest_client.py HOST PORT DIRECTORY.

One connection publishes persistent messages, another consumes at the same time and acknowledges; every byte of every message is
compared with what was sent. Once with small bodies and once with large ones, each confirmed before the next is sent; and once
without waiting for anything, so that there are many in a segment. Ends with 0 if all was right.
"""
import hashlib
import sys
import threading
import time

import pika

PATIENCE_S = 120
PERSISTENT = pika.BasicProperties(delivery_mode=2)
# (what, confirmed one by one, how many, the least and the largest body)
ROUNDS = [
    ("small", True, 300, 0, 2_000),
    ("large", True, 40, 100_000, 2_000_000),
    ("flood", False, 10_000, 0, 600),
]


def body(queue, number, least, most):
    """The message of that number: no two are alike, and none has a pattern that a lost or doubled segment would keep."""
    seed = hashlib.sha256(b"%s %d" % (queue.encode(), number)).digest()
    size = least + int.from_bytes(seed[:8], "big") % (most - least + 1)
    return hashlib.shake_128(seed).digest(size)


def connect(host, port):
    return pika.BlockingConnection(pika.ConnectionParameters(
        host, port, heartbeat=0, socket_timeout=PATIENCE_S, stack_timeout=PATIENCE_S, blocked_connection_timeout=PATIENCE_S))


def publish(host, port, queue, confirmed, bodies, problems):
    """If confirmed, each is on the guest's disk before the next is sent."""
    try:
        with connect(host, port) as connection:
            channel = connection.channel()
            if confirmed:
                channel.confirm_delivery()
            for content in bodies:
                channel.basic_publish("", queue, content, PERSISTENT, mandatory=confirmed)
    except (pika.exceptions.AMQPError, OSError) as error:
        problems.append("publishing to %s: %r" % (queue, error))


def consume(channel, queue, bodies, problems):
    """Compares what comes with bodies, in order, until all have come or nothing does."""
    channel.basic_qos(prefetch_count=50)
    for number, wanted in enumerate(bodies):
        method, _, content = next(channel.consume(queue, inactivity_timeout=PATIENCE_S))
        if method is None:
            problems.append("%s: only %d of %d messages came" % (queue, number, len(bodies)))
            return
        if content != wanted:
            problems.append("%s: message %d is not what was sent: %d bytes, sent %d" % (queue, number, len(content), len(wanted)))
        channel.basic_ack(method.delivery_tag)
    channel.cancel()
    left = channel.queue_delete(queue).method.message_count
    if left:
        problems.append("%s: %d messages are left" % (queue, left))


def play(host, port, what, confirmed, count, least, most):
    """One round; returns what was wrong."""
    queue = "guest-" + what
    problems = []
    bodies = [body(queue, number, least, most) for number in range(count)]
    begun = time.monotonic()
    with connect(host, port) as connection:
        channel = connection.channel()
        channel.queue_declare(queue, durable=True)
        publisher = threading.Thread(target=publish, args=(host, port, queue, confirmed, bodies, problems), daemon=True)
        publisher.start()
        consume(channel, queue, bodies, problems)
        publisher.join(PATIENCE_S)
    took = time.monotonic() - begun
    size = sum(map(len, bodies))
    print("%s: %d messages, %.1f MB, consumed and compared in %.1f s: %.0f messages/s, %.1f MB/s each way"
          % (what, count, size / 1e6, took, count / took, size / 1e6 / took), flush=True)
    return problems


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    problems = []
    for settings in ROUNDS:
        try:
            problems += play(host, port, *settings)
        except (pika.exceptions.AMQPError, OSError) as error:
            problems.append("%s: %r" % (settings[0], error))
            break
    for problem in problems:
        print("wrong: " + problem, flush=True)
    sys.exit(1 if problems else 0)


main()

"""Makes the screenshots of README.md: a broker with something to show, looked at from a desk and on a phone.

    GANNETD=... GANNETCTL=... GANNET_MGMTD=... tests/interop/page/run --shots DIR
"""
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "system"), HERE]

import pika  # noqa: E402

from broker import PERSISTENT, Broker, until  # noqa: E402
from chromium import Chromium  # noqa: E402
from management import Mgmtd  # noqa: E402

BYTES_MAX = 150 * 1000
SHOWN_S = 45  # of load, so that the charts have lines
COUNTRIES = ["de", "fr", "it", "nl", "pl", "se"]


def declare(channel):
    channel.exchange_declare("orders", "topic", durable=True)
    channel.exchange_declare("unrouted", "fanout", durable=True)
    for country in COUNTRIES:
        channel.queue_declare("orders.%s" % country, durable=True, arguments={"x-dead-letter-exchange": "unrouted"})
        channel.queue_bind("orders.%s" % country, "orders", "orders.%s.#" % country)
    channel.queue_declare("billing", durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind("billing", "orders", "orders.*.paid")
    channel.queue_declare("audit", durable=True, arguments={"x-queue-type": "stream", "x-max-age": "7D"})
    channel.queue_bind("audit", "orders", "#")
    channel.queue_declare("parked", durable=True)
    channel.queue_bind("parked", "unrouted", "")
    channel.exchange_bind("orders", "amq.topic", "shop.#")
    channel.queue_declare("sessions", arguments={"x-message-ttl": 60000, "x-max-length": 10000})


def load(broker, end):
    """Publishes and consumes in waves until told to end."""
    with broker.channel(client_properties={"connection_name": "shop"}) as out:
        out.confirm_delivery()
        number = 0
        while not end.is_set():
            wave = 60 + 50 * abs(8 - number // 400 % 16)
            for _ in range(wave // 8):
                number += 1
                out.basic_publish("orders", "orders.%s.%s" % (COUNTRIES[number * number % 6], "paid" if number % 3 else "new"), b"x" * 700, PERSISTENT)
            end.wait(0.05)


def consume(broker, end, country):
    connection = broker.connect(client_properties={"connection_name": "warehouse " + country})
    channel = connection.channel()
    channel.basic_qos(prefetch_count=20)
    channel.basic_consume("orders." + country, lambda ch, method, _, __: ch.basic_ack(method.delivery_tag), consumer_tag="pack-" + country)
    while not end.is_set():
        connection.process_data_events(0.2)
    connection.close()


def shoot(tab, directory, name, words):
    tab.evaluate("location.hash = %r" % ("#/" + words))
    tab.until("!document.getElementById('main').hasAttribute('aria-busy')", name)
    tab.evaluate("new Promise(done => setTimeout(done, 2200))")  # rates need two looks
    path = os.path.join(directory, name + ".png")
    tab.shoot(path)
    size = os.path.getsize(path)
    print("%s: %d bytes" % (path, size))
    if size > BYTES_MAX:
        sys.exit("%s is larger than %d bytes" % (path, BYTES_MAX))


def main(directory):
    end = threading.Event()
    os.makedirs(directory, exist_ok=True)
    with Broker() as broker, Mgmtd(broker.data) as mgmtd, Chromium() as tab:
        with broker.channel() as channel:
            declare(channel)
            for number in range(1200):
                channel.basic_publish("", ("parked", "sessions")[number % 2], b"x" * 400, pika.BasicProperties(delivery_mode=1))
            until(lambda: mgmtd.call("GET", "/api/overview")[2]["message_stats"]["publish"] == 1200, "the counters of these")
        threads = [threading.Thread(target=load, args=(broker, end))]
        threads += [threading.Thread(target=consume, args=(broker, end, country)) for country in COUNTRIES[:4]]
        for thread in threads:
            thread.start()
        try:
            tab.look(1280, 860)
            tab.open("http://%s/" % mgmtd.api_at)
            tab.fill("user", "guest")
            tab.fill("password", "guest")
            tab.click("Log in")
            tab.until_says("Message rates")
            shown = time.monotonic() + SHOWN_S
            while time.monotonic() < shown:
                tab.evaluate("new Promise(done => setTimeout(done, 500))")  # what the browser tells meanwhile is taken
            shoot(tab, directory, "overview", "overview")
            tab.look(1280, 860, dark=True)
            shoot(tab, directory, "exchange-dark", "exchanges/%2F/orders")
            tab.look(390, 780, scale=2)
            shoot(tab, directory, "queues-phone", "queues?sort=messages_ready&sort_reverse=true")
        finally:
            end.set()
            for thread in threads:
                thread.join()


if __name__ == "__main__":
    main(sys.argv[1])

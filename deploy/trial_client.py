"""What deploy/trial has a client do in its Debian: publish, or consume, the durable messages FROM to TO of one queue."""
import sys

import pika
from pika.spec import PERSISTENT_DELIVERY_MODE

verb, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1"))
channel = connection.channel()
channel.queue_declare("trial", durable=True)
if verb == "publish":
    channel.confirm_delivery()
    for number in range(first, last):
        channel.basic_publish("", "trial", b"%d" % number, pika.BasicProperties(delivery_mode=PERSISTENT_DELIVERY_MODE))
else:
    for number in range(first, last):
        found, _, body = channel.basic_get("trial", auto_ack=True)
        if not found or int(body) != number:
            sys.exit("message %d is %r" % (number, body))
connection.close()

"""The broker that the tour talks to: a gannetd of its own, or one that runs already (PEER, PEER_HOST, PEER_PORT)."""
import os
import subprocess

import pika

from broker import GANNETCTL, Broker

PEER = os.environ.get("PEER", "gannet")
ON_GANNET = PEER == "gannet"


class Running:
    """A broker of somebody else's."""

    address = os.environ.get("PEER_HOST", "127.0.0.1")
    port = int(os.environ.get("PEER_PORT", "5672"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def start():
    """A context: within it the broker has .address and .port."""
    return Broker(routers=3, fronts=2) if ON_GANNET else Running()


def control(broker, *words):
    """What gannetctl prints, or rabbitmqctl."""
    command = [GANNETCTL, "-D", broker.data] if ON_GANNET else os.environ["PEER_CTL"].split()
    return subprocess.run([*command, *words], capture_output=True, text=True, timeout=60, check=True).stdout


def parameters(broker, **options):
    options.setdefault("heartbeat", 0)
    options.setdefault("socket_timeout", 60)
    options.setdefault("stack_timeout", 60)
    return pika.ConnectionParameters(broker.address, broker.port, **options)

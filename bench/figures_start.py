"""bench/figures' row about starting: how long a broker that has 100,000 durable queues takes from exec until it answers a client."""
import contextlib
import os
import shutil
import socket
import tempfile
import time

from figures_brokers import Gannet, wait_for


def answers_amqp(port):
    """A client that connects is told what the broker is: the first method of a connection."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as s:
        s.sendall(b"AMQP\0\0\x09\x01")
        return s.recv(1) == b"\x01"
    return False


class Start:
    def start_again(self, data):
        """Seconds, and the broker."""
        gannet = Gannet(self.build, data)
        wait_for(lambda: answers_amqp(gannet.ports["amqp"]), gannet.name)
        return time.monotonic() - gannet.started, gannet

    def start(self):
        """Killed: all that a replay finds are the declarations; ended: they stand in a checkpoint; killed since: behind one."""
        data = tempfile.mkdtemp(prefix="gannet-figures-", dir=os.environ.get("FIGURES_DIR"))
        gannet = Gannet(self.build, data)
        self.declare_many(gannet, durable=True)
        took = {"killed before any checkpoint": [], "ended cleanly": [], "killed since": []}
        killed, ended, since = took.values()
        for _ in range(self.o.runs):
            gannet.kill()
            seconds, gannet = self.start_again(data)
            killed.append(seconds)
        for _ in range(self.o.runs):
            gannet.process.terminate()
            gannet.process.wait(60)
            seconds, gannet = self.start_again(data)
            ended.append(seconds)
            gannet.kill()
            seconds, gannet = self.start_again(data)
            since.append(seconds)
        gannet.kill()
        shutil.rmtree(data, ignore_errors=True)
        for how, seconds in took.items():
            self.row(f"start with 100,000 durable queues, {how}", "figures start", seconds, "s", "asked", [3])

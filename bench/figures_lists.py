"""bench/figures' rows about lists: what an operator who lists 100,000 queues waits for, and what others notice of it."""
import contextlib
import os
import subprocess
import tempfile
import time

from figures_brokers import CLIENT_CORE, Gannet

QUEUES = 100_000


class Lists:
    def declare_many(self, gannet, durable=False):
        import pika
        with pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", gannet.ports["amqp"])) as connection:
            channel = connection.channel()
            for n in range(QUEUES):
                # pylint: disable-next=protected-access
                channel._impl._send_method(pika.spec.Queue.Declare(queue=f"orders.{n:06d}", nowait=True, durable=durable, arguments={}))
                if n % 1000 == 999:
                    channel.queue_declare("orders.000000", durable=durable)

    def list_once(self, gannet):
        """Seconds."""
        start = time.monotonic()
        done = subprocess.run(["taskset", "-c", CLIENT_CORE, f"{self.build}/mgmt/gannetctl", "-D", gannet.data, "-s", "list_queues"],
                              capture_output=True, check=True)
        assert done.stdout.count(b"\n") >= QUEUES
        return time.monotonic() - start

    @contextlib.contextmanager
    def listing(self, gannet):
        """Again and again, all of it on the client's core; yields a file with a line for each time."""
        with tempfile.TemporaryFile() as times:
            lister = subprocess.Popen(["taskset", "-c", CLIENT_CORE, "sh", "-c", 'while "$@" >/dev/null; do echo; done', "sh",
                                       f"{self.build}/mgmt/gannetctl", "-D", gannet.data, "list_queues"], stdout=times)
            yield times
            lister.kill()
            lister.wait()

    def lists(self):
        gannet = Gannet(self.build)
        self.declare_many(gannet)
        alone = [self.list_once(gannet) * 1000 for _ in range(self.o.runs)]
        self.row("gannetctl list_queues of 100,000 queues", "figures lists", alone, "ms", "asked", [1000])
        args = ["-s", "16", "-a", "-r", "1000", *self.timed()]
        first = ["chrt", "--fifo", "10"]  # before gannetctl, which is on its core: the broker is what is measured
        quiet, busy, listed = [], [], 0
        for _ in range(self.o.runs):
            quiet.append(self.load(gannet, *args, before=first)["latency_us"]["p99"])
            with self.listing(gannet) as times:
                busy.append(self.load(gannet, *args, before=first)["latency_us"]["p99"])
                listed += os.fstat(times.fileno()).st_size
        self.row(f"p99 at 1,000 msg/s while 100,000 queues are listed again and again ({listed} times)", "figures lists", busy, "µs",
                 "while nobody lists", quiet)
        gannet.end()

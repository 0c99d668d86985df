"""The recipes of bench/figures for STOMP, beside RabbitMQ's plugin (--rabbitmq): a part of its class Figures."""
import sys

from figures_brokers import Gannet, Rabbit

SUBSCRIBERS = 1000
FANNED = {"gannetd": 1000, "RabbitMQ": 15}  # messages a second of the run


class Stomp:
    def stomp(self):
        gannet = Gannet(self.build)
        if "stomp" not in gannet.ports:
            gannet.end()
            sys.exit("figures: this build of gannetd speaks no STOMP")
        peers = [Rabbit()] if self.o.rabbitmq else []
        self.stomp_rates(gannet, peers)
        self.stomp_durable(gannet, peers)
        self.stomp_fan_out(gannet, peers)
        for b in [gannet, *peers]:
            b.end()

    def stomp_row(self, name, rates, unit="msg/s"):
        for peer in [n for n in rates if n != "gannetd"] or [""]:
            self.row(f"STOMP {name}", "figures stomp", rates["gannetd"], unit, peer, rates.get(peer, []))

    def stomp_rates(self, gannet, peers):
        for name, args in [("/queue, 1→1, 16 B", ["-s", "16", "-a", "--batch", "256k"]),
                           ("/queue, 1→1, 256 B", ["-s", "256", "-a", "--batch", "256k"]),
                           ("/queue, receipts, 100 in flight, acks, 16 B", ["-s", "16", "-c", "100", "-q", "100"])]:
            self.stomp_row(name, self.compare([gannet, *peers], [*args, "--drain", "30", *self.timed()], "stomp"))

    def stomp_durable(self, gannet, peers):
        args = ["-s", "256", "-c", "1000", "-q", "1000", "-A", "100", "-f", "persistent", "-u", "/queue/durable", *self.timed()]
        amqp = ["-s", "256", "-f", "persistent", "-c", "1000", "-q", "1000", "-A", "100", "-u", "figures", "--delete", *self.timed()]
        rates = {b.name: [] for b in [gannet, *peers]}
        by_amqp = []
        for _ in range(self.o.runs):
            for b in [gannet, *peers]:
                rates[b.name].append(self.rate(b, *args, protocol="stomp"))
            by_amqp.append(self.rate(gannet, *amqp))
        self.stomp_row("/queue, persistent, 1,000 receipts in flight, acked, 256 B", rates | {"AMQP": by_amqp})

    def stomp_fan_out(self, gannet, peers):
        rates = {b.name: [] for b in [gannet, *peers]}
        for _ in range(self.o.runs):
            for b in [gannet, *peers]:
                result = self.load(b, "-s", "16", "-a", "-u", "/topic/fan-out", "-y", str(SUBSCRIBERS), "-C",
                                   str(FANNED[b.name] * self.o.seconds), protocol="stomp")
                rates[b.name].append(result["per_second"]["received"] / result["cpu"]["broker_cores"])
        self.stomp_row(f"/topic, 1→{SUBSCRIBERS:,}, 16 B: deliveries for each core-second", rates, "1/s")

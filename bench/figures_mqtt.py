"""The recipes of bench/figures for MQTT, beside Debian's mosquitto (and RabbitMQ with --rabbitmq): a part of its class Figures."""
import subprocess
import time

from figures_brokers import Gannet, Mosquitto, Rabbit, raise_file_limit

IDLE, FILTERS, SUBSCRIBERS = 100_000, 100_000, 1000
# What a connection that a storm must not disturb does: a thousand messages a second, from a client that goes before others.
ESTABLISHED = ["-q", "0", "-r", "1000", "-s", "256"]
FIRST = ["chrt", "--fifo", "10"]
# Messages a second of the run that are fanned out: what a broker is about able to do, for runs of about as long as asked for.
FANNED = {"gannetd": 4000, "mosquitto": 150, "RabbitMQ": 15}


class Mqtt:
    def mqtt(self):
        self.mqtt_rates()
        self.mqtt_durable()
        self.mqtt_fan_out()
        self.mqtt_filters()
        self.mqtt_idle()
        self.mqtt_storm()

    def mqtt_peers(self):
        return [Mosquitto(), *([Rabbit()] if self.o.rabbitmq else [])]

    def mqtt_rates(self):
        gannet, peers = Gannet(self.build), self.mqtt_peers()
        for name, args in [("QoS 0, 1→1, 16 B", ["-s", "16", "--batch", "256k"]), ("QoS 0, 1→1, 256 B", ["-s", "256", "--batch", "256k"]),
                           ("QoS 1, 100 in flight, 16 B", ["-s", "16", "-q", "1", "-c", "100"]),
                           ("QoS 2, 100 in flight, 16 B", ["-s", "16", "-q", "2", "-c", "100"])]:
            # What waits in the broker is drained each time, and RabbitMQ speaks no MQTT 5.
            rates = self.compare([gannet, *peers], [*args, "--mqtt", "3.1.1", "--drain", "30", *self.timed()], "mqtt")
            for p in peers:
                self.row(f"MQTT {name}", "figures mqtt", rates["gannetd"], "msg/s", p.name, rates[p.name])
        for b in [gannet, *peers]:
            b.end()

    def mqtt_durable(self):
        """mosquitto's persistence is a copy of its memory each half hour: what it confirms may be lost."""
        gannet, mosquitto = Gannet(self.build), Mosquitto(persistent=True)
        args = ["-s", "256", "-q", "1", "-c", "1000", "--receive-maximum", "1000", "--session", *self.timed()]
        amqp = ["-s", "256", "-f", "persistent", "-c", "1000", "-q", "1000", "-A", "100", "-u", "figures", "--delete", *self.timed()]
        ours, theirs, by_amqp = [], [], []
        for _ in range(self.o.runs):
            ours.append(self.rate(gannet, *args, protocol="mqtt"))
            by_amqp.append(self.rate(gannet, *amqp))
            theirs.append(self.rate(mosquitto, *args, protocol="mqtt"))
        name = "MQTT durable session, QoS 1, 1,000 in flight, 256 B"
        self.row(name, "figures mqtt_durable", ours, "msg/s", "AMQP, durable, confirmed, acked", by_amqp)
        self.row(name, "figures mqtt_durable", ours, "msg/s", "mosquitto, not durable", theirs)
        gannet.end()
        mosquitto.end()

    def mqtt_fan_out(self):
        """Deliveries for each second of the broker's CPU."""
        gannet, peers = Gannet(self.build), self.mqtt_peers()
        rates = {b.name: [] for b in [gannet, *peers]}
        memory = {b.name: [] for b in [gannet, *peers]}
        for _ in range(self.o.runs):
            for b in [gannet, *peers]:
                result = self.load(b, "-s", "16", "--mqtt", "3.1.1", "-y", str(SUBSCRIBERS), "-C", str(FANNED[b.name] * self.o.seconds),
                                   protocol="mqtt")
                rates[b.name].append(result["per_second"]["received"] / result["cpu"]["broker_cores"])
                memory[b.name].append(result["cpu"]["broker_rss_peak_kib"] / 1024)
        for p in peers:
            name = f"MQTT QoS 0, 1→{SUBSCRIBERS:,}, 16 B"
            self.row(f"{name}: deliveries for each core-second", "figures mqtt_fan_out", rates["gannetd"], "1/s", p.name, rates[p.name])
            self.row(f"{name}: memory at most", "figures mqtt_fan_out", memory["gannetd"], "MiB", p.name, memory[p.name])
        for b in [gannet, *peers]:
            b.end()

    def mqtt_filters(self):
        gannet, mosquitto = Gannet(self.build), Mosquitto()
        args = ["-s", "16", "--batch", "256k", "--idle", "100", "--drain", "30", *self.timed()]
        rates = {}
        for _ in range(self.o.runs):
            for b in (gannet, mosquitto):
                for filters in ("0", str(FILTERS)):
                    rates.setdefault((b.name, filters), []).append(self.rate(b, *args, "--filters", filters, protocol="mqtt"))
        for b in (gannet, mosquitto):
            self.row(f"MQTT QoS 0, 1→1, 16 B, {FILTERS:,} wildcard filters that don't match: {b.name}", "figures mqtt_filters",
                     rates[b.name, str(FILTERS)], "msg/s", "none", rates[b.name, "0"])
            b.end()

    def mqtt_idle(self):
        """Resident memory of the broker before and after, divided. As many connections as the limit of open files allows."""
        n = min(IDLE, raise_file_limit() - 1000)
        used = {}
        for _ in range(self.o.runs):
            for b in (Gannet(self.build, options=[f"connections_max={n + 100}"]), Mosquitto()):
                self.load(b, "-C", "1000", "--idle", "10", protocol="mqtt")  # what it touches for the first time is no connection's
                before = b.rss()
                command = self.command(b, "-x", "0", "-y", "0", "--idle", str(n), "--sources", "8", "-z", "600", protocol="mqtt")
                with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as bench:
                    line = bench.stderr.readline()
                    if f"{n} idle connections up" not in line:
                        raise SystemExit(f"figures: {line}")
                    time.sleep(1)
                    used.setdefault(b.name, []).append((b.rss() - before) / n)
                    bench.kill()
                b.end()
        self.row(f"memory of an idle MQTT connection, of {n:,}", "figures mqtt_idle", used["gannetd"], "B", "mosquitto", used["mosquitto"])

    def mqtt_storm(self):
        """p99 of deliveries on established connections, while another client connects, publishes and leaves as fast as one core can."""
        gannet, mosquitto = Gannet(self.build), Mosquitto()
        late, calm, storm = {}, {}, {}
        args = [*ESTABLISHED, *self.timed()]
        for _ in range(self.o.runs):
            for b in (gannet, mosquitto):
                calm.setdefault(b.name, []).append(self.load(b, *args, protocol="mqtt", before=FIRST)["latency_us"]["p99"] / 1000)
                command = self.command(b, "-x", "0", "-y", "0", "--churn", "64", "--sources", "100", "-z", str(self.o.seconds + 2),
                                       protocol="mqtt")
                with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as bench:
                    time.sleep(0.5)
                    late.setdefault(b.name, []).append(self.load(b, *args, protocol="mqtt", before=FIRST)["latency_us"]["p99"] / 1000)
                    storm.setdefault(b.name, []).append(self.churned(bench.communicate()[0]))
        name = "MQTT, 1,000 msg/s beside a storm of connections"
        self.row(f"{name}: p99 end to end", "figures mqtt_storm", late["gannetd"], "ms", "mosquitto", late["mosquitto"])
        self.row(f"{name}: p99 end to end", "figures mqtt_storm", late["gannetd"], "ms", "without the storm", calm["gannetd"])
        self.row(f"{name}: connections", "figures mqtt_storm", storm["gannetd"], "1/s", "mosquitto", storm["mosquitto"])
        gannet.end()
        mosquitto.end()

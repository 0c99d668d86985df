"""gannet-bench by every protocol, one short run of each kind: what it checks (loss, repetition, order, damage) must hold, and what it
prints must say so."""
import json
import subprocess
import time
import unittest

import tap
from broker import GANNET_BENCH, PATIENCE_S, SANITIZED, Broker
from runner import main

COUNT = "500" if SANITIZED else "5000"


class Load(unittest.TestCase):
    def run_bench(self, protocol, uri, *words, status=0):
        command = [GANNET_BENCH, *([protocol] if protocol else []), "-h", uri, "--json", "--quiet", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE_S, check=False)
        self.assertEqual(done.returncode, status, " ".join(command) + "\n" + done.stdout + done.stderr)
        return json.loads(done.stdout) if status == 0 else done.stderr

    def judge(self, result, sent, received):
        checks = result["checks"]
        self.assertEqual((result["whole"]["sent"], result["whole"]["received"]), (sent, received))
        self.assertEqual([checks[key] for key in ("lost", "duplicated", "misordered", "corrupted")], [0] * 4)

    def survives(self, broker, protocol, uri, *words):
        """The broker is killed twice while the load goes on."""
        broker.settings["listeners." + protocol] = uri.split("/")[2]
        command = [GANNET_BENCH, protocol, "-h", uri, "--quiet", *words, "-r", "500", "-z", "4", "--survive=60"]
        bench = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            for _ in range(2):
                time.sleep(1)
                broker.kill9()
                broker.start()
            out, _ = bench.communicate(timeout=3 * PATIENCE_S)
        finally:
            bench.kill()
        self.assertEqual(bench.returncode, 0, out)


class Amqp(Load):
    def test_with_and_without_the_word(self):
        with Broker() as broker:
            for word in (None, "amqp"):
                result = self.run_bench(word, broker.uri, "-C", COUNT, "-c", "100", "-q", "100", "-A", "10", "--idle", "3")
                self.judge(result, int(COUNT), int(COUNT))
                self.assertEqual(result["load"]["protocol"], "amqp")


@unittest.skipIf(tap.WANTED, "this listener is on a socket")
class Mqtt(Load):
    def broker(self, **settings):
        return Broker(listeners__mqtt="127.0.0.1:0", **settings)

    def uri(self, broker):
        return "mqtt://127.0.0.1:" + broker.log.find(r"mqtt listens on \S*:(\d+)$").group(1)

    def test_each_qos_of_each_version(self):
        with self.broker() as broker:
            for version in ("3.1.1", "5"):
                for qos in ("0", "1", "2"):
                    result = self.run_bench("mqtt", self.uri(broker), "-C", COUNT, "-q", qos, "--mqtt", version, "-s", "100")
                    self.judge(result, int(COUNT), int(COUNT))
                    self.assertEqual(result["whole"]["confirmed"], int(COUNT) if qos != "0" else 0)

    def test_fan_out_and_topics(self):
        with self.broker(routers=2) as broker:
            uri, count = self.uri(broker), int(COUNT)
            self.judge(self.run_bench("mqtt", uri, "-C", COUNT, "-y", "20"), count, 20 * count)
            self.judge(self.run_bench("mqtt", uri, "-C", COUNT, "-x", "2", "-y", "4", "--topics", "2", "-q", "1"), 2 * count, 4 * count)
            self.judge(self.run_bench("mqtt", uri, "-C", COUNT, "-x", "2", "-y", "6", "--topics", "3", "--spread", "-q", "1"),
                       2 * count, 4 * count)

    def test_large_messages(self):
        """Larger than what is read at once."""
        with self.broker() as broker:
            self.judge(self.run_bench("mqtt", self.uri(broker), "-C", "5", "-q", "1", "-s", "600k"), 5, 5)

    def test_sessions(self):
        with self.broker() as broker:
            result = self.run_bench("mqtt", self.uri(broker), "-C", COUNT, "-q", "1", "--session", "-w", "0.1")
            self.judge(result, int(COUNT), int(COUNT))

    def test_idle_filters_and_churn(self):
        with self.broker() as broker:
            for subscribe in ([], ["--churn-subscribe"]):
                result = self.run_bench("mqtt", self.uri(broker), "-C", "50", "-r", "100", "--idle", "20", "--filters", "250",
                                        "--churn", "4", *subscribe)
                self.judge(result, 50, 50)
                self.assertGreater(result["whole"]["churned"], 10)
                self.assertEqual(result["whole"]["churn_failed"], 0)

    def test_survives(self):
        """Nothing confirmed is missing when the broker is killed meanwhile, and with QoS 2 nothing comes twice
        as long as the broker keeps the sessions of publishers."""
        for qos in ("1", "2"):
            with self.subTest(qos=qos), self.broker() as broker:
                self.survives(broker, "mqtt", self.uri(broker), "-q", qos)

    def test_what_cannot_be(self):
        """Each wrong wish gets a sentence, and status 2."""
        for words, sentence in [(["-c", "5"], "QoS 0 are not answered"), (["--mqtt", "4"], "3.1.1 and 5"),
                                (["--survive", "--subscribe-qos", "0"], "with the QoS of the publishes"), (["--topics", "2", "-u", "t"], "%d"),
                                (["--exchange", "x"], "--help"), (["--spread", "--topics", "5000"], "at most 4096")]:
            self.assertIn(sentence, self.run_bench("mqtt", "mqtt://127.0.0.1:1", *words, status=2))
        self.assertIn("nothing listens there", self.run_bench("mqtt", "mqtt://127.0.0.1:1", status=2))


@unittest.skipIf(tap.WANTED, "this listener is on a socket")
class Stomp(Load):
    def broker(self, **settings):
        return Broker(listeners__stomp="127.0.0.1:0", **settings)

    def uri(self, broker):
        return "stomp://127.0.0.1:" + broker.log.find(r"\bstomp listens on \S*:(\d+)$").group(1)

    def test_queues(self):
        with self.broker(routers=2) as broker:
            uri, count = self.uri(broker), int(COUNT)
            self.judge(self.run_bench("stomp", uri, "-C", COUNT), count, count)
            result = self.run_bench("stomp", uri, "-C", COUNT, "-c", "100", "-f", "persistent", "-q", "100", "-A", "10", "-s", "300")
            self.judge(result, count, count)
            self.assertEqual(result["whole"]["confirmed"], count)
            self.judge(self.run_bench("stomp", uri, "-C", COUNT, "-x", "2", "-y", "4", "--destinations", "2", "-u", "/queue/load%d"), 2 * count, 2 * count)

    def test_topics(self):
        with self.broker(routers=2) as broker:
            uri, count = self.uri(broker), int(COUNT)
            self.judge(self.run_bench("stomp", uri, "-C", COUNT, "-a", "-y", "20", "-u", "/topic/load"), count, 20 * count)

    def test_large_messages(self):
        with self.broker() as broker:
            self.judge(self.run_bench("stomp", self.uri(broker), "-C", "5", "-c", "5", "-s", "600k"), 5, 5)

    def test_idle_filters_and_churn(self):
        with self.broker() as broker:
            for subscribe in ([], ["--churn-subscribe"]):
                result = self.run_bench("stomp", self.uri(broker), "-C", "50", "-r", "100", "--idle", "20", "--filters", "250", "--churn", "4", *subscribe)
                self.judge(result, 50, 50)
                self.assertGreater(result["whole"]["churned"], 10)
                self.assertEqual(result["whole"]["churn_failed"], 0)

    def test_survives(self):
        with self.broker() as broker:
            self.survives(broker, "stomp", self.uri(broker), "-c", "50", "-f", "persistent")


if __name__ == "__main__":
    main()

"""Debian's mosquitto_pub, mosquitto_sub and mosquitto_rr, of every version; and pika on the other side."""
import subprocess
import time
import unittest

from clients_site import LONG_S, WithAmqp, setUpModule, the_site  # noqa: F401
from runner import main

VERSIONS = ("mqttv31", "mqttv311", "mqttv5")


def command(name, *words, version="mqttv5"):
    return ["mosquitto_" + name, "-h", the_site().address, "-p", str(the_site().mqtt_port), "-V", version, *words]


def run(name, *words, status=0, **options):
    done = subprocess.run(command(name, *words, **options), capture_output=True, text=True, timeout=LONG_S, check=False)
    if done.returncode != status:
        raise AssertionError("%s: %d, expected %d: %s%s" % (name, done.returncode, status, done.stdout, done.stderr))
    return done.stdout


class Subscriber:
    """mosquitto_sub until it has so many messages, or its time is over."""

    def __init__(self, count, *words, **options):
        # stdbuf: what it says is to come line by line.
        self.process = subprocess.Popen(["stdbuf", "-oL"] + command("sub", "-d", "-C", str(count), "-W", str(LONG_S), *words, **options),
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.said = []
        for line in self.process.stdout:
            if line.startswith("Subscribed"):
                break
            self.said.append(line)

    def lines(self):
        """What it printed, without what -d says. A message may come before it is said to have subscribed."""
        with self.process:  # communicate() would pass over what the loop above has read already; -W ends it
            said = self.said + self.process.stdout.readlines()
        return [line for line in (line.rstrip("\n") for line in said) if not line.startswith(("Client ", "Subscribed"))]


class Mosquitto(WithAmqp):
    def topic(self, rest):
        return "m%s/%s" % (self.unique, rest)

    def test_each_version_and_qos(self):
        for version in VERSIONS:
            for qos in ("0", "1", "2"):
                with self.subTest(version=version, qos=qos):
                    topic = self.topic(version + qos)
                    subscriber = Subscriber(2, "-q", qos, "-F", "%t %q %r %p", "-t", topic + "/#", version=version)
                    run("pub", "-q", qos, "-t", topic + "/a", "-m", "hello", version=version)
                    run("pub", "-q", qos, "-t", topic, "-n", version=version)
                    self.assertEqual(subscriber.lines(), ["%s/a %s 0 hello" % (topic, qos), "%s %s 0 " % (topic, qos)])

    def test_properties(self):
        subscriber = Subscriber(1, "-q", "1", "-F", "%F|%E|%C|%R|%D|%P|%S|%p", "-t", self.topic("#"), "-D", "subscribe", "subscription-identifier", "5")
        run("pub", "-q", "1", "-t", self.topic("x"), "-m", "text", *sum([["-D", "publish", *p] for p in (
            ("payload-format-indicator", "1"), ("message-expiry-interval", "100"), ("content-type", "text/plain"), ("response-topic", "a/b"),
            ("correlation-data", "id"), ("user-property", "k", "v"), ("user-property", "j", "w"))], []))
        line = subscriber.lines()[0]
        self.assertRegex(line, r"^1\|(99|100)\|text/plain\|a/b\|id\|k:v j:w\|5\|text$")

    def test_retained(self):
        topic = self.topic("r")
        for version in VERSIONS:
            run("pub", "-q", "1", "-r", "-t", topic, "-m", "kept by " + version, version=version)
            self.assertEqual(Subscriber(1, "-F", "%r %p", "-t", topic, version=version).lines(), ["1 kept by " + version])
        run("sub", "-t", topic, "--remove-retained", "-E")
        run("sub", "-t", topic, "-W", "1", status=27)

    def test_many_lines_over_qos_2(self):
        subscriber = Subscriber(3000, "-q", "2", "-t", self.topic("x"))
        lines = "".join("%d\n" % i for i in range(3000))
        subprocess.run(command("pub", "-q", "2", "-l", "-t", self.topic("x")), input=lines, text=True, timeout=LONG_S, check=True)
        self.assertEqual(subscriber.lines(), [str(i) for i in range(3000)])

    def test_a_session_is_kept(self):
        for version in VERSIONS:
            with self.subTest(version=version):
                words = ["-i", "k" + self.unique + version[-2:], "-c", "-q", "1", "-t", self.topic(version)]
                words += ["-x", "100"] if version == "mqttv5" else []
                run("sub", "-E", *words, version=version)
                run("pub", "-q", "1", "-t", self.topic(version), "-m", "kept", version=version)
                self.assertEqual(run("sub", "-C", "1", "-W", str(LONG_S), *words, version=version), "kept\n")

    def test_a_will(self):
        watch = Subscriber(1, "-q", "1", "-F", "%t %p", "-t", self.topic("will"))
        dies = Subscriber(1, "-t", self.topic("none"), "--will-topic", self.topic("will"), "--will-payload", "gone", "--will-qos", "1")
        dies.process.kill()
        dies.process.communicate()
        self.assertEqual(watch.lines(), [self.topic("will") + " gone"])

    def test_a_question_and_its_answer(self):
        """mosquitto_rr asks, pika answers."""
        queue_name = self.queue("ask%s" % self.unique)
        asks = subprocess.Popen(command("rr", "-q", "1", "-t", "ask%s" % self.unique, "-e", self.topic("answer"), "-m", "2 + 2", "-W", str(LONG_S)),
                                stdout=subprocess.PIPE, text=True)
        _, said, body = self.taken(queue_name)
        self.assertEqual(body, b"2 + 2")
        self.publish(said.headers["x-reply-to-topic"], b"4", correlation_id=said.correlation_id)
        self.assertEqual(asks.communicate(timeout=LONG_S)[0], "4\n")

    def test_refusals(self):
        for version in VERSIONS:
            run("pub", "-u", "guest", "-P", "wrong", "-t", "x", "-m", "x", version=version, status=134 if version == "mqttv5" else 4)
        run("pub", "-u", "/:guest", "-P", "guest", "-t", self.topic("x"), "-m", "x")

    def test_the_broker_speaks_of_itself(self):
        end = time.monotonic() + LONG_S
        while time.monotonic() < end:
            said = subprocess.run(command("sub", "-t", "$SYS/broker/#", "-v", "-W", "2"), capture_output=True, text=True, timeout=LONG_S, check=False).stdout
            if "$SYS/broker/" in said:
                return
        self.fail("nothing of $SYS/broker/#")


if __name__ == "__main__":
    main()

"""The brokers that bench/figures measures: each is started on one core, on free ports of the loopback, with data in a directory of its
own, and has name, pid, ports (by protocol), rss() and end()."""
import contextlib
import glob
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BROKER_CORE, CLIENT_CORE = "0", "1"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(ready, what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = ready()
        if value:
            return value
        time.sleep(0.05)
    sys.exit(f"figures: {what} did not come up")


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def raise_file_limit():
    """As many open files as this process may have, and its children inherit. Returns how many that is."""
    wanted = 1 << 20
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Broker:
    def rss(self):
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) * 1024


class Gannet(Broker):
    name = "gannetd"

    def __init__(self, build, data=None, options=()):
        self.data = data or tempfile.mkdtemp(prefix="gannet-figures-", dir=os.environ.get("FIGURES_DIR"))
        # Builds to compare with may be older than a protocol.
        known = subprocess.run([f"{build}/gannetd", "--help"], capture_output=True, text=True, check=True).stdout
        self.ports = {p: free_port() for p in ("amqp", "mqtt", "stomp") if f"  listeners.{p} = " in known}
        self.log = open(os.path.join(self.data, "log"), "ab")
        sets = [*(f"listeners.{p}=127.0.0.1:{port}" for p, port in self.ports.items()),
                *(f"listeners.{w}=" for w in ("web_mqtt", "web_stomp") if f"listeners.{w}" in known),
                f"cores.front={BROKER_CORE}", f"cores.router={BROKER_CORE}",
                f"cores.journal={BROKER_CORE}", *options]
        command = ["taskset", "-c", BROKER_CORE, f"{build}/gannetd", "-D", self.data]
        for s in sets:
            command += ["--set", s]
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        wait_for(lambda: answers(self.ports["amqp"]), self.name)
        self.start_s = time.monotonic() - self.started
        self.pid = self.process.pid

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        shutil.rmtree(self.data, ignore_errors=True)


class Relay(Broker):
    name = "relay"

    def __init__(self, path):
        self.ports = {"amqp": free_port()}
        self.process = subprocess.Popen(["taskset", "-c", BROKER_CORE, path, str(self.ports["amqp"])])
        wait_for(lambda: answers(self.ports["amqp"]), self.name)
        self.pid = self.process.pid

    def end(self):
        self.process.kill()
        self.process.wait()


class Mosquitto(Broker):
    name = "mosquitto"

    def __init__(self, persistent=False):
        self.ports, self.dir = {"mqtt": free_port()}, tempfile.mkdtemp(prefix="mosquitto-figures-")
        conf = [f"listener {self.ports['mqtt']} 127.0.0.1", "allow_anonymous true", "user root",
                "max_queued_messages 0", "max_queued_bytes 0", "max_inflight_messages 0", "log_type error",
                f"persistence {str(persistent).lower()}", f"persistence_location {self.dir}/"]
        with open(f"{self.dir}/conf", "w") as f:
            f.write("\n".join(conf) + "\n")
        self.process = subprocess.Popen(["taskset", "-c", BROKER_CORE, "/usr/sbin/mosquitto", "-c", f"{self.dir}/conf"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        wait_for(lambda: answers(self.ports["mqtt"]), self.name)

    def end(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Rabbit(Broker):
    name = "RabbitMQ"

    def __init__(self, tls=None):
        """tls: the files of a certificate and its key, for AMQP over TLS too."""
        self.dir = tempfile.mkdtemp(prefix="rabbit-figures-")
        self.ports = {"amqp": free_port(), "mqtt": free_port(), "stomp": free_port()}
        os.chmod(self.dir, 0o777)
        with open(f"{self.dir}/plugins", "w") as f:
            f.write("[rabbitmq_mqtt,rabbitmq_stomp].\n")
        with open(f"{self.dir}/rabbitmq.conf", "w") as f:
            f.write("".join(f"{p}.listeners.tcp.1 = 127.0.0.1:{self.ports[p]}\n" for p in ("mqtt", "stomp")))
            if tls:
                self.ports["amqps"] = free_port()
                f.write(f"listeners.ssl.1 = 127.0.0.1:{self.ports['amqps']}\nssl_options.certfile = {tls[0]}\nssl_options.keyfile = {tls[1]}\n"
                        "ssl_options.versions.1 = tlsv1.3\n")
        port = self.ports["amqp"]
        env = dict(os.environ, RABBITMQ_NODENAME=f"figures{port}@localhost", RABBITMQ_NODE_PORT=str(port),
                   RABBITMQ_ENABLED_PLUGINS_FILE=f"{self.dir}/plugins", RABBITMQ_CONFIG_FILE=f"{self.dir}/rabbitmq.conf",
                   RABBITMQ_DIST_PORT=str(free_port()), RABBITMQ_MNESIA_BASE=self.dir, RABBITMQ_LOG_BASE=self.dir,
                   RABBITMQ_PID_FILE=f"{self.dir}/pid", HOME=self.dir)
        server = glob.glob("/usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server")[0]
        self.process = subprocess.Popen(["taskset", "-c", BROKER_CORE, server], env=env, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        for port in self.ports.values():
            wait_for(lambda port=port: answers(port), self.name, 120)
        time.sleep(3)  # it goes on starting for a while; not part of any figure
        with open(f"{self.dir}/pid") as f:
            self.pid = int(f.read())

    def end(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        subprocess.run(["kill", "-9", str(self.pid)])
        shutil.rmtree(self.dir, ignore_errors=True)

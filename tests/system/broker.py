"""A gannetd for a test: started on a temporary directory, killed, started again, and always cleaned up.

    with Broker() as broker:
        with broker.connect() as connection: ...
        broker.kill9()
        broker.restart()

At the end of the block the broker is ended by SIGTERM and must end cleanly; after an exception it is killed and
its log is shown. Each broker has a loopback address of its own (127.x.y.z), so that tests may run side by side
and a broker finds its port free when it starts again.
"""
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pika
from pika.exceptions import AMQPError

import tap

GANNETD = os.environ.get("GANNETD", "gannetd")
GANNET_BENCH = os.environ.get("GANNET_BENCH", "gannet-bench")
GANNETCTL = os.environ.get("GANNETCTL", "")
GANNET_MGMTD = os.environ.get("GANNET_MGMTD", "")
SANITIZED = os.environ.get("GANNET_SANITIZED", "0") == "1"

# AddressSanitizer keeps what is freed for a while, 30 MiB of it when told to keep 4; a test of memory wants only the broker's own.
NO_QUARANTINE = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=0:thread_local_quarantine_size_kb=0"}
# A machine that is busy with other tests is slow, a sanitizer makes it slower; a broker that hangs is neither.
PATIENCE_S = 60
POLL_S = 0.01
LOG_LINES_SHOWN = 60


if tap.WANTED:
    tap.enter()


class BrokerError(Exception):
    pass


class Log:
    """What a process writes to stderr, as it comes."""

    def __init__(self, pipe):
        self.lines = []
        self.ended = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self.thread.start()

    def _read(self, pipe):
        with pipe:
            for line in pipe:
                with self.changed:
                    self.lines.append(line.decode(errors="replace").rstrip("\n"))
                    self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def text(self):
        with self.changed:
            return "\n".join(self.lines)

    def find(self, pattern):
        return re.search(pattern, self.text(), re.M)

    def wait(self, pattern, seconds=PATIENCE_S):
        """The first match of pattern, or None if the log ends or the time is over before."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                found = re.search(pattern, "\n".join(self.lines), re.M)
                left = deadline - time.monotonic()
                if found or self.ended or left <= 0:
                    return found
                self.changed.wait(left)


def until(condition, what, seconds=PATIENCE_S):
    """Waits for condition() to be true, and returns what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError("%s did not happen within %g s" % (what, seconds))
        time.sleep(POLL_S)


class NotifySocket:
    """Plays systemd: Broker(env=socket.env) tells it when it is ready."""

    def __init__(self, abstract=False):
        self.directory = tempfile.TemporaryDirectory(prefix="gannet-notify-")
        path = os.path.join(self.directory.name, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.bind("\0" + path if abstract else path)
        self.env = {"NOTIFY_SOCKET": "@" + path if abstract else path}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.directory.cleanup()

    def told(self):
        """The next notification, as a dict."""
        lines = self.socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def nothing(self):
        """Whether no notification has come that was not taken."""
        return not select.select([self.socket], [], [], 0)[0]


def own_address():
    """A loopback address that no other test uses: of this process, and of no earlier broker of it."""
    own_address.count += 1
    number = os.getpid() * 64 + own_address.count % 64
    return "127.%d.%d.%d" % (1 + number // 250 // 250 % 250, number // 250 % 250, 1 + number % 250)


own_address.count = 0


def arguments(settings):
    return [word for key, value in settings.items() for word in ("--set", "%s=%s" % (key, value))]


def cores(count):
    """So many agents, all on one core that this process may use."""
    return ",".join([str(min(os.sched_getaffinity(0)))] * count)


class Broker:
    """settings: options with '.' written as '__': Broker(memory__budget="64 MiB")."""

    def __init__(self, routers=1, fronts=1, data=None, config=None, env=None, start=True, **settings):
        self.own = tempfile.mkdtemp(prefix="gannet-system-")
        self.data = data or os.path.join(self.own, "data")
        self.tap = tap.Tap() if tap.WANTED else None
        self.address = self.tap.address if self.tap else own_address()
        self.config = config
        self.env = dict(os.environ, **(env or {}))
        self.settings = {"listeners.amqp": self.address + ":0", "memory.budget": "256 MiB",
                         "cores.router": cores(routers), "cores.front": cores(fronts),
                         "loopback_users": "",
                         **{"listeners." + kind: "" for kind in ("mqtt", "web_mqtt", "stomp", "web_stomp")}}
        self.settings.update(self.tap.settings() if self.tap else {})
        self.settings.update({key.replace("__", "."): value for key, value in settings.items()})
        self.process = None
        self.log = None
        self.ports = []
        self.logs = []
        self.start_on_enter = start

    # ---- start and end ----

    def __enter__(self):
        try:
            if self.start_on_enter:
                self.start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None and self.running():
                self.stop()
        finally:
            if kind is not None:
                self.show_log()
            self._clean_up()

    def _clean_up(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.own, ignore_errors=True)

    def command(self, more=()):
        config = ["-c", self.config] if self.config else []
        return [GANNETD, "-D", self.data] + config + arguments(self.settings) + list(more)

    def launch(self):
        """Starts the process, and does not wait for anything."""
        # setpriv: should this test be killed, the broker goes with it.
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL"] + self.command(), env=self.env,
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.log = Log(self.process.stderr)
        self.logs.append(self.log)

    def start(self):
        """Starts it and waits until it listens."""
        self.launch()
        if not self.log.wait(r" ready after \d+ ms$"):
            self._clean_up_failed_start()
        self.ports = [int(port) for port in re.findall(r"amqp listens on \S*:(\d+)$", self.log.text(), re.M)]
        if self.tap:
            self.tap.up()
        # From now on it has this port, however often it is started again.
        if self.settings["listeners.amqp"] == self.address + ":0":
            self.settings["listeners.amqp"] = "%s:%d" % (self.address, self.port)
        return self

    def _clean_up_failed_start(self):
        self.process.kill()
        self.process.wait()
        raise BrokerError("the broker did not get ready:\n" + self.log.text())

    def start_fails(self, seconds=PATIENCE_S):
        """Starts it, expects that it refuses, and returns what it said."""
        self.launch()
        status = self.process.wait(seconds)
        self.log.thread.join(seconds)
        if status != 1:
            raise BrokerError("the broker ended with status %r, expected 1:\n%s" % (status, self.log.text()))
        return self.log.text()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def _must_run(self):
        if not self.running():
            raise BrokerError("the broker ended by itself, with status %r" % self.process.returncode)

    def kill9(self):
        """SIGKILL, and no sooner back than it is gone."""
        self._must_run()
        self.process.kill()
        self.process.wait()

    def signal(self, number):
        self._must_run()
        self.process.send_signal(number)

    def stop(self, seconds=PATIENCE_S):
        """SIGTERM; the broker must end cleanly."""
        self.signal(signal.SIGTERM)
        self.wait_end(seconds)

    def wait_end(self, seconds=PATIENCE_S):
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise BrokerError("the broker did not end within %g s of SIGTERM" % seconds) from None
        self.log.thread.join(seconds)
        if status != 0:
            raise BrokerError("the broker ended with status %r after SIGTERM" % status)

    def restart(self):
        if self.running():
            self.stop()
        return self.start()

    def show_log(self):
        if not self.log:
            return
        lines = [line for log in self.logs[-3:] for line in log.text().split("\n") + ["-" * 60]]
        print("\n".join(["the broker's log:"] + lines[-LOG_LINES_SHOWN:]), file=sys.stderr, flush=True)

    # ---- what a test asks ----

    @property
    def pid(self):
        return self.process.pid

    @property
    def port(self):
        return self.ports[0]

    @property
    def clients_address(self):
        """Where those who bind to nothing come from."""
        return self.tap.ours if self.tap else "127.0.0.1"

    @property
    def uri(self):
        return "amqp://guest:guest@%s:%d/" % (self.address, self.port)

    def parameters(self, **options):
        options.setdefault("heartbeat", 0)
        options.setdefault("socket_timeout", PATIENCE_S)
        options.setdefault("stack_timeout", PATIENCE_S)
        options.setdefault("blocked_connection_timeout", None)
        if self.tap:
            options.setdefault("tcp_options", tap.KEEPALIVE)
        return pika.ConnectionParameters(self.address, self.port, **options)

    def connect(self, **options):
        return pika.BlockingConnection(self.parameters(**options))

    @contextlib.contextmanager
    def channel(self, **options):
        """A channel of a connection of its own, which is closed afterwards, unless the broker has gone before."""
        connection = self.connect(**options)
        try:
            yield connection.channel()
        finally:
            with contextlib.suppress(AMQPError):
                connection.close()

    def memory(self, field="VmRSS"):
        """Bytes, from /proc/PID/status."""
        with open("/proc/%d/status" % self.pid) as status:
            found = re.search(r"^%s:\s+(\d+) kB" % field, status.read(), re.M)
        return int(found.group(1)) * 1024


def speaks(kind):
    """Whether this gannetd has listeners of this kind."""
    return subprocess.run([GANNETD, "--set", "listeners.%s=127.0.0.1:0" % kind, "--check-config"], capture_output=True,
                          timeout=PATIENCE_S, check=False).returncode == 0


# ---- messages ----

PERSISTENT = pika.BasicProperties(delivery_mode=2)
TRANSIENT = pika.BasicProperties(delivery_mode=1)


# What a client may find when the broker dies under it: pika turns some of these into its own, others not.
GONE = (AMQPError, OSError, AssertionError, AttributeError, KeyError)


@contextlib.contextmanager
def until_it_dies():
    """What is done in it ends when the broker dies, if not before."""
    try:
        yield
    except GONE:
        pass
    except ValueError as error:  # pika's, if that is between connect() and getpeername()
        if "getpeername() failed" not in str(error):
            raise


def shout(path, said):
    """Says it to a socket in the file system and goes, whatever comes of it."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        with contextlib.suppress(OSError):
            s.sendall(said)
            s.shutdown(socket.SHUT_WR)
            s.recv(100)


def drain(channel, queue, limit=None):
    """Takes what stands ready in a queue, acknowledging it: a list of (body, redelivered), oldest first."""
    got = []
    while limit is None or len(got) < limit:
        method, _, body = channel.basic_get(queue)
        if method is None:
            return got
        got.append((body, method.redelivered))
        channel.basic_ack(method.delivery_tag)
    return got


def take(channel, queue, count, seconds=PATIENCE_S):
    """Consumes count messages, acknowledging each hundredth with all before it: a list of (body, redelivered)."""
    got = []
    if count == 0:
        return got
    channel.basic_qos(prefetch_count=500)
    for method, _, body in channel.consume(queue, inactivity_timeout=seconds):
        if method is None:
            raise AssertionError("%s: only %d of %d messages came" % (queue, len(got), count))
        got.append((body, method.redelivered))
        if len(got) % 100 == 0 or len(got) == count:
            channel.basic_ack(method.delivery_tag, multiple=True)
        if len(got) == count:
            break
    channel.cancel()
    return got


def ready(channel, queue):
    """How many messages stand ready."""
    return channel.queue_declare(queue, passive=True).method.message_count

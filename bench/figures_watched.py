"""bench/figures' rows about being watched: what a broker does while gannet-mgmtd is scraped by Prometheus's rhythm of a second and asked
what the page asks, beside what it does while nobody looks."""
import base64
import contextlib
import re
import subprocess
import time

from figures_brokers import CLIENT_CORE, Gannet, wait_for

# Whoever looks is on the client's core: the broker has its own to itself, as on a machine that is set up for it.
LOOK = 'while :; do curl -sf -o /dev/null http://%(metrics)s/metrics; for path in overview nodes gannet/latency; do ' \
       'curl -sf -o /dev/null -H "Authorization: Basic %(login)s" http://%(api)s/api/$path || exit 1; done; echo; sleep 1; done'


class Watched:
    @contextlib.contextmanager
    def watching(self, gannet):
        """gannet-mgmtd, and somebody who asks it each second."""
        log = f"{gannet.data}/mgmtd.log"
        with open(log, "wb") as to:
            mgmtd = subprocess.Popen(["taskset", "-c", CLIENT_CORE, f"{self.build}/mgmt/gannet-mgmtd", "-D", gannet.data, "--api", "127.0.0.1:0",
                                      "--metrics", "127.0.0.1:0"], stderr=to)

        def found(what):
            with open(log, encoding="utf-8") as said:
                return re.search(what + r" on (\S+)", said.read())
        at = {"metrics": wait_for(lambda: found("metrics"), "gannet-mgmtd")[1], "api": wait_for(lambda: found("API"), "gannet-mgmtd")[1],
              "login": base64.b64encode(b"guest:guest").decode()}
        looker = subprocess.Popen(["taskset", "-c", CLIENT_CORE, "sh", "-c", LOOK % at], stdout=subprocess.PIPE)
        try:
            yield
            looker.kill()
            assert looker.stdout.read(), "nobody has looked"
        finally:
            looker.kill()
            looker.wait()
            mgmtd.kill()
            mgmtd.wait()

    def watched(self):
        loads = {"transient, 16 bytes": ["-s", "16", "-q", "2000", "-A", "100"],
                 "durable, 1 KiB, 1,000 confirms in flight": ["-s", "1k", "-f", "persistent", "-c", "1000", "-q", "500", "-A", "50"]}
        for name, args in loads.items():
            gannet = Gannet(self.build)
            rates, alone = [], []
            self.rate(gannet, *args, "-z", "1")
            for _ in range(self.o.runs):
                alone.append(self.rate(gannet, *args, *self.timed()))
                with self.watching(gannet):
                    time.sleep(1)
                    rates.append(self.rate(gannet, *args, *self.timed()))
            gannet.end()
            self.row(f"{name}, while gannet-mgmtd is scraped and asked each second", "figures watched", rates, "msg/s", "while nobody looks", alone)

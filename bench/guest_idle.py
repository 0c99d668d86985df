#!/usr/bin/python3
"""The memory of 100,000 idle MQTT connections, where the limit of open files leaves a process here too few: in deploy/guest's guest.

    sudo deploy/guest --run sockets --memory 3072 --client bench/guest_idle.py --set connections_max=200000 \\
        --set listeners.mqtt=10.9.0.2:1883,10.9.0.2:1884

Several gannet-bench open them from the host's side of the tap device; the guest says what gannetd holds before and after.
"""
import os
import re
import subprocess
import sys
import time

CONNECTIONS, EACH, PORTS = 100_000, 16_667, (1883, 1884)
PATIENCE_S = 1800
BENCH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "build-guest", "bench", "gannet-bench")


def memory(directory):
    """Bytes that the guest's gannetd holds."""
    def told():
        with open(f"{directory}/console", encoding="utf-8", errors="replace") as console:
            return re.findall(r"guest: memory (\d+) kB", console.read())
    before, until = len(told()), time.monotonic() + 60
    with open(f"{directory}/keys", "w", encoding="ascii") as keys:
        keys.write("memory\n")
    while len(told()) == before:
        if time.monotonic() > until:
            raise SystemExit("guest_idle: the guest doesn't say how much memory it uses")
        time.sleep(0.1)
    return int(told()[-1]) * 1024


def opened(host, port, n):
    """A gannet-bench that holds n connections, when all are there."""
    bench = subprocess.Popen([BENCH, "mqtt", "-h", f"mqtt://guest:guest@{host}:{port}", "-x", "0", "-y", "0", "--idle", str(n), "-z",
                              str(PATIENCE_S)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    line = bench.stderr.readline()
    if f"{n} idle connections up" not in line:
        raise SystemExit(f"guest_idle: {line}")
    return bench


def main():
    host, directory = sys.argv[1], sys.argv[3]
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as ports:
        ports.write("1024 65535")
    first = opened(host, PORTS[0], 10)  # what it touches for the first time is no connection's
    before, begun, held, up = memory(directory), time.monotonic(), [first], 0
    while up < CONNECTIONS:
        n = min(EACH, CONNECTIONS - up)
        held.append(opened(host, PORTS[len(held) % 2], n))
        up += n
        print(f"{up:,} connections after {time.monotonic() - begun:.0f} s: {(memory(directory) - before) / up:,.0f} B each", flush=True)
    for bench in held:
        bench.kill()
        bench.wait()


main()

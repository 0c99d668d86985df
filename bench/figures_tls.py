"""bench/figures' rows about TLS: bytes that the broker decrypts and encrypts in a second of its core, beside what openssl does in one."""
import os
import re
import shutil
import subprocess
import tempfile

from figures_brokers import BROKER_CORE, Gannet, Rabbit, free_port

SIZE = 16384


class Tls:
    def tls_certificate(self):
        """The files of a certificate and its key; in a directory that anybody may read."""
        directory = tempfile.mkdtemp(prefix="figures-tls-")
        os.chmod(directory, 0o755)
        files = [os.path.join(directory, name) for name in ("broker.pem", "broker.key")]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
        for file in files:
            os.chmod(file, 0o644)
        return directory, *files

    def openssl_speed(self):
        """MB/s of AES-128-GCM on the broker's core, in pieces of SIZE."""
        done = subprocess.run(["taskset", "-c", BROKER_CORE, "openssl", "speed", "-seconds", str(self.o.seconds), "-bytes", str(SIZE), "-evp",
                               "aes-128-gcm"], capture_output=True, text=True, check=True)
        return float(re.search(r"^AES-128-GCM\s+([\d.]+)k$", done.stdout, re.M)[1]) / 1000

    def crypted(self, broker):
        """MB/s, both ways together, for each core that the broker had."""
        result = self.load(broker, "-s", str(SIZE), "-a", "--batch", "256k", *self.timed(), protocol="amqps")
        both = result["per_second"]["sent"] + result["per_second"]["received"]
        return both * SIZE / 1e6 / result["cpu"]["broker_cores"]

    def tls(self):
        directory, certificate, key = self.tls_certificate()
        port = free_port()
        brokers = [Gannet(self.build, options=(f"listeners.amqps=127.0.0.1:{port}", f"tls.certificate={certificate}", f"tls.key={key}"))]
        brokers[0].ports["amqps"] = port
        if self.o.rabbitmq:
            brokers.append(Rabbit(tls=(certificate, key)))
        rates, limit = {b.name: [] for b in brokers}, []
        for _ in range(self.o.runs):
            limit.append(self.openssl_speed())
            for broker in brokers:
                rates[broker.name].append(self.crypted(broker))
        what = "TLS 1.3, AES-128-GCM, 1→1, 16 KiB: bytes in and out for each core-second"
        self.row(what, "figures tls", rates["gannetd"], "MB/s", "openssl speed, 16 KiB", limit, "at least 0.6")
        for broker in brokers[1:]:
            self.row(what, "figures tls", rates["gannetd"], "MB/s", broker.name, rates[broker.name], "at least 3")
        for broker in brokers:
            broker.end()
        shutil.rmtree(directory)

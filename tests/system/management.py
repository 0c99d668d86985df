"""A gannet-mgmtd for a test: started on a broker's data directory, on free ports, and always ended."""
import base64
import http.client
import json
import os
import re
import socket
import subprocess
import unittest
import urllib.request

from broker import GANNET_MGMTD, GANNETCTL, PATIENCE_S, Broker, Log

# A permission.
ANY = {"configure": ".*", "write": ".*", "read": ".*"}


class OnSocket(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self.path)


class Mgmtd:
    def __init__(self, data, *words):
        self.data = data
        # setpriv: should this test be killed, it goes with it.
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", GANNET_MGMTD, "-D", data, "--metrics", "127.0.0.1:0", "--api", "127.0.0.1:0",
                                         *words],
                                        stderr=subprocess.PIPE)
        self.log = Log(self.process.stderr)

    def __enter__(self):
        found = self.log.wait(r"metrics on (\S+)")
        if not found:
            self.__exit__()
            raise AssertionError("gannet-mgmtd didn't start: %s" % self.log.text())
        self.metrics_at = found.group(1)
        self.api_at = self.log.find(r"API on (\S+)").group(1)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.thread.join()

    def ask(self, path, method="GET", body=None):
        connection = OnSocket(os.path.join(self.data, "mgmtd.sock"))
        connection.request(method, path, body if body is None else json.dumps(body))
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response, body

    def status(self, path, method="GET"):
        response, body = self.ask(path, method)
        return response.status, json.loads(body)

    def call(self, method, path, body=None, user="guest:guest", headers=None):
        """A call over TCP: the status, the headers, and what the answer's JSON says (metrics are no JSON), None if there is none."""
        headers = dict(headers or {})
        if user is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        connection = http.client.HTTPConnection(self.api_at, timeout=PATIENCE_S)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        is_json = response.headers["Content-Type"] == "application/json"
        return response.status, response.headers, json.loads(text) if is_json else text or None

    def metrics(self):
        with urllib.request.urlopen("http://%s/metrics" % self.metrics_at, timeout=PATIENCE_S) as response:
            return response.read().decode()

    def metric(self, name):
        found = re.search(r"^%s(?:\{[^}]*\})? (\d+)$" % re.escape(name), self.metrics(), re.M)
        return int(found.group(1)) if found else None


class Api(unittest.TestCase):
    """Tests of the HTTP API: a broker and its gannet-mgmtd, and calls of it over TCP."""

    def setUp(self):
        self.broker = self.enterContext(Broker())
        self.mgmtd = self.enterContext(Mgmtd(self.broker.data))

    def call(self, method, path, body=None, user="guest:guest", **more):
        status, _, answer = self.mgmtd.call(method, "/api/" + path, body, user, **more)
        return status, answer

    def get(self, path, user="guest:guest"):
        status, answer = self.call("GET", path, user=user)
        self.assertEqual(status, 200, (path, answer))
        return answer

    def done(self, status, method, path, body=None, user="guest:guest"):
        self.assertEqual(self.call(method, path, body, user), (status, None), (method, path))

    def refused(self, status, method, path, body=None, user="guest:guest"):
        """The reason."""
        got, answer = self.call(method, path, body, user)
        self.assertEqual((got, sorted(answer or {})), (status, ["error", "reason"]), (method, path, body, answer))
        return answer["reason"]

    def ctl(self, *words):
        done = subprocess.run([GANNETCTL, "-D", self.broker.data, *words], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)

    def user(self, name, tags="", vhost=None, password="pw"):
        self.done(201, "PUT", "users/" + name, {"password": password, "tags": tags})
        if vhost:
            self.done(201, "PUT", "permissions/%s/%s" % (vhost, name), ANY)

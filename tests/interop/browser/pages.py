"""The pages of the test, a browser that shows them, and its tabs: Tab.ask() has one do something and returns what came of it."""
import contextlib
import http.server
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = os.environ.get("NODE_PACKAGES", "node_modules")
PATIENCE_S = 60
POLL_S = 10  # a tab's question is answered after so long at the latest
CHROMIUM = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
            "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
            "--ignore-certificate-errors", "--disable-popup-blocking", "--disable-features=Translate,OptimizationHints,MediaRouter"]
TYPES = {".html": "text/html", ".js": "text/javascript"}


class TabError(Exception):
    """What the tab was asked to do has failed."""


class Tab:
    """name: raw, stomp or mqtt, and perhaps -2 and so on."""

    def __init__(self, name):
        self.name = name
        self.commands = queue.Queue()
        self.answers = queue.Queue()

    def ask(self, what, **words):
        self.commands.put(dict(words, what=what))
        try:
            answer = self.answers.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise TabError("%s: no answer to %s within %d s" % (self.name, what, PATIENCE_S)) from None
        if "error" in answer:
            raise TabError("%s: %s: %s" % (self.name, what, answer["error"]))
        return answer["result"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def answer(self, status, body=b"", kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):  # pylint: disable=invalid-name
        if self.path.startswith("/command/"):
            tab = self.server.tabs[self.path.rsplit("/", 1)[1]]
            try:
                command = tab.commands.get(timeout=POLL_S)
            except queue.Empty:
                command = None
            self.answer(200, json.dumps(command).encode())
            return
        root, path = (PACKAGES, self.path[len("/packages/"):]) if self.path.startswith("/packages/") else (HERE, self.path[1:])
        file = os.path.normpath(os.path.join(root, path))
        kind = TYPES.get(os.path.splitext(file)[1])
        if not kind or not file.startswith(os.path.normpath(root) + os.sep) or not os.path.exists(file):
            self.answer(404)
            return
        with open(file, "rb") as opened:
            self.answer(200, opened.read(), kind)

    def do_POST(self):  # pylint: disable=invalid-name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tabs[self.path.rsplit("/", 1)[1]].answers.put(json.loads(body))
        self.answer(200, b"null")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a tab that is gone


class Browser:
    """Within it, each named tab is open: browser["stomp"]. address: whose pages they are."""

    def __init__(self, address, *names):
        self.tabs = {name: Tab(name) for name in names}
        self.server = Server((address, 0), Handler)
        self.server.tabs = self.tabs
        self.url = "http://%s:%d/tabs.html#%s" % (address, self.server.server_port, ",".join(names))
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.profile = None
        self.process = None

    def __getitem__(self, name):
        return self.tabs[name]

    def __enter__(self):
        self.thread.start()
        self.profile = tempfile.mkdtemp(prefix="gannet-chromium-")
        # setpriv: should this test be killed, the browser goes with it.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *CHROMIUM, "--user-data-dir=" + self.profile, self.url],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env=dict(os.environ, DBUS_SESSION_BUS_ADDRESS="disabled:"))
        return self

    def __exit__(self, *_):
        for tab in self.tabs.values():
            tab.commands.put({"what": "end"})
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 15)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.profile, ignore_errors=True)

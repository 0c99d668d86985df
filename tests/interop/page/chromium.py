"""A headless Chromium with one tab, driven by the DevTools protocol (Debian's python3-websocket), and what it has seen: what was asked of
whom, and what went wrong in the console."""
import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

import websocket

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "browser"))

from broker import PATIENCE_S, until  # noqa: E402
from pages import CHROMIUM  # noqa: E402

# What a key does: name, code, the text that it types.
KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "Escape": (27, ""), " ": (32, " ")}
SHIFT = 8


class ScriptError(Exception):
    """What was evaluated in the tab has failed."""


class Chromium:
    def __init__(self):
        self.profile = self.process = self.socket = None
        self.last = 0
        self.asked = []  # URLs
        self.errors = []  # texts of the console and of exceptions
        self.answers = {}  # by path: what answer_instead() says

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="gannet-chromium-")
        # setpriv: should this test be killed, the browser goes with it.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *CHROMIUM, "--remote-debugging-port=0", "--remote-allow-origins=*", "--user-data-dir=" + self.profile, "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env=dict(os.environ, DBUS_SESSION_BUS_ADDRESS="disabled:", TZ="UTC"))
        try:
            self._connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _port(self):
        with contextlib.suppress(OSError), open(os.path.join(self.profile, "DevToolsActivePort"), encoding="utf-8") as file:
            return file.readline().strip()
        return None

    def _tab(self, port):
        with contextlib.suppress(OSError), urllib.request.urlopen("http://127.0.0.1:%s/json/list" % port, timeout=PATIENCE_S) as answer:
            return next((tab for tab in json.load(answer) if tab["type"] == "page"), None)
        return None

    def _connect(self):
        port = until(self._port, "Chromium's start")
        tab = until(lambda: self._tab(port), "a tab")
        self.socket = websocket.create_connection(tab["webSocketDebuggerUrl"], timeout=PATIENCE_S)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(domain + ".enable")

    def __exit__(self, *_):
        if self.socket:
            self.socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    # ---- the protocol ----

    def answer_instead(self, path, answer):
        """The page gets this JSON from now on when it asks for the path, not what the server says."""
        self.answers[path] = answer
        self.do("Fetch.enable", patterns=[{"urlPattern": "*" + one} for one in self.answers])

    def answer_no_more(self):
        self.answers.clear()
        self.do("Fetch.disable")

    def _answer(self, words):
        answer = self.answers[urllib.parse.urlsplit(words["request"]["url"]).path]
        self.last += 1  # nobody waits for what comes of it
        self.socket.send(json.dumps({"id": self.last, "method": "Fetch.fulfillRequest", "params": {
            "requestId": words["requestId"], "responseCode": 200, "body": base64.b64encode(json.dumps(answer).encode()).decode()}}))

    def _event(self, method, words):
        if method == "Fetch.requestPaused":
            self._answer(words)
        elif method == "Network.requestWillBeSent":
            self.asked.append(words["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = words["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and words["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(one.get("value", one.get("description"))) for one in words["args"]))
        elif method == "Log.entryAdded" and words["entry"]["level"] in ("error", "warning"):
            self.errors.append("%(text)s %(url)s" % {"url": "", **words["entry"]})

    def do(self, method, **words):
        self.last += 1
        own = self.last
        self.socket.send(json.dumps({"id": own, "method": method, "params": words}))
        while True:
            got = json.loads(self.socket.recv())
            if got.get("id") == own:
                if "error" in got:
                    raise ScriptError("%s: %s" % (method, got["error"]["message"]))
                return got["result"]
            if "method" in got:
                self._event(got["method"], got["params"])

    def evaluate(self, script):
        """What a JavaScript expression is; a promise is waited for."""
        got = self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in got:
            details = got["exceptionDetails"]
            raise ScriptError("%s: %s" % (script, details.get("exception", {}).get("description", details["text"])))
        return got["result"].get("value")

    # ---- what a person does ----

    def open(self, url):
        self.do("Page.navigate", url=url)

    def until(self, script, what):
        try:
            return until(lambda: self.evaluate(script), what)
        except AssertionError as error:
            raise AssertionError("%s; the page says:\n%s\n%s" % (error, self.text()[:1500], "\n".join(self.errors))) from None

    def text(self, of="body"):
        """What is to be read there; "" if it isn't there."""
        return self.evaluate("document.querySelector(%s)?.innerText || ''" % json.dumps(of))

    def until_says(self, text, of="body"):
        self.until("(document.querySelector(%s)?.innerText || '').includes(%s)" % (json.dumps(of), json.dumps(text)), "'%s' in %s" % (text, of))

    def type(self, text):
        self.do("Input.insertText", text=text)

    def press(self, key, shift=False):
        code, text = KEYS[key]
        words = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code, "modifiers": SHIFT if shift else 0}
        self.do("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **({"text": text} if text else {}), **words)
        self.do("Input.dispatchKeyEvent", type="keyUp", **words)

    def click(self, name, of="body"):
        """A link or button, by what it says."""
        found = ("[...document.querySelectorAll(%s)].at(-1)?.querySelectorAll('a, button')" % json.dumps(of))
        at = self.until("(() => { const one = [...(%s || [])].find(one => [one.innerText.trim(), one.getAttribute('aria-label')].includes(%s) && one.checkVisibility()); "
                        "if (!one || one.disabled) return null; one.scrollIntoView({block: 'center'}); const box = one.getBoundingClientRect(); "
                        "return [box.x + box.width / 2, box.y + box.height / 2]; })()" % (found, json.dumps(name)), "a '%s' to click in %s" % (name, of))
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button="left", clickCount=1)

    def fill(self, name, value):
        """A field of the form, by its name: the last form, which is that of a dialog if there is one."""
        field = "[...document.querySelectorAll('[name=%s]')].at(-1)" % name
        self.until("Boolean(%s)" % field, "the field " + name)
        if self.evaluate("%s.tagName === 'SELECT' || %s.type === 'checkbox'" % (field, field)):
            self.evaluate("{ const field = %s; if (field.type === 'checkbox') field.checked = %s; else field.value = %s; }" % (field, json.dumps(value), json.dumps(value)))
            return
        self.evaluate("%s.focus(); %s.select()" % (field, field))
        self.type(value) if value else self.evaluate("%s.value = ''" % field)  # pylint: disable=expression-not-assigned

    # ---- how it looks ----

    def look(self, width, height, dark=False, scale=1):
        self.do("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 500)
        self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                                                        {"name": "prefers-reduced-motion", "value": "reduce"}])

    def shoot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.do("Page.captureScreenshot", format="png")["data"]))

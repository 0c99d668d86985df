"""A broker, its gannet-mgmtd and a browser that shows its page; and what nearly each test does with them."""
import json
import unittest
import urllib.parse

from broker import Broker
from chromium import Chromium
from management import Mgmtd

PAGES = ["overview", "queues", "streams", "exchanges", "connections", "channels", "policies", "vhosts", "users"]


def address(*words):
    return "#/" + "/".join(urllib.parse.quote(word, safe="") for word in words)


class Site(unittest.TestCase):
    """One of each for a class; each test begins at the login."""

    @classmethod
    def setUpClass(cls):
        cls.broker = cls.enterClassContext(Broker())
        cls.mgmtd = cls.enterClassContext(Mgmtd(cls.broker.data))
        cls.tab = cls.enterClassContext(Chromium())
        cls.url = "http://%s/" % cls.mgmtd.api_at

    def setUp(self):
        self.allowed = set()
        self.tab.asked.clear()
        self.tab.errors.clear()
        self.tab.look(1280, 900)
        self.tab.open(self.url)
        self.tab.until("location.href.startsWith(%s)" % json.dumps(self.url), "the page")
        self.tab.evaluate("sessionStorage.clear()")
        self.tab.open(self.url)
        self.begin()

    def begin(self):
        self.tab.until_says("Log in")

    def tearDown(self):
        """Whatever a test does: nobody else is asked for anything, and the console has no error that wasn't expected."""
        self.tab.evaluate("1")
        self.assertEqual([url for url in self.tab.asked if not url.startswith(self.url)], [])
        words = ["with a status of %d" % status for status in self.allowed]  # Chromium says it by itself
        self.assertEqual([one for one in self.tab.errors if not any(word in one for word in words)], [])

    def log_in(self, user="guest", password="guest"):
        self.tab.fill("user", user)
        self.tab.fill("password", password)
        self.tab.click("Log in")
        self.tab.until("document.body.classList.contains('in')", "the login of " + user)

    def go(self, *words, says=None):
        self.tab.evaluate("location.hash = %s" % json.dumps(address(*words)))
        self.settled()
        if says:
            self.tab.until_says(says, "#main")

    def settled(self):
        self.tab.until("!document.getElementById('main').hasAttribute('aria-busy')", "what is on the page")

    def get(self, path):
        status, _, answer = self.mgmtd.call("GET", "/api/" + path)
        self.assertEqual(status, 200, answer)
        return answer

    def tile(self, name):
        return self.tab.evaluate("[...document.querySelectorAll('.tile')].find(one => one.querySelector('.label').innerText === %s)?.querySelector('.value').innerText" % json.dumps(name))

    def until_tile(self, name, test, what):
        """test: of its text."""
        self.tab.until("(() => { const text = [...document.querySelectorAll('.tile')].find(one => one.querySelector('.label').innerText === %s)?.querySelector('.value').innerText ?? ''; "
                       "return (%s)(text) })()" % (json.dumps(name), test), "%s %s" % (name, what))

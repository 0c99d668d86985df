"""mgmtd's page, looked at in Chromium."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "system"), HERE]

import pika  # noqa: E402

from broker import PERSISTENT, until  # noqa: E402
from runner import main  # noqa: E402
from site_of_page import PAGES, Site  # noqa: E402
from tunnel import Tunnel  # noqa: E402

HOSTILE = "<img src=x onerror=window.hacked=1>"


class Login(Site):
    def setUp(self):
        super().setUp()
        self.allowed = {429}  # logins after a wrong one are slowed down, and wait

    def test_a_wrong_password_is_told(self):
        self.allowed |= {401}
        self.tab.fill("user", "guest")
        self.tab.fill("password", "wrong")
        self.tab.click("Log in")
        self.tab.until_says("User or password is wrong.")
        self.assertIsNone(self.tab.evaluate("sessionStorage.getItem('gannet-login')"))
        self.tab.fill("password", "guest")
        self.tab.click("Log in")
        self.tab.until_says("Message rates")

    def test_it_lasts_until_the_logout(self):
        self.log_in()
        self.go("queues", says="Declare a queue")
        self.tab.do("Page.reload")
        self.tab.until_says("Declare a queue")
        self.tab.click("Log out")
        self.tab.until_says("Log in")
        self.assertEqual(self.tab.evaluate("sessionStorage.length + localStorage.length + document.cookie.length"), 0)
        self.tab.do("Page.reload")
        self.tab.until_says("Log in")
        self.assertNotIn("Declare", self.tab.text())

    def test_who_may_not_manage(self):
        self.allowed |= {401}
        self.mgmtd.call("PUT", "/api/users/nobody", {"password": "pw", "tags": ""})
        self.tab.fill("user", "nobody")
        self.tab.fill("password", "pw")
        self.tab.click("Log in")
        self.tab.until_says("Not management user")

    def test_a_revoked_login_ends(self):
        self.allowed |= {401}
        self.mgmtd.call("PUT", "/api/users/brief", {"password": "pw", "tags": "monitoring"})
        self.log_in("brief", "pw")
        self.tab.until_says("Message rates")
        self.mgmtd.call("DELETE", "/api/users/brief")
        self.tab.until_says("You have been logged out")

    def test_who_may_less_sees_less(self):
        self.mgmtd.call("PUT", "/api/users/less", {"password": "pw", "tags": "management"})
        self.mgmtd.call("PUT", "/api/permissions/%2F/less", {"configure": "^less", "write": ".*", "read": ".*"})
        self.log_in("less", "pw")
        self.tab.until_says("Message rates")
        self.assertNotIn("Users", self.tab.text("#nav"))
        self.go("policies", says="Operator policies")
        self.assertNotIn("Add", self.tab.text("#main"))
        self.go("connections", says="Yours only")
        self.go("queues", says="Declare a queue")
        self.allowed |= {401}
        self.tab.click("Declare a queue")
        self.tab.fill("name", "more")
        self.tab.click("Declare", "dialog")
        self.tab.until_says("refused for user 'less'", "dialog")


class Socket(Site):
    """Through the administrator's socket, to which a browser comes by a tunnel."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.url = "http://%s/" % cls.enterClassContext(Tunnel(os.path.join(cls.mgmtd.data, "mgmtd.sock"))).at

    def begin(self):
        self.tab.until_says("Message rates")

    def test_nobody_logs_in_and_nobody_acts_as_a_client(self):
        with self.broker.channel() as channel:
            channel.queue_declare("there", durable=True)
            self.assertNotIn("Log", self.tab.text("#top"))
            self.go("queues", "/", "there", says="nobody has logged in")
            for name in ("Publish", "Purge", "Delete", "Get messages"):
                self.assertNotIn(name, self.tab.text("#main .head"))
            self.go("queues", says="nobody has logged in")
            self.go("users", says="Add a user")
            channel.queue_delete("there")


class Overview(Site):
    def test_its_numbers_move(self):
        with self.broker.channel() as channel:
            channel.queue_declare("moves", durable=True)
            self.log_in()
            self.until_tile("Messages", "text => text === '0'", "0")
            self.until_tile("Connections", "text => text === '1'", "1")
            for _ in range(50):
                channel.basic_publish("", "moves", b"x", PERSISTENT)
            self.until_tile("Messages", "text => text === '50'", "50")
            for rate in ("Published", "Delivered"):
                self.until_tile(rate, "text => text === '0/s'", "ends")

            def publishes():
                channel.basic_publish("", "moves", b"x", PERSISTENT)
                channel.basic_get("moves", auto_ack=True)
                return self.tile("Published") not in ("0/s", "–") and self.tile("Delivered") not in ("0/s", "–")
            until(publishes, "rates on the page")
            channel.queue_delete("moves")
        self.until_tile("Connections", "text => text === '0'", "0")
        self.tab.until("[...document.querySelectorAll('.chart canvas')].length === 2", "two charts")
        drawn = ("[...document.querySelectorAll('.chart canvas')].map(one => { const line = getComputedStyle(document.documentElement).getPropertyValue('--line-1').trim(); "
                 "const data = one.getContext('2d').getImageData(0, 0, one.width, one.height).data, [r, g, b] = [1, 3, 5].map(i => parseInt(line.slice(i, i + 2), 16)); "
                 "let found = 0; for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200 && Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 12) found++; "
                 "return found; })")
        self.assertTrue(all(count > 50 for count in self.tab.evaluate(drawn)), "no line is drawn")

    def test_what_listens_and_what_it_is(self):
        self.log_in()
        self.tab.until_says(str(self.broker.port), "#main")
        self.assertIn("Gannet " + self.get("overview")["product_version"], self.tab.text("#main"))

    def test_latencies(self):
        def stages(count):
            return {"stages": [{"stage": stage, "unit": "ns", "count": count, "sum": count * 5000, "buckets": [
                {"le": 1000, "count": 0}, {"le": 4000, "count": count // 2}, {"le": 16000, "count": count}, {"le": None, "count": count}]}
                for stage in ("receive", "route", "journal", "deliver")]}
        self.tab.answer_instead("/api/gannet/latency", stages(0))
        try:
            self.log_in()
            self.tab.until_says("nothing yet", "#main")
            self.tab.answer_instead("/api/gannet/latency", stages(1000))
            self.tab.until("document.querySelectorAll('.stage .bars rect').length >= 12", "four histograms")
            self.assertEqual(self.tab.evaluate("[...document.querySelectorAll('.stage h3')].map(one => one.innerText)"), ["Receive", "Route", "Journal", "Deliver"])
            self.assertIn("p50 4.00\u202fµs, p99 15.8\u202fµs", self.tab.evaluate("document.querySelector('.stage').getAttribute('aria-label')"))
        finally:
            self.tab.answer_no_more()

    def test_a_broker_that_goes_and_comes(self):
        self.allowed = {503}
        self.log_in()
        self.tab.until_says("Message rates")
        self.broker.stop()
        self.tab.until_says("has ended", "#alarms")
        self.broker.start()
        self.tab.until("document.getElementById('alarms').innerText === ''", "the alarm's end")

    def test_hidden_it_asks_for_nothing(self):
        self.log_in()
        self.tab.until_says("Message rates")
        self.tab.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true}); document.dispatchEvent(new Event('visibilitychange'))")
        self.tab.asked.clear()
        self.tab.evaluate("new Promise(done => setTimeout(done, 2500))")
        self.assertEqual(self.tab.asked, [])
        self.tab.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
        until(lambda: self.tab.evaluate("1") and any("overview" in url for url in self.tab.asked), "a look after that")


class Queues(Site):
    def test_a_queue_by_keyboard_only(self):
        self.tab.until("document.activeElement.name === 'user'", "the focus on the user")
        self.tab.type("guest")
        self.tab.press("Tab")
        self.tab.type("guest")
        self.tab.press("Enter")
        self.tab.until_says("Message rates")
        self.tab_to("To the content")
        self.tab_to("Queues")
        self.tab.press("Enter")
        self.tab.until_says("Declare a queue", "#main")
        self.tab_to("Declare a queue")
        self.tab.press("Enter")
        self.tab.until("!!document.querySelector('dialog:modal')", "the dialog")
        self.tab.press("Escape")
        self.tab.until("!document.querySelector('dialog')", "its end")
        self.tab.until("document.activeElement.innerText === 'Declare a queue'", "the focus where it was")
        self.tab.press("Enter")
        self.tab.until("document.activeElement.name === 'name'", "the focus on the name")
        self.tab.type("by-keyboard")
        self.tab_to("auto_delete", "document.activeElement.name")
        self.tab.press(" ")
        self.tab_to("Declare")
        self.tab.press("Enter")
        self.tab.until_says("Queue by-keyboard is declared.")
        self.tab.until_says("auto-delete", "#main")
        queue = self.get("queues/%2F/by-keyboard")
        self.assertEqual((queue["durable"], queue["auto_delete"]), (True, True))
        self.go("policies")
        self.mgmtd.call("DELETE", "/api/queues/%2F/by-keyboard")

    def tab_to(self, text, of="document.activeElement.innerText"):
        for _ in range(40):
            self.tab.press("Tab")
            if self.tab.evaluate("%s.trim() === '%s'" % ("(" + of + " || '')", text)):
                seen = self.tab.evaluate("(() => { const style = getComputedStyle(document.activeElement); return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1 })()")
                self.assertTrue(seen, "the focus on '%s' is not to be seen" % text)
                return
        self.fail("no Tab leads to '%s'" % text)

    def test_publish_get_purge_delete(self):
        self.log_in()
        self.go("queues", says="Declare a queue")
        self.tab.click("Declare a queue")
        self.tab.fill("name", "work")
        self.tab.fill("arguments", '{"x-max-length": 100')
        self.tab.click("Declare", "dialog")
        self.tab.until_says("Arguments: ", "dialog .alert")
        self.tab.fill("arguments", '{"x-max-length": 100}')
        self.tab.click("Declare", "dialog")
        self.tab.until_says("x-max-length: 100", "#main")
        for number in range(3):
            self.tab.click("Publish", "#main")
            self.tab.fill("payload", "message %d, grüß Gott" % number)
            self.tab.fill("headers", '{"tenant": "a"}')
            self.tab.click("Publish", "dialog")
            self.tab.until_says("Published: a queue has it.", "#toast")
            self.until_tile("Ready", "text => text === '%d'" % (number + 1), str(number + 1))
        self.tab.click("Get messages")
        self.tab.fill("count", "2")
        self.tab.click("Get", "dialog")
        for said in ("message 0, grüß Gott", "message 1, grüß Gott", "tenant: a", "delivery_mode: 2"):
            self.tab.until_says(said, "dialog")
        self.assertNotIn("message 2", self.tab.text("dialog"))
        self.tab.click("Close", "dialog")
        self.tab.click("Purge")
        self.tab.click("Purge", "dialog")
        self.until_tile("Ready", "text => text === '0'", "0")
        self.tab.click("Delete", "#main")
        self.tab.click("Delete", "dialog")
        self.tab.until_says("work is deleted.")
        self.assertEqual([one["name"] for one in self.get("queues") if one["name"] == "work"], [])

    def test_what_the_broker_refuses_is_told(self):
        self.allowed = {400}
        self.log_in()
        self.go("queues", says="Declare a queue")
        self.tab.click("Declare a queue")
        self.tab.fill("name", "wrong")
        self.tab.fill("arguments", '{"x-max-length": "many"}')
        self.tab.click("Declare", "dialog")
        self.tab.until_says("x-max-length", "dialog .alert")
        self.tab.click("Cancel", "dialog")
        self.tab.until("!document.querySelector('dialog')", "its end")

    def test_5000(self):
        with self.broker.channel() as channel:
            for number in range(5000):
                channel.queue_declare("many.%04d" % number)
            channel.basic_publish("", "many.3210", b"x")
            channel.basic_publish("", "many.3210", b"x")
            channel.basic_publish("", "many.0042", b"x")
            self.log_in()
            self.go("queues", says="5\u202f000 in all")
            self.assertEqual(self.tab.evaluate("document.querySelectorAll('tbody tr').length"), 100)
            for page, first in ((2, "many.0100"), (3, "many.0200")):
                self.tab.click("Next page")
                self.tab.until_says(first, "tbody")
                self.assertEqual(self.tab.text(".pager .page"), "%d / 50" % page)
            took = self.tab.evaluate("(async () => { const from = performance.now(); document.querySelector('[aria-label=\"Last page\"]').click(); "
                                     "while (!document.querySelector('tbody').innerText.includes('many.4999')) await new Promise(requestAnimationFrame); return performance.now() - from })()")
            self.assertLess(took, 5000)
            print("a page of 5,000 queues: %.0f ms" % took)
            self.tab.click("Ready")
            self.tab.until("document.querySelector('tbody td').innerText === 'many.3210'", "the longest first")
            self.tab.evaluate("document.getElementById('filter').focus()")
            self.tab.type("0042")
            self.tab.until_says("1 of 5\u202f000", ".pager")
            self.assertEqual(self.tab.evaluate("[document.querySelectorAll('tbody tr').length, document.activeElement.id]"), [1, "filter"])
            self.tab.click("many.0042")
            self.until_tile("Ready", "text => text === '1'", "1")
            self.go("policies")  # it would ask for what is gone
            for number in range(5000):
                channel.queue_delete("many.%04d" % number)

    def test_streams(self):
        with self.broker.channel() as channel:
            channel.queue_declare("log", durable=True, arguments={"x-queue-type": "stream"})
            channel.queue_declare("plain", durable=True)
            self.log_in()
            self.go("streams", says="1 in all")
            self.assertNotIn("plain", self.tab.text("tbody"))
            self.tab.click("log")
            self.tab.until_says("Nobody consumes", "#main")
            self.assertNotIn("Purge", self.tab.text("#main"))
            self.go("policies")
            channel.queue_delete("log")
            channel.queue_delete("plain")


class Names(Site):
    def test_hostile_ones_are_texts(self):
        self.log_in()
        for path, body in (("vhosts/{}", {"description": HOSTILE, "tags": HOSTILE}), ("users/{}", {"password": "pw", "tags": HOSTILE}), ("permissions/{}/{}", None)):
            self.mgmtd.call("PUT", "/api/" + path.replace("{}", self.encoded(HOSTILE)), body or {"configure": HOSTILE, "write": "", "read": ""})
        self.mgmtd.call("PUT", "/api/policies/%2F/" + self.encoded(HOSTILE), {"pattern": "^<img", "definition": {"dead-letter-exchange": HOSTILE}})
        connection = self.broker.connect(client_properties={"connection_name": HOSTILE, "product": HOSTILE, HOSTILE: HOSTILE})
        channel = connection.channel()
        channel.queue_declare(HOSTILE, durable=True, arguments={"x-dead-letter-exchange": HOSTILE})
        channel.exchange_declare(HOSTILE, "headers", arguments={"alternate-exchange": HOSTILE})
        channel.queue_bind(HOSTILE, HOSTILE, HOSTILE, {HOSTILE: HOSTILE})
        channel.basic_publish("", HOSTILE, HOSTILE.encode(), pika.BasicProperties(type=HOSTILE, headers={HOSTILE: HOSTILE}))
        channel.basic_consume(HOSTILE, lambda *_: None, consumer_tag=HOSTILE)
        name = self.get("connections")[0]["name"]
        for words in (["overview"], ["queues"], ["queues", "/", HOSTILE], ["exchanges"], ["exchanges", "/", HOSTILE], ["connections"], ["connections", name], ["channels"], ["policies"], ["vhosts"],
                      ["vhosts", HOSTILE], ["users"], ["users", HOSTILE], [HOSTILE], ["queues", "/", HOSTILE + "2"]):
            with self.subTest(words):
                self.allowed = {404}
                self.go(*words, says=None if words[0] in ("overview", "channels", HOSTILE) else HOSTILE)
                self.assertEqual(self.tab.evaluate("document.querySelectorAll('#main img, dialog img').length"), 0)
        channel.basic_cancel(HOSTILE)
        self.go("queues", "/", HOSTILE, says="Nobody consumes")
        self.tab.click("Get messages")
        self.tab.click("Get", "dialog")
        self.tab.until_says(HOSTILE, "dialog pre")
        self.assertIsNone(self.tab.evaluate("window.hacked ?? null"))
        self.assertEqual(self.tab.evaluate("document.querySelectorAll('img').length"), 1)
        connection.close()
        for path in ("queues/%2F/{}", "exchanges/%2F/{}", "policies/%2F/{}", "users/{}", "vhosts/{}"):
            self.mgmtd.call("DELETE", "/api/" + path.format(self.encoded(HOSTILE)))

    def encoded(self, text):
        return self.tab.evaluate("encodeURIComponent(%r)" % text)

    def test_what_no_browser_can_say(self):
        with self.broker.channel() as channel:
            channel.queue_declare("..", auto_delete=True)
            self.log_in()
            self.go("queues", says="1 in all")
            self.tab.click("..")
            self.tab.until_says("No browser can say")
            channel.queue_delete("..")


class Looks(Site):
    def test_on_a_phone_and_in_the_dark(self):
        with self.broker.channel() as channel:
            channel.queue_declare("q" * 250, durable=True, arguments={"x-dead-letter-exchange": "d" * 200})
            channel.queue_bind("q" * 250, "amq.topic", "k" * 250)
            self.log_in()
            name = self.get("connections")[0]["name"]
            for dark in (False, True):
                self.tab.look(360, 740, dark)
                for words in [[page] for page in PAGES] + [["queues", "/", "q" * 250], ["exchanges", "/", "amq.topic"], ["connections", name], ["users", "guest"], ["vhosts", "/"]]:
                    self.go(*words)
                    self.assertLessEqual(self.tab.evaluate("document.documentElement.scrollWidth"), 360, words)
                    for one, of in (("--text", "--card"), ("--dim", "--card"), ("--dim", "--page"), ("--accent", "--card"), ("--accent", "--soft"), ("--on-accent", "--accent"), ("--bad", "--card"),
                                    ("--bad", "--bad-soft"), ("--dim", "--raised")):
                        self.assertGreaterEqual(self.contrast(one, of), 4.5, (dark, one, of))
                page, text = self.tab.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
                self.assertEqual(self.brightness(page) < self.brightness(text), dark)
            channel.queue_delete("q" * 250)

    def test_dialogs_fit_on_a_phone(self):
        self.log_in()
        self.tab.look(360, 640)
        self.go("queues", says="Declare a queue")
        self.tab.click("Declare a queue")
        self.tab.until("!!document.querySelector('dialog:modal')", "the dialog")
        box = self.tab.evaluate("(() => { const box = document.querySelector('dialog').getBoundingClientRect(); return [box.left, box.right, box.top, box.bottom] })()")
        self.assertTrue(box[0] >= 0 and box[1] <= 360 and box[2] >= 0 and box[3] <= 640, box)
        unlabelled = "[...document.querySelectorAll('input, select, textarea')].filter(one => !one.labels?.length).length"
        self.assertEqual(self.tab.evaluate(unlabelled), 0)

    @staticmethod
    def brightness(colour):
        return sum(int(part) for part in colour[colour.index("(") + 1:-1].split(",")[:3])

    def contrast(self, one, of):
        """WCAG 2's, of two colours of the style sheet."""
        return self.tab.evaluate("""(() => {
            const light = name => {
                const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
                const [r, g, b] = [1, 3, 5].map(i => parseInt(text.slice(i, i + 2), 16) / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const [a, b] = [light('%s'), light('%s')].sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05);
        })()""" % (one, of))


class Exchanges(Site):
    def test_bindings_are_drawn(self):
        self.log_in()
        self.go("exchanges", says="Declare an exchange")
        self.tab.click("Declare an exchange")
        self.tab.fill("name", "orders")
        self.tab.fill("type", "topic")
        self.tab.click("Declare", "dialog")
        self.tab.until_says("Nothing is bound to it.", "#main")
        with self.broker.channel() as channel:
            channel.queue_declare("eu", durable=True)
            channel.exchange_declare("all", "fanout")
            channel.exchange_bind("all", "orders", "#")
            channel.exchange_bind("orders", "amq.fanout", "")
        self.tab.click("Bind", "#main")
        self.tab.fill("destination", "eu")
        self.tab.fill("key", "orders.eu.*")
        self.tab.click("Bind", "dialog")
        nodes = "[...document.querySelectorAll('svg.graph .node')].map(one => [...one.querySelectorAll('text')].map(text => text.textContent).join('|')).sort()"
        self.tab.until("document.querySelectorAll('svg.graph .node').length === 4", "four boxes")
        self.assertEqual(self.tab.evaluate(nodes), ["all|#", "amq.fanout", "eu|orders.eu.*", "orders"])
        self.assertEqual(self.tab.evaluate("document.querySelectorAll('svg.graph path.edge').length"), 3)
        lies = self.tab.evaluate("(() => { const box = name => [...document.querySelectorAll('svg.graph .node')].find(one => one.querySelector('text').textContent === name).getBoundingClientRect(); "
                                 "return box('amq.fanout').right < box('orders').left && box('orders').right < box('eu').left && box('orders').right < box('all').left })()")
        self.assertTrue(lies, "from left to right")
        self.tab.click("Publish", "#main")
        self.tab.fill("key", "orders.eu.1")
        self.tab.fill("payload", "x")
        self.tab.click("Publish", "dialog")
        self.tab.until_says("Published: a queue has it.")
        self.tab.click("Unbind", "tr[data-key*='\"eu\"']")
        self.tab.click("Unbind", "dialog")
        self.tab.until("document.querySelectorAll('svg.graph .node').length === 3", "three boxes")
        self.tab.click("Publish", "#main")
        self.tab.fill("key", "orders.eu.1")
        self.tab.click("Publish", "dialog")
        self.tab.until_says("no queue got it")
        self.tab.click("Delete", "#main")
        self.tab.click("Delete", "dialog")
        self.tab.until_says("orders is deleted.")
        for path in ("queues/%2F/eu", "exchanges/%2F/all"):
            self.mgmtd.call("DELETE", "/api/" + path)


class Operators(Site):
    def test_a_connection_is_closed_with_a_reason(self):
        connection = self.broker.connect(client_properties={"connection_name": "the one"})
        connection.channel()
        self.log_in()
        self.go("connections", says="the one")
        self.tab.click(self.get("connections")[0]["name"])
        self.tab.until_says("Channels (1)")
        self.tab.click("Close", "#main")
        self.tab.fill("reason", "maintenance at noon")
        self.tab.click("Close it", "dialog")
        self.tab.until_says("The connection is closed.")
        with self.assertRaises(pika.exceptions.ConnectionClosedByBroker) as closed:
            while True:
                connection.process_data_events(1)
        self.assertEqual(closed.exception.reply_code, 320)
        self.assertIn("maintenance at noon", closed.exception.reply_text)

    def test_users_virtual_hosts_permissions_policies(self):
        self.log_in()
        self.go("vhosts", says="Add a virtual host")
        self.tab.click("Add a virtual host")
        self.tab.fill("name", "tenant")
        self.tab.click("Add", "dialog")
        self.tab.until_says("Virtual host tenant is there.")
        self.go("users", says="Add a user")
        self.tab.click("Add a user")
        self.tab.fill("name", "ada")
        self.tab.fill("password", "pw")
        self.tab.fill("tags", "monitoring")
        self.tab.click("Add", "dialog")
        self.tab.until_says("ada is a user now.")
        self.tab.click("Set permissions")
        self.tab.fill("vhost", "tenant")
        self.tab.fill("configure", "^ada")
        self.tab.click("Set", "dialog")
        self.tab.until_says("^ada", "#main")
        self.assertEqual(self.get("permissions/tenant/ada"), {"user": "ada", "vhost": "tenant", "configure": "^ada", "write": ".*", "read": ".*"})
        self.tab.click("Take away", "#main")
        self.tab.click("Take away", "dialog")
        self.tab.until_says("There are none.", "#main")
        self.go("policies", says="Add a policy")
        self.tab.click("Add a policy")
        self.tab.fill("vhost", "tenant")
        self.tab.fill("name", "short")
        self.tab.fill("pattern", "^temp")
        self.tab.fill("priority", "5")
        self.tab.fill("definition", '{"max-length": 7}')
        self.tab.click("Add", "dialog")
        self.tab.until_says("max-length: 7", "#main")
        policy = self.get("policies/tenant/short")
        self.assertEqual((policy["pattern"], policy["priority"], policy["definition"]), ("^temp", 5, {"max-length": 7}))
        self.tab.click("Delete", "#main")
        self.tab.click("Delete", "dialog")
        self.tab.until("!document.getElementById('main').innerText.includes('max-length: 7')", "its end")
        for words, said in ((("users", "ada"), "ada is deleted."), (("vhosts", "tenant"), "Virtual host tenant is deleted.")):
            self.go(*words, says="Permissions")
            self.tab.click("Delete", "#main .head")
            self.tab.click("Delete", "dialog")
            self.tab.until_says(said)
        self.assertEqual([one["name"] for one in self.get("vhosts")], ["/"])


if __name__ == "__main__":
    main()

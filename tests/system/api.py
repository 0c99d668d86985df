"""gannet-mgmtd's HTTP API: who may make which call, what comes of it, and what is said of calls that are wrong."""
import os
import re
import subprocess
import unittest

from broker import GANNETCTL, Broker, until
from management import Mgmtd
from runner import main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RABBITMQADMIN = "/usr/bin/rabbitmqadmin"
ANY = {"configure": ".*", "write": ".*", "read": ".*"}
# What the users of the tests may do, by their names, which are their tags.
RIGHTS = {
    "nothing": set(),
    "impersonator": set(),
    "management": {"MAY_USE"},
    "policymaker": {"MAY_USE", "MAY_SET_POLICIES"},
    "monitoring": {"MAY_USE", "MAY_MONITOR"},
    "administrator": {"MAY_USE", "MAY_SET_POLICIES", "MAY_MONITOR", "MAY_ADMINISTER"},
}


def routes():
    """The rows of api.def: method, path, who may."""
    with open(os.path.join(ROOT, "mgmt", "api.def"), encoding="utf-8") as table:
        return re.findall(r'^API\((\w+), "([^"]+)", (\w+),', table.read(), re.M)


class Api(unittest.TestCase):
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


class Login(Api):
    def test_who_has_none_is_told_so(self):
        self.user("nobody", "")
        for user, headers in (None, {}), ("guest:wrong", {}), ("none:guest", {}), ("guest:", {}), ("guest", {}), (":", {}), ("x" * 300 + ":y", {}), \
                ("guest:guest\0", {}), (None, {"Authorization": "Basic !!!"}), (None, {"Authorization": "Bearer x"}), (None, {"Authorization": "Basic"}):
            with self.subTest(user):
                # So many failures would slow this address down, which is another test's.
                with Mgmtd(self.broker.data) as fresh:
                    status, answered, body = fresh.call("GET", "/api/whoami", user=user, headers=headers)
                self.assertEqual((status, body), (401, {"error": "not_authorized", "reason": "Login failed"}))
                self.assertEqual(answered["WWW-Authenticate"], 'Basic realm="Gannet Management"')
        self.assertEqual(self.call("GET", "whoami", user="nobody:pw"), (401, {"error": "not_authorised", "reason": "Not management user"}))
        self.assertEqual(self.mgmtd.call("GET", "/nothing", user=None)[0], 401)
        self.assertEqual(self.mgmtd.call("GET", "/metrics", user=None)[0], 401)

    def out(self, *users):
        """429: this address has failed too often to be asked."""
        for user in users:
            self.assertIn(self.call("GET", "whoami", user=user)[0], (401, 429), user)

    def test_a_change_counts_at_once(self):
        self.user("u", "monitoring")
        for _ in range(2):
            self.assertEqual(self.get("whoami", "u:pw"), {"name": "u", "tags": ["monitoring"]})
            self.ctl("change_password", "u", "new")
            self.out("u:pw")
            until(lambda: self.call("GET", "whoami", user="u:new")[0] == 200, "a login with the new password")
            self.ctl("set_user_tags", "u", "management")
            self.assertEqual(self.refused(401, "GET", "nodes", user="u:new"), "Not monitor user")
            self.ctl("delete_user", "u")
            self.out("u:new")
            self.ctl("add_user", "u", "pw")
            until(lambda: self.call("GET", "whoami", user="u:pw")[1]["reason"] == "Not management user", "a login of the new user")
            self.ctl("set_user_tags", "u", "monitoring")
        self.ctl("clear_password", "u")
        self.out("u:pw", "u:")

    def test_failures_slow_their_address_down(self):
        self.user("u", "management")
        self.get("whoami", "u:pw")
        statuses = [self.mgmtd.call("GET", "/api/whoami", user="x:wrong-secret")[0] for _ in range(20)]
        self.assertEqual(statuses[:3], 3 * [401])
        self.assertIn(429, statuses)
        self.get("whoami", "u:pw")  # who is known need not wait
        status, headers, _ = self.mgmtd.call("GET", "/api/whoami", user="guest:wrong")
        self.assertEqual(status, 429)
        self.assertGreaterEqual(int(headers["Retry-After"]), 1)
        # But not while somebody guesses his password.
        for _ in range(20):
            self.mgmtd.call("GET", "/api/whoami", user="u:wrong")
        self.assertEqual(self.call("GET", "whoami", user="u:pw")[0], 429)
        log = self.mgmtd.log.text()
        self.assertRegex(log, r"127.0.0.1:\d+: login refused: user 'x'")
        self.assertNotIn("secret", log)

    def test_attempts_are_counted(self):
        node = self.get("nodes")[0]["name"]
        self.refused(401, "GET", "whoami", user="guest:wrong")
        before = self.get("auth/attempts/" + node)
        self.broker.connect().close()
        self.assertEqual(before[0]["protocol"], "http")
        self.assertEqual(before[0]["auth_attempts_failed"], 1)
        self.assertGreater(self.get("auth/attempts/" + node)[0]["auth_attempts_succeeded"], before[0]["auth_attempts_succeeded"])
        self.refused(404, "GET", "auth/attempts/other")

    def test_who_may_only_come_from_here(self):
        self.broker.settings["loopback_users"] = "guest"
        self.broker.restart()
        self.get("whoami")

    def test_on_the_socket_there_is_none(self):
        self.assertEqual(self.mgmtd.status("/api/whoami"), (200, {"name": "administrator", "tags": ["administrator"]}))
        self.assertEqual(self.mgmtd.status("/api/users")[0], 200)

    def test_without_a_broker(self):
        self.broker.stop()
        status, answer = self.call("GET", "whoami")
        self.assertEqual((status, answer["error"]), (503, "unavailable"))
        self.broker.start()
        self.get("whoami")


class Routes(Api):
    def test_each_with_every_tag(self):
        self.assertGreater(len(routes()), 40)
        for name in RIGHTS:
            self.user(name, name, "%2F")
        for method, path, who in routes():
            # What there is must be there for the next one, too.
            vhost = "none" if who == "MAY_ADMINISTER" else "%2F"
            path = re.sub(r"\{\w+\}", "none", path.replace("{vhost}", vhost))
            for name, rights in RIGHTS.items():
                with self.subTest((method, path, name)):
                    status, _, answer = self.mgmtd.call(method, path, {} if method in ("PUT", "POST") else None, name + ":pw") \
                        if path != "/metrics" else (200 if who in rights else 401, None, {"error": 1, "reason": 1})
                    self.assertEqual(status == 401, who not in rights, answer)
                    self.assertIn(status, (200, 201, 204, 400, 401, 404) if "-listener/" not in path else (400, 401, 503), answer)
            with self.subTest((method, path)):
                self.assertEqual(self.mgmtd.call(method, path, user=None)[0], 401)
        self.assertEqual([user["name"] for user in self.get("users")], sorted(["guest", *RIGHTS]))

    def test_other_methods(self):
        for path in sorted({path for _, path, _ in routes()}):
            has = {method for method, other, _ in routes() if other == path}
            for method in {"GET", "PUT", "POST", "DELETE"} - has:
                status, headers, _ = self.mgmtd.call(method, path.replace("{", "").replace("}", ""), {})
                self.assertEqual(status, 405, (method, path))
                self.assertEqual(set(headers["Allow"].split(", ")), has)

    def test_virtual_hosts_of_others(self):
        self.done(201, "PUT", "vhosts/a")
        self.done(201, "PUT", "vhosts/b")
        self.user("m", "policymaker", "a")
        self.user("w", "monitoring,policymaker", "a")
        for vhost in "a", "b":
            self.done(201, "PUT", "policies/%s/p" % vhost, {"pattern": "", "definition": {"max-length": 1}})
        self.assertEqual([vhost["name"] for vhost in self.get("vhosts", "m:pw")], ["a"])
        self.assertEqual([vhost["name"] for vhost in self.get("vhosts", "w:pw")], ["/", "a", "b"])
        self.assertEqual([policy["vhost"] for policy in self.get("policies", "m:pw")], ["a"])
        self.assertEqual(len(self.get("policies/a", "m:pw")), 1)
        self.assertEqual(self.refused(401, "GET", "policies/b", user="m:pw"), "User not authorised to access virtual host")
        self.refused(401, "DELETE", "policies/b/p", user="m:pw")
        self.get("policies/b/p", "w:pw")
        self.refused(401, "DELETE", "policies/b/p", user="w:pw")
        self.refused(404, "GET", "policies/c", user="w:pw")
        self.refused(404, "GET", "policies/c", user="m:pw")
        self.done(204, "DELETE", "policies/a/p", user="m:pw")


class Things(Api):
    def test_users(self):
        self.user("a b/ü".replace(" ", "%20").replace("/", "%2F").replace("ü", "%c3%bc"), ["x", "management"])
        self.done(204, "PUT", "users/guest", {"password": "guest", "tags": "administrator"})
        self.done(201, "PUT", "users/silent", {"tags": ""})
        self.assertEqual(self.get("users/a%20b%2F%C3%BC"), {"name": "a b/ü", "tags": ["x", "management"], "password_hash": "", "limits": {},
                                                           "hashing_algorithm": "argon2id"})
        self.assertEqual([user["name"] for user in self.get("users/without-permissions")], ["a b/ü", "silent"])
        self.done(204, "PUT", "users/a%20b%2F%C3%BC", {"password_hash": "", "tags": "management"})
        self.refused(401, "GET", "whoami", user="a b/ü:pw")
        self.refused(404, "GET", "users/none")
        self.refused(404, "DELETE", "users/none")
        self.assertIn("none", self.refused(400, "POST", "users/bulk-delete", {"users": ["silent", "none"]}))
        self.get("users/silent")
        self.done(204, "POST", "users/bulk-delete", {"users": ["silent", "silent", "a b/ü"]})
        self.assertEqual([user["name"] for user in self.get("users")], ["guest"])

    def test_virtual_hosts(self):
        self.done(201, "PUT", "vhosts/a%2Fb", {"description": "of tests", "tags": "x,y"})
        self.done(204, "PUT", "vhosts/a%2Fb", {"tags": ["z"], "tracing": False, "default_queue_type": "classic"})
        vhost = self.get("vhosts/a%2Fb")
        self.assertEqual((vhost["name"], vhost["description"], vhost["tags"]), ("a/b", "of tests", ["z"]))
        self.assertEqual(vhost["metadata"], {"description": "of tests", "tags": ["z"]})
        self.assertEqual(list(vhost["cluster_state"].values()), ["running"])
        self.assertEqual([vhost["name"] for vhost in self.get("vhosts")], ["/", "a/b"])
        self.assertIn("quorum", self.refused(400, "PUT", "vhosts/c", {"default_queue_type": "quorum"}))
        self.refused(400, "PUT", "vhosts/c", {"tracing": True})
        self.done(204, "DELETE", "vhosts/a%2Fb")
        self.refused(404, "DELETE", "vhosts/a%2Fb")
        self.refused(404, "GET", "vhosts/a%2Fb")

    def test_permissions(self):
        self.done(201, "PUT", "vhosts/v")
        self.user("u")
        given = {"user": "u", "vhost": "v", "configure": "^a\\.b$", "write": "", "read": ".*"}
        self.done(201, "PUT", "permissions/v/u", given)
        self.done(204, "PUT", "permissions/v/u", given)
        self.assertEqual(self.get("permissions/v/u"), given)
        self.assertEqual(self.get("users/u/permissions"), [given])
        self.assertEqual(self.get("vhosts/v/permissions"), [given])
        self.assertEqual(len(self.get("permissions")), 2)
        topic = {"user": "u", "vhost": "v", "exchange": "amq.topic", "write": "^w", "read": "^r"}
        self.done(201, "PUT", "topic-permissions/v/u", topic)
        for path in "topic-permissions", "topic-permissions/v/u", "users/u/topic-permissions", "vhosts/v/topic-permissions":
            self.assertEqual(self.get(path), [topic])
        self.done(204, "DELETE", "topic-permissions/v/u")
        self.refused(404, "DELETE", "topic-permissions/v/u")
        self.refused(404, "GET", "topic-permissions/v/u")
        self.done(204, "DELETE", "permissions/v/u")
        for method in "GET", "DELETE":
            self.refused(404, method, "permissions/v/u")
            self.refused(404, method, "permissions/none/u")
        self.refused(400, "PUT", "permissions/none/u", ANY)
        self.refused(400, "PUT", "permissions/v/none", ANY)
        self.assertIn("regular expression", self.refused(400, "PUT", "permissions/v/u", dict(ANY, read="*")))
        for path in "users/none/permissions", "vhosts/none/permissions", "users/none/topic-permissions", "vhosts/none/topic-permissions":
            self.refused(404, "GET", path)

    def test_policies(self):
        for kind in "policies", "operator-policies":
            whole = {"vhost": "/", "name": "p", "pattern": "^a", "apply-to": "queues", "definition": {"max-length": 5}, "priority": 3}
            self.done(201, "PUT", kind + "/%2F/p", {"pattern": "^a", "definition": {"max-length": 9}})
            self.assertEqual(self.get(kind + "/%2F/p"), dict(whole, **{"apply-to": "all", "definition": {"max-length": 9}, "priority": 0}))
            self.done(204, "PUT", kind + "/%2F/p", whole)
            for path in kind, kind + "/%2F":
                self.assertEqual(self.get(path), [whole])
            self.done(204, "DELETE", kind + "/%2F/p")
            for method in "GET", "DELETE":
                self.refused(404, method, kind + "/%2F/p")
            for wrong in {"pattern": "*"}, {"definition": {"nope": 1}}, {"definition": {"max-length": [1]}}, {"apply-to": "x"}, {"priority": 2 ** 40}:
                self.refused(400, "PUT", kind + "/%2F/p", dict(whole, **wrong))
            self.assertEqual(self.get(kind), [])

    def test_the_whole(self):
        overview = self.get("overview")
        for name in "rabbitmq_version", "product_version", "cluster_name", "node", "erlang_version", "erlang_full_version":
            self.assertIsInstance(overview[name], str)
        self.assertGreaterEqual(tuple(map(int, overview["rabbitmq_version"].split("."))), (3, 7))
        self.assertEqual(overview["product_name"], "Gannet")
        for name in "connections", "channels", "queues", "exchanges", "consumers":
            self.assertGreaterEqual(overview["object_totals"][name], 0)
        self.assertEqual(overview["cluster_name"], self.get("cluster-name")["name"])
        node, = self.get("nodes")
        self.assertEqual(self.get("nodes/" + node["name"])["os_pid"], str(self.broker.pid))
        self.refused(404, "GET", "nodes/other")
        for name in "uptime", "run_queue", "processors", "fd_total", "proc_total", "mem_limit", "disk_free_limit":
            self.assertIsInstance(node[name], int)
        for path in "feature-flags", "deprecated-features", "extensions":
            self.assertEqual(self.get(path), [])


class Health(Api):
    def check(self, path, status=200):
        got, answer = self.call("GET", "health/checks/" + path)
        self.assertEqual((got, answer.get("status", answer.get("error"))), (status, {200: "ok", 503: "failed", 400: "bad_request"}[status]), answer)
        return answer

    def test_the_broker(self):
        for path in ("alarms", "local-alarms", "is-in-service", "ready-to-serve-clients", "virtual-hosts", "node-is-quorum-critical",
                     "node-is-mirror-sync-critical"):
            self.check(path)
        self.assertEqual(self.get("healthchecks/node"), {"status": "ok"})
        limit = self.check("below-node-connection-limit")
        self.assertGreater(limit["limit"], limit["connections"])

    def test_listeners(self):
        listeners = {listener["protocol"]: listener for listener in self.get("overview")["listeners"]}
        self.assertEqual(sorted(listeners), ["amqp", "http", "http/prometheus"])
        self.assertEqual((listeners["amqp"]["ip_address"], listeners["amqp"]["port"]), (self.broker.address, self.broker.port))
        for listener in listeners.values():
            self.assertEqual(self.check("port-listener/%d" % listener["port"]), {"status": "ok", "port": listener["port"]})
        missing = self.check("port-listener/1", 503)
        self.assertEqual((missing["missing"], missing["reason"]), (1, "No active listener"))
        self.assertIn(self.broker.port, missing["ports"])
        for protocol in "amqp", "amqp091", "http":
            self.assertEqual(self.check("protocol-listener/" + protocol), {"status": "ok", "protocol": protocol})
        missing = self.check("protocol-listener/mqtt", 503)
        self.assertEqual((missing["missing"], sorted(missing["protocols"])), ("mqtt", sorted(listeners)))
        self.check("protocol-listener/amqps", 503)
        for port in "x", "0", "65536", "1x":
            self.check("port-listener/" + port, 400)

    def test_certificates(self):
        self.check("certificate-expiration/1/days")
        files = [os.path.join(self.broker.own, name) for name in ("c.pem", "k.pem")]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10", "-subj", "/CN=x",
                        "-out", files[0], "-keyout", files[1]], check=True, capture_output=True, timeout=60)
        self.broker.settings.update({"tls.certificate": files[0], "tls.key": files[1], "listeners.amqps": self.broker.address + ":0"})
        self.broker.restart()
        for within in "9/days", "1/weeks":
            self.check("certificate-expiration/" + within)
        for within in "11/days", "2/weeks", "1/months", "1/years":
            expired, = self.check("certificate-expiration/" + within, 503)["expired"]
            self.assertEqual(expired["file"], files[0])
        for within in "x/days", "0/days", "1/hours", "1x/days":
            self.check("certificate-expiration/" + within, 400)
        self.check("protocol-listener/amqps")
        self.check("protocol-listener/amqp%2Fssl")


class BadInput(Api):
    def test_bodies(self):
        for path, body, said in (
                ("users/u", "{", "not JSON"), ("users/u", "[]", "not a JSON object"), ("users/u", "1", "not a JSON object"),
                ("users/u", '{"tags":"","tags":""}', "not JSON"), ("users/u", b'{"tags":"\xff"}', "not JSON"), ("users/u", '{"tags":"\\u0000"}', "not JSON"),
                ("users/u", "[" * 10000, "not JSON"), ("users/u", "", "'tags'"), ("users/u", {}, "'tags'"), ("users/u", {"tags": None}, "'tags'"),
                ("users/u", {"tags": 5}, "'tags'"), ("users/u", {"tags": [5]}, "'tags'"), ("users/u", {"tags": {}}, "'tags'"),
                ("users/u", {"tags": "", "password": 5}, "'password'"), ("users/u", {"tags": "", "password": "a\tb"}, "control characters"),
                ("users/u", {"tags": "a\nb"}, "control characters"), ("users/u", {"tags": "x" * 300}, "longer than"),
                ("users/u", {"tags": "", "password": "x" * 30000}, "too long"),
                ("users/u", {"tags": "", "password": "a", "password_hash": "b"}, "both_password"), ("users/u", {"tags": "", "password_hash": "b"}, "password_hash"),
                ("users/a%0Ab", {"tags": ""}, "control characters"), ("vhosts/v", {"description": 5}, "'description'"), ("vhosts/v", {"tracing": 5}, "'tracing'"),
                ("permissions/%2F/guest", {"configure": "", "write": ""}, "'read'"), ("permissions/%2F/guest", dict(ANY, write=[]), "'write'"),
                ("topic-permissions/%2F/guest", ANY, "'exchange'"), ("policies/%2F/p", {"pattern": ""}, "'definition'"),
                ("policies/%2F/p", {"definition": {}}, "'pattern'"), ("policies/%2F/p", {"pattern": "", "definition": []}, "'definition'"),
                ("policies/%2F/p", {"pattern": "", "definition": {}, "priority": "1"}, "'priority'"),
                ("policies/%2F/p", {"pattern": "", "definition": {}, "priority": 1.5}, "'priority'"),
                ("policies/%2F/p", {"pattern": "", "definition": {}, "priority": 10 ** 30}, "not JSON")):
            with self.subTest((path, str(body)[:60])):
                self.assertIn(said, self.refused(400, "PUT", path, body))
        for body in {}, {"users": "x"}, {"users": [1]}, {"users": ["none"]}:
            self.assertIn("users" if body != {"users": ["none"]} else "none", self.refused(400, "POST", "users/bulk-delete", body))
        self.refused(413, "PUT", "users/u", " " * 65536 + "{}")
        self.assertEqual(([user["name"] for user in self.get("users")], len(self.get("vhosts")), self.get("policies")), (["guest"], 1, []))
        self.assertEqual(len(self.get("permissions")), 1)

    def test_paths(self):
        for path in "users/%00", "users/%zz", "users/%", "users/" + 256 * "x", "users/%ff", "users//permissions", "permissions/%2F/%00":
            self.refused(400, "GET", path)
        for path in "nothing", "users/a/b/c", "permissions/%2F", "vhosts/%252F":
            self.refused(404, "GET", path)
        self.assertEqual(self.get("users/without-permissions/"), [])


class Lists(Api):
    def test_pages(self):
        for name in "Mon", "aMONb", "zed":
            self.done(201, "PUT", "vhosts/" + name, {"description": "of " + name, "tags": "x"})
        page = self.get("vhosts?page=1&page_size=3&columns=name")
        self.assertEqual(page, {"filtered_count": 4, "item_count": 3, "items": [{"name": "/"}, {"name": "Mon"}, {"name": "aMONb"}], "page": 1,
                                "page_count": 2, "page_size": 3, "total_count": 4})
        self.assertEqual(self.get("vhosts?page=2&page_size=3&columns=name")["items"], [{"name": "zed"}])
        page = self.get("vhosts?page=1&name=mon&columns=name")
        self.assertEqual((page["filtered_count"], page["total_count"], page["items"]), (2, 4, [{"name": "Mon"}, {"name": "aMONb"}]))
        self.assertEqual(self.get("vhosts?page=1&name=%5EM&use_regex=true&columns=name")["items"], [{"name": "Mon"}])
        self.assertEqual([v["name"] for v in self.get("vhosts?sort=name&sort_reverse=true")], ["zed", "aMONb", "Mon", "/"])
        self.assertEqual(self.get("vhosts?columns=name,metadata.tags")[3], {"name": "zed", "metadata": {"tags": ["x"]}})
        self.assertEqual(self.get("vhosts/zed?columns=name,metadata")["metadata"], {"description": "of zed", "tags": ["x"]})
        for query, error in (("page=0", "invalid_pagination_parameters"), ("page=1&page_size=501", "invalid_pagination_parameters"),
                             ("page=9", "page_out_of_range"), ("page=x", "bad_request"), ("page=", "bad_request"), ("page=1&page_size=", "bad_request"),
                             ("page=1&name=(&use_regex=true", "bad_request"), ("page=99999999999999999999", "bad_request"),
                             ("page=9223372036854775807&page_size=500", "page_out_of_range")):
            status, answer = self.call("GET", "vhosts?" + query)
            self.assertEqual((status, answer["error"]), (400, error), query)


@unittest.skipUnless(os.path.exists(RABBITMQADMIN), "there is no rabbitmqadmin")
class Rabbitmqadmin(Api):
    def admin(self, *words):
        host, port = self.mgmtd.api_at.split(":")
        done = subprocess.run([RABBITMQADMIN, "-H", host, "-P", port, "-f", "tsv", "-q", *words], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), (words, done.stdout))
        return [line.split("\t") for line in done.stdout.splitlines()]

    def test_it_works_unchanged(self):
        self.admin("declare", "vhost", "name=v")
        self.admin("declare", "user", "name=u", "password=pw", "tags=management,x")
        self.admin("declare", "permission", "vhost=v", "user=u", "configure=a", "write=b", "read=c")
        self.admin("declare", "policy", "name=p", "pattern=^q", 'definition={"max-length":5}', "apply-to=queues", "priority=2")
        self.admin("declare", "operator_policy", "name=o", "pattern=^q", 'definition={"max-length":5}')
        self.assertEqual(self.admin("list", "vhosts", "name"), [["/"], ["v"]])
        self.assertEqual([row[0] for row in self.admin("list", "users", "name")], ["guest", "u"])
        self.assertIn(["a", "b", "c", "u", "v"], [sorted(row) for row in self.admin("list", "permissions")])
        self.assertEqual(self.admin("list", "policies", "name", "vhost"), [["p", "/"]])
        self.assertEqual(self.admin("list", "operator_policies", "name"), [["o"]])
        self.assertEqual(len(self.admin("list", "nodes", "name")), 1)
        self.assertEqual(len(self.admin("show", "overview")), 1)
        for words in ("policy", "name=p"), ("operator_policy", "name=o"), ("permission", "vhost=v", "user=u"), ("user", "name=u"), ("vhost", "name=v"):
            self.admin("delete", *words)
        self.assertEqual((len(self.get("users")), len(self.get("vhosts")), self.get("policies")), (1, 1, []))


if __name__ == "__main__":
    main()

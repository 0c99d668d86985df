"""gannet-mgmtd's HTTP API: who may make which call, what is said of calls that are wrong, and pages of lists."""
import os
import re

from broker import until
from management import ANY, Api, Mgmtd
from runner import main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
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
        self.refused(404, "DELETE", "auth/attempts/other")
        until(lambda: self.get("auth/attempts/" + node)[1]["auth_attempts_succeeded"] == 1, "the broker's counters")
        self.done(204, "DELETE", "auth/attempts/" + node)
        http, broker = self.get("auth/attempts/" + node)
        self.assertEqual((http["auth_attempts"], http["auth_attempts_failed"], broker["auth_attempts"]), (1, 0, 0))
        self.broker.connect().close()
        until(lambda: self.get("auth/attempts/" + node)[1]["auth_attempts"] == 1, "one more")
        self.broker.restart()
        until(lambda: self.get("auth/attempts/" + node)[1]["auth_attempts"] == 0, "a broker that counts anew")

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
                    status, _, answer = self.mgmtd.call(method, path, {} if method in ("PUT", "POST") else None, name + ":pw")
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
                ("users/u", {"tags": "", "password": "a", "password_hash": "b"}, "both_password"), ("users/u", {"tags": "", "password_hash": "b"}, "no password hash"), ("users/u", {"tags": "", "password_hash": "x" * 1000}, "'password_hash'"),
                ("users/u", {"tags": "", "password_hash": "b", "hashing_algorithm": "md5"}, "not supported"),
                ("users/a%0Ab", {"tags": ""}, "control characters"), ("vhosts/v", {"description": 5}, "'description'"), ("vhosts/v", {"tracing": 5}, "'tracing'"),
                ("permissions/%2F/guest", {"configure": "", "write": ""}, "'read'"), ("permissions/%2F/guest", dict(ANY, write=[]), "'write'"),
                ("topic-permissions/%2F/guest", ANY, "'exchange'"), ("policies/%2F/p", {"pattern": ""}, "'definition'"),
                ("policies/%2F/p", {"definition": {}}, "'pattern'"), ("policies/%2F/p", {"pattern": "", "definition": []}, "'definition'"),
                ("policies/%2F/p", {"pattern": "", "definition": {}, "priority": "x"}, "'priority'"),
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


if __name__ == "__main__":
    main()

"""What calls of gannet-mgmtd's HTTP API do and tell: users, virtual hosts, permissions, policies, limits, health, what there is."""
import base64
import hashlib
import os
import subprocess
import urllib.parse

import pika

from management import ANY, Api
from runner import main

HASH_OF_PW = base64.b64encode(b"salt" + hashlib.sha256(b"saltpw").digest()).decode()


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
        # As RabbitMQ exports them: of "pw".
        self.done(201, "PUT", "users/hashed", {"password_hash": HASH_OF_PW, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "management"})
        self.get("whoami", "hashed:pw")
        self.done(204, "DELETE", "users/hashed")
        self.refused(404, "GET", "users/none")
        self.refused(404, "DELETE", "users/none")
        self.assertIn("none", self.refused(400, "POST", "users/bulk-delete", {"users": ["silent", "none"]}))
        self.get("users/silent")
        self.assertIn("longer", self.refused(400, "POST", "users/bulk-delete", {"users": [256 * "x"]}))
        self.assertIn("too long", self.refused(400, "POST", "users/bulk-delete", {"users": 3000 * ["silent"]}))
        self.get("users/silent")
        self.done(204, "POST", "users/bulk-delete", {"users": []})
        self.done(204, "POST", "users/bulk-delete", {"users": ["silent", "silent", "a b/ü"]})
        self.assertEqual([user["name"] for user in self.get("users")], ["guest"])

    def test_virtual_hosts(self):
        self.done(201, "PUT", "vhosts/a%2Fb", {"description": "of tests", "tags": "x,y"})
        self.done(204, "PUT", "vhosts/a%2Fb", {"tags": ["z"], "tracing": False, "default_queue_type": "classic"})
        vhost = self.get("vhosts/a%2Fb")
        self.assertEqual((vhost["name"], vhost["description"], vhost["tags"]), ("a/b", "of tests", ["z"]))
        self.assertEqual(vhost["metadata"], {"description": "of tests", "tags": ["z"], "default_queue_type": "classic"})
        self.assertEqual(list(vhost["cluster_state"].values()), ["running"])
        self.assertEqual([vhost["name"] for vhost in self.get("vhosts")], ["/", "a/b"])
        self.assertIn("'x'", self.refused(400, "PUT", "vhosts/c", {"default_queue_type": "x"}))
        self.refused(400, "PUT", "vhosts/c", {"tracing": True})
        self.done(204, "DELETE", "vhosts/a%2Fb")
        self.refused(404, "DELETE", "vhosts/a%2Fb")
        self.refused(404, "GET", "vhosts/a%2Fb")

    def test_the_type_of_queues_there(self):
        def types():
            return {q["name"]: (q["type"], q["arguments"].get("x-queue-type")) for q in self.get("queues/v")}

        self.done(201, "PUT", "vhosts/v", {"default_queue_type": "quorum", "tags": "t"})
        self.done(201, "PUT", "permissions/v/guest", ANY)
        self.broker.kill9()
        self.broker.start()
        with self.broker.channel(virtual_host="v") as channel:
            for _ in range(2):
                channel.queue_declare("a", durable=True)
                channel.queue_declare("b", durable=True, arguments={"x-queue-type": "classic"})
                channel.queue_declare("c", durable=True, arguments={"x-delivery-limit": 3})
                channel.queue_declare("d", durable=False)
                channel.queue_declare("e", durable=True, auto_delete=True)
                channel.queue_declare("f", durable=True, exclusive=True)
            self.assertEqual(types(), {"a": ("quorum", "quorum"), "b": ("classic", "classic"), "c": ("quorum", "quorum"), "d": ("classic", None),
                                       "e": ("classic", None), "f": ("classic", None)})
            # Whoever declares again what is there means what is there.
            self.done(204, "PUT", "vhosts/v", {"default_queue_type": "stream"})
            for name in "ab":
                channel.queue_declare(name, durable=True)
            channel.queue_declare("s", durable=True)
            self.assertEqual((types()["s"], self.get("queues/v/c")["arguments"]), (("stream", "stream"), {"x-delivery-limit": 3, "x-queue-type": "quorum"}))
        self.broker.restart()
        self.assertEqual(self.get("vhosts/v")["default_queue_type"], "stream")
        self.assertEqual(self.get("vhosts/v")["tags"], ["t"])
        self.done(204, "PUT", "vhosts/v", {"default_queue_type": "undefined"})
        self.done(204, "PUT", "vhosts/v", {"description": "x"})
        self.assertEqual((self.get("vhosts/v")["default_queue_type"], self.get("vhosts/v")["metadata"]), ("undefined", {"description": "x", "tags": ["t"]}))
        with self.broker.channel(virtual_host="v") as channel:
            channel.queue_declare("g", durable=True)
            channel.queue_declare("c", durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": 3})
        self.assertEqual((types()["g"], types()["a"]), (("classic", None), ("quorum", "quorum")))

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

    def test_limits(self):
        self.done(201, "PUT", "vhosts/v")
        self.user("u")
        self.assertEqual((self.get("user-limits"), self.get("vhost-limits")), ([], []))
        for kind, of, name in ("user-limits", "user", "u"), ("vhost-limits", "vhost", "v"):
            self.done(204, "PUT", "%s/%s/max-connections" % (kind, name), {"value": 5})
            self.done(204, "PUT", "%s/%s/max-publish-rate" % (kind, name), {"value": 7})
            whole = [{of: name, "value": {"max-connections": 5, "max-publish-rate": 7}}]
            self.assertEqual((self.get(kind), self.get("%s/%s" % (kind, name))), (whole, whole))
            self.refused(400, "PUT", "%s/%s/none" % (kind, name), {"value": 5})
            self.refused(400, "PUT", "%s/%s/max-connections" % (kind, name), {"value": "x"})
            self.refused(404, "PUT", kind + "/none/max-connections", {"value": 5})
            self.refused(404, "DELETE", kind + "/none/max-connections")
            self.refused(404, "GET", kind + "/none")
            self.done(204, "DELETE", "%s/%s/max-connections" % (kind, name))
            self.assertEqual(self.get(kind), [{of: name, "value": {"max-publish-rate": 7}}])
            self.done(204, "DELETE", "%s/%s/max-publish-rate" % (kind, name))
            self.assertEqual(self.get(kind), [])
        self.refused(404, "DELETE", "vhost-limits/v/max-connections")

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
        more = os.path.join(self.broker.own, "more")  # for other names
        os.mkdir(more)
        for name, file in zip(("x.pem", "x.key"), files):
            os.link(file, os.path.join(more, name))
        self.broker.settings["tls.directory"] = more
        self.broker.restart()
        expired = self.check("certificate-expiration/2/weeks", 503)["expired"]
        self.assertEqual([e["file"] for e in expired], [files[0], os.path.join(more, "x.pem")])
        self.check("protocol-listener/amqps")
        self.check("protocol-listener/amqp%2Fssl")


class Deeds(Api):
    """What is done as a client does it: by AMQP, as the user whose call it is."""

    def setUp(self):
        super().setUp()
        self.user("m", "management")
        self.ctl("set_permissions", "m", "^x", "^x", "^x")

    def publish(self, key, payload="hi", exchange="amq.default", user="guest:guest", encoding="string", **properties):
        return self.call("POST", "exchanges/%%2F/%s/publish" % exchange, {"routing_key": key, "payload": payload, "payload_encoding": encoding,
                                                                          "properties": properties}, user)

    def take(self, queue, ackmode="ack_requeue_false", user="guest:guest", **more):
        status, answer = self.call("POST", "queues/%%2F/%s/get" % queue, dict({"ackmode": ackmode, "count": 10, "encoding": "auto"}, **more), user)
        self.assertEqual(status, 200, answer)
        return answer

    def test_queues(self):
        body = {"durable": True, "auto_delete": False, "arguments": {"x-max-length": 5}}
        self.done(201, "PUT", "queues/%2F/q%2F1", body)
        self.done(204, "PUT", "queues/%2F/q%2F1", body)
        queue = self.get("queues/%2F/q%2F1")
        self.assertEqual((queue["durable"], queue["arguments"]), (True, {"x-max-length": 5}))
        self.assertIn("inequivalent arg 'durable'", self.refused(400, "PUT", "queues/%2F/q%2F1", {}))
        self.publish("q/1")
        self.assertIn("not empty", self.refused(400, "DELETE", "queues/%2F/q%2F1?if-empty=true"))
        self.done(204, "DELETE", "queues/%2F/q%2F1/contents")
        self.done(204, "DELETE", "queues/%2F/q%2F1?if-empty=true&if-unused=true")
        for method, path in ("DELETE", "queues/%2F/q"), ("DELETE", "queues/%2F/q/contents"), ("PUT", "queues/none/q"):
            self.refused(404, method, path, {} if method == "PUT" else None)
        for body in {"durable": "yes"}, {"arguments": []}, {"arguments": {"x-max-length": "a"}}, {"arguments": {"a": None}}:
            self.refused(400, "PUT", "queues/%2F/q", body)
        self.done(201, "PUT", "queues/%2F/x", {}, "m:pw")
        self.assertIn("refused for user 'm'", self.refused(401, "PUT", "queues/%2F/y", {}, "m:pw"))
        self.user("a", "administrator")
        self.assertIn("refused for user 'a'", self.refused(401, "PUT", "queues/%2F/y", {}, "a:pw"))
        self.assertEqual([q["name"] for q in self.get("queues")], ["x"])

    def test_exchanges_and_bindings(self):
        self.done(201, "PUT", "exchanges/%2F/e", {"type": "topic", "durable": True, "arguments": {"alternate-exchange": "f"}})
        self.done(204, "PUT", "exchanges/%2F/e", {"type": "topic", "durable": True, "arguments": {"alternate-exchange": "f"}})
        self.refused(400, "PUT", "exchanges/%2F/e", {"type": "fanout"})
        self.refused(400, "PUT", "exchanges/%2F/f", {"type": "none"})
        self.done(201, "PUT", "exchanges/%2F/f", {"type": "fanout", "internal": True})
        self.done(201, "PUT", "queues/%2F/q", {})
        for body in {}, {"routing_key": "a.#"}, {"routing_key": "k k/é", "arguments": {"x": 1, "y": "z", "w": [True, 1.5]}}:
            for path in "bindings/%2F/e/e/q/q", "bindings/%2F/e/e/e/f":
                status, headers, _ = self.mgmtd.call("POST", "/api/" + path, body)
                self.assertEqual(status, 201)
                at = headers["Location"].removeprefix("/api/")
                self.assertEqual(self.get(at)["routing_key"], body.get("routing_key", ""))
                self.done(204, "DELETE", at)
                self.refused(404, "DELETE", at)
        self.assertEqual(self.get("exchanges/%2F/e/bindings/source"), [])
        self.refused(404, "POST", "bindings/%2F/e/e/q/none", {})
        self.refused(404, "POST", "bindings/%2F/e/none/q/q", {})
        self.refused(400, "POST", "bindings/%2F/e/e/q/q", {"routing_key": 256 * "x"})
        self.done(204, "DELETE", "exchanges/%2F/e")
        self.refused(404, "DELETE", "exchanges/%2F/e")
        self.refused(401, "DELETE", "exchanges/%2F/f", user="m:pw")

    def test_messages(self):
        self.done(201, "PUT", "queues/%2F/x", {"durable": True})
        every = {"content_type": "t", "content_encoding": "ce", "headers": {"a": 1, "b": {"c": ["d", True, 1.5]}}, "delivery_mode": 2, "priority": 3,
                 "correlation_id": "c", "reply_to": "r", "expiration": "60000", "message_id": "m", "timestamp": 5, "type": "ty", "app_id": "ap"}
        self.assertEqual(self.publish("x", "größer", **every), (200, {"routed": True}))
        self.assertEqual(self.publish("x", "/wA=", encoding="base64"), (200, {"routed": True}))
        self.assertEqual(self.publish("none"), (200, {"routed": False}))
        for mode in "ack_requeue_true", "reject_requeue_true", "reject_requeue_false":
            first, second = self.take("x", mode)
            self.assertEqual((first["payload"], first["payload_encoding"], first["payload_bytes"], first["message_count"]), ("größer", "string", 8, 1))
            self.assertEqual((first["exchange"], first["routing_key"], first["properties"]), ("", "x", every))
            self.assertEqual((second["payload"], second["payload_encoding"], second["properties"]), ("/wA=", "base64", {}))
        self.assertEqual(self.take("x"), [])
        self.publish("x", "abc")
        self.assertEqual(self.take("x", "ack_requeue_true", truncate=2)[0]["payload"], "ab")
        self.assertEqual(self.take("x", "ack_requeue_true", encoding="base64", count=1)[0]["payload"], "YWJj")
        self.assertEqual(self.take("x", count=0), [])
        self.assertEqual(len(self.take("x")), 1)
        self.assertEqual(self.take("x"), [])

    def test_a_large_message(self):
        self.done(201, "PUT", "queues/%2F/x", {})
        text = "a" * (1 << 20)
        self.assertEqual(self.publish("x", text), (200, {"routed": True}))
        self.assertEqual(self.take("x")[0]["payload"], text)
        self.assertEqual(self.publish("x", "a" * (25 << 20))[0], 413)

    def test_what_can_not_be(self):
        self.done(201, "PUT", "queues/%2F/x", {})
        good = {"routing_key": "x", "payload": "", "payload_encoding": "string", "properties": {}}
        for wrong in {"payload": 5}, {"payload_encoding": "x"}, {"payload": "!", "payload_encoding": "base64"}, {"properties": []}, {"routing_key": None}, \
                {"properties": {"delivery_mode": "2"}}, {"properties": {"priority": 256}}, {"properties": {"headers": 1}}, {"routing_key": 256 * "x"}, \
                {"properties": {"type": 256 * "x"}}, {"properties": {"user_id": "other"}}:
            self.refused(400, "POST", "exchanges/%2F/amq.default/publish", dict(good, **wrong))
        self.refused(404, "POST", "exchanges/%2F/none/publish", good)
        self.refused(401, "POST", "exchanges/%2F/amq.topic/publish", good, "m:pw")
        good = {"ackmode": "ack_requeue_true", "count": 1, "encoding": "auto"}
        for wrong in {"ackmode": "x"}, {"count": "x"}, {"encoding": "x"}, {"count": None}, {"truncate": "x"}:
            self.refused(400, "POST", "queues/%2F/x/get", dict(good, **wrong))
        self.refused(404, "POST", "queues/%2F/none/get", good)
        self.done(201, "PUT", "queues/%2F/y", {})
        self.refused(401, "POST", "queues/%2F/y/get", good, "m:pw")


class Rest(Api):
    """What RabbitMQ's API has besides."""

    def test_a_probe(self):
        for _ in range(3):
            self.assertEqual(self.get("aliveness-test/%2F"), {"status": "ok"})
        self.assertEqual(self.get("queues/%2F/aliveness-test")["messages"], 0)
        self.refused(404, "GET", "aliveness-test/none")
        self.user("m", "management", "%2F")
        self.done(204, "PUT", "permissions/%2F/m", dict(ANY, write="^x"))
        self.refused(401, "GET", "aliveness-test/%2F", None, "m:pw")

    def test_a_hash(self):
        hashed = self.get("auth/hash_password/s%20%2Fü".replace("ü", "%C3%BC"))["ok"]
        raw = base64.b64decode(hashed)
        self.assertEqual(raw[4:], hashlib.sha256(raw[:4] + "s /ü".encode()).digest())
        self.done(201, "PUT", "users/h", {"password_hash": hashed, "tags": "management"})
        self.get("whoami", "h:s /ü")

    def test_what_a_cluster_would_do(self):
        node = self.get("nodes")[0]["name"]
        self.assertGreater(self.get("nodes/%s/memory" % node)["memory"]["total"]["rss"], 1 << 20)
        self.refused(404, "GET", "nodes/other/memory")
        self.done(204, "POST", "rebalance/queues", {})
        self.done(204, "POST", "vhosts/%%2F/start/%s" % node, {})
        self.refused(404, "POST", "vhosts/none/start/" + node, {})
        self.refused(404, "POST", "vhosts/%2F/start/other", {})
        self.assertEqual(self.get("deprecated-features/used"), [])
        self.done(201, "PUT", "queues/%2F/q", {})
        for action, said in ("sync", "mirrors"), ("cancel_sync", "mirrors"), ("x", "Unknown"):
            self.assertIn(said, self.refused(400, "POST", "queues/%2F/q/actions", {"action": action}))
        self.refused(400, "POST", "queues/%2F/q/actions", {})


class Inventory(Api):
    def setUp(self):
        super().setUp()
        for vhost in "a", "b":
            self.done(201, "PUT", "vhosts/" + vhost)
            self.done(201, "PUT", "permissions/%s/guest" % vhost, ANY)
        self.user("m", "management", "a")
        self.connection = self.broker.connect(virtual_host="a", client_properties={"connection_name": "c"})
        self.addCleanup(lambda: self.connection.is_open and self.connection.close())
        self.channel = self.connection.channel()

    def test_queues(self):
        with self.broker.channel(virtual_host="b") as other:
            other.queue_declare("q")
        self.channel.queue_declare("q/ \t\\ü", durable=True, arguments={"x-max-length": 5, "x-queue-type": "quorum"})
        self.channel.queue_declare("x", exclusive=True)
        self.channel.confirm_delivery()
        for _ in range(3):
            self.channel.basic_publish("", "x", b"12345")
        self.channel.basic_get("x")
        self.channel.queue_declare("x", passive=True)
        self.assertEqual([(q["vhost"], q["name"]) for q in self.get("queues")], [("a", "q/ \t\\ü"), ("a", "x"), ("b", "q")])
        self.assertEqual([q["name"] for q in self.get("queues", "m:pw")], ["q/ \t\\ü", "x"])
        self.assertEqual([q["name"] for q in self.get("queues/b")], ["q"])
        odd = self.get("queues/a/q%2F%20%09%5C%C3%BC")
        for name, value in {"durable": True, "auto_delete": False, "exclusive": False, "type": "quorum", "policy": None, "messages": 0,
                            "arguments": {"x-max-length": 5, "x-queue-type": "quorum"}}.items():
            self.assertEqual(odd[name], value, name)
        x = self.get("queues/a/x?columns=messages,messages_ready,messages_unacknowledged,message_bytes,message_stats,exclusive")
        self.assertEqual(x, {"messages": 3, "messages_ready": 2, "messages_unacknowledged": 1, "message_bytes": 15, "exclusive": True,
                             "message_stats": {"publish": 3, "deliver_get": 1, "ack": 0}})
        self.assertEqual([q["name"] for q in self.get("queues?sort=messages&sort_reverse=true&page=1&page_size=1")["items"]], ["x"])
        self.refused(404, "GET", "queues/a/none")
        self.refused(404, "GET", "queues/none")
        self.refused(404, "GET", "queues/none/q")

    def test_exchanges_and_bindings(self):
        self.channel.exchange_declare("e", "topic", durable=True, arguments={"alternate-exchange": "f"})
        self.channel.exchange_declare("f", "fanout", internal=True)
        self.channel.queue_declare("q")
        self.channel.queue_bind("q", "e", "a.#", {"n": 1})
        self.channel.queue_bind("q", "e", "k")
        self.channel.exchange_bind("f", "e", "k")
        e = self.get("exchanges/a/e")
        for name, value in {"name": "e", "vhost": "a", "type": "topic", "durable": True, "auto_delete": False, "internal": False,
                            "arguments": {"alternate-exchange": "f"}}.items():
            self.assertEqual(e[name], value, name)
        self.assertEqual(self.get("exchanges/a/amq.default")["name"], "")
        self.assertEqual(len(self.get("exchanges")), 3 * len(self.get("exchanges/b")) + 2)
        self.assertEqual(len(self.get("bindings/a")), 4)
        self.assertEqual(len(self.get("queues/a/q/bindings")), 3)
        self.assertEqual(len(self.get("bindings/a/e/amq.default/q/q")), 1)
        self.assertEqual(len(self.get("exchanges/a/e/bindings/source")), 3)
        self.assertEqual([b["destination"] for b in self.get("exchanges/a/f/bindings/destination")], ["f"])
        self.assertEqual(self.get("bindings/a/e/e/e/f/k"), {"source": "e", "vhost": "a", "destination": "f", "destination_type": "exchange",
                                                           "routing_key": "k", "arguments": {}, "properties_key": "k"})
        for binding in self.get("bindings/a/e/e/q/q"):
            self.assertEqual(self.get("bindings/a/e/e/q/q/" + urllib.parse.quote(binding["properties_key"], "")), binding)
        for path in "exchanges/a/none", "queues/a/none/bindings", "exchanges/a/none/bindings/source", "bindings/a/e/e/q/q/none":
            self.refused(404, "GET", path)

    def test_connections(self):
        self.channel.queue_declare("q")
        tag = self.channel.basic_consume("q", lambda *_: None, arguments={"x-priority": 3})
        self.channel.basic_qos(prefetch_count=7)
        with self.broker.channel(virtual_host="a", credentials=pika.PlainCredentials("m", "pw")):
            self.assertEqual([c["user"] for c in self.get("connections", "m:pw")], ["m"])
            self.assertEqual([c["user"] for c in self.get("channels", "m:pw")], ["m"])
            self.assertEqual(sorted(c["user"] for c in self.get("connections")), ["guest", "m"])
            self.assertEqual(sorted(c["user"] for c in self.get("vhosts/a/connections")), ["guest", "m"])
            self.assertEqual(self.get("connections/username/guest", "m:pw"), [])
        connection, = self.get("connections/username/guest")
        for name in "name", "node", "protocol", "user", "connected_at", "client_properties", "peer_host", "peer_port":
            self.assertIn(name, connection)
        self.assertEqual((connection["vhost"], connection["state"], connection["channels"]), ("a", "running", 1))
        name = urllib.parse.quote(connection["name"], "")
        self.assertEqual(self.get("connections/" + name)["client_properties"]["connection_name"], "c")
        self.refused(404, "GET", "connections/" + name, user="m:pw")
        channel, = self.get("connections/%s/channels" % name)
        for name in ("number", "name", "connection_details", "vhost", "state", "consumer_count", "confirm", "prefetch_count", "messages_unacknowledged",
                     "messages_unconfirmed"):
            self.assertIn(name, channel)
        self.assertEqual((channel["number"], channel["consumer_count"], channel["connection_details"]["name"]), (1, 1, connection["name"]))
        self.assertEqual(self.get("channels/" + urllib.parse.quote(channel["name"], "")), channel)
        consumer, = self.get("consumers/a", "m:pw")
        self.assertEqual((consumer["queue"], consumer["consumer_tag"], consumer["arguments"]), ({"name": "q", "vhost": "a"}, tag, {"x-priority": 3}))
        self.assertEqual(self.get("consumers/b"), [])


if __name__ == "__main__":
    main()

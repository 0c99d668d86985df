"""Definitions over the HTTP API: exported, imported, and refused whole; a file of RabbitMQ's shape (definitions.json) among them."""
import copy
import json
import os
import subprocess
import tempfile
import unittest

import pika
from broker import GANNETCTL, Broker
from management import ANY, Api, Mgmtd
from runner import main

HERE = os.path.dirname(os.path.abspath(__file__))
RABBITMQADMIN = "/usr/bin/rabbitmqadmin"
KINDS = "users", "vhosts", "permissions", "topic_permissions", "parameters", "policies", "queues", "exchanges", "bindings"


def of_rabbitmq(name="definitions.json"):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return json.load(file)


def in_order(definitions):
    """What is in them, whatever stands first."""
    return {kind: sorted((json.dumps(one, sort_keys=True) for one in definitions.get(kind, []))) for kind in KINDS}


class Definitions(Api):
    def logs_in(self, user, password, vhost="/"):
        try:
            self.broker.connect(virtual_host=vhost, credentials=pika.PlainCredentials(user, password)).close()
            return True
        except pika.exceptions.ProbableAuthenticationError:
            return False

    def wrong(self, change, kind, said, path="definitions"):
        """Refused, with the definition named, and nothing is made."""
        before = in_order(self.get("definitions"))
        definitions = of_rabbitmq()
        change(definitions)
        reason = self.refused(400, "POST", path, definitions)
        self.assertIn(said, reason)
        self.assertTrue(reason.startswith(kind), reason)
        self.assertEqual(in_order(self.get("definitions")), before, reason)
        return reason


class Import(Definitions):
    def test_a_file_of_rabbitmq(self):
        self.done(204, "POST", "definitions", of_rabbitmq())
        for user, password in ("guest", "guest"), ("maker", "secret"):
            self.assertTrue(self.logs_in(user, password, "floor/1"), user)
        for user, password in ("maker", "x"), ("nobody", ""):
            self.assertFalse(self.logs_in(user, password, "floor/1"), user)
        self.assertEqual(self.get("users/maker")["tags"], ["monitoring", "management"])
        self.assertEqual(self.get("user-limits/maker")[0]["value"], {"max-connections": 9, "max-channels": 50})
        self.assertEqual(self.get("vhost-limits/floor%2F1")[0]["value"], {"max-connections": 100, "max-queues": 3})
        self.assertEqual(self.get("vhosts/floor%2F1")["metadata"], {"description": "of the floor", "tags": ["a", "b"], "default_queue_type": "classic"})
        self.assertEqual(self.get("permissions/floor%2F1/maker")["configure"], "^m\\.")
        self.assertEqual(self.get("topic-permissions/floor%2F1/maker")[0]["write"], "^eu\\.")
        self.assertEqual(self.get("policies/floor%2F1/short")["definition"], {"max-length": 10, "overflow": "drop-head"})
        self.assertEqual(self.get("operator-policies/floor%2F1/most")["definition"], {"max-length": 100000})
        self.assertEqual({q["name"]: q["type"] for q in self.get("queues/floor%2F1")}, {"orders": "quorum", "ticks ü": "classic", "log": "stream"})
        self.assertEqual(self.get("exchanges/floor%2F1/prices")["arguments"], {"alternate-exchange": "rest"})
        self.assertEqual(self.get("bindings/floor%2F1/e/prices/e/rest")[0]["arguments"], {"why": "tests", "n": 5})
        with self.broker.channel(virtual_host="floor/1") as channel:
            channel.basic_publish("prices", "eu.x", b"")
            channel.basic_publish("amq.headers", "", b"", pika.BasicProperties(headers={"k": 1}))
            self.assertEqual(channel.queue_declare("ticks ü", passive=True).method.message_count, 1)
            self.assertEqual(channel.queue_declare("orders", passive=True).method.message_count, 1)
        # The same again changes nothing.
        once = in_order(self.get("definitions"))
        self.done(204, "POST", "definitions", of_rabbitmq())
        self.assertEqual(in_order(self.get("definitions")), once)

    def test_a_file_of_rabbitmq_4(self):
        for _ in range(2):
            self.done(204, "POST", "definitions", of_rabbitmq("definitions_4.json"))
        self.assertEqual(self.get("overview")["cluster_name"], "hall 3")
        self.assertEqual(self.get("vhosts/shop")["metadata"], {"description": "orders", "tags": ["eu"], "default_queue_type": "quorum"})
        self.assertEqual({q["name"]: q["type"] for q in self.get("queues/shop")},
                         {"shop.orders": "quorum", "shop.dead": "classic", "shop.events": "stream"})
        self.assertEqual(self.get("queues/shop/shop.orders")["policy"], "dead")
        self.assertEqual(self.get("queues/shop/shop.orders")["operator_policy"], "bounds")
        self.assertEqual(self.get("exchanges/shop/any")["type"], "x-local-random")
        self.assertEqual(self.get("parameters/vhost-limits/shop/limits")["value"]["max-queues"], 100)
        self.assertTrue(self.logs_in("shop", "guest", "shop"))

    def test_as_a_form(self):
        def send(parts, type_of="multipart/form-data; boundary=xyz"):
            body = "".join("--xyz\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"d.json\"\r\nContent-Type: application/json\r\n\r\n%s\r\n" % part
                           for part in parts) + "--xyz--\r\n"
            status, _, answer = self.mgmtd.call("POST", "/api/definitions", body.encode(), headers={"Content-Type": type_of})
            return status, (answer or {}).get("reason")

        whole = json.dumps(of_rabbitmq(), indent=40)  # more than one piece
        self.assertEqual(send([("other", "x"), ("file", whole)]), (204, None))
        self.assertEqual(len(self.get("queues/floor%2F1")), 3)
        for parts, said in ([("file", "{")], "not JSON"), ([("other", "{}")], "'file'"), ([], "'file'"), ([("file", "")], "'file'"), ([("file", "[]")], "object"):
            status, reason = send(parts)
            self.assertEqual(status, 400, parts)
            self.assertIn(said, reason)
        self.assertIn("boundary", send([("file", "{}")], "multipart/form-data")[1])
        self.assertEqual(send([("file", "x" * (25 << 20))])[0], 413)
        # Nowhere else is a form anything.
        self.assertEqual(self.mgmtd.call("PUT", "/api/vhosts/v", b"--xyz--", headers={"Content-Type": "multipart/form-data; boundary=xyz"})[0], 400)

    def test_what_the_caller_stands_on_comes_last(self):
        definitions = of_rabbitmq()
        definitions["users"][0].update(password_hash="", tags=[])
        self.done(204, "POST", "definitions", definitions)
        self.assertEqual(self.call("GET", "whoami")[0], 401)
        self.assertEqual(len(json.loads(self.mgmtd.ask("/api/queues")[1])), 4)

    def test_into_one_virtual_host(self):
        self.done(201, "PUT", "vhosts/v")
        self.done(201, "PUT", "permissions/v/guest", ANY)
        definitions = of_rabbitmq()
        self.refused(404, "POST", "definitions/none", definitions)
        self.done(204, "POST", "definitions/v", definitions)
        self.assertEqual(len(self.get("queues/v")), 4)
        self.assertEqual(([v["name"] for v in self.get("vhosts")], len(self.get("users"))), (["/", "v"], 1))

    def test_who_may(self):
        self.user("m", "monitoring,policymaker", "%2F")
        for method in "GET", "POST":
            for path in "definitions", "definitions/%2F":
                self.refused(401, method, path, {} if method == "POST" else None, "m:pw")
        self.done(204, "POST", "definitions", {})
        # Where nobody has logged in there is no AMQP.
        response, body = self.mgmtd.ask("/api/definitions")
        self.assertEqual((response.status, sorted(user["name"] for user in json.loads(body)["users"])), (200, ["guest", "m"]))


class Refused(Definitions):
    def test_a_definition_of_every_kind(self):
        def item(kind, number, **values):
            return lambda definitions: definitions[kind][number].update(values)

        for kind, number, values, said in (
                ("users", 1, {"password_hash": "x"}, "no password hash"), ("users", 1, {"hashing_algorithm": "md5"}, "not supported"),
                ("users", 2, {"name": ""}, "no name"), ("users", 2, {"name": "x" * 256}, "longer than"), ("users", 2, {"tags": [1]}, "'tags'"),
                ("users", 2, {"limits": {"none": 1}}, "none"), ("users", 2, {"password": "a\tb", "password_hash": None}, "control"),
                ("users", 2, {"password": "a"}, "both_password"),
                ("vhosts", 1, {"metadata": {"default_queue_type": "x"}}, "'x'"), ("vhosts", 1, {"tracing": True}, "tracing"),
                ("vhosts", 1, {"name": "a\nb"}, "control"), ("vhosts", 1, {"metadata": []}, "'metadata'"),
                ("vhosts", 1, {"metadata": {"description": "a\tb"}}, "control"), ("vhosts", 1, {"metadata": {"tags": 5}}, "'tags'"),
                ("vhosts", 1, {"metadata": {"protected_from_deletion": True}}, "protected"),
                ("permissions", 2, {"user": "none"}, "user 'none'"), ("permissions", 2, {"vhost": "none"}, "'none'"),
                ("permissions", 2, {"read": "*"}, "'read'"), ("permissions", 2, {"write": None}, "'write'"),
                ("topic_permissions", 0, {"write": "("}, "'write'"), ("topic_permissions", 0, {"exchange": 5}, "'exchange'"),
                ("parameters", 0, {"component": "shovel"}, "shovel"), ("parameters", 0, {"value": {"pattern": "", "definition": {"overflow": "x"}}}, "overflow"),
                ("parameters", 0, {"value": {"pattern": "", "definition": [["a"]]}}, "'definition'"),
                ("parameters", 1, {"value": {"max-connections": "x"}}, ""), ("parameters", 1, {"vhost": "none"}, "none"),
                ("global_parameters", 0, {"name": ""}, "no name"), ("global_parameters", 0, {"value": None}, "'value'"),
                ("policies", 0, {"definition": {"nope": 1}}, "nope"), ("policies", 0, {"pattern": "*"}, ""), ("policies", 0, {"apply-to": "x"}, "apply-to"),
                ("policies", 0, {"priority": "x"}, "'priority'"), ("policies", 0, {"vhost": None}, "'vhost'"),
                ("queues", 1, {"arguments": {"x-message-ttl": -1}}, "x-message-ttl"), ("queues", 1, {"arguments": {"a": None}}, "null"),
                ("queues", 0, {"durable": False}, ""), ("queues", 1, {"name": "amq.x"}, "reserved"), ("queues", 1, {"vhost": "none"}, "'none'"),
                ("queues", 1, {"durable": "x"}, "'durable'"), ("queues", 2, {"name": "orders"}, "inequivalent arg"),
                ("exchanges", 0, {"type": "none"}, "'none'"), ("exchanges", 0, {"type": None}, "'type'"), ("exchanges", 0, {"name": "amq.e"}, "reserved"),
                ("exchanges", 1, {"arguments": []}, "'arguments'"), ("exchanges", 1, {"name": ""}, "no name"),
                ("bindings", 0, {"source": "none"}, "exchange 'none'"), ("bindings", 0, {"destination": "none"}, "queue 'none'"),
                ("bindings", 0, {"destination_type": "x"}, "'destination_type'"), ("bindings", 0, {"source": ""}, "default exchange"),
                ("bindings", 1, {"routing_key": 256 * "x"}, "longer than"), ("bindings", 3, {"vhost": "none"}, "'none'")):
            with self.subTest((kind, number, values)):
                self.wrong(item(kind, number, **values), "%s[%d]" % (kind, number), said)

    def test_lists_that_are_none(self):
        for kind in KINDS:
            self.assertIn("'%s'" % kind, self.refused(400, "POST", "definitions", {kind: {}}))
            self.assertTrue(self.refused(400, "POST", "definitions", {kind: [5]}).startswith(kind + "[0]"))
        self.refused(400, "POST", "definitions", "{")
        self.refused(400, "POST", "definitions", "[]")

    def test_what_is_there_otherwise(self):
        with self.broker.channel() as channel:
            channel.queue_declare("plain", durable=True)
            self.assertIn("inequivalent arg 'durable' for queue 'plain' in vhost '/'", self.wrong(lambda _: None, "queues[3] 'plain'", ""))
            channel.queue_delete("plain")
            channel.queue_declare("plain", auto_delete=True, arguments={"x-max-length": 5})
            self.wrong(lambda _: None, "queues[3]", "inequivalent arg 'x-max-length'")
            channel.queue_delete("plain")
            channel.queue_declare("plain", exclusive=True)
            self.wrong(lambda _: None, "queues[3]", "another connection")
            channel.exchange_declare("e", "topic")
            for values, said in ({"type": "fanout"}, "'type'"), ({"internal": True}, "'internal'"), ({"arguments": {"alternate-exchange": "f"}}, "alternate-exchange"):
                one = dict({"name": "e", "vhost": "/", "type": "topic", "durable": False, "auto_delete": False, "internal": False, "arguments": {}}, **values)
                self.assertIn(said, self.refused(400, "POST", "definitions", {"exchanges": [one]}))

    def test_as_whom_it_is_made(self):
        self.user("a", "administrator")
        definitions = {"queues": [{"name": "q", "vhost": "/"}]}
        self.assertIn("may not use", self.refused(400, "POST", "definitions", definitions, "a:pw"))
        definitions["permissions"] = [{"user": "a", "vhost": "/", "configure": "^x", "write": "", "read": ".*"}]
        self.assertIn("configure access to queue 'q'", self.refused(400, "POST", "definitions", definitions, "a:pw"))
        self.refused(404, "GET", "permissions/%2F/a")
        definitions["queues"][0]["name"] = "x"
        definitions["bindings"] = [{"source": "amq.direct", "vhost": "/", "destination": "x", "destination_type": "queue", "routing_key": "", "arguments": {}}]
        self.assertIn("write access to queue 'x'", self.refused(400, "POST", "definitions", definitions, "a:pw"))
        definitions["permissions"][0]["write"] = "x"
        self.done(204, "POST", "definitions", definitions, "a:pw")


class Export(Definitions):
    def setUp(self):
        super().setUp()
        self.done(204, "POST", "definitions", of_rabbitmq())
        self.user("argon", "management", "%2F", "own password")

    def test_what_is_in_it(self):
        connection = self.broker.connect(virtual_host="floor/1")
        self.addCleanup(connection.close)
        self.done(204, "DELETE", "vhost-limits/floor%2F1/max-queues")
        channel = connection.channel()
        channel.queue_declare("mine", exclusive=True)
        channel.queue_bind("mine", "prices", "x")
        definitions, file = self.get("definitions"), of_rabbitmq()
        self.assertEqual((definitions["rabbit_version"], definitions["product_name"], definitions["global_parameters"]), ("3.13.0", "Gannet", file["global_parameters"]))
        for user in file["users"]:
            user["tags"] = user["tags"].split(",") if isinstance(user["tags"], str) else user["tags"]
            if not user["password_hash"]:
                user["hashing_algorithm"] = "rabbit_password_hashing_sha256"
        argon = [user for user in definitions["users"] if user["name"] == "argon"][0]
        self.assertEqual(argon["hashing_algorithm"], "argon2id")
        self.assertTrue(argon["password_hash"].startswith("$argon2id$"))
        file["users"].append(argon)
        file["permissions"].append(dict(ANY, user="argon", vhost="/"))
        del file["parameters"][1]["value"]["max-queues"]
        rule = file["parameters"][0]["value"]
        rule["definition"] = dict(rule["definition"])
        for queue in file["queues"]:
            if queue.pop("type", "classic") != "classic":
                queue["arguments"]["x-queue-type"] = "stream"
        self.assertEqual(in_order(definitions), in_order(file))

    def test_of_one_virtual_host(self):
        whole, one = self.get("definitions"), self.get("definitions/floor%2F1")
        for kind in KINDS[4:]:
            expected = [dict(thing) for thing in copy.deepcopy(whole[kind]) if thing["vhost"] == "floor/1"]
            for thing in expected:
                del thing["vhost"]
            self.assertEqual(sorted(map(json.dumps, one[kind])), sorted(map(json.dumps, expected)), kind)
        self.assertEqual(set(one) & set(KINDS[:4]), set())
        self.refused(404, "GET", "definitions/none")

    def test_into_a_new_broker(self):
        definitions = self.get("definitions")
        with Broker() as other, Mgmtd(other.data) as mgmtd:
            self.assertEqual(mgmtd.call("POST", "/api/definitions", definitions)[::2], (204, None))
            self.assertEqual(in_order(mgmtd.call("GET", "/api/definitions")[2]), in_order(definitions))
            self.assertEqual(mgmtd.call("GET", "/api/whoami", user="argon:own password")[0], 200)
            other.restart()
            self.assertEqual(in_order(mgmtd.call("GET", "/api/definitions")[2]),
                             in_order(dict(definitions, queues=[q for q in definitions["queues"] if q["durable"]],
                                           bindings=[b for b in definitions["bindings"] if b["destination"] != "plain"])))

    @unittest.skipUnless(os.path.exists(RABBITMQADMIN), "there is no rabbitmqadmin")
    def test_by_rabbitmqadmin(self):
        host, port = self.mgmtd.api_at.split(":")
        with tempfile.TemporaryDirectory() as directory:
            file = os.path.join(directory, "all.json")
            for word in "export", "import":
                done = subprocess.run([RABBITMQADMIN, "-H", host, "-P", port, "-q", word, file], capture_output=True, text=True, timeout=60, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""), (word, done.stdout))
            with open(file, encoding="utf-8") as exported:
                self.assertEqual(in_order(json.load(exported)), in_order(self.get("definitions")))

    def test_of_the_control_socket(self):
        done = subprocess.run([GANNETCTL, "-D", self.broker.data, "list_user_hashes"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("argon2id", done.stdout)


if __name__ == "__main__":
    main()

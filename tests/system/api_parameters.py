"""Parameters of virtual hosts, global ones, and what the broker is called: over the HTTP API, by gannetctl, and after a start."""
import json
import subprocess

from broker import GANNETCTL
from management import Api
from runner import main

RULE = {"pattern": "a\"\\d\\\\", "definition": {"max-length": 5, "message-ttl": 60000}, "priority": 1, "apply-to": "queues"}
MOST = {"pattern": "", "definition": {"max-length": 7}, "priority": 0, "apply-to": "all"}


def parameter(component, vhost, name, value):
    return {"vhost": vhost, "component": component, "name": name, "value": value}


class Parameters(Api):
    def test_of_virtual_hosts(self):
        self.done(201, "PUT", "vhosts/v")
        self.done(201, "PUT", "parameters/operator_policy/%2F/rule", {"value": RULE})
        self.done(204, "PUT", "parameters/operator_policy/%2F/rule", {"value": RULE})
        self.done(201, "PUT", "parameters/vhost-limits/v/limits", {"value": {"max-connections": 3, "max-queues": 4}})
        rule = parameter("operator_policy", "/", "rule", RULE)
        limits = parameter("vhost-limits", "v", "limits", {"max-connections": 3, "max-queues": 4})
        self.assertEqual(self.get("parameters"), [rule, limits])
        self.assertEqual(self.get("parameters/vhost-limits"), [limits])
        self.assertEqual((self.get("parameters/shovel"), self.get("parameters/operator_policy/v")), ([], []))
        self.assertEqual(self.get("parameters/operator_policy/%2F/rule"), rule)
        self.assertEqual(self.get("operator-policies/%2F/rule")["definition"], RULE["definition"])
        self.assertEqual(self.get("vhost-limits/v")[0]["value"]["max-queues"], 4)
        self.assertEqual(self.get("definitions")["parameters"], [limits, rule])
        self.done(204, "DELETE", "parameters/operator_policy/%2F/rule")
        self.done(204, "DELETE", "parameters/vhost-limits/v/limits")
        for path in "operator_policy/%2F/rule", "vhost-limits/v/limits", "vhost-limits/v/x", "shovel/v/x":
            self.refused(404, "GET", "parameters/" + path)
        for path in "operator_policy/%2F/rule", "vhost-limits/v/limits":
            self.refused(404, "DELETE", "parameters/" + path)
        self.assertEqual(self.get("parameters"), [])

    def test_that_there_are_not(self):
        for component in "shovel", "federation-upstream", "federation-upstream-set", "":
            if component:
                self.assertIn("'%s' not found" % component, self.refused(400, "PUT", "parameters/%s/%%2F/x" % component, {"value": {}}))
                self.refused(400, "DELETE", "parameters/%s/%%2F/x" % component)
        self.assertIn("method", self.refused(400, "PUT", "parameters/policy/%2F/x", {"value": RULE}))
        self.refused(404, "PUT", "parameters/operator_policy/none/x", {"value": MOST})
        for path, value in (("vhost-limits/%2F/other", {}), ("vhost-limits/%2F/limits", {"no": 1}), ("vhost-limits/%2F/limits", 5),
                            ("operator_policy/%2F/x", {}), ("operator_policy/%2F/x", dict(MOST, pattern=5)), ("operator_policy/%2F/x", dict(MOST, pattern="(")),
                            ("operator_policy/%2F/x", dict(MOST, definition=[])), ("operator_policy/%2F/x", dict(MOST, priority=[])),
                            ("operator_policy/%2F/x", dict(MOST, priority="x" * 40)), ("operator_policy/%2F/x", dict(MOST, **{"apply-to": "x"}))):
            self.refused(400, "PUT", "parameters/" + path, {"value": value})
        self.assertIn("'value'", self.refused(400, "PUT", "parameters/operator_policy/%2F/x", {}))
        self.assertEqual(self.get("parameters"), [])

    def test_who_may(self):
        self.user("p", "policymaker", "%2F")
        self.done(201, "PUT", "vhosts/v")
        self.done(201, "PUT", "parameters/vhost-limits/v/limits", {"value": {"max-queues": 4}})
        self.done(201, "PUT", "parameters/operator_policy/%2F/rule", {"value": MOST})
        self.assertEqual([one["vhost"] for one in self.get("parameters", "p:pw")], ["/"])
        self.refused(401, "PUT", "parameters/operator_policy/%2F/rule", {"value": MOST}, "p:pw")
        self.refused(401, "GET", "parameters/vhost-limits/v", None, "p:pw")
        self.done(201, "PUT", "global-parameters/g", {"value": 1}, "p:pw")
        self.refused(401, "PUT", "cluster-name", {"name": "x"}, "p:pw")


class Global(Api):
    VALUES = {"text": "ü\n", "number": 5, "list": [1, {"a": None}], "truth": False, "nothing": None, "object": {}}

    def there(self):
        return {one["name"]: one["value"] for one in self.get("global-parameters")}

    def test_they_stay(self):
        for name, value in self.VALUES.items():
            self.done(201, "PUT", "global-parameters/" + name, {"value": value})
        self.done(204, "PUT", "global-parameters/number", {"value": 5})
        self.assertEqual(self.there(), self.VALUES)
        self.broker.kill9()
        self.broker.start()
        self.assertEqual(self.there(), self.VALUES)
        self.broker.restart()
        self.assertEqual(self.there(), self.VALUES)
        self.done(204, "DELETE", "global-parameters/list")
        self.broker.kill9()
        self.broker.start()
        self.refused(404, "GET", "global-parameters/list")
        self.refused(404, "DELETE", "global-parameters/list")
        self.assertEqual(self.get("global-parameters/object"), {"name": "object", "value": {}})

    def test_bounds(self):
        self.assertIn("'value'", self.refused(400, "PUT", "global-parameters/x", {}))
        self.done(201, "PUT", "global-parameters/x", {"value": "y" * 6142})
        self.assertIn("longer", self.refused(400, "PUT", "global-parameters/x", {"value": "y" * 6143}))
        self.refused(400, "PUT", "global-parameters/" + 256 * "x", {"value": 1})
        for i in range(255):
            self.done(201, "PUT", "global-parameters/%d" % i, {"value": i})
        self.assertIn("as many", self.refused(400, "PUT", "global-parameters/more", {"value": 1}))
        self.done(204, "PUT", "global-parameters/x", {"value": 1})

    def test_in_definitions(self):
        self.done(201, "PUT", "global-parameters/a", {"value": {"b": [1]}})
        exported = self.get("definitions")["global_parameters"]
        self.assertEqual(exported, [{"name": "a", "value": {"b": [1]}}])
        self.done(204, "DELETE", "global-parameters/a")
        self.done(204, "POST", "definitions", {"global_parameters": exported})
        self.assertEqual(self.there(), {"a": {"b": [1]}})
        for wrong in {"name": "c"}, {"name": "", "value": 1}, {"name": "c", "value": "x" * 9000}:
            self.assertTrue(self.refused(400, "POST", "definitions", {"global_parameters": [wrong]}).startswith("global_parameters[0]"))

    def test_what_the_broker_is_called(self):
        node = self.get("overview")["node"]
        self.assertEqual(self.get("cluster-name"), {"name": node})
        self.done(204, "PUT", "cluster-name", {"name": "hall 3"})
        self.assertEqual((self.get("cluster-name"), self.get("overview")["cluster_name"]), ({"name": "hall 3"}, "hall 3"))
        self.assertEqual(self.get("overview")["node"], node)
        self.refused(400, "PUT", "cluster-name", {})


class Command(Api):
    def said(self, *words):
        done = subprocess.run([GANNETCTL, "-D", self.broker.data, *words], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout

    def wrong(self, said, *words):
        done = subprocess.run([GANNETCTL, "-D", self.broker.data, *words], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""), words)
        self.assertIn(said, done.stderr)

    def test_rabbitmqctls_words(self):
        self.ctl("set_parameter", "operator_policy", "most", json.dumps(MOST))
        self.ctl("set_parameter", "-p", "/", "vhost-limits", "limits", '{"max-queues": 2}')
        self.assertEqual([[one["component"], one["name"]] for one in json.loads(self.said("--json", "list_parameters"))],
                         [["vhost-limits", "limits"], ["operator_policy", "most"]])
        self.assertIn("max-queues", self.said("list_parameters"))
        self.ctl("clear_parameter", "operator_policy", "most")
        self.ctl("clear_parameter", "vhost-limits", "limits")
        self.assertEqual(json.loads(self.said("--json", "list_parameters")), [])
        self.ctl("set_global_parameter", "mqtt_default_vhosts", '{"O=client": "/"}')
        self.ctl("set_cluster_name", "hall 3")
        self.assertEqual(json.loads(self.said("--json", "list_global_parameters")),
                         [{"name": "mqtt_default_vhosts", "value": {"O=client": "/"}}, {"name": "cluster_name", "value": "hall 3"}])
        self.ctl("clear_global_parameter", "mqtt_default_vhosts")

    def test_what_is_wrong(self):
        self.wrong("'shovel' not found", "set_parameter", "shovel", "s", "{}")
        self.wrong("JSON", "set_parameter", "operator_policy", "s", "{")
        self.wrong("JSON", "set_global_parameter", "s", "{")
        self.wrong("usage", "set_parameter", "operator_policy", "s")
        self.wrong("does not exist", "clear_global_parameter", "none")
        self.wrong("does not exist", "list_parameters", "-p", "none")
        self.wrong("control", "set_global_parameter", "a\tb", "1")


if __name__ == "__main__":
    main()

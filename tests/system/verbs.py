"""gannetctl's verbs that are rabbitmqctl's: their forms are what rabbitmqctl 3.10 has printed, word for word."""
import csv
import io
import json
import os
import socket
import subprocess
import unittest

from broker import GANNET_MGMTD, GANNETCTL, PATIENCE_S, PERSISTENT, Broker, until
from management import Mgmtd
from pika.exceptions import ConnectionClosedByBroker
from runner import main


def in_order(text):
    """Its lines: there is none among users and virtual hosts."""
    return sorted(line.removeprefix(",") for line in text.splitlines(keepends=True))


class Verbs(unittest.TestCase):
    def setUp(self):
        self.broker = self.enterContext(Broker(routers=2))

    def run_ctl(self, *words, said=None):
        return subprocess.run([GANNETCTL, "-D", self.broker.data, *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False,
                              input=said or "")

    def ctl(self, *words, said=None):
        done = self.run_ctl(*words, said=said)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout

    def refused(self, *words, said=None):
        done = self.run_ctl(*words, said=said)
        self.assertEqual((done.returncode, done.stdout), (1, ""), words)
        self.assertRegex(done.stderr, r"\Agannetctl: [^\n]+\n\Z")
        return done.stderr[len("gannetctl: "):-1]

    def test_lists_as_rabbitmqctl_has_them(self):
        for words in (("add_user", "bob", "secret"), ("set_user_tags", "bob", "management", "policymaker"), ("set_permissions", "bob", "a", "b", "c"),
                      ("set_topic_permissions", "-p", "/", "bob", "amq.topic", "x", "y"), ("add_vhost", "v1", "--description", "d", "--tags", "a,b"),
                      ("set_policy", "p1", "^a", '{"max-length":5}', "--priority", "3", "--apply-to", "queues"),
                      ("set_operator_policy", "p1", "^a", '{"max-length":5}'), ("set_user_limits", "bob", '{"max-connections":3}'),
                      ("set_vhost_limits", "-p", "v1", '{"max-queues":3}')):
            self.assertEqual(self.ctl(*words), "")
        cases = {
            ("list_users",): "Listing users ...\nuser\ttags\nguest\t[administrator]\nbob\t[management, policymaker]\n",
            ("-q", "list_users"): "user\ttags\nguest\t[administrator]\nbob\t[management, policymaker]\n",
            ("-s", "list_users"): "guest\t[administrator]\nbob\t[management, policymaker]\n",
            ("list_users", "--no-table-headers"): "Listing users ...\nguest\t[administrator]\nbob\t[management, policymaker]\n",
            ("--formatter", "csv", "list_users"): '"user","tags"\n"guest","[administrator]"\n"bob","[management, policymaker]"\n',
            ("--formatter", "json", "list_users"):
                '[\n{"user":"guest","tags":["administrator"]}\n,{"user":"bob","tags":["management","policymaker"]}\n]\n',
            ("-s", "--formatter", "pretty_table", "list_vhosts", "name", "tags"): "┌────┬────────┐\n│ /  │ []     │\n├────┼────────┤\n│ v1 │ [a, b] │\n└────┴────────┘\n",
            ("list_vhosts",): "Listing vhosts ...\nname\n/\nv1\n",
            ("-q", "list_vhosts", "name", "tracing", "description", "tags"): "name\ttracing\tdescription\ttags\n/\tfalse\t\t[]\nv1\tfalse\td\t[a, b]\n",
            ("list_permissions",): 'Listing permissions for vhost "/" ...\nuser\tconfigure\twrite\tread\nguest\t.*\t.*\t.*\nbob\ta\tb\tc\n',
            ("list_user_permissions", "bob"): 'Listing permissions for user "bob" ...\nvhost\tconfigure\twrite\tread\n/\ta\tb\tc\n',
            ("--formatter", "json", "list_user_permissions", "bob"): '[\n{"vhost":"/","configure":"a","write":"b","read":"c"}\n]\n',
            ("list_topic_permissions",): 'Listing topic permissions for vhost "/" ...\nuser\texchange\twrite\tread\nbob\tamq.topic\tx\ty\n',
            ("list_user_topic_permissions", "bob"): 'Listing topic permissions for user "bob" ...\n/\tamq.topic\tx\ty\n',
            ("list_policies",): 'Listing policies for vhost "/" ...\nvhost\tname\tpattern\tapply-to\tdefinition\tpriority\n'
                                '/\tp1\t^a\tqueues\t{"max-length":5}\t3\n',
            ("--formatter", "json", "list_policies"):
                '[\n{"vhost":"/","name":"p1","pattern":"^a","apply-to":"queues","definition":"{\\"max-length\\":5}","priority":3}\n]\n',
            ("list_operator_policies",): 'Listing operator policy overrides for vhost "/" ...\nvhost\tname\tpattern\tapply-to\tdefinition\tpriority\n'
                                         '/\tp1\t^a\tall\t{"max-length":5}\t0\n',
            ("list_user_limits", "--user", "bob"): 'Listing limits for user "bob" ...\n{"max-connections":3}\n',
            ("-q", "list_user_limits", "--user", "guest"): "{}\n",
            ("list_user_limits", "--global"): 'Listing limits for all users ...\nuser\tlimits\nbob\t{"max-connections":3}\n',
            ("list_vhost_limits", "-p", "v1"): 'Listing limits for vhost "v1" ...\n{"max-queues":3}\n',
            ("-q", "list_vhost_limits"): "\n",
            ("--formatter", "json", "list_vhost_limits", "--global"): '[\n{"vhost":"v1","limits":"{\\"max-queues\\":3}"}\n]\n',
        }
        for words, wanted in cases.items():
            self.assertEqual(in_order(self.ctl(*words)), in_order(wanted), words)
        self.assertIn("quorum_queue\tenabled\n", self.ctl("list_feature_flags"))
        self.ctl("enable_feature_flag", "all")
        self.ctl("enable_feature_flag", "quorum_queue")
        self.assertIn("nonsense", self.refused("enable_feature_flag", "nonsense"))
        self.assertEqual(self.refused("list_vhosts", "nonsense"), "Info key(s) nonsense are not supported")
        rows = list(csv.reader(io.StringIO(self.ctl("--formatter", "csv", "list_policies"))))
        self.assertEqual(rows[1][4], '{"max-length":5}')
        self.ctl("set_vhost_tags", "v1", "x", "y", "z")
        self.assertIn("v1\td\t[x, y, z]\n", self.ctl("-s", "list_vhosts", "name", "description", "tags"))
        self.assertEqual(self.refused("set_vhost_tags", "none", "x"), "virtual host 'none' does not exist")

    def test_as_scripts_call_it(self):
        """With rabbitmqctl's flags in any place, those that mean nothing here among them."""
        for words in (("-q", "-n", "rabbit", "list_users"), ("list_users", "-q", "--node", "rabbit@x", "-p", "/"), ("-q", "-t", "30", "list_users")):
            self.assertEqual(self.ctl(*words), "user\ttags\nguest\t[administrator]\n")
        self.assertEqual(self.ctl("version"), "3.13.0\n")
        self.assertIn("\nRabbitMQ version: 3.13.0\n", self.ctl("status"))
        status = json.loads(self.ctl("--formatter", "json", "status"))
        self.assertEqual((status["rabbitmq_version"], status["pid"], status["is_under_maintenance"]), ("3.13.0", self.broker.pid, False))
        self.assertIn({"interface": self.broker.address, "port": self.broker.port, "protocol": "amqp"}, status["listeners"])

    def test_wrong_words(self):
        for words, said in ((("nonsense",), "no verb 'nonsense'"), (("cluster_status",), "Gannet is one node"), (("list_users", "x"), "usage: gannetctl list_users"),
                            (("add_user",), "usage: gannetctl add_user [--pre-hashed-password] [--hashing-algorithm NAME] USER [PASSWORD]"),
                            (("list_users", "--priority", "1"), "list_users has no --priority"), (("list_users", "--nonsense"), "--nonsense"),
                            (("list_users", "-Z"), "no flag -Z"), (("list_users", "-p"), "--vhost needs a word"), (("-t", "x", "list_users"), "--timeout"),
                            (("-t", "-1", "list_users"), "--timeout"), (("--formatter", "xml", "list_users"), "no formatter xml"), (("help", "nonsense"), "nonsense"),
                            (("help", "eval"), "written in C"), (("--json=1", "status"), "--json has no word"), (("add_user", "x" * 20000, "y"), "too long"),
                            (("list_user_permissions", "a\tb"), "no tab"), (("add_user", "u"), "there is no password")):
            self.assertIn(said, self.refused(*words), words)
        self.assertIn("usage: gannetctl set_policy [-p VHOST]", self.ctl("help", "set_policy"))
        self.assertEqual(self.ctl("help", "set_policy"), self.ctl("set_policy", "--help"))

    def test_queues_purged_and_deleted(self):
        self.ctl("add_vhost", "v")
        with self.broker.channel() as channel:
            for name in "q", "größer", "used":
                channel.queue_declare(name, durable=True)
                for _ in range(3):
                    channel.basic_publish("", name, b"x", PERSISTENT)
            channel.basic_consume("used", lambda *_: None)
            channel.queue_declare("own", exclusive=True)
            channel.queue_declare("used", passive=True)
            self.assertEqual(json.loads(self.ctl("--json", "purge_queue", "größer")), [{"messages": 3}])
            self.assertEqual(channel.queue_declare("größer", passive=True).method.message_count, 0)
            self.assertIn("not empty", self.refused("delete_queue", "q", "--if-empty"))
            self.assertIn("in use", self.refused("delete_queue", "used", "-u"))
            self.assertEqual(json.loads(self.ctl("--json", "delete_queue", "q")), [{"messages": 3}])
            self.ctl("delete_queue", "größer", "-e", "-u")
            for verb in "purge_queue", "delete_queue":
                self.assertEqual(self.refused(verb, "none"), "no queue 'none' in vhost '/'")
                self.assertIn("no queue 'used'", self.refused("-p", "v", verb, "used"))
                self.assertEqual(self.refused("-p", "none", verb, "used"), "virtual host 'none' does not exist")
                self.assertIn("exclusive", self.refused(verb, "own"))
                self.assertIn("longer than 255", self.refused(verb, "x" * 256))
        self.broker.kill9()
        self.broker.start()
        self.assertEqual(self.ctl("-s", "list_queues", "name"), "used\n")

    def test_connections_of_a_virtual_host(self):
        self.ctl("add_vhost", "v")
        self.ctl("set_permissions", "-p", "v", "guest", ".*", ".*", ".*")
        here, there = self.broker.connect(), self.broker.connect(virtual_host="v")
        self.assertEqual(json.loads(self.ctl("--json", "-p", "v", "close_all_connections", "go away")), [{"closed": 1}])
        with self.assertRaises(ConnectionClosedByBroker) as closed:
            there.process_data_events(time_limit=PATIENCE_S)
        self.assertEqual((closed.exception.reply_code, closed.exception.reply_text), (320, "CONNECTION_FORCED - go away"))
        here.channel().queue_declare("q")
        self.assertEqual(json.loads(self.ctl("--json", "close_all_connections", "--global", "all")), [{"closed": 1}])
        with self.assertRaises(ConnectionClosedByBroker):
            here.process_data_events(time_limit=PATIENCE_S)

    def test_health_checks(self):
        for words in (["ping"], ["check_running"], ["is_running"], ["check_virtual_hosts"], ["check_port_connectivity"], ["check_port_listener", str(self.broker.port)],
                      ["check_protocol_listener", "amqp"], ["check_certificate_expiration"], ["check_certificate_expiration", "--within", "2", "--unit", "years"],
                      ["check_if_node_is_quorum_critical"], ["check_alarms"], ["check_local_alarms"]):
            self.assertNotEqual(self.ctl(*words), "")
        self.assertEqual(json.loads(self.ctl("--json", "alarms")), [])
        self.assertIn("no listener for port 1; there are %d" % self.broker.port, self.refused("check_port_listener", "1"))
        self.assertIn("there are amqp", self.refused("check_protocol_listener", "mqtt"))
        for words in ["--within", "0"], ["--within", "x"], ["--unit", "hours"]:
            self.assertIn("--within needs", self.refused("check_certificate_expiration", *words))
        self.ctl("suspend_listeners")
        self.assertIn("Connection refused", self.refused("check_port_connectivity"))
        self.ctl("resume_listeners")

    def test_wait_and_stop(self):
        self.ctl("await_startup")
        with self.broker.channel() as channel:
            channel.queue_declare("q", durable=True)
        self.ctl("stop")
        self.broker.wait_end()
        self.assertIn("no broker answers", self.refused("ping"))
        self.assertIn("has not started", self.refused("--timeout", "1", "await_startup"))
        waiting = subprocess.Popen([GANNETCTL, "-D", self.broker.data, "wait", "/run/pid", "--timeout", "60"])
        self.broker.start()
        self.assertEqual(waiting.wait(PATIENCE_S), 0)
        self.assertEqual(self.ctl("-s", "list_queues", "name"), "q\n")

    def test_a_timeout(self):
        with socket.socket(socket.AF_UNIX) as deaf:
            path = os.path.join(self.broker.own, "deaf")
            deaf.bind(path)
            deaf.listen()
            self.assertIn("--timeout", self.refused("--socket", path, "-t", "1", "list_users"))

    def test_report(self):
        report = self.ctl("report")
        for part in "== status", "== list_users", "router.published", "guest", "amq.topic":
            self.assertIn(part, report)

    @unittest.skipUnless(GANNET_MGMTD, "no gannet-mgmtd")
    def test_definitions(self):
        file = os.path.join(self.broker.own, "all.json")
        self.assertIn("does it run?", self.refused("export_definitions", file))
        with Mgmtd(self.broker.data), self.broker.channel() as channel:
            channel.queue_declare("q", durable=True)
            self.ctl("add_user", "u", "pw")
            self.ctl("export_definitions", file)
            self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
            with open(file, encoding="utf-8") as exported:
                text = exported.read()
            self.assertEqual([queue["name"] for queue in json.loads(text)["queues"]], ["q"])
            self.assertEqual(json.loads(self.ctl("export_definitions", "-p", "/"))["queues"][0]["name"], "q")
            self.ctl("delete_queue", "q")
            self.ctl("delete_user", "u")
            self.assertIn("nobody", self.refused("import_definitions", file, "--user", "nobody"))
            self.ctl("import_definitions", file, "--user", "guest")
            self.assertEqual(self.ctl("-s", "list_queues", "name"), "q\n")
            self.ctl("authenticate_user", "u", "pw")
            self.ctl("delete_queue", "q")
            self.ctl("import_definitions", file)
            self.assertEqual(self.ctl("-s", "list_queues", "name"), "q\n")
            self.ctl("import_definitions", said=json.dumps({"users": json.loads(text)["users"]}))
            for words, said in ((["none.json"], "No such file"), ([], "JSON"), (["-p", "none", file], "none")):
                self.assertIn(said, self.refused("import_definitions", *words, said="nonsense"), words)
            self.assertIn("No such file", self.refused("export_definitions", "/nowhere/x"))
        until(lambda: self.run_ctl("ping").returncode == 0, "the broker")


if __name__ == "__main__":
    main()

"""RabbitMQ's rabbitmqadmin, unchanged, drives the HTTP API. Its export and import: api_definitions.py."""
import os
import subprocess
import unittest

import pika

from management import Api
from runner import main

RABBITMQADMIN = "/usr/bin/rabbitmqadmin"


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
        with self.broker.channel() as channel:
            channel.queue_declare("q")
            channel.basic_consume("q", lambda *_: None)
            self.assertEqual(self.admin("list", "queues", "name", "messages"), [["q", "0"]])
            self.assertIn(["amq.topic", "topic"], self.admin("list", "exchanges", "name", "type"))
            self.assertEqual(self.admin("list", "bindings", "destination", "routing_key"), [["q", "q"]])
            self.assertEqual(self.admin("list", "connections", "user", "vhost"), [["guest", "/"]])
            self.assertEqual(self.admin("list", "channels", "number", "consumer_count"), [["1", "1"]])
            self.assertEqual(self.admin("list", "consumers", "queue.name"), [["q"]])
        self.admin("declare", "queue", "name=q2", "durable=true", 'arguments={"x-max-length":5}')
        self.admin("declare", "exchange", "name=e", "type=topic")
        self.admin("declare", "binding", "source=e", "destination=q2", "routing_key=a.#")
        self.admin("publish", "exchange=e", "routing_key=a.b", "payload=hello", 'properties={"delivery_mode":2}')
        self.assertEqual([row[3] for row in self.admin("get", "queue=q2", "ackmode=ack_requeue_false", "count=1")], ["hello"])
        self.admin("purge", "queue", "name=q2")
        self.admin("delete", "binding", "source=e", "destination=q2", "destination_type=queue", "properties_key=a.%23")
        self.admin("delete", "exchange", "name=e")
        self.admin("delete", "queue", "name=q2")
        self.admin("declare", "vhost_limit", "vhost=v", "name=max-queues", "value=7")
        self.assertEqual(self.admin("list", "vhost_limits"), [["v", '{"max-queues": 7}']])
        self.assertEqual(self.admin("list", "parameters", "component", "name"), [["operator_policy", "o"], ["vhost-limits", "limits"]])
        self.admin("declare", "parameter", "component=operator_policy", "name=o2", 'value={"pattern":"","definition":{"max-length":1}}')
        self.admin("delete", "parameter", "component=operator_policy", "name=o2")
        self.admin("delete", "vhost_limit", "vhost=v", "name=max-queues")
        connection = self.broker.connect()
        names = self.admin("list", "connections", "name")
        self.admin("close", "connection", "name=" + names[0][0])
        with self.assertRaises(pika.exceptions.ConnectionClosedByBroker):
            while True:
                connection.process_data_events(1)
        for words in ("policy", "name=p"), ("operator_policy", "name=o"), ("permission", "vhost=v", "user=u"), ("user", "name=u"), ("vhost", "name=v"):
            self.admin("delete", *words)
        self.assertEqual((len(self.get("users")), len(self.get("vhosts")), self.get("policies")), (1, 1, []))


if __name__ == "__main__":
    main()

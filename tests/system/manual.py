"""--help, the manual pages and bash's completion have the same verbs, flags and keys, and are well formed."""
import os
import re
import subprocess
import unittest

from broker import GANNETCTL, GANNETD, PATIENCE_S, Broker
from runner import main

MANUAL = os.environ["GANNET_MANUAL"]
PAGES = ["gannetctl.1", "gannetd.8", "gannet-mgmtd.8", "gannet.conf.5"]
BASH = r'''
gannetctl() { "$GANNETCTL" "$@"; }
. "$GANNET_MANUAL/gannetctl"
COMP_WORDS=(gannetctl "$@")
COMP_CWORD=$#
_gannetctl
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
'''


def said(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=PATIENCE_S, **more).stdout


def rows(kind):
    return [row[1:] for row in (line.split("\t") for line in said(GANNETCTL, "help", "--rows").splitlines()) if row[0] == kind]


def page(name):
    """As it is read, without hyphens that man puts in."""
    env = dict(os.environ, MANWIDTH="200", LC_ALL="C.UTF-8", MAN_KEEP_FORMATTING="")
    text = said("man", "-l", "--nh", "--nj", os.path.join(MANUAL, name), env=env)
    return re.sub(".\b", "", text)


def completed(*words):
    return said("bash", "-c", BASH, "bash", *words).splitlines()


class Pages(unittest.TestCase):
    def test_well_formed(self):
        for name in PAGES:
            file = os.path.join(MANUAL, name)
            done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", file], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            self.assertEqual((done.returncode, done.stdout), (0, ""), name)
            done = subprocess.run(["man", "-l", "--warnings", file], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)
            self.assertNotIn("@", re.sub(r"@\w*(rabbit|host)", "", done.stdout) if name != "gannet.conf.5" else "", name)

    def test_the_same_verbs(self):
        verbs = [row[0] for row in rows("verb")]
        self.assertEqual(len(verbs), len(set(verbs)))
        self.assertGreater(len(verbs), 60)
        helped = re.findall(r"^  ([\w-]+)(?: |$)", said(GANNETCTL, "--help").split("Flags of every verb")[0], re.M)
        self.assertEqual(helped, verbs)
        described = re.findall(r"^     ([a-z][\w-]+)(?: |$)", page("gannetctl.1").split("\nVERBS\n")[1].split("\nFLAGS\n")[0], re.M)
        self.assertEqual(described, verbs)
        self.assertEqual(completed(""), verbs)

    def test_the_same_flags(self):
        general = [row[0] for row in rows("flag") if row[3] == "general"]
        page_of_flags = page("gannetctl.1").split("\nFLAGS\n")[1].split("\nFILES\n")[0]
        self.assertEqual(re.findall(r"^     (?:-\w, )?--([\w-]+)", page_of_flags, re.M), general + [row[0] for row in rows("flag") if row[3] != "general"])
        helped = said(GANNETCTL, "--help").split("Flags of every verb")[1]
        self.assertEqual(re.findall(r"^  (?:-\w,|   ) --([\w-]+)", helped, re.M), general)
        for verb, _, flags, _ in rows("verb"):
            self.assertEqual(completed(verb, "--"), ["--" + flag for flag in general + flags.split()], verb)
        for verb in "set_policy", "drain", "status":
            flags, = [row[2].split() for row in rows("verb") if row[0] == verb]
            self.assertEqual(re.findall(r"^  (?:-\w,|   ) --([\w-]+)", said(GANNETCTL, "help", verb), re.M), flags)

    def test_what_there_is_not(self):
        verbs, missing = [row[0] for row in rows("verb")], page("gannetctl.1").split("\nCOMPATIBILITY\n")[1]
        for verb, why in rows("none"):
            done = subprocess.run([GANNETCTL, verb], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            self.assertEqual((done.returncode, done.stderr), (1, "gannetctl: there is no %s: %s\n" % (verb, why)))
            self.assertNotIn(verb, verbs)
            self.assertIn(verb, missing)

    def test_the_same_keys(self):
        keys = re.findall(r"^\| `(.*?)` \|", said(GANNETD, "--help-options"), re.M)
        self.assertEqual(re.findall(r"^     ([a-z][\w.]+) =", page("gannet.conf.5"), re.M), keys)

    def test_the_same_options(self):
        for name, program in ("gannetd.8", GANNETD), ("gannet-mgmtd.8", os.environ["GANNET_MGMTD"]):
            helped = re.findall(r"^  (?:-\w,|   ) --([\w-]+)", said(program, "--help"), re.M)
            self.assertEqual(re.findall(r"^     (?:-\w, )?--([\w-]+)", page(name), re.M), helped)


class Completion(unittest.TestCase):
    def test_verbs_and_values(self):
        self.assertEqual(completed("dra"), ["drain"])
        self.assertEqual(completed("nonsense"), [])
        self.assertEqual(completed("--formatter", "j"), ["json"])
        self.assertEqual(completed("--formatter", "json", "dra"), ["drain"])
        self.assertEqual(completed("set_policy", "--apply-to", "qu"), ["queues", "quorum_queues"])
        self.assertEqual(completed("help", "set_u"), ["set_user_tags", "set_user_limits"])
        self.assertEqual(completed("status", ""), [])
        self.assertEqual(completed("-D", MANUAL[:-3]), [MANUAL])
        self.assertIn("complete -o filenames", said("bash", "-c", '. "$GANNET_MANUAL/gannetctl" && complete -p gannetctl'))

    def test_names_that_the_broker_knows(self):
        with Broker(vhosts="/,other one") as broker:
            with broker.channel() as channel:
                channel.queue_declare("orders")
                channel.queue_declare("odd name")
            own = ("-D", broker.data)
            self.assertEqual(completed(*own, "-p", "o"), ["other one"])
            self.assertEqual(sorted(completed(*own, "delete_queue", "o")), ["odd name", "orders"])
            self.assertEqual(completed(*own, "-p", "other one", "delete_queue", "o"), [])
            self.assertEqual(completed(*own, "set_permissions", "gu"), ["guest"])
            self.assertEqual(completed(*own, "set_topic_permissions", "guest", "amq.t"), ["amq.topic"])
            broker.stop()
            self.assertEqual(completed(*own, "delete_queue", "o"), [])
            broker.start()


if __name__ == "__main__":
    main()

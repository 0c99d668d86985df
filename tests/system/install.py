"""What "meson install" puts where, and that it is good: units, users, directories, the configuration, and a broker started from there.

Nothing is written outside of a directory of this test. deploy/trial, run by hand, goes on from here: a Debian that systemd has booted.
"""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import broker
from broker import PATIENCE_S, Broker
from runner import main

MESON = os.environ["MESON"].split()
BUILD_ROOT = os.environ["BUILD_ROOT"]
SOURCE_ROOT = os.environ["SOURCE_ROOT"]
KEEP_CONFIG = os.path.join(SOURCE_ROOT, "deploy", "systemd", "keep_config")
UNITS = ("gannetd.service", "gannet-mgmtd.service")
# systemd-analyze's own scale, times ten: up to 20 is "OK".
EXPOSURE_MOST = 20


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **more)


def option(name):
    found = json.loads(run(*MESON, "introspect", BUILD_ROOT, "--buildoptions").stdout)
    return next(each["value"] for each in found if each["name"] == name)


class Installed(unittest.TestCase):
    """One installation for all tests; they only look, or write to what is theirs."""

    @classmethod
    def setUpClass(cls):
        cls.at = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="gannet-install-"))
        installed = run(*MESON, "install", "-C", BUILD_ROOT, "--no-rebuild", env=dict(os.environ, DESTDIR=cls.at))
        if installed.returncode != 0:
            raise AssertionError(installed.stdout + installed.stderr)
        cls.prefix = option("prefix")
        cls.conf = os.path.join(cls.prefix, option("sysconfdir"), "gannet", "gannet.conf")

    def path(self, *parts):
        return self.at + os.path.join(self.prefix, *parts)

    def unit(self, name):
        with open(self.path("lib", "systemd", "system", name), encoding="utf-8") as file:
            return file.read()

    def test_programs_and_documents(self):
        for name in ("sbin/gannetd", "sbin/gannet-mgmtd", "bin/gannetctl", "bin/gannet-bench"):
            self.assertTrue(os.access(self.path(name), os.X_OK), name)
        for name in ("doc/gannet/OPTIONS.md", "doc/gannet/examples/gannetd-dpdk.conf", "doc/gannet/examples/gannetd-pinned.conf"):
            self.assertTrue(os.path.exists(self.path("share", name)), name)

    def test_units(self):
        """As systemd reads them: staged programs stand for those that aren't installed."""
        with tempfile.TemporaryDirectory(dir=self.at) as units:
            for name in UNITS:
                text = self.unit(name)
                with open(os.path.join(units, name), "w", encoding="utf-8") as file:
                    file.write(re.sub("(?m)^ExecStart=", "ExecStart=" + self.at, text))
            said = run("systemd-analyze", "verify", "--man=no", *(os.path.join(units, name) for name in UNITS))
            self.assertEqual([line for line in said.stderr.split("\n") if "gannet" in line], [])
            self.assertEqual(said.returncode, 0, said.stderr)

    def test_units_leave_little_to_attackers(self):
        for name in UNITS:
            said = run("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=%d" % EXPOSURE_MOST,
                       self.path("lib", "systemd", "system", name))
            self.assertEqual(said.returncode, 0, said.stdout[-2000:] + said.stderr)

    def test_paths_in_units(self):
        """What a unit names is what was installed."""
        for name in UNITS:
            for named in re.findall(r"(?m)^(?:ExecStart|EnvironmentFile)=-?(\S+)| -c (/\S+)", self.unit(name)):
                self.assertTrue(os.path.exists(self.at + "".join(named)), named)

    @unittest.skipUnless(os.geteuid() == 0, "files of other users are made by root")
    def test_users_and_directories(self):
        for name in ("etc", "var/lib"):
            os.makedirs(os.path.join(self.at, name), exist_ok=True)
        for program, words, folder in (("systemd-sysusers", [], "sysusers.d"), ("systemd-tmpfiles", ["--create"], "tmpfiles.d")):
            said = run(program, "--root", self.at, *words, self.path("lib", folder, "gannet.conf"))
            self.assertEqual(said.returncode, 0, said.stderr)
        with open(os.path.join(self.at, "etc", "passwd"), encoding="utf-8") as file:
            users = {line.split(":")[0]: line.split(":") for line in file}
        with open(os.path.join(self.at, "etc", "group"), encoding="utf-8") as file:
            self.assertIn("gannet:x:%s:gannet-mgmt\n" % users["gannet"][3], file.read())
        data, config = os.stat(os.path.join(self.at, "var/lib/gannet")), os.stat(self.at + self.conf)
        self.assertEqual((data.st_uid, data.st_gid, data.st_mode & 0o7777), (int(users["gannet"][2]), int(users["gannet"][3]), 0o1770))
        self.assertEqual((config.st_uid, config.st_gid, config.st_mode & 0o7777), (0, int(users["gannet"][3]), 0o640))

    def test_the_configuration_is_good(self):
        said = run(self.path("sbin", "gannetd"), "--check-config", "-c", self.at + self.conf)
        self.assertEqual((said.returncode, said.stderr), (0, ""))

    def test_a_broker_starts_from_there(self):
        """Its log is as the journal wants it when its standard error is the journal."""
        self.addCleanup(setattr, broker, "GANNETD", broker.GANNETD)
        broker.GANNETD = self.path("sbin", "gannetd")
        with Broker(config=self.at + self.conf) as started:
            started.connect().close()
            self.assertRegex(started.log.lines[0], r"^\d{4}-\d\d-\d\dT\S+ info main: gannetd ")


class KeptConfiguration(unittest.TestCase):
    """keep_config: what an operator changed stays, what nobody changed follows the version."""

    def setUp(self):
        self.own = self.enterContext(tempfile.TemporaryDirectory(prefix="gannet-config-"))
        self.config = os.path.join(self.own, "etc", "x.conf")

    def install(self, text):
        new = os.path.join(self.own, "new")
        with open(new, "w", encoding="utf-8") as file:
            file.write(text)
        said = run(KEEP_CONFIG, new, "/share/x.conf", "/etc/x.conf", env=dict(os.environ, DESTDIR=self.own))
        self.assertEqual((said.returncode, said.stderr), (0, ""))
        return said.stdout

    def change(self, text):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, behind=""):
        try:
            with open(self.config + behind, encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def test_first(self):
        self.assertEqual((self.install("one"), self.read(), self.read(".new")), ("", "one", None))

    def test_never_changed(self):
        self.install("one")
        os.chmod(self.config, 0o600)
        self.assertEqual((self.install("two"), self.read(), self.read(".new")), ("", "two", None))
        self.assertEqual(os.stat(self.config).st_mode & 0o777, 0o600)

    def test_changed(self):
        self.install("one")
        self.change("mine")
        self.assertIn("was changed and stays", self.install("two"))
        self.assertEqual((self.read(), self.read(".new")), ("mine", "two"))

    def test_changed_while_the_version_has_nothing_new(self):
        self.install("one")
        self.change("mine")
        self.assertEqual((self.install("one"), self.read(), self.read(".new")), ("", "mine", None))

    def test_already_what_is_new(self):
        self.install("one")
        self.change("two")
        self.assertEqual((self.install("two"), self.read(), self.read(".new")), ("", "two", None))

    def test_removed_and_installed_again(self):
        """What was shipped is forgotten then, the configuration isn't."""
        self.install("one")
        self.change("mine")
        shutil.rmtree(os.path.join(self.own, "share"))
        self.install("two")
        self.assertEqual((self.read(), self.read(".new")), ("mine", "two"))


if __name__ == "__main__":
    main()

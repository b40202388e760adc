# SPDX-License-Identifier: Apache-2.0
"""house.py - daemons for integration tests in Python: what tests/harness/lib.sh is for shell scripts.

Each House is one throw-away directory with a root file system and the test plugins; each Daemon in it has its own configuration,
run directory, cgroup root and log. Everything ends and is removed when the `with` block is left; CL_KEEP=1 keeps the directory.
Environment: CL_PREFIX (an installed tree), CL_BUILD (the build directory that it came from).
"""
import argparse
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "tests/harness"))
import leaks  # noqa: E402
import wire  # noqa: E402


def eventually(seconds, condition):
    """Waits until condition() is true; what it was last."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.02)


class House:
    def __init__(self):
        self.prefix = os.environ["CL_PREFIX"]
        self.build = os.environ["CL_BUILD"]
        self.work = tempfile.mkdtemp(prefix="cloister-house.", dir="/tmp")
        os.chmod(self.work, 0o755)
        self.daemons = []
        self.rootfs = os.path.join(self.work, "rootfs")
        self.plugins = os.path.join(self.work, "plugins")
        os.mkdir(self.plugins, 0o755)
        subprocess.run([os.path.join(SOURCE, "tools/mkrootfs"), self.rootfs], check=True, stdout=subprocess.DEVNULL)
        self.install(os.path.join(self.build, "tests/probe/probe"), os.path.join(self.rootfs, "bin"))
        for plugin in glob.glob(os.path.join(self.build, "tests/plugins/*.so")):
            self.install(plugin, self.plugins)

    @staticmethod
    def install(path, directory):
        target = os.path.join(directory, os.path.basename(path))
        shutil.copyfile(path, target)
        os.chmod(target, 0o755)

    def daemon(self, name="d", **config):
        daemon = Daemon(self, name, **config)
        self.daemons.append(daemon)
        return daemon

    def __enter__(self):
        return self

    def __exit__(self, kind, *unused):
        for daemon in self.daemons:
            daemon.remove(told=kind is not None)
        if os.environ.get("CL_KEEP"):
            print(f"    kept: {self.work}")
        else:
            shutil.rmtree(self.work)


class Daemon:
    """wrap, transport: entries of the configuration; services: more of them; store: the persistence plugin, store_wrap: around
    it; isolation, top: more keys of the isolation entry and of the top level."""

    def __init__(self, house, name, wrap=None, transport="unix-json", services=(), store="memory", store_wrap=None, isolation=None,
                 top=None):
        self.house = house
        self.directory = os.path.join(house.work, name)
        self.run = os.path.join(self.directory, "run")
        self.socket = os.path.join(self.run, "control.sock")
        self.config_path = os.path.join(self.directory, "cloister.conf")
        self.log_path = os.path.join(self.directory, "log")
        self.cgroup = f"/cloister-{os.path.basename(house.work)}-{name}"
        self.process = None
        self.prepare = []  # a command that the daemon is started by
        self.before = None
        os.mkdir(self.directory, 0o755)
        isolation = {"plugin": "namespaces", "cgroup_root": self.cgroup,
                     "ids": {"first": 1000000, "count": 65536, "each": "sandbox"}, **(isolation or {})}
        if wrap:
            isolation["wrap"] = wrap
        persistence = {"plugin": store}
        if store_wrap:
            persistence["wrap"] = store_wrap
        control = {"name": "control", "personality": {"plugin": "control"},
                   "listen": [{"transports": [transport], "address": f"unix:{self.socket}", "mode": "0660"}],
                   "isolation": "main", "persistence": "main", "machine": ["stats"],
                   "grant": {"see": ["*"], "act": ["*"]}}
        self.config = {"instance": name, "run_dir": self.run, "state_dir": os.path.join(self.directory, "state"),
                       "plugin_path": [os.path.join(house.prefix, "lib/cloister/plugins"), house.plugins],
                       "log": {"level": "debug"}, "persistence": {"main": persistence},
                       "isolation": {"main": isolation}, "services": [control, *services], **(top or {})}

    def spawn(self, *arguments, **more):
        """Starts the program and does not wait for it."""
        with open(os.open(self.config_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(self.config, file)
        with open(self.log_path, "ab") as log:
            program = os.path.join(self.house.prefix, "sbin/cloisterd")
            return subprocess.Popen([*self.prepare, program, "--config", self.config_path, *arguments],
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **more)

    def start(self, seconds=10):
        self.process = self.spawn()
        assert eventually(seconds, self.answers), "the daemon does not answer"
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.process.returncode} at its start")
        try:
            with self.client(5) as client:
                return client.call("version")
        except (FileNotFoundError, ConnectionError):
            return None

    def client(self, timeout=60):
        return wire.Client(self.socket, timeout)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=75):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def logged(self, pattern, seconds=2):
        """Is there a log line with this regular expression?"""
        assert eventually(seconds, lambda: re.search(pattern, self.log())), f"the log has no line like '{pattern}'"

    def cookie(self):
        with open(os.path.join(self.run, "instance"), encoding="ascii") as file:
            return json.load(file)["cookie"][:8]

    # ---- leaks ----

    def snapshot(self):
        return leaks.snapshot(argparse.Namespace(work=self.house.work, cgroup=self.cgroup, run=self.run, cookie=self.cookie(),
                                                 daemon=self.process.pid, namespaces=set()))

    def mark(self):
        """From here on nothing may be left behind."""
        self.before = self.snapshot()

    def clean(self, seconds=10):
        new = None

        def same():
            nonlocal new
            new = self.snapshot() - self.before
            return not new
        assert eventually(seconds, same), f"left behind: {sorted(new)}"

    # ---- the end ----

    def cgroup_directories(self):
        for top in glob.glob("/sys/fs/cgroup/*" + glob.escape(self.cgroup)):
            for path, _, _ in os.walk(top, topdown=False):
                yield path

    def empty_cgroups(self):
        for path in list(self.cgroup_directories()):
            try:
                with open(os.path.join(path, "cgroup.procs"), encoding="ascii") as file:
                    for pid in file.read().split():
                        if pid != "0":
                            os.kill(int(pid), signal.SIGKILL)
                os.rmdir(path)
            except OSError:
                continue
        return not list(self.cgroup_directories())

    def remove(self, told):
        if self.process and self.process.poll() is None:
            self.kill()
        if told and os.path.exists(self.log_path):
            print("    the daemon's log ends:")
            for line in self.log().splitlines()[-25:]:
                print("      " + line)
        said = re.search("(Address|Leak|Thread)Sanitizer.*|runtime error:.*|Assertion.*", self.log() if os.path.exists(self.log_path) else "")
        assert told or not said, f"the daemon said: {said[0]}"
        assert eventually(5, self.empty_cgroups), f"cgroups below {self.cgroup} cannot be removed"

# SPDX-License-Identifier: Apache-2.0
"""peers.py - other OCI runtimes, driven by their command lines; their state lies below a directory of ours."""
import glob
import os
import shutil
import subprocess

from watch import Failed


class Peer:
    def __init__(self, name, work):
        self.name = name
        self.path = shutil.which(name)
        self.root = os.path.join(work, name)
        self.prefix = f"cloister-bench-{os.getpid()}-{name}"
        self.missing = None  # why it is not measured
        self.note = ""
        self.sleeper = None
        if not self.path:
            self.missing = f"there is no {name} here"

    def version(self):
        done = subprocess.run([self.path, "--version"], capture_output=True, text=True, check=False)
        return done.stdout.splitlines()[0] if done.stdout else "?"

    def command(self, *words):
        return [self.path, "--root", self.root, *words]

    def run(self, bundle):
        """A task: a new container runs to its end, and is gone."""
        return {"what": "program", "argv": self.command("run", "--bundle", bundle.directory), "name": self.prefix}

    def execute(self, *args):
        return {"what": "program", "argv": self.command("exec", self.sleeper, *args)}

    def start_sleeper(self, watch, bundle):
        name = self.prefix + "-sleeper"
        watch.time("program", argv=self.command("run", "--detach", "--bundle", bundle.directory, name))
        self.sleeper = name

    def end_sleeper(self, watch):
        if self.sleeper:
            watch.time("program", argv=self.command("delete", "--force", self.sleeper))
            self.sleeper = None

    def refusal(self, watch, bundle):
        """Why it cannot run this; None if it can."""
        try:
            watch.time(**self.run(bundle))
        except Failed as failed:
            return str(failed)
        return None

    def left_behind(self):
        yield from glob.glob(f"/sys/fs/cgroup/*/**/*{self.prefix}*", recursive=True)
        yield from glob.glob(self.root + "/*")

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What cloisterd answers without serving: plugins_offline.py CLOISTERD DIRECTORY-OF-tests/badplugins. Root only."""
import os
import shutil
import subprocess
import sys
import tempfile

CONFIG = """{
  "plugin_path": [ "%(plugins)s" ],
  "run_dir": "%(prefix)s/run", "state_dir": "%(prefix)s/state",
  "persistence": { "main": { "plugin": "trace", "secret": "swordfish" } },
  "isolation": { "main": { "plugin": "good-isolation" } },
  "services": [
    { "name": "s", "personality": { "plugin": "%(personality)s" },
      "listen": [ { "transports": [ "good-transport" ], "address": "unix:%(prefix)s/s.sock" } ],
      "isolation": "main", "persistence": "main" } ]
}
"""
USED = ["trace", "good-isolation", "good-personality", "good-transport", "needs-push", "bad-major"]
# Whatever would change something outside the process. open for writing is looked at apart.
CHANGES = "mkdir,mkdirat,socket,bind,mount,unlink,unlinkat,rename,renameat,renameat2,clone3,fork,vfork,chmod,fchmodat,symlinkat"


class Run:
    def __init__(self, daemon, built):
        self.daemon, self.built, self.failed = daemon, built, 0
        self.prefix = tempfile.mkdtemp(prefix="cloister-offline-")
        os.chmod(self.prefix, 0o755)
        self.plugins = self.prefix + "/plugins"
        os.mkdir(self.plugins, 0o755)
        for name in USED:
            shutil.copyfile(f"{built}/{name}.so", f"{self.plugins}/{name}.so")
            os.chmod(f"{self.plugins}/{name}.so", 0o755)
        self.good = self.config("good.conf", "good-personality")

    def config(self, leaf, personality):
        path = f"{self.prefix}/{leaf}"
        with open(path, "w", encoding="utf-8") as to:
            to.write(CONFIG % {"plugins": self.plugins, "prefix": self.prefix, "personality": personality})
        os.chmod(path, 0o644)
        return path

    def ask(self, *args):
        done = subprocess.run([self.daemon, *args], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def expect(self, name, args, code, out=None, err=None):
        """out and err: the whole text, or a function of it."""
        got = self.ask(*args)
        for what, value, want in (("code", got[0], code), ("stdout", got[1], out), ("stderr", got[2], err)):
            if callable(want) and want(value) or want is None or want == value:
                continue
            self.failed += 1
            print(f"FAIL {name}: {what} is {value!r}, not {want!r}")


def command_line(run):
    run.expect("version", ["--version"], 0, lambda out: out.startswith("cloisterd ") and out.endswith("(plugin ABI 0.3)\n"), "")
    run.expect("help", ["--help"], 0, lambda out: all(
        word in out for word in ("--config", "--check-config", "--dump-config", "--list-plugins", "--dump-plugin", "--version")), "")
    hint = "; --help lists the options\n"
    run.expect("unknown option", ["--serve"], 2, "", "cloisterd: unknown option --serve" + hint)
    run.expect("no value", ["--config"], 2, "", "cloisterd: a value is missing after --config" + hint)
    run.expect("argument", ["start"], 2, "", "cloisterd: unexpected argument start" + hint)
    run.expect("two actions", ["--version", "--check-config"], 2, "",
               "cloisterd: only one action at a time, so not also --check-config" + hint)
    run.expect("no config", ["--config", run.prefix + "/none.conf", "--check-config"], 2, "",
               lambda err: f"{run.prefix}/none.conf" in err and "No such file" in err and err.count("\n") == 1)


def plugins(run):
    where = ["--config", run.good]
    path = run.plugins
    refusal = ("it was built for ABI major 1, this daemon has 0; rebuild the plugin against this daemon's headers")
    run.expect("list", [*where, "--list-plugins"], 0,
               f"path={path}/bad-major.so status=refused: plugin file '{path}/bad-major.so': {refusal}\n"
               f"name=good-isolation kind=isolation version=1.0 path={path}/good-isolation.so status=ok\n"
               f"name=good-personality kind=personality version=1.0 path={path}/good-personality.so status=ok\n"
               f"name=good-transport kind=transport version=1.0 path={path}/good-transport.so status=ok\n"
               f"name=needs-push kind=personality version=1.0 path={path}/needs-push.so status=ok\n"
               f"name=trace kind=persistence version=1.0 path={path}/trace.so status=ok\n", "")
    run.expect("dump", [*where, "--dump-plugin", "trace"], 0,
               lambda out: out.startswith(f"name=trace\nkind=persistence\npath={path}/trace.so\nabi_major=0\n"), "")
    run.expect("dump by path", [*where, "--dump-plugin", f"{path}/trace.so"], 0, lambda out: out.startswith("name=trace\n"), "")
    run.expect("dump of a bad one", [*where, "--dump-plugin", "bad-major"], 1, "",
               f"cloisterd: plugin file '{path}/bad-major.so': {refusal}\n")
    run.expect("dump of none", [*where, "--dump-plugin", "moon"], 1, "",
               f"cloisterd: plugin 'moon' was not found: there is no moon.so in {path}; install it or correct plugin_path\n")


def configs(run):
    run.expect("check", ["--config", run.good, "--check-config"], 0, "", "")
    bad = run.config("needs.conf", "needs-push")
    run.expect("check of needs", ["--config", bad, "--check-config"], 2, "",
               f"cloisterd: {bad}:8:37: key 'services[0].listen[0].transports[0]': personality 'needs-push' of service 's' needs transport "
               "capability FDS, PUSH, which 'good-transport' does not provide; name another plugin here\n")
    gone = run.config("gone.conf", "moon")
    run.expect("check of a missing plugin", ["--config", gone, "--check-config"], 2, "",
               f"cloisterd: {gone}:7:47: key 'services[0].personality.plugin': plugin 'moon' was not found: there is no moon.so in "
               f"{run.plugins}; install it or correct plugin_path\n")
    run.expect("dump", ["--config", run.good, "--dump-config"], 0, lambda out: "swordfish" not in out and
               f'persistence.main.secret=(secret)\t# {run.good}:4\n' in out and 'persistence.main.n=3\t# default\n' in out, "")
    run.expect("dump of a bad one", ["--config", gone, "--dump-config"], 0, lambda out: "swordfish" not in out,
               lambda err: "plugin 'moon' was not found" in err)


def side_effects(run):
    if not shutil.which("strace"):
        print("SKIP side effects: no strace")
        return
    trace = run.prefix + "/trace"
    for action in ("--check-config", "--dump-config", "--list-plugins"):
        subprocess.run(["strace", "-f", "-o", trace, "-e", f"trace={CHANGES},open,openat", run.daemon, "--config", run.good, action],
                       capture_output=True, timeout=120, check=False)
        with open(trace, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if "tsan.rodata" in line:  # the thread sanitizer's own
                    continue
                if "open" in line and not ("O_WRONLY" in line or "O_RDWR" in line or "O_CREAT" in line):
                    continue
                if "(" in line and "+++" not in line and "---" not in line:
                    run.failed += 1
                    print(f"FAIL {action} has a side effect: {line.strip()}")


def main():
    if len(sys.argv) != 3 or os.geteuid() != 0:
        sys.exit("usage, as root: plugins_offline.py CLOISTERD DIRECTORY-OF-BUILT-PLUGINS")
    run = Run(sys.argv[1], sys.argv[2])
    try:
        for part in (command_line, plugins, configs, side_effects):
            part(run)
    finally:
        shutil.rmtree(run.prefix)
    print("all as expected" if not run.failed else f"{run.failed} failed")
    sys.exit(1 if run.failed else 0)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bad_configs.py CLOISTERD WORK - bad configurations: where (file:line:column), which key, what was meant; and no side effect.

The daemon is started for real (no --check-config) under strace: before a configuration is known to be good nothing may be made,
mounted, bound or removed, and no other process started.
"""
import os
import re
import subprocess
import sys

GOOD = """{
  "instance": "bad",
  "run_dir": "%(work)s/bad/run",
  "state_dir": "%(work)s/bad/state",
  "plugin_path": [ "%(prefix)s/lib/cloister/plugins" ],
  "persistence": { "main": { "plugin": "memory" } },
  "isolation": { "main": { "plugin": "namespaces", "cgroup_root": "/cloister-bad" } },
  "services": [
    { "name": "control", "personality": { "plugin": "control" },
      "listen": [ { "transports": [ "unix-json" ], "address": "unix:%(work)s/bad/run/control.sock", "mode": "0660" } ],
      "isolation": "main", "persistence": "main" } ]
}
"""

# What: the text replaced, its replacement, and the complaint behind "FILE:".
CASES = [
    ("not JSON", '"instance": "bad"', '"instance": bad', r"2:15: expected a value"),
    ("duplicate key", '"instance": "bad",', '"instance": "bad", "instance": "b",', r"2:22: key 'instance': .*again"),
    ("trailing comma", '"persistence": "main" } ]', '"persistence": "main", } ]', r"11:51: expected a string key"),
    ("text behind the document", "\n}\n", "\n}\n{}\n", r"13:1: "),
    ("unknown key", '"services":', '"servces":', r"8:3: key 'servces': unknown key; did you mean 'services'\?"),
    ("unknown key of a service", '"personality":', '"personalty":', r"9:26: key 'services\[0\].personalty': unknown key; did you mean 'personality'\?"),
    ("unknown key of an endpoint", '"mode": "0660"', '"mod": "0660"', r"10:\d+: key 'services\[0\].listen\[0\].mod': unknown key; did you mean 'mode'\?"),
    ("unknown option", '"cgroup_root"', '"cgroup_rot"', r"7:52: key 'isolation.main.cgroup_rot': unknown .*; did you mean 'cgroup_root'\?"),
    ("wrong type", '"instance": "bad"', '"instance": 7', r"2:15: key 'instance': .*not a number"),
    ("bad instance name", '"instance": "bad"', '"instance": "../x"', r"2:15: key 'instance': "),
    ("relative directory", '"%(work)s/bad/run",', '"run",', r"3:14: key 'run_dir': expected an absolute path"),
    ("path too long for a socket", '"%(work)s/bad/run",', '"/run/' + "a" * 100 + '",', r"3:14: key 'run_dir': .*80 bytes"),
    ("abstract socket", "unix:%(work)s/bad/run/control.sock", "unix:@control", r"10:\d+: key 'services\[0\].listen\[0\].address': "),
    ("address family of later", "unix:%(work)s/bad/run/control.sock", "tcp:127.0.0.1:7777", r"10:\d+: key 'services\[0\].listen\[0\].address': .*tcp"),
    ("bad mode", '"0660"', '"0999"', r"10:\d+: key 'services\[0\].listen\[0\].mode': "),
    ("undefined isolation", '"isolation": "main", "persistence"', '"isolation": "mian", "persistence"',
     r"11:20: key 'services\[0\].isolation': no entry of this name is defined; did you mean 'main'\?"),
    ("missing key", '"name": "control", ', "", r"9:5: key 'services\[0\]': the required key 'name' is missing"),
    ("two services of one name", '"persistence": "main" } ]',
     '"persistence": "main" },\n{ "name": "control", "personality": { "plugin": "control" }, "isolation": "main", "persistence": "main" } ]',
     r"12:11: key 'services\[1\].name': "),
    ("dialling of later", '"listen":', '"dial": [ {} ], "listen":', r"10:\d+: key 'services\[0\].dial'"),
    ("no such plugin", '"plugin": "memory"', '"plugin": "memroy"', r"6:40: key 'persistence.main.plugin': plugin 'memroy' was not found"),
    ("option out of its range", '"cgroup_root": "/cloister-bad"', '"cgroup_root": 5', r"7:67: key 'isolation.main.cgroup_root': "),
    ("plugin of another kind", '{ "plugin": "memory" }', '{ "plugin": "control" }', r"6:40: key 'persistence.main.plugin': .*personality"),
]
CHANGES = ("mkdir,mkdirat,socket,bind,mount,move_mount,fsopen,unlink,unlinkat,rename,renameat,renameat2,clone3,fork,vfork,execveat,chmod,"
           "fchmodat,symlinkat,memfd_create")


def attempt(daemon, work, text):
    """What the daemon says, and what it changed."""
    config, trace = os.path.join(work, "bad.conf"), os.path.join(work, "bad.trace")
    with open(config, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(config, 0o600)
    done = subprocess.run(["strace", "-f", "-qq", "-o", trace, "-e", f"trace={CHANGES}", "-e", "signal=none", daemon, "--config", config],
                          capture_output=True, text=True, timeout=60, check=False,
                          env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))  # LeakSanitizer does not work under strace
    with open(trace, encoding="utf-8", errors="replace") as file:
        changes = [line.strip() for line in file if "(" in line and "/tsan.rodata." not in line]  # TSan's own, at its start
    return config, done.returncode, done.stderr.strip(), changes


def problems(case, daemon, work, places):
    what, old, new, complaint = case
    old, new = (text % places if "%(" in text else text for text in (old, new))
    text = GOOD % places
    if text.count(old) != 1:
        return [f"'{old}' is there {text.count(old)} times"]
    config, code, said, changes = attempt(daemon, work, text.replace(old, new))
    found = []
    if code != 2:
        found.append(f"exit code {code}, not 2")
    if not re.search(re.escape(config) + ":" + complaint, said):
        found.append(f"said {said!r}, not {complaint!r}")
    if changes:
        found.append(f"side effect: {changes[0]}")
    if os.path.exists(os.path.join(work, "bad")):
        found.append("a directory was made")
    return found


def main():
    daemon, work = sys.argv[1:]
    places = {"work": work, "prefix": os.environ["CL_PREFIX"]}
    failed = 0
    for case in CASES:
        for problem in problems(case, daemon, work, places):
            print(f"    {case[0]}: {problem}")
            failed += 1
    print(f"    {len(CASES)} configurations, {failed} complaints about the daemon's")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""leaks.py - what a daemon's sandboxes have left on the machine: processes, mounts, cgroups, links, nft, descriptors, run files.

Other daemons and other people's containers live on the same machine, so nothing is counted in total: a process is ours if it is
in a cgroup below our root, or in a pid namespace that such a process was seen in; everything else carries our cookie or lies below
our directories.

    leaks.py take  --work DIR --cgroup ROOT --run DIR --cookie C8 --daemon PID      prints lines
    leaks.py check --before FILE [--seconds 10] (the same)                          prints what is new; exit code 1 if anything is
"""
import argparse
import collections
import os
import re
import subprocess
import sys
import time


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def cgroup_directories(root):
    """Directories below our root in every mounted hierarchy; the root itself and `keepers` belong to the daemon, not to a sandbox."""
    for line in read("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        if right.split(" ")[0] not in ("cgroup", "cgroup2"):
            continue
        top = left.split(" ")[4] + root
        for path, _, _ in os.walk(top):
            if path not in (top, top + "/keepers"):
                yield path


def processes(root):
    """(pid, namespace) of each process in a cgroup below our root."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        groups = read(f"/proc/{pid}/cgroup")
        if any(line.split(":", 2)[2].startswith(root + "/") for line in groups.splitlines() if line.count(":") >= 2):
            yield pid, link(f"/proc/{pid}/ns/pid")


def by_namespace(wanted):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if link(f"/proc/{pid}/ns/pid") in wanted:
            yield pid


def descriptors(pid):
    """Kinds, not numbers: a socket is a socket whatever its inode is."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for name in names:
        target = link(f"/proc/{pid}/fd/{name}")
        if target:
            yield re.sub(r"^(socket|pipe):\[\d+\]$", r"\1", target)


def run_files(run):
    for path, names, files in os.walk(run):
        for name in names + files:
            yield os.path.join(path, name)


def nft_lines(cookie):
    try:
        done = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return
    for line in done.stdout.splitlines():
        if "cloister" in line or (cookie and cookie in line):
            yield line


def snapshot(options):
    lines = collections.Counter()
    known = dict(processes(options.cgroup))
    own = link("/proc/self/ns/pid")
    options.namespaces |= {namespace for namespace in known.values() if namespace not in ("", own)}
    for pid in set(known) | set(by_namespace(options.namespaces)):
        name = read(f"/proc/{pid}/comm").strip()
        if name:
            lines[f"process {pid} {name}"] += 1
    for path in cgroup_directories(options.cgroup):
        lines[f"cgroup {path}"] += 1
    for line in read("/proc/self/mountinfo").splitlines():
        if options.work in line or (options.cookie and f"cl-{options.cookie}" in line):
            lines[f"mount {line.split(' ')[4]}"] += 1
    for line in read("/proc/net/dev").splitlines()[2:]:
        if line.strip().startswith("cl-"):
            lines[f"link {line.split(':')[0].strip()}"] += 1
    for line in nft_lines(options.cookie):
        lines[f"nft {line}"] += 1
    for target in descriptors(options.daemon):
        target = re.sub(r"(/journal\.)\d+$", r"\1N", target)  # the store goes on in another one when it folds
        lines[f"descriptor {target}"] += 1
    for path in run_files(options.run):
        lines[f"file {path}"] += 1
    return lines


def parse(text):
    lines = collections.Counter()
    for line in text.splitlines():
        count, _, rest = line.partition(" ")
        lines[rest] += int(count)
    return lines


def show(lines):
    for line, count in sorted(lines.items()):
        print(count, line)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=["take", "check"])
    parser.add_argument("--work", required=True)
    parser.add_argument("--cgroup", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--cookie", default="")
    parser.add_argument("--daemon", default="0")
    parser.add_argument("--before")
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    options.namespaces = set()
    if options.action == "take":
        show(snapshot(options))
        return 0
    before = parse(read(options.before))
    deadline = time.monotonic() + options.seconds
    while True:
        new = snapshot(options) - before
        if not new or time.monotonic() > deadline:
            show(new)
            return 1 if new else 0
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())

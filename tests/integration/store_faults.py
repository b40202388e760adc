#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""store_faults.py - the `file` store killed in every system call, with every system call failing, and on a full disk.

A small program (cloister-kit drive) opens the store, changes it and prints what it was promised. strace kills it in its N-th system call,
or lets that one fail, for N = 1, 2, ... until it gets through. Then the store is opened again: what was promised is there, what was not is
there whole or not at all, and nobody is lost. Environment: CL_PREFIX.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

PREFIX = os.environ["CL_PREFIX"]
KIT = os.path.join(PREFIX, "bin/cloister-kit")
PLUGIN = os.path.join(PREFIX, "lib/cloister/plugins/file.so")
CALLS = ("pwrite64", "pread64", "fdatasync", "fsync", "fallocate", "ftruncate", "mkdirat", "openat", "renameat", "unlinkat", "fchmod", "fcntl",
         "getdents64", "close", "fstatfs", "fstat", "newfstatat")
# What can fail with what; strace counts each system call of a set for itself.
FAULTS = {
    "signal=KILL": CALLS,
    "error=ENOSPC": ("pwrite64", "fdatasync", "fsync", "fallocate", "mkdirat", "openat", "renameat"),
    "error=EIO": ("pwrite64", "pread64", "fdatasync", "fsync", "ftruncate", "renameat", "unlinkat", "getdents64"),
    "error=EMFILE": ("openat",),
    "error=ENOMEM": ("openat", "mkdirat", "renameat", "fstatfs"),
}
NO_SPACE = "29"
WORDS = ["put:ant:300", "put:cat:5000", "destroy:bee", "put:ant:200:w", "put:ant:2500", "put:cat:4000", "destroy:dog", "put:ant:100", "get:ant",
         "get:cat", "list"]


def drive(state, words, before=(), fold=4096):
    done = subprocess.run([*before, KIT, "drive", PLUGIN, "-s", state, "-o", f"fold_bytes={fold}", "--", *words], capture_output=True,
                          text=True, timeout=120, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr


class Promise:
    """What a run was told: the generation of each sandbox (0: gone), and what it asked for last without an answer."""

    def __init__(self, start):
        self.sure = dict(start)
        self.may = None
        self.error = {}

    def follow(self, lines):
        told = [line for line in lines if line.startswith(("put:", "destroy:"))]
        for line in told:
            word, answer = line.split(": ", 1)
            verb, name = word.split(":")[:2]
            if answer.startswith("error"):
                self.error[name] = word
            else:
                self.sure[name] = int(answer.split()[1]) if verb == "put" else 0
        asked = [word for word in WORDS if word.startswith(("put:", "destroy:"))]
        if any(line.startswith("open: ok") for line in lines) and len(told) < len(asked):
            verb, name = asked[len(told)].split(":")[:2]
            self.may = (name, self.sure.get(name, 0) + 1 if verb == "put" else 0)


def look(state, label, promise):
    code, lines, errors = drive(state, ["report", "verify", "list", "get:ant", "get:bee", "get:cat", "get:dog"], fold=1 << 20)
    problem = None
    rows = {}
    for line in lines:
        if line.startswith("row: "):
            name, generation, health = line.split()[1:]
            rows[name] = int(generation)
            destroyed = promise.error.get(name, "").startswith("destroy")
            if health != "1" and not (destroyed and generation == "0"):
                problem = f"{name} has health {health}"
        if line.startswith("get:") and "WRONG" in line:
            problem = line
        if line.startswith("report: ok {") and not re.fullmatch(r'report: ok \{("cut":\d+,)?("lost":\{"count":1,"ids":\["bee"\]\},)?"quarantine_bytes":\d+\}', line):
            problem = line
        if line.startswith("verify:") and '"bad":0' not in line and "destroy:bee" not in promise.error.values():
            problem = line
    for name in ("ant", "bee", "cat", "dog"):
        found, sure = rows.get(name, 0), promise.sure.get(name, 0)
        half = found == 0 and promise.error.get(name, "").startswith("destroy")
        if found != sure and promise.may != (name, found) and not half:
            problem = f"{name} is at {found}, {sure} was promised"
    if code != 0 or problem:
        return f"{label}: {problem or errors or lines}"
    return None


def copy(base, state):
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(base, state)


def sweep(work, base, start, inject, call, most=400):
    """One run for each N; returns how many, and what went wrong."""
    state = os.path.join(work, "state")
    trace = os.path.join(work, "trace")
    for number in range(1, most):
        copy(base, state)
        strace = ["strace", "-f", "-qq", "-o", trace, "-e", f"trace={call}", "-e",
                  f"inject={call}:{inject}:when={number}"]
        code, lines, errors = drive(state, WORDS, strace)
        with open(trace, encoding="utf-8", errors="replace") as file:
            text = file.read()
        hit = "INJECTED" in text or "SIGKILL" in text
        if not hit:
            return number - 1, None
        promise = Promise(start)
        promise.follow(lines)
        if "error" in inject:
            promise.may = None if code in (0, 1) else promise.may
            if code not in (0, 1, 127):
                return number, f"{call} {inject} at {number}: it ended with {code}: {errors}"
        problem = look(state, f"{call} {inject} at {number}", promise)
        if problem:
            with open(trace, encoding="utf-8", errors="replace") as file:
                marked = [line for line in file if "INJECTED" in line]
            return number, f"{problem}; {''.join(marked[-2:])} {lines}"
    return most, "it never got through"


def prepare(work):
    base = os.path.join(work, "base")
    os.mkdir(base, 0o700)
    drive(base, ["put:ant:100", "put:bee:100", "put:dog:1500", "put:ant:150"])
    return base, {"ant": 2, "bee": 1, "dog": 1}


def verdict(name, problem, extra=""):
    print(f"not ok {name}: {problem}" if problem else f"ok {name}{extra}")
    return problem is not None


def test_sweeps(work):
    base, start = prepare(work)
    bad = False
    for inject, calls in FAULTS.items():
        points, problem = 0, None
        for call in calls:
            hit, problem = sweep(work, base, start, inject, call)
            points += hit
            if problem:
                break
        bad |= verdict(f"store_faults {inject}", problem, f" ({points} system calls)")
    return bad


def test_full_disk(work):
    mount = os.path.join(work, "small")
    os.mkdir(mount, 0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", mount], check=True)
    try:
        return verdict("store_faults full disk", full_disk(mount))
    finally:
        subprocess.run(["umount", mount], check=True)


def full_disk(mount):
    names = [f"box{number}" for number in range(30)]
    small = [f"put:{name}:100" for name in names]
    _, lines, _ = drive(mount, [*small, *[f"put:{name}:400000" for name in names], "put:new:400000", "put:box0:60", *[f"get:{n}" for n in names]],
                        fold=1 << 22)
    refused = [line for line in lines if f"error {NO_SPACE} " in line]
    if not refused or mount + "/store/main/journal." not in refused[0] or "No space left on device" not in refused[0]:
        return f"not refused with the path: {lines}"
    if not any(line.startswith("put:new:400000: error") for line in lines) or "put:box0:60: ok 3" not in lines:
        return f"a small change of state is to pass, a new sandbox is not: {lines}"
    if any("WRONG" in line for line in lines):
        return f"a record is wrong: {lines}"
    _, lines, _ = drive(mount, [*[f"destroy:{name}" for name in names[:15]], "put:new:400000", "get:new", "get:box29", "list", "report", "stat"],
                        fold=1 << 22)
    if sum(line.startswith("destroy") and line.endswith("ok ") for line in lines) != 15:
        return f"destroy on a full disk: {lines}"
    if "get:new: ok 1 whole" not in lines or "get:box29: ok 1 whole" not in lines or "report: ok " not in lines:
        return f"service does not go on: {lines}"
    with open(os.path.join(mount, "other"), "wb") as file:
        try:
            while file.write(b"x" * 65536):
                pass
        except OSError:
            pass
    _, lines, _ = drive(mount, ["put:late:40000", "destroy:box20"], fold=1 << 22)
    if f"error {NO_SPACE}" not in lines[1] or "destroy:box20: ok " not in lines:
        return f"full of somebody else's bytes: {lines}"
    os.unlink(os.path.join(mount, "other"))
    _, lines, _ = drive(mount, ["put:late:40000", "get:late"], fold=1 << 22)
    return None if "get:late: ok 1 whole" in lines else f"when space is back: {lines}"


def test_many(work):
    """Many sandboxes: listed from the index, and opened again quickly enough to be no worry."""
    state = os.path.join(work, "many")
    os.mkdir(state, 0o700)
    drive(state, [f"put:m{number:05}:600:w" for number in range(2000)], fold=1 << 26)
    _, lines, _ = drive(state, ["list", "stat"], fold=1 << 26)
    stat = json.loads(next(line for line in lines if line.startswith("stat: ok "))[len("stat: ok "):])
    rows = [line for line in lines if line.startswith("row: ")]
    problem = None if len(rows) == 2000 and stat["sandboxes"] == 2000 else f"{len(rows)} rows, {stat}"
    return verdict("store_faults many sandboxes", problem)


def main():
    work = tempfile.mkdtemp(prefix="cloister-store.", dir="/tmp")
    os.chmod(work, 0o700)
    try:
        bad = [test_sweeps(work), test_full_disk(work), test_many(work)]
        return 1 if any(bad) else 0
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

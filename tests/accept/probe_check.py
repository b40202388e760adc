#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""probe_check.py WHO FILE - compares what tests/probe printed inside a container with the table below. WHO: init, exec or user.

`user` is an exec as 1000:50. A value in the table is a regular expression for the whole value.
"""
import os
import re
import sys

# The bounding set of an unprivileged container (spec/garden.md 11.2): a80425fb.
BOUNDED = "00000000a80425fb"
NONE = "0" * 16

# Key, then what init, exec and user must see (None = not looked at).
TABLE = [
    ("CapInh", NONE, NONE, NONE),
    ("CapPrm", BOUNDED, BOUNDED, NONE),
    ("CapEff", BOUNDED, BOUNDED, NONE),
    ("CapBnd", BOUNDED, BOUNDED, BOUNDED),
    ("CapAmb", NONE, NONE, NONE),
    ("NoNewPrivs", "1", "1", "1"),
    ("Seccomp", "2", "2", "2"),
    ("Uid", "0 0 0 0", "0 0 0 0", "1000 1000 1000 1000"),
    ("Gid", "0 0 0 0", "0 0 0 0", "50 50 50 50"),
    ("Groups", "", "", ""),
    ("SigBlk", NONE, NONE, NONE),
    ("SigIgn", NONE, NONE, NONE),
    ("SigCgt", NONE, NONE, NONE),
    ("uid_map", r"0 1\d{6} 65536", r"0 1\d{6} 65536", r"0 1\d{6} 65536"),
    ("gid_map", r"0 1\d{6} 65536", r"0 1\d{6} 65536", r"0 1\d{6} 65536"),
    ("pid", "1", r"\d+", r"\d+"),
    ("ppid", "0", "0", "0"),
    ("cwd", "/", "/", "/tmp"),
    ("hostname", "inside", "inside", "inside"),
    ("umask", "022", "022", "022"),
    ("fd.0", "/dev/null", "/dev/null", "/dev/null"),
    ("fd.1", r"/.*\.txt", r"/.*\.txt", r"/.*\.txt"),
    ("fd.2", r"/.*\.err", r"/.*\.err", None),
    ("links", "lo", "lo", "lo"),
    ("lo", "0x9|errno 2", "0x9|errno 2", "0x9|errno 2"),  # up and loopback, where sysfs shows it
    ("keyring", "errno 1", "errno 1", "errno 1"),  # the filter refuses keyctl
    ("env.MARK", "1", "1", None),
    ("env.HOME", "/root", "/root", "/"),
    ("rlimit.core", "0 .*", "0 .*", "0 .*"),
    ("path./", r"directory,ro", r"directory,ro", r"directory,ro"),
    ("path./proc/kcore", "null|absent", "null|absent", "null|absent"),
    ("path./proc/keys", "null|absent", "null|absent", "null|absent"),
    ("path./proc/latency_stats", "null|absent", "null|absent", "null|absent"),
    ("path./proc/timer_list", "null|absent", "null|absent", "null|absent"),
    ("path./proc/timer_stats", "null|absent", "null|absent", "null|absent"),
    ("path./proc/sched_debug", "null|absent", "null|absent", "null|absent"),
    ("path./proc/scsi", "empty,ro|absent", "empty,ro|absent", "empty,ro|absent"),
    ("path./sys/firmware", "empty,ro|absent", "empty,ro|absent", "empty,ro|absent"),
    ("path./sys", "directory,ro", "directory,ro", "directory,ro"),
    ("path./dev/null", "null", "null", "null"),
]
# Mount points that must be there with their type and, if named, options; no others but those below them.
MOUNTS = {
    "/": (r".*", {"ro"}),
    "/proc": ("proc", {"nosuid", "nodev", "noexec"}),
    "/sys": ("sysfs", {"ro", "nosuid", "nodev", "noexec"}),
    "/dev": ("tmpfs", {"nosuid"}),
    "/dev/pts": ("devpts", {"nosuid", "noexec"}),
    "/dev/shm": ("tmpfs", {"nosuid", "nodev", "noexec"}),
    "/dev/mqueue": ("mqueue", {"nosuid", "nodev", "noexec"}),
    "/sys/fs/cgroup": (r"cgroup2?|tmpfs", {"ro", "nosuid", "nodev", "noexec"}),
}
DEVICES = {"null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9", "tty": "5:0"}


def read(path):
    single, mounts, devices, extra = {}, [], {}, []
    with open(path, encoding="utf-8") as file:
        for line in file:
            key, _, value = line.rstrip("\n").partition("=")
            if key == "mount":
                mounts.append(value.split(" "))
            elif key.startswith("dev."):
                devices[key[4:]] = value
            else:
                single[key] = value
            if re.fullmatch(r"fd\.\d+", key) and key not in ("fd.0", "fd.1", "fd.2"):
                extra.append(line.strip())
    return single, mounts, devices, extra


def check_mounts(mounts):
    seen = {}
    for point, kind, options in mounts:
        seen[point] = (kind, set(options.split(",")))
    for point, (kind, options) in MOUNTS.items():
        if point not in seen:
            yield f"nothing is mounted on {point}"
        elif not re.fullmatch(kind, seen[point][0]) or not options <= seen[point][1]:
            yield f"{point} is {seen[point]}, not {kind} with {sorted(options)}"
    for point, (kind, options) in seen.items():
        if point not in MOUNTS and not point.startswith(("/proc/", "/sys/", "/dev/")):
            yield f"{kind} is mounted on {point}, which the profile does not name"
        if point.startswith("/sys/fs/cgroup") and "ro" not in options:
            yield f"{point} is writable"


def main():
    who, path = sys.argv[1:]
    column = ["init", "exec", "user"].index(who) + 1
    single, mounts, devices, extra = read(path)
    problems = [f"descriptor beyond 2: {line}" for line in extra]
    for row in TABLE:
        want, got = row[column], single.get(row[0])
        if want is not None and (got is None or not re.fullmatch(want, got)):
            problems.append(f"{row[0]} is {got!r}, not {want!r}")
    problems += check_mounts(mounts)
    for name, number in DEVICES.items():
        if devices.get(name, "").split(" ")[1:2] != [number]:
            problems.append(f"/dev/{name} is {devices.get(name)!r}, not c {number}")
    problems += [f"/dev/{name} is there" for name in devices if name not in DEVICES and name not in ("ptmx", "console")]
    for kind in ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"):
        if single.get(f"ns.{kind}") == os.readlink(f"/proc/self/ns/{kind}"):
            problems.append(f"the {kind} namespace is the host's")
    for problem in problems:
        print(f"    {who}: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

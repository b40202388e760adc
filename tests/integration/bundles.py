#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bundles.py [--crun] [--list] [NAME...] - the same OCI bundles by cloisterctl, by runc and, with --crun, by crun.

A probe inside prints everything that they can change (tests/probe), and what differs is compared with
tests/bundles/differences.tsv: a difference that is not listed there, and one that is listed and gone, fails. --list prints all
differences as lines of that table, without reasons. NAME: only these bundles.

crun refuses a machine on which both v1 and v2 have controllers, so it is run in a mount namespace where v2 is not mounted.

Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py.
"""
import collections
import concurrent.futures
import glob
import itertools
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time

from house import House, SOURCE, eventually

sys.path.insert(0, os.path.join(SOURCE, "tests/bundles"))
import bundles  # noqa: E402

TABLE = os.path.join(SOURCE, "tests/bundles/differences.tsv")
SKIPPED = 77
COLUMNS = ["runtime", "bundle", "key", "ours", "theirs", "reason"]
ABSENT = "-"
NUMBERS = ["pid", "ppid", "sid", "pgid"]
SECONDS = 30
# An empty file system is where v2 was, for what crun makes there, and nothing can be made beside the hierarchies: both would stay.
WITHOUT_V2 = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
              "cd /sys/fs/cgroup && umount unified && mount -t tmpfs tmpfs unified && mount -o remount,bind,ro . && exec \"$@\"", "sh"]

Row = collections.namedtuple("Row", COLUMNS)


# ---- the three that run a bundle ----

class Ours:
    name = "ours"

    def __init__(self, house):
        self.daemon = house.daemon().start()
        self.program = os.path.join(house.prefix, "bin/cloisterctl")

    def command(self, bundle, ident):
        return [self.program, "--socket", self.daemon.socket, "run", "--rm", "--name", ident, "--bundle", bundle]

    def end(self, ident):
        with self.daemon.client() as client:
            for sandbox in client.call("list")["sandboxes"]:
                if sandbox.get("name") == ident:
                    client.call("destroy", {"id": sandbox["id"]})


class Peer:
    def __init__(self, house, name):
        self.name = name
        self.state = os.path.join(house.work, "state-" + name)
        hybrid = os.path.exists("/sys/fs/cgroup/unified/cgroup.procs")
        self.prefix = WITHOUT_V2 if name == "crun" and hybrid else []

    def words(self, *words):
        return [*self.prefix, self.name, "--root", self.state, *words]

    def command(self, bundle, ident):
        return self.words("run", "--bundle", bundle, ident)

    def end(self, ident):
        """Also what it leaves of groups where a run has failed."""
        subprocess.run(self.words("delete", "--force", ident), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        for group in glob.glob(f"/sys/fs/cgroup/*/**/{glob.escape(ident)}", recursive=True):
            os.rmdir(group)


class Bench:
    """Directories of bundles: each run has a root of its own, so that nobody sees what another has made in it."""

    def __init__(self, house):
        self.house = house
        self.data = os.path.join(house.work, "data")
        os.makedirs(os.path.join(self.data, "inner"))
        for path in ["data", "inner/data"]:
            with open(os.path.join(self.data, path), "w", encoding="ascii") as file:
                file.write(path + "\n")
        os.makedirs(os.path.join(house.rootfs, "mnt/inner"))
        os.makedirs(os.path.join(self.data, "dev"))
        for name, minor in [("null", 3), ("zero", 5), ("kmsg", 11)]:
            os.mknod(os.path.join(self.data, "dev", name), 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        with open(os.path.join(house.rootfs, "mnt/file"), "w", encoding="ascii"):
            pass

    def directory(self, name, spec, runtime):
        directory = os.path.join(self.house.work, f"{name}-{runtime}")
        os.mkdir(directory, 0o755)
        # Where users of the machine could reach it, a root that a container can write to is refused.
        if not spec["root"]["readonly"]:
            os.chmod(directory, 0o700)
        subprocess.run(["cp", "-al", self.house.rootfs, os.path.join(directory, "rootfs")], check=True)
        with open(os.path.join(directory, "config.json"), "w", encoding="utf-8") as file:
            file.write(json.dumps(spec, indent=1).replace("\"DATA", "\"" + self.data))
        return directory

    def run(self, name, spec, runtime):
        """What the probe said, as a dictionary."""
        directory = self.directory(name, spec, runtime.name)
        ident = f"{os.path.basename(self.house.work)}-{name}-{runtime.name}"
        try:
            done = subprocess.run(runtime.command(directory, ident), input=b"", capture_output=True, timeout=SECONDS, check=False)
            if done.returncode:
                runtime.end(ident)
        except subprocess.TimeoutExpired:
            runtime.end(ident)
            return {"runs": "for ever", "exit": ABSENT}, ""
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        return facts(done), done.stderr.decode(errors="replace").strip()


# ---- what is compared ----

def facts(done):
    """key -> value; what names this run (numbers of namespaces and pipes, names of groups) is told by its kind only."""
    found = collections.defaultdict(list)
    for line in done.stdout.decode(errors="replace").splitlines():
        key, gap, value = line.partition("=")
        if key.startswith("env."):
            found[key].append(value)
        elif gap and key != "mount":
            found[key].append(normal(key, value.strip()))
    told = {key: " + ".join(values) for key, values in found.items()}
    told["runs"] = "yes" if told else "no"
    told["exit"] = str(done.returncode)
    return told


def normal(key, value):
    if key.startswith("ns."):
        return "the host's" if value == os.readlink(f"/proc/self/ns/{key[3:]}") else "its own"
    if key in NUMBERS and value.isdigit() and int(value) > 9:
        return "some number"
    if key.startswith("fd."):
        return re.sub(r":\[\d+\]$", "", value)
    if key == "keyring":
        return value if value.startswith("errno") else "a keyring"
    if key == "cgroups":
        return ";".join(sorted(group.split(":", 1)[1].split(":/")[0] + (":/" if group.endswith(":/") else ":/..")
                               for group in value.split(";")))
    if key.endswith("devices.list"):
        return ";".join(sorted(value.split(";")))
    return value


def differences(runtime, bundle, ours, theirs):
    keys = sorted(set(ours) | set(theirs))
    if ours["runs"] != "yes" or theirs["runs"] != "yes":
        keys = ["runs"] if ours["runs"] != theirs["runs"] else ["exit"]
    for key in keys:
        mine, other = ours.get(key, ABSENT), theirs.get(key, ABSENT)
        if mine != other:
            yield Row(runtime, bundle, key, mine, other, "")


# ---- the table ----

CONDITIONS = {
    "v1": lambda: os.path.exists("/sys/fs/cgroup/devices/devices.list") or os.path.exists("/sys/fs/cgroup/devices/tasks"),
    "hybrid": lambda: os.path.exists("/sys/fs/cgroup/unified/cgroup.procs"),
    "no-kcore": lambda: not os.path.exists("/proc/kcore"),
    # Where the bundles' root lies: on the mount that is /, or on one of its own.
    "root-fs": lambda: os.stat(tempfile.gettempdir()).st_dev == os.stat("/").st_dev,
    "tmp-fs": lambda: os.stat(tempfile.gettempdir()).st_dev != os.stat("/").st_dev,
}


def read_table():
    """The rows that are for this machine: a runtime's name may be followed by @ and one of the conditions."""
    rows = []
    with open(TABLE, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            words = line.rstrip("\n").split("\t")
            if line.startswith("#"):
                continue
            if len(words) != len(COLUMNS) or not all(words):
                raise SystemExit(f"{TABLE}:{number}: wants {len(COLUMNS)} columns, none of them empty: {COLUMNS}")
            # Each name of a list is a row by itself, so that none of them can be gone unnoticed.
            words[0], _, condition = words[0].partition("@")
            if not condition or CONDITIONS[condition]():
                rows += [Row(*chosen, *words[3:]) for chosen in itertools.product(*[word.split("|") for word in words[:3]])]
    return rows


def fits(pattern, text):
    """In a pattern * stands for any text and | for or."""
    return any(re.fullmatch(".*".join(map(re.escape, one.split("*"))), text) for one in pattern.split("|"))


def covers(row, found):
    return all(fits(getattr(row, column), getattr(found, column)) for column in COLUMNS[:-1])


def judge(found, rows, ran):
    """Per bundle why it fails; a row of the table that nothing fits fails by itself."""
    used = set()
    wrong = collections.defaultdict(list)
    for one in found:
        covering = [row for row in rows if covers(row, one)]
        used.update(covering)
        if not covering:
            wrong[one.bundle].append(f"{one.key} is '{one.ours}', by {one.runtime} '{one.theirs}'")
    gone = [row for row in rows if row not in used and all(any(fits(getattr(row, column), value) for value in ran[column])
                                                           for column in ran)]
    return wrong, gone


def outcome(bench, wanted, runtimes):
    """All differences, and what each runtime that ran nothing said."""
    found, said = [], {}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = {(name, one.name): pool.submit(bench.run, name, spec, one) for name, spec in wanted for one in runtimes}
    for name, _ in wanted:
        ours, words = jobs[name, "ours"].result()
        for peer in runtimes[1:]:
            theirs, other = jobs[name, peer.name].result()
            found += differences(peer.name, name, ours, theirs)
            if "yes" not in (ours["runs"], theirs["runs"]) or ours["runs"] != theirs["runs"]:
                said[name, peer.name] = (words, other)
    return found, said


def report(found, said, wanted, runtimes, whole):
    ran = {"runtime": [one.name for one in runtimes[1:]]}
    if not whole:
        ran["bundle"] = [name for name, _ in wanted]
    wrong, gone = judge(found, read_table(), ran)
    for name, _ in wanted:
        if name in wrong:
            print(f"not ok {name}: {'; '.join(wrong[name])}")
            for (bundle, peer), words in said.items():
                if bundle == name:
                    print(f"    cloisterctl: {words[0]}\n    {peer}: {words[1]}")
        else:
            print(f"ok {name}")
    # A row for many bundles may well fit none of a few.
    for row in gone if whole else []:
        print(f"not ok {row.bundle}: {row.key}: listed as different from {row.runtime} ('{row.ours}', '{row.theirs}'), and is not")
    return 1 if wrong or (whole and gone) else 0


def main():
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    peers = ["runc"] + (["crun"] if "--crun" in sys.argv else [])
    for peer in peers:
        if not shutil.which(peer):
            print(f"skipped: there is no {peer} here to compare with")
            return SKIPPED
    wanted = [(name, spec) for name, spec in bundles.bundles() if not words or name in words]
    with House() as house:
        runtimes = [Ours(house)] + [Peer(house, name) for name in peers]
        daemon = runtimes[0].daemon
        daemon.mark()
        begin = time.monotonic()
        found, said = outcome(Bench(house), wanted, runtimes)
        if "--list" in sys.argv:
            for row in found:
                print("\t".join(row))
            for key, value in said.items():
                print("#", key, value)
            return 0
        code = report(found, said, wanted, runtimes, not words)
        print(f"    {len(wanted)} bundles, {len(found)} differences, {time.monotonic() - begin:.1f} s")
        with daemon.client() as client:
            assert eventually(5, lambda: client.call("list") == {"sandboxes": []}), "containers are left"
    return code


if __name__ == "__main__":
    sys.exit(main())

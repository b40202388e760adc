#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench.py - the measurements of tools/bench, which builds, installs and calls this. CL_PREFIX, CL_BUILD: what is measured."""
import argparse
import os
import platform
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(SOURCE, "tests/harness"), os.path.join(SOURCE, "tests/integration")]
import house  # noqa: E402
from bundle import ADAPTATIONS, Bundle  # noqa: E402
from peers import Peer  # noqa: E402
from report import Report  # noqa: E402
from watch import Failed, Watch  # noqa: E402

PARTS = ["start", "exec", "stdout", "recover"]
WARM_UP = 3
CLIENTS = 8
OUTPUT = 1 << 30
CONTAINERS = 100
RECOVER_SECONDS = 10  # after which a list that is not correct is told


class Interrupted(Exception):
    pass


def interrupt(number, _frame):
    """The first ends the run, and no other disturbs what is then undone."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    raise Interrupted(signal.Signals(number).name)


def interleaved(sides, rounds, measure):
    """{side: [measure(side)]}, in the order A B C C B A A B C ..., so that a machine that gets slower is unfair to nobody."""
    samples = {side: [] for side in sides}
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            samples[side].append(measure(side))
    return samples


def milliseconds(samples):
    return {side: [value / 1e6 for value in values] for side, values in samples.items()}


class Bench:
    def __init__(self, home, options):
        self.home = home
        self.options = options
        self.program = os.path.join(home.build, "tools/bench.d/stopwatch")
        self.profile = os.path.join(home.prefix, "share/cloister/profiles/default.json")
        self.adaptations = []  # of the configuration
        self.adapted = []  # and why, in words
        self.watch = None
        self.undone = True  # what was changed on the machine has been changed back
        self.peers = [Peer("crun", home.work), Peer("runc", home.work)]
        home.install(os.path.join(home.build, "tools/bench.d/spout"), os.path.join(home.rootfs, "bin"))
        self.daemon = self.new_daemon("bench").start()

    def new_daemon(self, name):
        # The log level of production: a debug log is not what is measured.
        return self.home.daemon(name, store=self.options.store, top={"log": {"level": "info"}})

    def rounds(self, usual):
        return self.options.rounds or usual

    def bundle(self, name, args):
        return Bundle(os.path.join(self.home.work, name), self.profile, self.home.rootfs, args, self.adaptations)

    # ---- what all sides can run ----

    def open_watch(self, wrapper=()):
        self.watch = Watch(self.program, self.daemon.socket, os.path.join(self.home.work, "stopwatch.log"), wrapper)

    def close_watch(self):
        if self.watch is None:
            return
        code = self.watch.close()
        if code:
            self.undone = False
            print(f"bench: the stopwatch ended with {code}: {self.watch.log().strip().splitlines()[-1:]}", file=sys.stderr)
        self.watch = None

    def move_hugetlb(self, peer, refusal):
        """crun wants v2 without controllers; where hugetlb is the only one it is lent to v1, and given back by what lent it."""
        self.close_watch()
        try:
            self.open_watch([os.path.join(HERE, "with-hugetlb")])
            peer.note = " (hugetlb is lent to v1 for this run: crun refuses a machine where v2 has it)"
        except Failed as failed:
            self.watch = None
            self.open_watch()
            return f"{refusal}; {failed}"
        return peer.refusal(self.watch, self.bundle("probe", ["true"]))

    def adapt(self, peer, refusal):
        """Takes out of the configuration, for all sides, what this peer cannot do."""
        for adaptation in ADAPTATIONS:
            self.adaptations.append(adaptation)
            if peer.refusal(self.watch, self.bundle("probe", ["true"])) is None:
                self.adapted.append(f"{adaptation[0]}, which {peer.name} does not know")
                return None
            self.adaptations.remove(adaptation)
        return refusal

    def settle(self):
        """Finds the one configuration and the peers that can run it."""
        for peer in self.peers:
            if peer.missing:
                continue
            refusal = peer.refusal(self.watch, self.bundle("probe", ["true"]))
            if refusal and "hybrid" in refusal:
                refusal = self.move_hugetlb(peer, refusal)
            if refusal:
                refusal = self.adapt(peer, refusal)
            peer.missing = refusal

    def present(self):
        return [peer for peer in self.peers if not peer.missing]

    # ---- the parts ----

    def measure_tasks(self, tasks, rounds):
        interleaved(list(tasks), WARM_UP, lambda side: self.watch.time(**tasks[side]))
        return interleaved(list(tasks), rounds, lambda side: self.watch.time(**tasks[side]))

    def part_start(self, report):
        bundle = self.bundle("start", ["true"])
        report.fact("start's config.json, digest", "sha256 " + bundle.digest)
        tasks = {"cloister": {"what": "start", "params": bundle.params}, **{peer.name: peer.run(bundle) for peer in self.present()}}
        samples = self.measure_tasks(tasks, self.rounds(60))
        report.compare("start", "create + run `true` + exit seen + destroy", "ms", milliseconds(samples))
        each = max(1, self.rounds(60) // CLIENTS)
        samples = interleaved(list(tasks), 4, lambda side: self.watch.time(**tasks[side], clients=CLIENTS, each=each))
        rates = {side: [CLIENTS * each * 1e9 / value for value in values] for side, values in samples.items()}
        report.compare(f"start with {CLIENTS} clients", f"the same, in blocks of {CLIENTS * each}", "starts/s", rates, 1)

    def part_exec(self, report):
        bundle = self.bundle("exec", ["sleep", "100000"])
        report.fact("exec's config.json, digest", "sha256 " + bundle.digest)
        with self.daemon.client() as client:
            made = client.call("create", bundle.params)
            try:
                for peer in self.present():
                    peer.start_sleeper(self.watch, bundle)
                params = {"id": made["id"], "process": {**bundle.process, "args": ["true"]}}
                tasks = {"cloister": {"what": "exec", "params": params}, **{peer.name: peer.execute("true") for peer in self.present()}}
                samples = self.measure_tasks(tasks, self.rounds(60))
            finally:
                for peer in self.peers:
                    peer.end_sleeper(self.watch)
                client.call("destroy", {"id": made["id"]})
        report.compare("exec", "`true` in a running container + exit seen", "ms", milliseconds(samples))

    def part_stdout(self, report):
        args = ["spout", str(OUTPUT)]
        stdio = [{"kind": "null"}, {"kind": "pipe"}, {"kind": "null"}]
        params = {**self.bundle("stdout", args).params, "stdio": stdio}
        spout = os.path.join(self.home.rootfs, "bin/spout")
        tasks = {"cloister": {"what": "output", "params": params, "bytes": OUTPUT},
                 "pipe": {"what": "pipe", "argv": [spout, *args[1:]], "bytes": OUTPUT}}
        samples = self.measure_tasks(tasks, self.rounds(12))
        report.compare("stdout", f"{OUTPUT >> 20} MiB through `attach`, next to a bare pipe of 64 KiB", "ms", milliseconds(samples), 1)

    def part_recover(self, report):
        daemon = self.new_daemon("recover").start()
        daemon.mark()
        bundle = self.bundle("recover", ["sleep", "100000"])
        with daemon.client() as client:
            made = {}
            for number in range(CONTAINERS):
                answer = client.call("create", {**bundle.params, "name": f"sleep-{number}"})
                made[answer["id"]] = answer["pid"]
        samples = {"from exec": [], "from kill": []}
        for _ in range(self.rounds(10)):
            from_exec, from_kill = recover_once(daemon, made)
            samples["from exec"].append(from_exec / 1e6)
            samples["from kill"].append(from_kill / 1e6)
        with daemon.client() as client:
            for one in made:
                client.call("destroy", {"id": one})
        daemon.clean(30)
        report.compare("recover", f"`kill -9` with {CONTAINERS} containers to the first correct list", "ms", samples, 1, ratio=False)

    # ---- the end ----

    def end(self):
        """True if nothing is left."""
        self.close_watch()  # what it was doing is done now
        if self.daemon.before and self.daemon.process.poll() is None:
            self.daemon.clean()
        left = [path for peer in self.peers for path in peer.left_behind()]
        if left:
            print(f"bench: left behind: {left}", file=sys.stderr)
        return self.undone and not left


def wrong_list(sandboxes, made):
    """What a list lacks to be correct, in words; None if it is."""
    found = {one["id"]: one for one in sandboxes}
    up = [one for one in found.values()
          if one["state"] == "up" and not one["flags"] and one["containers"][0]["pid"] == made.get(one["id"])]
    if len(up) == len(made) == len(found):
        return None
    states = sorted({one["state"] for one in found.values()})
    return f"{len(up)} of {len(made)} containers are up with the process they had ({len(found)} listed: {', '.join(states) or 'none'})"


def recover_once(daemon, made):
    """Nanoseconds from the exec of the new daemon, and from the kill of the old one, to the first correct list."""
    killed = time.monotonic_ns()
    daemon.kill()
    started = time.monotonic_ns()
    daemon.process = daemon.spawn()
    wrong = "the daemon does not answer"
    while time.monotonic_ns() < started + RECOVER_SECONDS * 10**9:
        if daemon.process.poll() is not None:
            raise Failed(f"the daemon ended with {daemon.process.returncode} at its start")
        try:
            with daemon.client() as client:
                while wrong := wrong_list(client.call("list")["sandboxes"], made):
                    if time.monotonic_ns() > started + RECOVER_SECONDS * 10**9:
                        break
                now = time.monotonic_ns()
        except (FileNotFoundError, ConnectionError, EOFError):
            time.sleep(0.0005)  # not yet
            continue
        if wrong is None:
            return now - started, now - killed
    raise Failed(f"after the restart {wrong}")


def facts(bench):
    with bench.daemon.client() as client:
        server = client.call("version")["server"]
    store = subprocess.run(["stat", "-f", "-c", "%T", bench.home.work], capture_output=True, text=True, check=True).stdout.strip()
    durable = f"on {store}" if bench.options.store != "memory" else "(not durable)"
    load = os.getloadavg()[0]
    told = {"machine": f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs, load average {load:.1f} at the start",
            "cloister": f"{server}, records in the {bench.options.store} store {durable}"}
    if {"start", "exec"} & set(bench.options.parts):
        for peer in bench.peers:
            told[peer.name] = f"not measured: {peer.missing}" if peer.missing else peer.version() + peer.note
        told["config"] = ", ".join(["conf/profiles/default.json with cgroup limits and id mappings", *bench.adapted])
    return told


def measure(bench, options):
    """False if a part that was asked for could not be measured."""
    if set(options.parts) - {"recover"}:
        bench.open_watch()
    if {"start", "exec"} & set(options.parts):
        bench.settle()
    bench.daemon.mark()
    report = Report(facts(bench))
    whole = True
    for part in options.parts:
        try:
            getattr(bench, "part_" + part)(report)
        except (Failed, house.wire.Refused) as failed:
            report.tell(part, f"not measured: {failed}")
            whole = False
    if options.json:
        report.write(options.json)
    return whole


def arguments():
    """The shell has checked the words already; its usage is ours."""
    parser = argparse.ArgumentParser(prog="bench", add_help=False)
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json")
    parser.add_argument("--store")
    options = parser.parse_args()
    options.parts = options.parts or PARTS
    built = os.path.exists(os.path.join(os.environ["CL_PREFIX"], "lib/cloister/plugins/file.so"))
    options.store = options.store or ("file" if built else "memory")
    return options


def main():
    options = arguments()
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, interrupt)
    with house.House() as home:
        try:
            bench = Bench(home, options)
            try:
                whole = measure(bench, options)
            finally:
                clean = bench.end()
        except Interrupted as interrupted:
            print(f"bench: ended by {interrupted}", file=sys.stderr)
            return 130
    return 0 if whole and clean else 1


if __name__ == "__main__":
    sys.exit(main())

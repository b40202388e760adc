#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""limits.py - containers that stand still, whose limits change, and that are counted: pause, resume, update, stats, top.

Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py.
"""
import glob
import json
import re
import subprocess
import sys
import time

import cloisterctl
from cloisterctl import lines, one_error, same
from house import eventually

TICKS = ["--", "sh", "-c", "while echo tick; do sleep 0.05; done"]


class Ctl(cloisterctl.Ctl):
    def __init__(self, house, daemon):
        super().__init__(house, daemon)
        self.daemon = daemon

    def group_file(self, container, controller, name):
        """What a file of the container's group says, v1 or v2."""
        found = [path for top in (f"/sys/fs/cgroup/{controller}", "/sys/fs/cgroup", "/sys/fs/cgroup/unified")
                 for path in glob.glob(f"{top}{self.daemon.cgroup}/**/*{container}*/**/{name}", recursive=True)]
        assert found, f"no {name} of {container}"
        with open(max(found, key=len), encoding="ascii") as file:
            return file.read().strip()

    def ticks(self, name):
        return self("logs", name)[1].count("tick")

    def stands(self, name):
        before = self.ticks(name)
        time.sleep(0.5)
        return self.ticks(name) == before


def standing_still(ctl):
    code, ident, err = ctl.run("-d", "--name", "clock", *TICKS)
    same((code, err), (0, ""))
    assert eventually(5, lambda: ctl.ticks("clock") > 3)
    same(ctl("pause", "clock"), (0, "", ""))
    assert ctl.stands("clock"), "it ticks on"
    assert re.search(r"clock +up \(paused\)", ctl("ps")[1]), ctl("ps")
    code, _, err = ctl("exec", "clock", "--", "true")
    same(code, 125)
    assert "frozen" in err or "stands still" in err or "paused" in err, err
    code, out, err = ctl("pause", "--json", "clock")
    same((code, lines(out), err), (0, [{"id": ident.strip(), "name": "clock"}], ""))
    same(ctl("resume", "clock"), (0, "", ""))
    before = ctl.ticks("clock")
    assert eventually(5, lambda: ctl.ticks("clock") > before + 3), "it does not run on"
    same(ctl("exec", "clock", "--", "true")[0], 0)
    assert "paused" not in ctl("ps")[1]
    same(ctl("resume", "clock"), (0, "", ""))
    code, _, err = ctl("pause", "nobody", "clock")
    same(code, 1)
    assert "nobody" in err and "paused" in ctl("ps")[1], err
    same(ctl("rm", "-f", "clock"), (0, "", ""))


def stopped_while_standing(ctl):
    """A signal reaches what stands still, once it is the last one."""
    ctl.start("still")
    same(ctl("pause", "still"), (0, "", ""))
    same(ctl("stop", "-t", "1", "still"), (0, "", ""))
    assert "signal" in ctl("ps", "-a")[1], ctl("ps", "-a")
    same(ctl("rm", "still"), (0, "", ""))


def standing_over_a_restart(ctl):
    """A frozen sandbox survives the daemon, and the next one knows."""
    ctl.run("-d", "--name", "clock", *TICKS)
    assert eventually(5, lambda: ctl.ticks("clock") > 3)
    same(ctl("pause", "clock"), (0, "", ""))
    ctl.daemon.kill()
    ctl.daemon.start()
    assert eventually(5, lambda: re.search(r"clock +up \(paused\)", ctl("ps")[1])), ctl("ps")
    assert ctl.stands("clock"), "it ticks on"
    same(ctl("resume", "clock"), (0, "", ""))
    before = ctl.ticks("clock")
    assert eventually(5, lambda: ctl.ticks("clock") > before + 3), "it does not run on"
    same(ctl("rm", "-f", "clock"), (0, "", ""))


def other_limits(ctl):
    ident = ctl.start("few")
    code, out, err = ctl("update", "--json", "--pids", "7", "--memory", "64m", "few")
    same((code, err), (0, ""))
    limits = json.loads(out)
    same([limits["pids"]["limit"], limits["memory"]["limit"]], [7, 64 << 20])
    same(ctl.group_file(ident, "pids", "pids.max"), "7")
    same(ctl("update", "--cpus", "0.5", "few"), (0, "", ""))
    told = json.loads(ctl("inspect", "--json", "few")[1])["containers"][0]["limits"]
    same([told["pids"]["limit"], told["cpu"]["quota"], told["cpu"]["period"]], [7, 50000, 100000])
    code, out, _ = ctl("exec", "few", "--", "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; echo never")
    assert code != 0 or "never" not in out, "nine processes where seven may be"
    done = subprocess.run([*ctl.words, "update", "--json", "--resources", "-", "few"], input='{"pids": {"limit": 9}}', capture_output=True,
                          text=True, timeout=60, check=False)
    same((done.returncode, json.loads(done.stdout)["pids"]["limit"]), (0, 9))
    same(ctl("update", "--pids", "max", "few"), (0, "", ""))
    same(ctl.group_file(ident, "pids", "pids.max"), "max")
    same(ctl("rm", "-f", "few"), (0, "", ""))


def limits_that_cannot_be(ctl):
    ident = ctl.start("bad")
    same(ctl("update", "--pids", "9", "bad"), (0, "", ""))
    code, out, err = ctl("update", "--json", "--pids", "5", "--cpuset-cpus", "4000", "bad")
    same((code, out), (1, ""))
    assert json.loads(err)["error"]["code"] in ("invalid", "cgroup_failed", "io"), err
    same(ctl.group_file(ident, "pids", "pids.max"), "9")
    code, out, err = ctl("update", "--json", "--pids", "5", "nobody")
    one_error(err, "update", "no_entity", None, "nobody")
    same(ctl("rm", "-f", "bad"), (0, "", ""))


def counted(ctl):
    code, ident, err = ctl.run("-d", "--name", "busy", "-m", "64m", "--", "sh", "-c", "while :; do :; done")
    same((code, err), (0, ""))
    code, out, err = ctl("stats", "--no-stream", "--json", "busy")
    same((code, err, len(lines(out))), (0, "", 1))
    told = lines(out)[0]
    same([told["id"], told["name"]], [ident.strip(), "busy"])
    assert told["stats"]["pids"] >= 1 and told["stats"]["mem_usage"] > 0 and told["sampled_mono_ns"] > 0, told
    same(told["stats"]["mem_limit"], 64 << 20)
    code, out, err = ctl("stats", "--no-stream")
    same((code, err), (0, ""))
    heading, row = out.splitlines()
    same(heading.split()[:2], ["NAME", "CPU%"])
    found = re.fullmatch(r"busy +([0-9.]+)% +[0-9.]+[KM]?i?B / 64MiB +[0-9.]+% +1 +.*", row)
    assert found and float(found[1]) > 20, row
    same(ctl("rm", "-f", "busy"), (0, "", ""))
    code, out, _ = ctl("stats", "--no-stream")
    same((code, len(out.splitlines())), (0, 1))
    same(ctl("stats", "--no-stream", "busy")[0], 1)


def counted_every_second(ctl):
    ctl.start("slow")
    with subprocess.Popen([*ctl.words, "stats", "slow"], stdout=subprocess.PIPE, text=True) as process:
        rows = [process.stdout.readline() for _ in range(4)]
        process.terminate()
    same([row.split()[0] for row in rows], ["NAME", "slow", "NAME", "slow"])
    same(ctl("rm", "-f", "slow"), (0, "", ""))


def who_lives_there(ctl):
    code, _, err = ctl.run("-d", "--name", "many", "--", "sh", "-c", "sleep 1000 & sleep 1001 & wait")
    same((code, err), (0, ""))
    assert eventually(5, lambda: ctl("top", "many")[1].count("sleep") == 2), ctl("top", "many")
    rows = [row.split() for row in ctl("top", "many")[1].splitlines()]
    same(rows[0], ["PID", "PROCESS", "STARTED", "COMMAND"])
    same([row[-1] for row in rows[1:]].count("sh"), 1)
    procs = json.loads(ctl("top", "--json", "many")[1])["procs"]
    init = json.loads(ctl("inspect", "--json", "many")[1])["containers"][0]
    ours = [proc for proc in procs if proc["process"]]
    same([(proc["pid"], proc["process"], proc["comm"]) for proc in ours], [(init["pid"], init["init"], "sh")])
    assert all(abs(proc["started_ms"] / 1000 - time.time()) < 60 for proc in procs), procs
    same(ctl("rm", "-f", "many"), (0, "", ""))


TESTS = [standing_still, stopped_while_standing, standing_over_a_restart, other_limits, limits_that_cannot_be, counted, counted_every_second,
         who_lives_there]

if __name__ == "__main__":
    sys.exit(cloisterctl.main(TESTS, Ctl, store="file"))

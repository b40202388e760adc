#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""limits.py - containers that stand still: pause, resume.

Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py.
"""
import re
import sys
import time

import cloisterctl
from cloisterctl import lines, same
from house import eventually

TICKS = ["--", "sh", "-c", "while echo tick; do sleep 0.05; done"]


class Ctl(cloisterctl.Ctl):
    def __init__(self, house, daemon):
        super().__init__(house, daemon)
        self.daemon = daemon

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


TESTS = [standing_still, stopped_while_standing, standing_over_a_restart]

if __name__ == "__main__":
    sys.exit(cloisterctl.main(TESTS, Ctl, store="file"))

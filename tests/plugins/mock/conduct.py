#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""conduct.py KIT MOCK - the conformance kit must see through a mock that misbehaves: each row is what the mock is told, the case that has
to fail, and what the kit has to say about it (None: it is no misbehaviour, the case passes)."""
import os
import re
import subprocess
import sys

ROWS = [
    ("never=exec", "exec", r"exec does not complete within 1 s"),
    ("never=sandbox_create", "create", r"sandbox_create does not complete within 1 s"),
    ("never=sandbox_destroy", "destroy", r"sandbox_destroy does not complete within 1 s"),
    ("never=thaw", "freeze", r"thaw does not complete within 1 s"),
    ("fail_at=2 fail_code=34", "exec", r"code 34, not 0: .*was told to fail"),
    ("fail_at=1 fail_code=7", "create", r"code 7, not 0: .*was told to fail"),
    ("fail_at=3 fail_code=8", "signal", r"signal: code 8, not 0"),
    ("unkillable_ms=3600000", "destroy", r"sandbox_destroy does not complete within 1 s"),
    ("unkillable_ms=3600000", "kill", r"no exit within 1 s"),
    ("unkillable_ms=3600000", "kill-frozen", r"no exit within 1 s"),
    ("unkillable_ms=200", "kill", None),
    ("lie=exec", "exec", r"runs as 0:0, not 3:4"),
    ("lie=exec", "exec-fails", r"code 0, not 13"),
    ("lie=exec", "exec-many", r"no exit within 1 s"),
    ("lie=signal", "signal", r"no exit within 1 s"),
    ("lie=freeze", "freeze", r"a process ended while it was frozen"),
    ("lie=sandbox_create", "create", r"state 0, not running"),
    ("lie=sandbox_destroy", "destroy", r"no exit within 1 s"),
    ("lie=container_start", "blocked", r"no exit within 1 s"),
    ("twice=exec", "exec", r"breach: operation \d+: completed a second time"),
    ("twice=sandbox_destroy", "destroy", r"breach: operation \d+: completed a second time"),
]


def run(kit, mock, told, case):
    options = [word for setting in told.split() for word in ("-o", setting)]
    return subprocess.run([kit, "isolation", mock, "--rootfs", "/", "--patience", "1", "--case", case] + options, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)


def judge(row, done):
    told, case, wanted = row
    if wanted is None:
        return [] if done.returncode == 0 else [f"{told}: '{case}' fails, and should not:\n{done.stdout}"]
    if done.returncode != 1:
        return [f"{told}: '{case}' ends with {done.returncode}, not 1:\n{done.stdout}"]
    return [] if re.search(wanted, done.stdout) else [f"{told}: '{case}' fails, and says nothing like '{wanted}':\n{done.stdout}"]


def main():
    if os.geteuid() != 0:
        sys.exit(77)
    kit, mock = sys.argv[1:3]
    problems = [problem for row in ROWS for problem in judge(row, run(kit, mock, row[0], row[1]))]
    print("\n".join(problems))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()

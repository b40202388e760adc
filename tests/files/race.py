#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""race.py CLOISTER-TAR [ROUNDS]: while archives go in and come out, root inside swaps directories for links and moves them away. Whatever
comes of a run, nothing outside the directory it was sent to is changed or read."""
import os
import signal
import sys

import archives
import bed
from archives import END, entry

PROGRAM = os.path.abspath(sys.argv[1])
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 60
WIDTH = 8
MARK = b"untouched"


def swap_for_ever():
    """Each of d0..d7 below /target is by turns a directory, a link to /outside, one to the root, in another place, a file."""
    os.chdir("/")
    turn = 0
    while True:
        name = f"/target/d{turn % WIDTH}"
        away = f"/scratch/d{turn % WIDTH}"
        turn += 1
        try:
            os.rename(name, away)
        except OSError:
            pass
        for make in (lambda: os.symlink("/outside", name), lambda: os.symlink("..", name), lambda: os.mkdir(name),
                     lambda: os.symlink("/outside/secret", f"{away}/f{turn % 3}"), lambda: os.link("/target/plain", name)):
            try:
                make()
                os.rename(name, f"/scratch/x{turn % 5}")
            except OSError:
                pass
        try:
            os.rename(away, name)
        except OSError:
            pass


def main():
    incoming = b"".join(entry(f"d{i}/f{j}", b"z" * 700) + entry(f"d{i}/h{j}", kind=b"1", link=f"d{i}/f{j}") +
                        entry(f"d{i}/s{j}", kind=b"5", mode=0o711) for i in range(WIDTH) for j in range(5)) + END
    verdicts = {}
    with bed.Room() as room:
        os.mkdir(f"{room.root}/scratch")
        room.chown("scratch", 0, 0)
        room.write("target/plain", "plain")
        for i in range(WIDTH):
            room.write(f"target/d{i}/f0", "ours")
        before = room.snapshot(but=("target", "scratch"))
        culprit = room.inside(swap_for_ever)
        try:
            for number in range(ROUNDS):
                mode = ("in", "out", "in", "cat")[number % 4]
                path = {"in": "/target", "out": "/target", "cat": "/target/d0/f0"}[mode]
                flags = bed.KEEP_OWNERS if number % 8 == 2 else 0
                out = bed.run(PROGRAM, room, mode, incoming if mode == "in" else b"", path=path, flags=flags, most=100)
                verdicts[mode, out.error or "done"] = verdicts.get((mode, out.error or "done"), 0) + 1
                if mode == "out":
                    assert MARK not in out.output, "what is outside has been read"
                    assert not out.done or out.output.endswith(END), "an archive that looks whole"
        finally:
            os.kill(culprit, signal.SIGKILL)
            os.waitpid(culprit, 0)
        after = room.snapshot(but=("target", "scratch"))
        assert after == before, [name for name in before if before[name] != after.get(name)] + sorted(set(after) - set(before))
    print(", ".join(f"{mode} {what}: {count}" for (mode, what), count in sorted(verdicts.items())))


if __name__ == "__main__":
    main()

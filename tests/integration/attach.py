#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""attach.py - `run -d`, `logs`, `attach`, `wait` and `label` as an operator uses them, while daemons are killed, end and come back.

Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py. The requests beneath them: away.py.
"""
import os
import subprocess
import sys
import tempfile
import time

import cloisterctl
from cloisterctl import same
from house import eventually

LINES = 200000
SLOWLY = f"i=0; while [ $i -lt 20 ]; do seq $((i * {LINES // 20} + 1)) $(((i + 1) * {LINES // 20})); i=$((i + 1)); sleep 0.1; done; exit 7"
EXPECTED = b"".join(b"%d\n" % i for i in range(1, LINES + 1))


class Ctl:
    """cloisterctl on one daemon, which may be another one each time."""

    def __init__(self, house, daemon):
        self.house, self.daemon = house, daemon
        self.words = [os.path.join(house.prefix, "bin/cloisterctl"), "--socket", daemon.socket]

    def __call__(self, *words, stdin=None):
        done = subprocess.run([*self.words, *words], input=stdin, stdin=None if stdin else subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def begin(self, *words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE):
        return subprocess.Popen([*self.words, *words], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)

    def start(self, name, script, *options):
        code, out, err = self("run", "-d", "--name", name, "--rootfs", self.house.rootfs, *options, "--", "sh", "-c", script)
        assert code == 0, err
        return out.decode().strip()

    def remove(self, *names):
        same(self("rm", "-f", *names), (0, b"", b""))


def ended(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def exact(got, code):
    assert got[1] == EXPECTED, f"{len(got[1])} bytes, not the {len(EXPECTED)} that were written; {got[2][-300:]}"
    same((got[0], got[2]), (code, b""))


def both_outputs(ctl):
    ctl.start("both", "echo out; echo err >&2; exit 3")
    same(ctl("wait", "both"), (3, b"3\n", b""))
    same(ctl("logs", "both"), (0, b"out\n", b"err\n"))
    same(ctl("logs", "-f", "--stdout", "both"), (0, b"out\n", b""))
    same(ctl("logs", "--stderr", "both"), (0, b"", b"err\n"))
    same(ctl("attach", "--from", "oldest", "both"), (3, b"out\n", b"err\n"))
    same(ctl("attach", "both"), (3, b"", b""))
    ctl.remove("both")


def logs_end_where_they_are(ctl):
    ctl.start("on", "echo one; sleep 1000")
    assert eventually(10, lambda: ctl("logs", "on")[1] == b"one\n")
    ctl.remove("on")


def not_kept(ctl):
    running = ctl.begin("run", "--name", "own", "--rootfs", ctl.house.rootfs, "--", "sleep", "1000")
    assert eventually(10, lambda: b" up " in ctl("ps")[1])
    for command, code in (("logs", 1), ("attach", 125)):
        same(ctl(command, "own"), (code, b"", f"cloisterctl: {command}: its output is not kept: it was not started with `run -d`\n".encode()))
    ctl.remove("own")
    same(ended(running)[0], 137)
    same(ctl("wait", "own")[0], 125)
    same(ctl("logs", "own")[0], 1)


def policies(ctl):
    text = b"".join(b"%d\n" % i for i in range(1, 100001))
    ctl.start("drop", "seq 1 100000", "--log-window", "64k")
    ctl.start("discard", "seq 1 100000", "--log-policy", "discard")
    ctl.start("block", "seq 1 100000", "--log-policy", "block", "--log-window", "64k")
    same(ctl("wait", "drop"), (0, b"0\n", b""))
    same(ctl("wait", "discard"), (0, b"0\n", b""))
    kept = ctl("logs", "drop")[1]
    assert text.endswith(kept) and 16 << 10 <= len(kept) <= 128 << 10, len(kept)
    same(ctl("logs", "discard")[1], b"")
    waiting = ctl.begin("wait", "block")
    time.sleep(0.3)
    same(waiting.poll(), None)
    same(ctl("logs", "-f", "block"), (0, text, b""))
    same(ended(waiting)[0], 0)
    code, out, err = ctl("run", "-d", "--rootfs", ctl.house.rootfs, "--log-policy", "keep", "--", "true")
    same((code, out, err), (125, b"", b"cloisterctl: run: 'keep' is no policy for output: drop, block or discard\n"))
    ctl.remove("drop", "discard", "block")


def stdin_goes_in(ctl):
    ctl.start("cat", "cat; echo end", "-i")
    same(ctl("attach", "cat", stdin=b"hello\n"), (0, b"hello\nend\n", b""))
    ctl.start("cat2", "cat; echo end")  # without -i it reads /dev/null
    same(ctl("attach", "--from", "oldest", "cat2", stdin=b"hello\n"), (0, b"end\n", b""))
    ctl.remove("cat", "cat2")


class Readers:
    """Of everything that `name` writes, each at full speed: into files."""

    def __init__(self, ctl, name):
        self.files = [tempfile.TemporaryFile() for _ in range(3)]  # pylint: disable=consider-using-with
        commands = (["logs", "-f", name], ["attach", "--no-stdin", "--from", "oldest", name], ["wait", name])
        self.started = [ctl.begin(*words, stdout=file) for words, file in zip(commands, self.files)]

    def check(self):
        got = []
        for process, file in zip(self.started, self.files):
            err = process.communicate(timeout=60)[1]
            file.seek(0)
            got.append((process.returncode, file.read(), err))
            file.close()
        exact(got[0], 0)
        exact(got[1], 7)
        same(got[2], (7, b"7\n", b""))


# All of it is kept, however late a reader begins: with `block` what one reader has had may be gone for the next.
KEPT = ("--log-window", "4m")


def killed_daemons(ctl):
    ctl.start("slow", SLOWLY, *KEPT)
    started = Readers(ctl, "slow")
    for _ in range(6):
        time.sleep(0.2)
        ctl.daemon.kill()
        ctl.daemon.start()
    started.check()
    ctl.remove("slow")


def daemons_that_end(ctl):
    ctl.start("slow", SLOWLY, *KEPT)
    started = Readers(ctl, "slow")
    for _ in range(3):
        time.sleep(0.3)
        same(ctl.daemon.stop(), 0)
        ctl.daemon.start()
    started.check()
    ctl.remove("slow")


def stdin_survives(ctl):
    ctl.start("cat", "cat; exit 4", "-i")
    attach = ctl.begin("attach", "cat", stdin=subprocess.PIPE)
    for text in (b"one\n", b"two\n", b"three\n"):
        attach.stdin.write(text)
        attach.stdin.flush()
        same(attach.stdout.readline(), text)
        ctl.daemon.kill()
        ctl.daemon.start()
    same(ended(attach), (4, b"", b""))
    ctl.remove("cat")


def labels(ctl):
    ctl.start("marked", "sleep 1000")
    same(ctl("label", "marked", "color=blue", "x=1", "--secret", "token=-", stdin=b"the secret"), (0, b"", b""))
    same(ctl("label", "-r", "x", "marked"), (0, b"", b""))
    ctl.daemon.kill()
    ctl.daemon.start()
    code, out, err = ctl("label", "marked")
    same((code, err), (0, b""))
    lines = [line for line in out.decode().splitlines() if not line.startswith("cloisterctl.")]
    same(sorted(lines), ["color=blue", "token (secret)"])
    assert b"the secret" not in ctl("inspect", "marked")[1]
    same(ctl("label", "marked", "blue"), (1, b"", b"cloisterctl: label: 'blue' is not KEY=VALUE\n"))
    ctl.remove("marked")


TESTS = [both_outputs, logs_end_where_they_are, not_kept, policies, stdin_goes_in, killed_daemons, daemons_that_end, stdin_survives, labels]


if __name__ == "__main__":
    sys.exit(cloisterctl.main(TESTS, Ctl, store="file"))

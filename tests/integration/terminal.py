#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""terminal.py - a terminal for a program in a container: run -t, exec -t, attach, typed at on a terminal of this test's own.

Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py.
"""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

import cloisterctl
from cloisterctl import same
from house import eventually

PROMPT = "in> "


class Typist:
    """cloisterctl on a terminal, as somebody sees it who types there."""

    def __init__(self, words, rows=30, columns=90):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.seen = ""
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
                for fd in range(3):
                    os.dup2(self.slave, fd)
                os.environ["TERM"] = "vt100"
                os.execv(words[0], words)
            finally:
                os._exit(99)

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def await_text(self, text, seconds=15):
        """Reads until the text has come; what had come before it."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            left = end - time.monotonic()
            ready = left > 0 and select.select([self.master], [], [], left)[0]
            assert ready, f"no {text!r} but {self.seen!r}"
            self.seen += os.read(self.master, 65536).decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def command(self, text, answer):
        self.type(text + "\n")
        self.await_text("\n")  # its echo
        self.await_text(answer)
        self.await_text(PROMPT)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def end(self, seconds=15):
        """Its exit code, or minus the signal; the terminal must be as it was."""
        end = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            assert time.monotonic() < end, f"it does not end; {self.seen!r}"
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
        same(termios.tcgetattr(self.slave), self.before)
        os.close(self.master)
        os.close(self.slave)
        return os.waitstatus_to_exitcode(status)


class Ctl(cloisterctl.Ctl):
    def __init__(self, house, daemon):
        super().__init__(house, daemon)
        self.daemon = daemon

    def shell(self, *options):
        typist = Typist([*self.words, "run", "-it", "-e", f"PS1={PROMPT}", *options, "--rootfs", self.rootfs, "--", "sh"])
        typist.await_text(PROMPT)
        return typist


def a_shell(ctl):
    typist = ctl.shell("--rm")
    assert typist.is_raw()
    typist.command("stty size", "30 90")
    typist.command("echo $TERM; test -t 0 && test -t 1 && test -t 2 && echo all", "vt100\r\nall")
    typist.resize(50, 120)
    assert eventually(5, lambda: "50 120" in (typist.type("stty size\n") or typist.await_text(PROMPT))), "its size stays"
    typist.type("exit 7\n")
    same(typist.end(), 7)
    same(ctl("ps", "-aq")[1], "")


def keys_are_the_programs(ctl):
    """^C interrupts what runs there, not us; ^D ends its input."""
    typist = ctl.shell("--rm")
    typist.type("sleep 1000; echo code $?\n")
    assert eventually(5, lambda: "sleep 1000" in typist.seen or typist.await_text("sleep 1000") is not None)
    time.sleep(0.5)
    typist.type("\x03")
    typist.await_text(PROMPT)
    typist.command("echo alive", "alive")
    typist.type("\x04")
    assert typist.end() in (0, 130)


def left_alone_and_found_again(ctl):
    typist = ctl.shell("--name", "left")
    typist.command("x=kept; echo set", "set")
    typist.type("\x10\x11")
    same(typist.end(), 0)
    assert "left" in ctl("ps")[1], ctl("ps")
    typist = Typist([*ctl.words, "attach", "left"], 40, 100)
    assert eventually(5, typist.is_raw), "attach did not take the terminal"
    typist.command("echo $x", "kept")
    typist.command("stty size", "40 100")
    typist.type("exit 3\n")
    same(typist.end(), 3)
    same(ctl("rm", "left"), (0, "", ""))


def detached(ctl):
    """run -dt: nobody is there at first."""
    code, _, err = ctl.run("-dit", "--name", "later", "-e", f"PS1={PROMPT}", "--", "sh")
    same((code, err), (0, ""))
    typist = Typist([*ctl.words, "attach", "--from", "oldest", "later"])
    typist.await_text(PROMPT)
    typist.command("tty; echo hi", "hi")
    typist.type("exit\n")
    same(typist.end(), 0)
    same(ctl("rm", "later"), (0, "", ""))


def a_further_one(ctl):
    ctl.start("web")
    typist = Typist([*ctl.words, "exec", "-it", "-e", f"PS1={PROMPT}", "web", "--", "sh"])
    typist.await_text(PROMPT)
    typist.command("stty size", "30 90")
    typist.type("exit 9\n")
    same(typist.end(), 9)
    # Nothing of it is kept: who had the output has said so.
    with ctl.daemon.client() as client:
        assert len(client.call("inspect", {"name": "web"})["processes"]) == 1
    code, out, _ = ctl("exec", "web", "--", "sh", "-c", "test -t 0 || echo none")
    same((code, out), (0, "none\n"))
    same(ctl("rm", "-f", "web"), (0, "", ""))


def signals_from_outside(ctl):
    """They are passed on, as without a terminal; the third one means it."""
    typist = ctl.shell("--rm")
    typist.command("trap 'echo got it' TERM; echo set", "set")
    os.kill(typist.pid, signal.SIGTERM)
    time.sleep(0.3)
    typist.type("\n")
    typist.await_text("got it")
    for _ in range(2):
        os.kill(typist.pid, signal.SIGTERM)
        time.sleep(0.2)
    same(typist.end(), 128 + signal.SIGKILL)


def over_a_restart(ctl):
    """The daemon is killed and started anew while somebody types."""
    typist = ctl.shell("--rm")
    typist.command("x=kept; echo set", "set")
    ctl.daemon.kill()
    ctl.daemon.start()
    time.sleep(1)
    typist.command("echo $x", "kept")
    typist.resize(44, 110)
    assert eventually(5, lambda: "44 110" in (typist.type("stty size\n") or typist.await_text(PROMPT))), "its size stays"
    typist.type("exit 5\n")
    same(typist.end(), 5)


def no_daemon_any_more(ctl):
    """However it ends, the terminal is ours again."""
    typist = ctl.shell("--name", "lost")
    os.kill(typist.pid, signal.SIGSEGV)
    same(typist.end(), -signal.SIGSEGV)
    same(ctl("rm", "-f", "lost"), (0, "", ""))


def no_terminal_here(ctl):
    code, out, err = ctl.run("-it", "--", "sh")
    same((code, out), (125, ""))
    assert "not a terminal" in err, err
    same(ctl("ps", "-aq")[1], "")


TESTS = [a_shell, keys_are_the_programs, left_alone_and_found_again, detached, a_further_one, signals_from_outside, over_a_restart,
         no_daemon_any_more, no_terminal_here]

if __name__ == "__main__":
    sys.exit(cloisterctl.main(TESTS, Ctl, store="file"))

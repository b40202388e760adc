# SPDX-License-Identifier: Apache-2.0
"""watch.py - the stopwatch, a program of ours that does the timed things: Python would be half of what it measures."""
import json
import subprocess


class Failed(Exception):
    """Something could not be measured; a sentence."""


class Watch:
    """Every task is done and timed by one process that holds one connection to the daemon. wrapper: a command to run it by."""

    def __init__(self, program, socket, log_path, wrapper=()):
        self.log_path = log_path
        with open(log_path, "wb") as log:
            # A session of its own: a Ctrl-C is for us, who then end it by closing its stdin.
            self.process = subprocess.Popen([*wrapper, program, socket], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            text=True, start_new_session=True)
        try:
            self.time("program", argv=["/bin/true"])
        except Failed:
            self.close()
            raise

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def time(self, what, **task):
        """Nanoseconds that it took."""
        before = len(self.log())
        try:
            self.process.stdin.write(json.dumps({"do": what, **task}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self.process.stdout.readline().strip()
        if answer.isdigit():
            return int(answer)
        said = self.log()[before if answer else 0:].strip().splitlines()
        raise Failed(": ".join(filter(None, [answer.removeprefix("error: "), *said[:1]])) or "the stopwatch has gone")

    def close(self, seconds=120):
        """What it is doing is done to the end. Its exit code."""
        self.process.stdin.close()
        try:
            return self.process.wait(seconds)
        finally:
            self.process.stdout.close()

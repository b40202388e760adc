#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cloisterctl.py - what cloisterctl prints for people and for programs, and the flags that a docker user types, with a daemon behind it.

Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py. Wrong command lines that need no daemon are
in tools/cloisterctl/test_complain.c.
"""
import json
import os
import subprocess
import sys
import traceback

from house import House, eventually

SLEEP = ["--", "sleep", "1000"]


class Ctl:
    """cloisterctl on one daemon."""

    def __init__(self, house, daemon):
        self.rootfs = house.rootfs
        self.work = house.work
        self.words = [os.path.join(house.prefix, "bin/cloisterctl"), "--socket", daemon.socket]

    def __call__(self, *words, first=()):
        """(exit code, stdout, stderr)"""
        done = subprocess.run([*self.words, *first, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def run(self, *words):
        return self("run", "--rootfs", self.rootfs, *words)

    def start(self, name):
        code, out, err = self.run("-d", "--name", name, *SLEEP)
        assert code == 0, err
        return out.strip()

    def both(self, *words):
        """The same with --json before and behind the command."""
        yield lambda: self(*words, first=["--json"])
        yield lambda: self(words[0], "--json", *words[1:])


def same(got, want):
    assert got == want, f"{got!r} instead of {want!r}"


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def one_error(text, command, code, subject, in_message):
    error = json.loads(text)["error"]
    same([error["command"], error["code"], error.get("subject")], [command, code, subject])
    assert in_message in error["message"], error


def environment_of_the_container(ctl):
    """An exec has the container's own variables, and those given with it instead of or beside them."""
    code, _, err = ctl("run", "-d", "--name", "env", "-e", "KEPT=1", "-e", "OTHER=1", "--rootfs", ctl.rootfs, "--", "sleep", "1000")
    same((code, err), (0, ""))
    code, out, _ = ctl("exec", "-e", "OTHER=2", "env", "--", "env")
    same(code, 0)
    assert {"KEPT=1", "OTHER=2"} <= set(out.splitlines()) and "OTHER=1" not in out, out
    same(ctl("rm", "-f", "env"), (0, "", ""))


def users_with_names(ctl):
    """Known to the container, not to us; exec runs as the container's own user."""
    code, out, err = ctl.run("--rm", "-u", "nobody", "--", "sh", "-c", "id -u; id -g; echo $HOME $USER")
    same((code, out, err), (0, "65534\n65534\n/ nobody\n", ""))
    code, out, err = ctl.run("--rm", "--json", "-u", "ghost", "--", "true")
    same((code, out, json.loads(err)["error"]["code"]), (125, "", "user_unknown"))
    code, _, err = ctl.run("-d", "--name", "owned", "-u", "user:daemon", *SLEEP)
    same((code, err), (0, ""))
    for words, ids in (((), "1000 1\n"), (("-u", "nobody"), "65534 65534\n"), (("-u", "0"), "0 0\n")):
        same(ctl("exec", *words, "owned", "--", "sh", "-c", "echo $(id -u) $(id -g)"), (0, ids, ""))
    same(ctl("rm", "-f", "owned"), (0, "", ""))


def ended_ones_for_programs(ctl):
    """kill and rm name what they did, in both places of --json, and tell of what they could not do."""
    for kill in ctl.both("kill", "one", "none", "two"):
        ids = [ctl.start(name) for name in ("one", "two")]
        code, out, err = kill()
        same(code, 1)
        same(lines(out), [{"id": ids[0], "name": "one"}, {"id": ids[1], "name": "two"}])
        one_error(err, "kill", "no_entity", "none", "none")
        same(ctl("rm", "-f", "one", "two"), (0, "", ""))
    for remove in ctl.both("rm", "three"):
        name = ctl.start("three")
        code, out, err = remove()
        same((code, out), (1, ""))
        one_error(err, "rm", "invalid_state", "three", "-f")
        same(ctl("kill", "-9", "three"), (0, "", ""))
        same(ctl("exec", "three", "--", "true")[0], 125)
        code, out, err = remove()
        same((code, lines(out), err), (0, [{"id": name, "name": "three"}], ""))


def started_ones_for_programs(ctl):
    for run in ctl.both("run", "--rootfs", ctl.rootfs, "-d", "--name", "four", *SLEEP):
        code, out, err = run()
        same((code, err), (0, ""))
        same([lines(out)[0][key] for key in ("name", "state")], ["four", "running"])
        for execute in ctl.both("exec", "-d", "four", "--", "sleep", "1000"):
            code, out, err = execute()
            same((code, err), (0, ""))
            assert lines(out)[0]["pid"] > 0, out
        code, _, err = run()
        same(code, 125)
        one_error(err, "run", "exists", None, "four")
        same(ctl("rm", "-f", "four")[0], 0)
    for run in ctl.both("run", "--rootfs", ctl.rootfs, "--rm", "--", "no-such-program"):
        code, out, err = run()
        same((code, out), (127, ""))
        one_error(err, "run", "no_executable", None, "no-such-program")
    for run in ctl.both("run", "--rootfs", ctl.rootfs, "--rm", "-m", "16m", "--", "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"):
        code, out, err = run()
        same((code, out), (137, ""))
        one_error(err.splitlines()[-1], "run", "limit", "memory", "out of memory")


def running_one_is_not_removed(ctl):
    ctl.start("five")
    same(ctl("rm", "five"), (1, "", "cloisterctl: rm: 'five' is running: -f kills what runs in it and removes it\n"))
    same(ctl("rm", "-f", "five"), (0, "", ""))


def short_flags(ctl):
    shared = os.path.join(ctl.work, "shared")
    os.mkdir(shared)
    os.chmod(shared, 0o777)  # the container's root is nobody here
    with open(os.path.join(shared, "text"), "w", encoding="ascii") as file:
        file.write("hello\n")
    script = "hostname; cat /mnt/text; touch /mnt/new 2>/dev/null || echo read-only"
    same(ctl.run("--rm", "-i", "-h", "box", "-v", f"{shared}:/mnt:ro", "--cpus", ".5", "-m", "64m", "--", "sh", "-c", script),
         (0, "box\nhello\nread-only\n", ""))
    same(ctl.run("--rm", "--mount", "type=tmpfs,dst=/mnt,mode=0755", "-v", f"{shared}:/mnt/shared", "--", "cat", "/mnt/shared/text"),
         (0, "hello\n", ""))
    name = ctl.start("six")
    same(ctl.run("--name", "ended", "--", "true"), (0, "", ""))
    same(ctl("ps", "-q"), (0, f"{name}\n", ""))
    ids = ctl("ps", "-aq")[1].split()
    assert len(ids) == 2 and name in ids, ids
    for word, number in (("-TERM", 15), ("-KILL", 9), ("-sigkill", 9)):
        started = subprocess.Popen([*ctl.words, "run", "--rootfs", ctl.rootfs, "--rm", "--name", "seven", "-v", f"{shared}:/mnt", "--",
                                    "sh", "-c", "trap 'exit 15' TERM; touch /mnt/ready; while :; do sleep 0.05; done"])
        ready = os.path.join(shared, "ready")
        assert eventually(10, lambda: os.path.exists(ready)), "it does not get ready"
        same(ctl("kill", word, "seven"), (0, "", ""))
        same(started.wait(20), 15 if number == 15 else 137)
        os.unlink(ready)
    same(ctl("rm", "-f", *ids), (0, "", ""))


def sentences_of_the_backend(ctl):
    code, out, err = ctl.run("--rm", "-m", "1", "--", "true")
    same((code, out), (125, ""))
    assert err.endswith(": ran out of memory before the program began\n"), err
    bundle = os.path.join(ctl.work, "bundle")
    os.mkdir(bundle, 0o755)
    for more, sentence in (({"hooks": {"prestart": [{"path": "/x"}]}}, "hooks.prestart[0].path: program '/x' is not among the config's 'helpers'\n"),
                           ({"linux": {"namespaces": [{"type": "universe"}]}}, "linux.namespaces[0].type: 'universe' is no namespace\n")):
        config = {"ociVersion": "1.0.2", "root": {"path": ctl.rootfs, "readonly": True}, "process": {"args": ["true"], "cwd": "/"},
                  "linux": {"namespaces": [{"type": "mount"}]}, **more}
        with open(os.path.join(bundle, "config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        code, out, err = ctl("run", "--bundle", bundle)
        same((code, out), (125, ""))
        assert err.endswith(": " + sentence), err


def options_before_the_command(ctl):
    code, out, err = ctl("version", first=["--instance", "x"])
    same((code, out), (2, ""))
    same(err, "cloisterctl: either --socket or --instance (see `cloisterctl help`)\n")
    same(ctl("ps", first=["-t"]), (2, "", "cloisterctl: there is no option '-t' (see `cloisterctl help`)\n"))
    code, out, err = ctl("rnu", first=["--json"])
    same((code, out, json.loads(err)["error"]["message"]), (2, "", "there is no command 'rnu'; did you mean 'run'?"))
    same(ctl("run", "--help")[1], ctl("run", "-h")[1])
    same(ctl("help", "run")[1], ctl("run", "-h")[1])


TESTS = [environment_of_the_container, users_with_names, ended_ones_for_programs, started_ones_for_programs, running_one_is_not_removed, short_flags, sentences_of_the_backend,
         options_before_the_command]


def main(tests, make_ctl, **config):
    failed = 0
    with House() as house:
        daemon = house.daemon(**config).start()
        for test in tests:
            try:
                test(make_ctl(house, daemon))
                print(f"ok {test.__name__}", flush=True)
            except Exception as problem:  # a test's failure is a result, whatever it is
                here = sys.modules[test.__module__].__file__
                frame = [at for at in traceback.extract_tb(problem.__traceback__) if at.filename == here][-1]
                print(f"not ok {test.__name__}: {type(problem).__name__}: {problem} (line {frame.lineno})", flush=True)
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(TESTS, Ctl))

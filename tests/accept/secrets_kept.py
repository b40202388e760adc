#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""secrets_kept.py - a secret in the environment and one in a secret label are in no file of ours but the 0600 run file, in no log, core
or command line; exec after a restart still has the environment."""
import os
import resource
import signal
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(SOURCE, "tests/harness"), os.path.join(SOURCE, "tests/integration")]
import house  # noqa: E402
import specs  # noqa: E402

ENV_SECRET = "env-" + os.urandom(12).hex()
LABEL_SECRET = "label-" + os.urandom(12).hex()
MARKS = [ENV_SECRET.encode(), LABEL_SECRET.encode()]


def files(*tops):
    for top in tops:
        for directory, _, names in os.walk(top):
            for name in names:
                path = os.path.join(directory, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    yield path


def holding(paths, mark):
    found = []
    for path in paths:
        try:
            with open(path, "rb") as file:
                if mark in file.read():
                    found.append(path)
        except OSError:
            continue
    return found


def our_processes(daemon):
    """The daemon, its zygote, keepers: whatever runs one of our programs."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            program = os.readlink(f"/proc/{pid}/exe")
        except OSError:
            continue
        if "cloister" in program or int(pid) == daemon.process.pid:
            yield pid


def keeper_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("PPid"))


def look(home, daemon, sandbox):
    for mark, name in zip(MARKS, ("run-main", "run")):  # the container's own, the sandbox's
        run_file = os.path.join(daemon.run, sandbox, name)
        where = holding(files(daemon.directory, home.work), mark)
        assert set(where) == {run_file}, f"found in {where}, wanted in {run_file} only"
        assert os.stat(run_file).st_mode & 0o7777 == 0o600
        for pid in our_processes(daemon):
            assert not holding([f"/proc/{pid}/cmdline", f"/proc/{pid}/environ"], mark), f"process {pid} shows it"


def crash(home, daemon, keeper):
    """The daemon dies of SIGSEGV where cores are allowed and would be found: there is none. A keeper cannot be made to (it is the init of its
    namespace); its limit says the same."""
    for pid in (daemon.process.pid, keeper):
        limit = resource.prlimit(pid, resource.RLIMIT_CORE)
        assert limit == (0, 0), f"process {pid} may make cores: {limit}"
    os.kill(daemon.process.pid, signal.SIGSEGV)
    assert daemon.process.wait(10) == -signal.SIGSEGV
    pattern = open("/proc/sys/kernel/core_pattern", encoding="ascii").read().strip()
    tops = [home.work, os.path.dirname(pattern)] if pattern.startswith("/") else [home.work]
    cores = [path for path in files(*tops) if os.path.basename(path).startswith("core") and os.path.getmtime(path) > time.time() - 60]
    assert not cores, cores


def environment(client, sandbox):
    """What an exec that takes the container's environment sees."""
    reader, writer = os.pipe()
    params = specs.execute(sandbox, ["env"])
    params["process"]["env"] = ["OWN=1"]
    params["env_from_container"] = True
    client.call("exec", params, {"stdout": writer})
    os.close(writer)
    with os.fdopen(reader) as file:
        return file.read()


def main():
    with house.House() as home:
        daemon = home.daemon(store="file")
        daemon.prepare = ["env", "-C", home.work, "prlimit", "--core=unlimited:unlimited"]
        daemon.start()
        daemon.mark()
        params = specs.create(home.rootfs, ["sleep", "1000"], name="s", labels={"plain": "text"}, secret_labels={"token": LABEL_SECRET})
        params["spec"]["process"]["env"] = [*specs.ENV, f"TOKEN={ENV_SECRET}"]
        with daemon.client() as client:
            made = client.call("create", params)
            sandbox = made["id"]
            assert f"TOKEN={ENV_SECRET}" in environment(client, sandbox)
            look(home, daemon, sandbox)
            daemon.kill()
        daemon.start()
        with daemon.client() as client:
            seen = environment(client, sandbox)
            assert f"TOKEN={ENV_SECRET}" in seen and "OWN=1" in seen, seen
            look(home, daemon, sandbox)
            shown = str(client.call("inspect", {"name": "s"}))
            assert LABEL_SECRET not in shown and ENV_SECRET not in shown and "text" in shown
        crash(home, daemon, keeper_of(made["pid"]))
        daemon.start()
        with daemon.client() as client:
            client.call("destroy", {"name": "s"})
            for mark in MARKS:
                assert not holding(files(daemon.directory, home.work), mark), "it outlives its sandbox"
        daemon.clean()
    print("    in the run files only, before and after the restart")
    return 0


if __name__ == "__main__":
    sys.exit(main())

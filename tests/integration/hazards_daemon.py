#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hazards_daemon.py - what the daemon itself must stand (tests/hazards.tsv 2.1, 2.3, 2.4): few descriptors, a clock that jumps, what holds
mounts, a host with many of them; and what its plugins never call.

Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py; CL_FULL=1 tries every number of descriptors.
"""
import glob
import os
import subprocess
import sys
import time

import hazards
from hazards import execute, params, run, same
from house import eventually
import specs
import wire

NEVER = {"wait", "wait3", "wait4", "waitpid", "waitid", "uv_spawn", "fork", "vfork", "system", "popen", "posix_spawn", "posix_spawnp", "execve"}


def imports(path):
    done = subprocess.run(["nm", "-D", "--undefined-only", path], capture_output=True, text=True, check=True)
    return {line.split()[-1].split("@")[0] for line in done.stdout.splitlines()}


def nobody_waits_for_all(house, daemon):
    """No plugin starts or awaits a process by itself, so none takes another's exit; the daemon starts none through the loop's library."""
    plugins = glob.glob(os.path.join(house.prefix, "lib/cloister/plugins/*.so"))
    assert len(plugins) >= 5 and "calloc" in set().union(*map(imports, plugins)), plugins
    for path in plugins:
        same((path, imports(path) & NEVER), (path, set()))
    same(imports(os.path.join(house.prefix, "sbin/cloisterd")) & {"uv_spawn", "vfork", "system", "popen"}, set())


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def mount_points(pid):
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as file:
        return [line.split(" ")[4] for line in file]


def few_mounts(house, daemon):
    """A host with 300 mounts more: what sandboxes are forked from does not carry them, and neither does a container see one."""
    crowd = os.path.join(house.work, "crowd")
    os.mkdir(crowd)
    script = f'for i in $(seq 300); do mkdir {crowd}/$i; mount -t tmpfs -o size=4k crowd {crowd}/$i || exit 1; done; exec "$@"'
    other = house.daemon("crowded")
    other.prepare = ["unshare", "-m", "sh", "-c", script, "sh"]
    other.start(30)
    with other.client() as client:
        made = client.call("create", params(house.rootfs, ["/bin/sleep", "1000"]))
        assert len(mount_points(other.process.pid)) > 300
        [zygote] = children(other.process.pid)
        assert len(mount_points(zygote)) < 50, len(mount_points(zygote))
        same([point for pid in (zygote, made["pid"]) for point in mount_points(pid) if crowd in point], [])
        client.call("destroy", {"id": made["id"], "force": True})
    same(other.stop(), 0)


def held_mounts(house, daemon):
    """Mounts that are in use when a container is destroyed (open files, working directories, mounts upon mounts) go with it."""
    shared = os.path.join(house.work, "held")
    os.mkdir(shared)

    def change(spec):
        spec["mounts"] += [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]},
                           {"destination": "/tmp/in/in", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k"]},
                           {"destination": "/tmp/in/in/shared", "type": "bind", "source": shared, "options": ["rbind", "rw"]}]
    with daemon.client() as client:
        daemon.mark()
        made = client.call("create", params(house.rootfs, ["/bin/sleep", "1000"], userns=False, change=change))["id"]
        for _ in range(5):
            client.call("exec", specs.execute(made, ["/bin/sh", "-c", "cd /tmp/in/in/shared; exec 3>open 4>/tmp/in/in/x; exec sleep 1000"]))
        assert eventually(5, lambda: os.path.exists(os.path.join(shared, "open")))
        client.call("destroy", {"id": made, "force": True})
        daemon.clean()
    os.unlink(os.path.join(shared, "open"))
    os.rmdir(shared)


def one_life(daemon, house):
    """A container's life as far as it comes; what refuses it is a sentence or a closed connection."""
    try:
        with daemon.client(20) as client:
            return run(client, params(house.rootfs, ["/bin/true"]))[0]["kind"]
    except (wire.Refused, EOFError, ConnectionError) as problem:
        return str(problem) or type(problem).__name__


def few_descriptors(house, daemon):
    """With room for 8 to 200 descriptors: it says why it does not start, or answers; a create works or is refused; nothing hangs or is left."""
    lives = {"ended": 0, "refused": 0, "made": 0}
    for number in range(8, 201, 1 if os.environ.get("CL_FULL") else 12):
        tight = house.daemon(f"n{number}")
        tight.prepare = ["prlimit", f"--nofile={number}:{number}"]
        tight.process = tight.spawn()

        def settled(tight=tight):
            if tight.process.poll() is not None:
                return True
            try:
                with tight.client(5) as client:
                    return client.call("version")
            except (OSError, EOFError):
                return False
        assert eventually(15, settled), f"{number} descriptors: it neither answers nor ends"
        if tight.process.poll() is not None:
            assert tight.process.returncode > 0 and tight.log().strip(), f"{number} descriptors: it ended with {tight.process.returncode}"
            lives["ended"] += 1
            continue
        for _ in range(2):
            answer = one_life(tight, house)
            lives["made" if answer == "exited" else "refused"] += 1
        with tight.client(10) as client:
            left = [one for one in client.call("list")["sandboxes"] if one["state"] not in ("off", "destroying")]
            assert not left, f"{number} descriptors: {left}"
        same((number, tight.stop(20)), (number, 0))
        assert not [path for path in tight.cgroup_directories() if open(os.path.join(path, "cgroup.procs"), encoding="ascii").read().split()]
    print(f"    {lives}", flush=True)
    assert lives["made"] > 4 and lives["ended"], lives


def jumping_clock(house, daemon):
    """The clock of the day jumps by a day, back and forth, at each look: graces, deadlines and the ends of output are on time all the same."""
    other = house.daemon("clock")
    other.prepare = ["env", f"LD_PRELOAD={house.build}/tests/fault/jumpclock.so", "ASAN_OPTIONS=verify_asan_link_order=0"]
    other.start()
    with other.client() as client:
        made = client.call("create", params(house.rootfs, ["/bin/sleep", "1000"]))["id"]
        assert "jumpclock" in open(f"/proc/{other.process.pid}/maps", encoding="ascii").read(), "the clock does not jump"
        begin = time.monotonic()
        hazards.refused(client, "wait", {"id": made, "deadline_ms": 400}, "deadline")
        assert 0.35 < time.monotonic() - begin < 5, "a deadline came late or early"
        same(execute(client, made, ["/bin/echo", "x"])[1], "x\n")
        asked = {**specs.execute(made, ["/bin/sh", "-c", "sleep 1000 &"]), "stdio": [{"kind": "null"}, {"kind": "pipe"}, {"kind": "pipe"}],
                 "drain_idle_ms": 500, "drain_max_ms": 2000}
        begin = time.monotonic()
        process = client.call("exec", asked)["process"]
        client.call("wait", {"id": made, "process": process, "until": "drained"})
        assert 0.4 < time.monotonic() - begin < 6, "the output's end came late or early"
        begin = time.monotonic()
        client.call("stop", {"id": made, "grace_ms": 600})
        assert 0.5 < time.monotonic() - begin < 6, "a grace was too short or too long"
        client.call("destroy", {"id": made})
    same(other.stop(), 0)


TESTS = [nobody_waits_for_all, few_mounts, held_mounts, few_descriptors, jumping_clock]

if __name__ == "__main__":
    sys.exit(hazards.main([test for test in TESTS if len(sys.argv) < 2 or test.__name__ in sys.argv[1:]], [{"store": "file"}]))

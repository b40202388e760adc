#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hazards_processes.py - what processes get and must not get, and how they end (tests/hazards.tsv 1.1, 1.3, 2.1, 2.2).

The daemon here is born badly: SIGCHLD ignored, every signal blocked, further groups. A second one lacks the first choices of cgroups.
Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py.
"""
import os
import subprocess
import sys
import time

import hazards
from hazards import execute, params, refused, run, same, values
from house import eventually
import specs

BORN_BADLY = [sys.executable, "-c", """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
os.setgroups([20, 27])
os.execv(sys.argv[1], sys.argv[1:])"""]
SLEEP = ["/bin/sleep", "1000"]
NOTHING = "0" * 16


def no_pid_namespace(spec):
    spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "pid"]


def born_badly(house, daemon):
    """What the daemon inherited is not the container's: exit codes arrive, no signal is blocked or ignored, no group is kept."""
    with daemon.client() as client:
        status, text = run(client, params(house.rootfs, ["/bin/probe"]))
        same(status["kind"], "exited")
        seen, _ = values(text)
        same([int(seen[key], 16) for key in ("SigBlk", "SigIgn")], [0, 0])
        same(seen["Groups"], "")
        for code in (0, 7, 255):
            same(run(client, params(house.rootfs, ["/bin/sh", "-c", f"exit {code}"]))[0]["code"], code)


def capabilities_and_groups(house, daemon):
    """CapInh is empty, for root and others, in init and exec; supplementary groups are exactly those asked for."""
    with daemon.client() as client:
        made = client.call("create", params(house.rootfs, SLEEP))["id"]
        for user, groups in (({"uid": 0, "gid": 0}, ""), ({"uid": 1000, "gid": 1000}, ""),
                             ({"uid": 1000, "gid": 1000, "additionalGids": [7, 9]}, "7 9"), ({"uid": 0, "gid": 0, "additionalGids": [3]}, "3")):
            _, inner = execute(client, made, ["/bin/probe"], user=user)
            _, init = run(client, params(house.rootfs, ["/bin/probe"], change=lambda spec, user=user: spec["process"].update(user=user)))
            for text in (inner, init):
                seen, _ = values(text)
                same((seen["CapInh"], seen["CapAmb"], seen["Groups"], seen["Uid"].split()[0]), (NOTHING, NOTHING, groups, str(user["uid"])))
        client.call("destroy", {"id": made, "force": True})


def exec_is_held_as_init_is(house, daemon):
    """A further process has the masks, filters, limits, groups and capabilities of the first one, and no descriptor but 0, 1, 2."""
    with daemon.client() as client:
        _, init = run(client, params(house.rootfs, ["/bin/probe"]))
        made = client.call("create", params(house.rootfs, SLEEP))["id"]
        _, inner = execute(client, made, ["/bin/probe"])
        client.call("destroy", {"id": made, "force": True})
    init, inner = values(init)[0], values(inner)[0]
    keys = [key for key in init if key.startswith(("Cap", "path.", "rlimit.", "dev.", "fd.", "Seccomp", "NoNew", "Sig", "Groups", "links", "uid_map"))]
    same({key: inner.get(key) for key in keys if not key.startswith("fd.")}, {key: init[key] for key in keys if not key.startswith("fd.")})
    for seen in (init, inner):
        same(sorted(key for key in seen if key.startswith("fd.")), ["fd.0", "fd.1", "fd.2"])
        same((seen["NoNewPrivs"], seen["Seccomp"], seen["rlimit.core"]), ("1", "2", "0 0"))
        masks = [seen["path." + path] for path in hazards.specs.profile()["linux"]["maskedPaths"]]
        assert set(masks) <= {"null", "absent", "empty,ro"} and "null" in masks, masks
        assert "ro" in seen["path./proc/sys"], seen["path./proc/sys"]


def foreign_calls(house, daemon):
    """The filter holds for int 0x80 and for x32 numbers too; without one, the same calls work."""
    with daemon.client() as client:
        seen, _ = values(run(client, params(house.rootfs, ["/bin/probe", "calls"]))[1])
        same((seen["native.unshare"], seen["i386.unshare"], seen["i386.getpid"]), ("1", "1", "0"))
        assert seen["x32.unshare"] in ("1", "38"), seen
        free, _ = values(run(client, params(house.rootfs, ["/bin/probe", "calls"], change=lambda spec: spec["linux"].pop("seccomp")))[1])
        same((free["native.unshare"], free["i386.unshare"]), ("0", "0"))


def long_values(house, daemon):
    """A long variable arrives whole, or is refused: never a shorter one."""
    with daemon.client() as client:
        made = client.call("create", params(house.rootfs, SLEEP))["id"]
        for size in (65535, 65536, 65537, 100000, 131000):
            same(execute(client, made, ["/bin/sh", "-c", "echo ${#X}"], env=[*specs.ENV, "X=" + "x" * size])[1], f"{size}\n")
        asked = specs.execute(made, ["/bin/true"])
        asked["process"]["env"] = ["X=" + "x" * 140000]
        refused(client, "exec", asked)
        many = [f"X{i}=" + "x" * 100000 for i in range(8)]
        same(execute(client, made, ["/bin/sh", "-c", "echo $((${#X0}+${#X1}+${#X2}+${#X3}+${#X4}+${#X5}+${#X6}+${#X7}))"], env=many)[1], "800000\n")
        maps = [{"containerID": i, "hostID": 1000000 + i, "size": 1} for i in range(3000)]
        refused(client, "create", params(house.rootfs, SLEEP, change=lambda spec: spec["linux"].update(uidMappings=maps, gidMappings=maps)))
        client.call("destroy", {"id": made, "force": True})


def orphans(house, daemon):
    """1,000 double forks: no zombie after a second, in a container's own pid namespace and in its sandbox's; the first exit is right."""
    script = """i=0; while [ $i -lt 1000 ]; do (true &); i=$((i+1)); done; sleep 1
        grep -l '^State:.Z' /proc/[0-9]*/status 2>&- | wc -l; exit 7"""
    with daemon.client() as client:
        for change in (None, no_pid_namespace):
            made = client.call("create", params(house.rootfs, [], pause=True, change=change))["id"]
            status, text = execute(client, made, ["/bin/sh", "-c", script])
            same((status["code"], text), (7, "0\n"))
            client.call("destroy", {"id": made, "force": True})
        status, text = run(client, params(house.rootfs, ["/bin/sh", "-c", script], change=no_pid_namespace))
        same((status["code"], text), (7, "0\n"))


def fork_bombs(house, daemon):
    """A hundred processes that fork for ever are destroyed in bounded time, with a pid namespace and without; so are they by `stop`."""
    with daemon.client() as client:
        daemon.mark()
        for change in (None, no_pid_namespace):
            for verb in ("destroy", "stop"):
                def bounded(spec, change=change):
                    spec["linux"].setdefault("resources", {})["pids"] = {"limit": 100}
                    if change:
                        change(spec)
                made = client.call("create", params(house.rootfs, ["/bin/probe", "bomb"], change=bounded))["id"]
                assert eventually(10, lambda made=made: client.call("stats", {"id": made})["stats"]["pids"] > 60), "it does not explode"
                begin = time.monotonic()
                if verb == "stop":
                    client.call("stop", {"id": made, "grace_ms": 100})
                client.call("destroy", {"id": made, "force": True})
                took = time.monotonic() - begin
                assert took < 10, f"{verb} took {took:.1f} s"
        daemon.clean()


def deaf_inits(house, daemon):
    """SIGTERM does nothing to a first process that does not listen: `stop` waits for the grace and kills, what has left its session too."""
    script = "(trap '' TERM HUP; setsid sleep 1001 &); exec sleep 1000"
    with daemon.client() as client:
        daemon.mark()
        made = client.call("create", params(house.rootfs, ["/bin/sh", "-c", script]))["id"]
        begin = time.monotonic()
        status = client.call("stop", {"id": made, "grace_ms": 700})["status"]
        took = time.monotonic() - begin
        same((status["kind"], status["signal"]), ("signaled", 9))
        assert 0.6 < took < 5, f"it took {took:.1f} s"
        client.call("destroy", {"id": made})
        daemon.clean()


def allocates_at_once(house, daemon):
    """Limits hold from the first instruction on: what takes 64 MiB at once dies of 8, as init and as a further process."""
    take = ["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]

    def small(spec):
        spec["linux"].setdefault("resources", {})["memory"] = {"limit": 16 << 20, "swap": 16 << 20}
    with daemon.client() as client:
        status, _ = run(client, params(house.rootfs, take, change=small))
        same((status["kind"], status["oom"]), ("signaled", True))
        made = client.call("create", params(house.rootfs, SLEEP, change=small))["id"]
        status, _ = execute(client, made, take)
        same((status["kind"], status["oom"]), ("signaled", True))
        same(execute(client, made, ["/bin/true"])[0]["code"], 0)
        client.call("destroy", {"id": made, "force": True})


def real_time(house, daemon):
    """SCHED_FIFO without run time for it is refused with a sentence that tells which file is at fault."""
    def fifo(spec):
        spec["process"]["scheduler"] = {"policy": "SCHED_FIFO", "priority": 1}
        spec["process"]["capabilities"] = {name: ["CAP_SYS_NICE"] for name in ("bounding", "effective", "permitted")}
    with daemon.client() as client:
        sentence = refused(client, "create", params(house.rootfs, SLEEP, userns=False, change=fifo))
    assert "SCHED_FIFO" in sentence and "cpu.rt_runtime_us" in sentence, sentence


def devices_by_default(house, daemon):
    """Nothing but the usual devices can be made or opened, with CAP_MKNOD as the host's root too."""
    root = hazards.copy_of(house, os.path.basename(daemon.directory) + "-devices")
    subprocess.run(["mknod", os.path.join(root, "bin/kmsg"), "c", "1", "11"], check=True)

    def strong(spec):
        spec["process"]["capabilities"] = {name: ["CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_SYSLOG"]
                                           for name in ("bounding", "effective", "permitted")}
        spec["linux"].pop("seccomp")
    script = """mount -t tmpfs -o dev x /tmp; mknod /tmp/disk b 8 0 2>&-; mknod /tmp/kmsg c 1 11 2>&-; mknod /tmp/mem c 1 1 2>&-
        for d in /tmp/* /bin/kmsg; do [ -e $d ] && ( head -c 1 $d > /dev/null ) 2>&- && echo "read $d"; done
        head -c 1 /dev/zero | wc -c; echo x > /dev/null && echo fine"""
    with daemon.client() as client:
        status, text = run(client, params(root, ["/bin/sh", "-c", script], userns=False, change=strong))
    same((status["code"], text), (0, "1\nfine\n"))


TESTS = [born_badly, capabilities_and_groups, exec_is_held_as_init_is, foreign_calls, long_values, orphans, fork_bombs, deaf_inits,
         allocates_at_once, real_time, devices_by_default]
DAEMONS = [{"store": "file", "prepare": BORN_BADLY},
           {"store": "file", "label": "second-choices", "isolation": {"forbid": ["v2-kill", "v2-freeze", "v1-devices"]}}]

if __name__ == "__main__":
    wanted = [test for test in TESTS if len(sys.argv) < 2 or test.__name__ in sys.argv[1:]]
    sys.exit(hazards.main(wanted, DAEMONS[:1]) | hazards.main([test for test in wanted if test in (fork_bombs, devices_by_default)], DAEMONS[1:]))

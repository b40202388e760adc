#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""frozen.py [CASE...] - what is asked of a frozen sandbox or container: each row of ARCHITECTURE.md's table, by v2's freezer and by v1's.

Then many freezes and thaws under load (200, or as many as CL_CYCLES says), with what a cycle took.
Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py.
"""
import base64
import os
import select
import signal
import socket
import sys
import threading
import time

import hazards
from hazards import params, refused, same
from house import eventually
import specs

BUSY = ["/bin/sh", "-c", "while :; do :; done"]
PIPES = [{"kind": "pipe"}, {"kind": "pipe"}, {"kind": "null"}]
TERMINAL = [{"kind": "pty", "rows": 24, "columns": 80}, {"kind": "pty"}, {"kind": "pty"}]
CYCLES = int(os.environ.get("CL_CYCLES", "200"))
SOON = 3  # seconds: what is answered at once, on a busy machine


def ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def runs(pid, seconds=SOON):
    before = ticks(pid)
    return eventually(seconds, lambda: ticks(pid) > before)


def stands(pid):
    return not runs(pid, 0.3)


def gone(pidfd):
    return bool(select.select([pidfd], [], [], 10)[0])


def keeper_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("PPid"))


class Frozen:
    """A sandbox that stands still: a busy init, and one busy process more. container: only its container was frozen."""

    def __init__(self, house, client, container=None, args=BUSY, **more):
        self.client, self.container = client, container
        made = client.call("create", params(house.rootfs, args, **more))
        self.id, self.pid, self.init = made["id"], made["pid"], made["process"]
        other = client.call("exec", specs.execute(self.id, BUSY))
        self.other, self.other_pid = other["process"], other["pid"]

    def __enter__(self):
        self.call("freeze", **self.which())
        return self

    def __exit__(self, *unused):
        self.client.call("destroy", {"id": self.id, "force": True})

    def which(self):
        return {"container": self.container} if self.container else {}

    def call(self, method, **more):
        begin = time.monotonic()
        answer = self.client.call(method, {"id": self.id, **more})
        took = time.monotonic() - begin
        assert took < SOON, f"{method} took {took:.1f} s"
        return answer

    def refused(self, method, code="frozen", **more):
        begin = time.monotonic()
        sentence = refused(self.client, method, {"id": self.id, **more}, code)
        assert time.monotonic() - begin < SOON, f"{method} is refused late"
        return sentence

    def state(self):
        [one] = [one for one in self.client.call("list")["sandboxes"] if one["id"] == self.id]
        return "frozen" in one["flags"], one["containers"][0]["frozen"]


def scopes():
    return (None, "main")


def with_stream(frozen, method, asked):
    """A request that carries a stream: (its id, our end)."""
    ours, theirs = socket.socketpair()
    request = frozen.client.send(method, {"id": frozen.id, **asked}, fds={"stream": theirs.fileno()})
    theirs.close()
    ours.settimeout(20)
    return request, ours


def starts_nothing(house, daemon):
    """exec, start, files_in, files_out: `frozen`, at once."""
    with daemon.client() as client:
        for container in scopes():
            with Frozen(house, client, container) as frozen:
                frozen.refused("exec", process=specs.execute("", ["/bin/true"])["process"])
                for method in ("files_in", "files_out"):
                    request, ours = with_stream(frozen, method, {"path": "/tmp"})
                    try:
                        client.answer(request)
                        raise AssertionError(f"{method} was not refused")
                    except hazards.wire.Refused as refusal:
                        same(refusal.error["code"], "frozen")
                    ours.close()
            blocked = client.call("create", params(house.rootfs, BUSY, start="blocked"))["id"]
            client.call("freeze", {"id": blocked, **({"container": container} if container else {})})
            refused(client, "start", {"id": blocked}, "frozen")
            client.call("thaw", {"id": blocked, **({"container": container} if container else {})})
            client.call("start", {"id": blocked})
            client.call("destroy", {"id": blocked, "force": True})


def again_and_back(house, daemon):
    """freeze again: success; thaw: it runs on, and so does thaw again; what is shown goes with it."""
    with daemon.client() as client:
        for container in scopes():
            with Frozen(house, client, container) as frozen:
                same(frozen.state(), (container is None, True))
                frozen.call("freeze", **frozen.which())
                assert stands(frozen.pid) and stands(frozen.other_pid), "it runs"
                for _ in range(2):
                    frozen.call("thaw", **frozen.which())
                    assert runs(frozen.pid) and runs(frozen.other_pid), "it does not run on"
                same(frozen.state(), (False, False))


def one_of_all(house, daemon):
    """thaw of a container while the whole sandbox is frozen: `frozen`; a thaw of the sandbox lets everything run, that container too."""
    with daemon.client() as client, Frozen(house, client) as frozen:
        frozen.refused("thaw", container="main")
        assert stands(frozen.pid), "it runs"
        frozen.call("thaw")
        frozen.call("freeze", container="main")
        frozen.call("freeze")
        frozen.refused("thaw", container="main")
        frozen.call("thaw")
        assert runs(frozen.pid), "it does not run"
        same(frozen.state(), (False, False))


def kills(house, daemon):
    """signal KILL takes effect at once; the others stay frozen. To all: all."""
    with daemon.client() as client:
        for container in scopes():
            with Frozen(house, client, container) as frozen:
                frozen.call("signal", process=frozen.other, signal="KILL")
                status = frozen.call("wait", process=frozen.other)["status"]
                same((status["kind"], status["signal"]), ("signaled", 9))
                assert stands(frozen.pid), "another one runs"
                frozen.call("signal", container="main", set="all", signal="KILL")
                same(frozen.call("wait")["status"]["signal"], 9)


def pending_signals(house, daemon):
    """Another signal: success; one that is listened to is seen after the thaw."""
    script = "trap 'exit 5' TERM; while :; do :; done"
    with daemon.client() as client:
        for container in scopes():
            frozen = Frozen(house, client, container, args=["/bin/sh", "-c", script])
            time.sleep(0.3)  # until it listens
            with frozen:
                frozen.call("signal", container="main", set="init", signal="TERM")
                assert stands(frozen.pid), "it runs"
                frozen.call("thaw", **frozen.which())
                same(frozen.call("wait")["status"]["code"], 5)


def ends(house, daemon):
    """stop and destroy: done; the grace is not waited for."""
    with daemon.client() as client:
        daemon.mark()
        for container in scopes():
            frozen = Frozen(house, client, container).__enter__()
            status = frozen.call("stop", grace_ms=60000)["status"]
            same((status["kind"], status["signal"]), ("signaled", 9))
            frozen.call("destroy")
            frozen = Frozen(house, client, container).__enter__()
            frozen.call("destroy", force=True)
            daemon.clean()


def as_ever(house, daemon):
    """update, stats, procs, read_file, attach, stdin, wait, labels, list: as if it ran."""
    script = "echo hello; head -n 1; while :; do :; done"
    with daemon.client() as client:
        for container in scopes():
            frozen = Frozen(house, client, container, args=["/bin/sh", "-c", script], stdio=PIPES)
            ended = client.call("exec", specs.execute(frozen.id, ["/bin/sh", "-c", "exit 3"]))["process"]
            assert eventually(5, lambda frozen=frozen, ended=ended: ended in [
                one["process"] for one in client.call("inspect", {"id": frozen.id})["processes"] if one["state"] in ("exited", "drained")])
            with frozen:
                same(frozen.call("update", resources={"pids": {"limit": 77}})["limits"]["pids"]["limit"], 77)
                assert frozen.call("stats")["stats"]["pids"] >= 2
                assert {one["pid"] for one in frozen.call("procs")["procs"]} >= {frozen.pid, frozen.other_pid}
                same(base64.b64decode(frozen.call("read_file", path="/etc/hostname")["data"]), b"cloister\n")
                request, ours = with_stream(frozen, "attach", {"from": "oldest", "follow": False})
                same(ours.recv(100), b"hello\n")
                same(client.answer(request)["verdict"], "eof")
                ours.close()
                request, ours = with_stream(frozen, "stdin", {})
                ours.sendall(b"line\n")
                ours.shutdown(socket.SHUT_WR)
                same(client.answer(request)["bytes"], 5)
                ours.close()
                same(frozen.call("wait", process=ended)["status"]["code"], 3)
                frozen.call("label", set={"a": "b"})
                same(frozen.call("inspect")["labels"], {"a": "b"})
                frozen.call("thaw", **frozen.which())
                assert eventually(SOON, lambda frozen=frozen: b"line" in everything(frozen)), "what stdin was given does not arrive"
                frozen.call("signal", process=frozen.other, signal="KILL")
                frozen.call("wait", process=frozen.other)


def everything(frozen):
    request, ours = with_stream(frozen, "attach", {"from": "oldest", "follow": False})
    text = b""
    while data := ours.recv(1 << 16):
        text += data
    frozen.client.answer(request)
    return text


def releases(house, daemon):
    """release of a captured process that has ended."""
    with daemon.client() as client:
        frozen = Frozen(house, client)
        asked = {**specs.execute(frozen.id, ["/bin/echo", "x"]), "stdio": PIPES}
        ended = client.call("exec", asked)["process"]
        client.call("wait", {"id": frozen.id, "process": ended, "until": "drained"})
        with frozen:
            frozen.call("release", process=ended)
            same([one for one in frozen.call("inspect")["processes"] if one["process"] == ended], [])


def resizes(house, daemon):
    """resize: success; what it signals is seen after the thaw."""
    script = "trap 'echo size $(stty size)' WINCH; echo ready; while :; do sleep 0.05; done"
    with daemon.client() as client:
        for container in scopes():
            def terminal(spec):
                spec["process"]["terminal"] = True
            frozen = Frozen(house, client, container, args=["/bin/sh", "-c", script], stdio=TERMINAL, change=terminal)
            assert eventually(SOON, lambda frozen=frozen: b"ready" in everything(frozen)), "it does not get ready"
            with frozen:
                frozen.call("resize", rows=31, columns=91)
                time.sleep(0.2)
                assert b"size" not in everything(frozen), "it ran"
                frozen.call("thaw", **frozen.which())
                assert eventually(SOON, lambda frozen=frozen: b"size 31 91" in everything(frozen)), everything(frozen)


def the_daemon_dies(house, daemon):
    """Frozen stays frozen; the next daemon reads it back."""
    for container in scopes():
        with daemon.client() as client:
            frozen = Frozen(house, client, container).__enter__()
        daemon.kill()
        assert stands(frozen.pid), "it runs without its daemon"
        daemon.start()
        with daemon.client() as client:
            frozen.client = client
            assert eventually(5, lambda frozen=frozen, container=container: frozen.state() == (container is None, True)), frozen.state()
            frozen.refused("exec", process=specs.execute("", ["/bin/true"])["process"])
            frozen.call("thaw", **frozen.which())
            assert runs(frozen.pid), "it does not run on"
            frozen.__exit__()


def the_keeper_dies(house, daemon):
    """off(lost), and everything is dead after the thaw; with the daemon there, and away."""
    for away in (False, True):
        for container in scopes():
            with daemon.client() as client:
                daemon.mark()
                frozen = Frozen(house, client, container).__enter__()
            pidfds = [os.pidfd_open(pid) for pid in (frozen.pid, frozen.other_pid)]
            keeper = keeper_of(frozen.pid)
            if away:
                daemon.kill()
            os.kill(keeper, signal.SIGKILL)
            if away:
                daemon.start()
            assert all(gone(pidfd) for pidfd in pidfds), "it lives on"
            for pidfd in pidfds:
                os.close(pidfd)
            with daemon.client() as client:
                frozen.client = client
                assert eventually(5, lambda frozen=frozen, client=client: [
                    (one["state"], one["cause"]) for one in client.call("list")["sandboxes"] if one["id"] == frozen.id] == [("off", "lost")])
                frozen.call("destroy")
            if not away:
                daemon.clean()


def many_at_once(house, daemon):
    """100 runnable processes stand still and are let go: others are served meanwhile."""
    script = "i=0; while [ $i -lt 100 ]; do (while :; do :; done) & i=$((i+1)); done; wait"
    with daemon.client() as client, daemon.client() as bystander:
        made = client.call("create", params(house.rootfs, ["/bin/sh", "-c", script]))["id"]
        assert eventually(20, lambda: client.call("stats", {"id": made})["stats"]["pids"] >= 100)
        slowest = 0
        for _ in range(5):
            for method in ("freeze", "thaw"):
                request = client.send(method, {"id": made, "deadline_ms": 20000})
                begin = time.monotonic()
                bystander.call("list")
                slowest = max(slowest, time.monotonic() - begin)
                client.answer(request)
        client.call("destroy", {"id": made, "force": True})
        assert slowest < SOON, f"another client waited {slowest:.1f} s"


def cycles(house, daemon):
    """Many freezes and thaws of what computes, forks and writes: none hangs, none fails; and v2's notice, 10 ms late, is not waited for."""
    load = "while :; do (true); echo x > /tmp/x; done"
    stop = threading.Event()
    with daemon.client() as client, daemon.client() as second:
        def tmp(spec):
            spec["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]})
        made = client.call("create", params(house.rootfs, ["/bin/sh", "-c", f"({load}) & {load}"], change=tmp))["id"]

        def asks():
            while not stop.is_set():
                second.call("stats", {"id": made})
                time.sleep(0.01)
        asking = threading.Thread(target=asks)
        asking.start()
        took = []
        try:
            for _ in range(CYCLES):
                begin = time.monotonic()
                client.call("freeze", {"id": made})
                took.append(time.monotonic() - begin)
                client.call("thaw", {"id": made})
        finally:
            stop.set()
            asking.join()
        assert client.call("stats", {"id": made})["stats"]["pids"] >= 2
        client.call("destroy", {"id": made, "force": True})
    took.sort()
    print(f"    {CYCLES} cycles: freeze took {took[len(took) // 2] * 1000:.2f} ms (median), {took[len(took) * 99 // 100] * 1000:.2f} ms (99 of 100),"
          f" at most {took[-1] * 1000:.1f} ms", flush=True)
    assert took[-1] < 10, f"one took {took[-1]:.1f} s"
    assert took[len(took) // 4] < 0.01, f"a quarter took less than {took[len(took) // 4] * 1000:.1f} ms only: that is the notice's pace"


TESTS = [starts_nothing, again_and_back, one_of_all, kills, pending_signals, ends, as_ever, releases, resizes, the_daemon_dies, the_keeper_dies,
         many_at_once, cycles]
DAEMONS = [{"store": "file", "label": "v2"}, {"store": "file", "label": "v1", "isolation": {"forbid": ["v2-freeze"]}}]

if __name__ == "__main__":
    sys.exit(hazards.main([test for test in TESTS if len(sys.argv) < 2 or test.__name__ in sys.argv[1:]], DAEMONS))

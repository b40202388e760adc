#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rude_readers.py - clients of streams that cost nobody else anything: one that takes O_NONBLOCK off the descriptor it shares, one that leaves while
its bytes cannot go on, many until the daemon has no descriptor left."""
import fcntl
import os
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import house  # noqa: E402
import specs  # noqa: E402
import wire  # noqa: E402

PIPES = [{"kind": "pipe"}, {"kind": "pipe"}, {"kind": "pipe"}]


def send_stream(client, method, params):
    ours, theirs = socket.socketpair()
    return client.send(method, params, {"stream": theirs.fileno()}), ours, theirs


def create(client, rootfs, name, script):
    return client.call("create", dict(specs.create(rootfs, ["sh", "-c", script], name=name), stdio=PIPES))


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def blocking_descriptor(home):
    """O_NONBLOCK belongs to the open file: without it a full socket would keep the whole daemon waiting."""
    daemon = home.daemon("blocking").start()
    daemon.mark()
    with daemon.client() as client:
        create(client, home.rootfs, "yes", "exec yes")
        _, ours, theirs = send_stream(client, "attach", {"name": "yes", "fd": 1, "from": "oldest", "policy": "drop"})
        assert ours.recv(1 << 16)
        fcntl.fcntl(theirs, fcntl.F_SETFL, 0)
        for _ in range(20):
            ours.recv(1 << 16)
        time.sleep(0.3)
        with daemon.client(5) as other:
            other.call("version")
        ours.close()
        theirs.close()
        client.call("destroy", {"name": "yes"})
    daemon.clean()


def left_alone(home):
    """A client of stdin fills what there is and closes its end, while the process does not read: the daemon waits without spinning."""
    daemon = home.daemon("alone").start()
    daemon.mark()
    with daemon.client() as client, daemon.client() as writer:
        create(client, home.rootfs, "deaf", "exec sleep 1000")
        _, ours, theirs = send_stream(writer, "stdin", {"name": "deaf"})
        theirs.close()
        ours.setblocking(False)
        try:
            while True:
                ours.send(bytes(4096))
                time.sleep(0.0005)
        except BlockingIOError:
            pass
        ours.close()
        before = processor_seconds(daemon.process.pid)
        time.sleep(1)
        used = processor_seconds(daemon.process.pid) - before
        assert used < 0.3, f"{used} s of processor time in a second of waiting"
        client.call("destroy", {"name": "deaf"})
    daemon.clean()


def no_descriptor_left(home):
    """At its limit the daemon refuses what it cannot do; no container pays for it."""
    daemon = home.daemon("few", store="file")
    daemon.prepare = ["prlimit", "--nofile=64:64"]
    daemon.start()
    daemon.mark()
    with daemon.client() as client:
        pids = [create(client, home.rootfs, name, "echo text; exec sleep 1000")["pid"] for name in ("victim", "other")]
        kept, idle = [], []
        for _ in range(64):
            try:
                request, ours, theirs = send_stream(client, "attach", {"name": "other", "fd": 1, "from": "oldest", "follow": False})
                theirs.close()
                kept.append(ours)
                client.answer(request)
            except (wire.Refused, EOFError):
                break
        while len(os.listdir(f"/proc/{daemon.process.pid}/fd")) < 62 and len(idle) < 100:
            idle.append(daemon.client(5))
            time.sleep(0.005)
        with_stream = None
        try:
            request, with_stream, theirs = send_stream(client, "attach", {"name": "victim", "fd": 1, "from": "oldest", "follow": False})
            theirs.close()
            client.answer(request)
        except (wire.Refused, EOFError, ConnectionError):
            pass
        for one in [*kept, *idle, with_stream]:
            one.close()
    with daemon.client() as client:
        states = {one["name"]: one["state"] for one in client.call("list")["sandboxes"]}
        assert states == {"victim": "up", "other": "up"}, states
        for pid in pids:
            os.kill(pid, 0)
        for name in states:
            client.call("destroy", {"name": name})
    daemon.clean()


def main():
    with house.House() as home:
        for test in (blocking_descriptor, left_alone, no_descriptor_left):
            test(home)
            print(f"    {test.__name__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

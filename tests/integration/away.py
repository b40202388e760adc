#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""away.py - what happens while the daemon is away: exits (with their cause), output, and what a keeper owes nobody (sdk.md section 7, 02)."""
import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import house  # noqa: E402
import specs  # noqa: E402

PIPES = [{"kind": "null"}, {"kind": "pipe"}, {"kind": "pipe"}]


def keeper_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("PPid"))


def memory_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def gone(pid):
    return house.eventually(10, lambda: not os.path.exists(f"/proc/{pid}/exe"))


def exits_while_away(daemon, rootfs):
    """Exit code, signal and OOM of inits that end while no daemon runs; each is announced as an event, and waits find it."""
    scripts = {"code": "sleep 1; exit 42", "signal": "sleep 1000", "oom": "sleep 1; dd if=/dev/zero of=/dev/null bs=64M count=1"}
    made = {}
    with daemon.client() as client:
        for name, script in scripts.items():
            params = specs.create(rootfs, ["sh", "-c", f"exec 2>/dev/null; {script}"], name=name)
            params["spec"]["linux"].setdefault("resources", {})["memory"] = {"limit": 16 << 20, "swap": 16 << 20}
            made[name] = client.call("create", params)
    daemon.kill()
    os.kill(made["signal"]["pid"], signal.SIGKILL)
    for one in made.values():
        assert gone(one["pid"]), "an init does not end"
    daemon.start()
    with daemon.client() as client:
        got = {name: client.call("wait", {"name": name})["status"] for name in scripts}
        assert got["code"]["kind"] == "exited" and got["code"]["code"] == 42, got
        assert got["signal"]["kind"] == "signaled" and got["signal"]["signal"] == 9 and not got["signal"]["oom"], got
        assert got["oom"]["oom"], got
        assert all(status["real_ns"] < time.time_ns() - 10 ** 7 for status in got.values()), "an exit has the time of the restart"
        for name in scripts:
            client.call("destroy", {"name": name})


def stopped_daemon(daemon, rootfs):
    """The daemon stands still while an exec'd child and then the init die: the keeper reaps both at once, no zombie holds the init."""
    with daemon.client() as client:
        made = client.call("create", specs.create(rootfs, ["sleep", "1000"], name="still"))
        child = client.call("exec", specs.execute(made["id"], ["sleep", "1000"]))
        daemon.process.send_signal(signal.SIGSTOP)
        for pid in (child["pid"], made["pid"]):
            os.kill(pid, signal.SIGKILL)
            assert house.eventually(2, lambda pid=pid: not os.path.exists(f"/proc/{pid}")), f"{pid} is not reaped while the daemon stands still"
        daemon.process.send_signal(signal.SIGCONT)
        for params in ({"name": "still", "process": child["process"]}, {"name": "still"}):
            status = client.call("wait", params)["status"]
            assert status["kind"] == "signaled" and status["signal"] == 9, status
        client.call("destroy", {"name": "still"})


def many_execs(daemon, rootfs, count):
    """Short execs one after the other in one container cost neither daemon nor keeper memory."""
    with daemon.client() as client:
        made = client.call("create", specs.create(rootfs, ["sleep", "1000"], name="execs"))
        pids = daemon.process.pid, keeper_of(made["pid"])
        before = None
        for i in range(0, count, 50):
            requests = [client.send("exec", specs.execute(made["id"], ["true"])) for _ in range(50)]
            waits = [client.send("wait", {"name": "execs", "process": client.answer(one)["process"]}) for one in requests]
            for wait in waits:
                assert client.answer(wait)["status"]["code"] == 0
            client.answers.clear()
            if i >= count // 5 and not before:
                before = [memory_of(pid) for pid in pids]
        after = [memory_of(pid) for pid in pids]
        assert after[0] < before[0] + 2048 and after[1] < before[1] + 512, f"daemon and keeper grew from {before} to {after} kB"
        client.call("destroy", {"name": "execs"})


class Reader:
    def __init__(self, client, name, position):
        self.client = client
        self.ours, theirs = socket.socketpair()
        self.request = self.client.send("attach", {"name": name, "fd": 1, "from": position, "policy": "block"}, {"stream": theirs.fileno()})
        theirs.close()

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.ours.recv(size - len(data))
            if not more:
                break
            data += more
        return data

    def close(self):
        self.ours.close()
        self.client.close()


def say(client, name, text):
    """Writes text to the stdin of the container's init."""
    ours, theirs = socket.socketpair()
    request = client.send("stdin", {"name": name}, {"stream": theirs.fileno()})
    theirs.close()
    ours.sendall(text)
    ours.shutdown(socket.SHUT_WR)
    assert client.answer(request)["bytes"] == len(text)
    ours.close()


def first_difference(got, wanted):
    """Where, for a message; None: there is none."""
    if got == wanted:
        return None
    at = next((i for i, pair in enumerate(zip(got, wanted)) if pair[0] != pair[1]), min(len(got), len(wanted)))
    there = got[at:at + 40]
    return f"{len(got)} bytes of {len(wanted)}, at {at} there is {there!r} (of {wanted.find(there) if there else at}), not {wanted[at:at + 40]!r}"


def three_readers(daemon, rootfs, kills):
    """Three readers of one stream at their own pace, the daemon killed again and again: each has every byte once."""
    lines = b"".join(b"%d\n" % i for i in range(1, 300001))
    joined = [b"", b"", b""]
    client = daemon.client()
    script = ["sh", "-c", "read go; seq 1 300000"]
    # A reader may be killed before it has got anything, turn after turn: the window is all there is, so that none is left behind by more.
    stdio = [{"kind": "pipe"}, {"kind": "pipe", "window": 2 << 20}, {"kind": "null"}]
    client.call("create", dict(specs.create(rootfs, script, name="seq"), stdio=stdio))
    # A byte is kept for the readers there are: one that comes later begins behind what those have had, and hears how much that was only
    # when its stream ends. So the process waits until all three are there. (In one connection: the attaches are done before the stdin.)
    readers = [Reader(client, "seq", 0) for _ in joined]
    say(client, "seq", b"go\n")
    for turn in range(kills):
        share = len(lines) // (kills + 1) * (turn + 1)
        for i, reader in enumerate(readers):
            joined[i] += reader.read(max(0, share - len(joined[i]) - 1000 * i))
        daemon.kill()
        for i, reader in enumerate(readers):
            joined[i] += reader.read(1 << 30)  # what was in the socket is in the cursor's count
            reader.close()
        daemon.start()
        readers = [Reader(daemon.client(), "seq", len(one)) for one in joined]
    for i, reader in enumerate(readers):
        begun = len(joined[i])
        joined[i] += reader.read(1 << 30)
        answer = reader.client.answer(reader.request)
        reader.close()
        different = first_difference(joined[i], lines)
        assert not different, f"reader {i}: {different}; attached at {begun}: {answer}"
        assert (answer["verdict"], answer["from"], answer["position"], answer["lost"]) == ("eof", begun, len(lines), 0), f"reader {i}: {answer}"
    with daemon.client() as client:
        client.call("destroy", {"name": "seq"})


def others_place(daemon, rootfs):
    """A reader that had read to the end comes again after the daemon's death: what another one has not read yet stays there for it."""
    lines = b"".join(b"%d\n" % i for i in range(1, 100001))
    client = daemon.client()
    script = ["sh", "-c", "read go; seq 1 100000"]
    client.call("create", dict(specs.create(rootfs, script, name="place"), stdio=[{"kind": "pipe"}, {"kind": "pipe"}, {"kind": "null"}]))
    fast, slow = (Reader(client, "place", 0) for _ in range(2))
    say(client, "place", b"go\n")
    assert fast.read(1 << 30) == lines
    data = slow.read(1000)
    daemon.kill()
    data += slow.read(1 << 30)
    assert len(data) < len(lines), "the socket took all of it"
    daemon.start()
    fast = Reader(daemon.client(), "place", len(lines))
    assert fast.client.answer(fast.request)["lost"] == 0
    time.sleep(1.5)  # the keeper has looked what may go
    slow = Reader(daemon.client(), "place", len(data))
    data += slow.read(1 << 30)
    answer = slow.client.answer(slow.request)
    assert data == lines, f"{first_difference(data, lines)}; {answer}"
    for reader in (fast, slow):
        reader.close()
    with daemon.client() as client:
        client.call("destroy", {"name": "place"})


def resume(daemon, rootfs):
    """A client that does not count goes on with RESUME where the kernel had taken the last byte."""
    with daemon.client() as client:
        client.call("create", dict(specs.create(rootfs, ["sh", "-c", "seq 1 200000"], name="resume"), stdio=PIPES))
    reader = Reader(daemon.client(), "resume", "oldest")
    data = reader.read(100000)
    daemon.kill()
    data += reader.read(1 << 30)
    reader.close()
    daemon.start()
    reader = Reader(daemon.client(), "resume", "resume")
    data += reader.read(1 << 30)
    answer = reader.client.answer(reader.request)
    reader.close()
    assert data == b"".join(b"%d\n" % i for i in range(1, 200001)), len(data)
    assert answer["verdict"] == "eof" and answer["lost"] == 0, answer
    with daemon.client() as client:
        client.call("destroy", {"name": "resume"})


def stdin_goes_on(daemon, rootfs):
    """The daemon's death is no EOF for a process that reads; stdin_close is."""
    with daemon.client() as client:
        params = specs.create(rootfs, ["sh", "-c", "cat; echo end"], name="cat")
        client.call("create", dict(params, stdio=[{"kind": "pipe"}, {"kind": "pipe"}, {"kind": "null"}]))
    for text in (b"one\n", b"two\n"):
        with daemon.client() as client:
            say(client, "cat", text)
        daemon.kill()
        daemon.start()
    with daemon.client() as client:
        client.call("stdin_close", {"name": "cat"})
        assert client.call("wait", {"name": "cat", "until": "drained"})["status"]["code"] == 0
    reader = Reader(daemon.client(), "cat", "oldest")
    assert reader.read(1 << 20) == b"one\ntwo\nend\n"
    reader.close()
    with daemon.client() as client:
        client.call("destroy", {"name": "cat"})


def main():
    with house.House() as home:
        daemon = home.daemon(store="file").start()
        daemon.mark()
        for test, *more in ((exits_while_away,), (stopped_daemon,), (many_execs, 5000), (three_readers, 20), (others_place,), (resume,), (stdin_goes_on,)):
            test(daemon, home.rootfs, *more)
            print(f"    {test.__name__}")
        daemon.clean()
    return 0


if __name__ == "__main__":
    sys.exit(main())

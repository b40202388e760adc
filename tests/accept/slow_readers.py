#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""slow_readers.py - a reader that never reads costs nobody anything; a slow one loses, counted, and does not slow a fast one."""
import os
import socket
import sys
import threading
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(SOURCE, "tests/harness"), os.path.join(SOURCE, "tests/integration")]
import house  # noqa: E402
import specs  # noqa: E402

STDIO = [{"kind": "null"}, {"kind": "pipe"}, {"kind": "pipe"}]
WINDOW = 1 << 20


def kilobytes(pid):
    """Resident memory with what is in shared memory: tapes are."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(("VmRSS", "VmSwap")))


def tapes(pid):
    """Bytes that the keeper's memfds hold."""
    total = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            if "memfd" in os.readlink(f"/proc/{pid}/fd/{fd}"):
                total += os.stat(f"/proc/{pid}/fd/{fd}").st_blocks * 512
        except FileNotFoundError:
            pass
    return total


def keeper_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("PPid"))


class Reader:
    """Attached to stdout of `name`."""

    def __init__(self, client, name, start="live"):
        self.client = client
        self.ours, theirs = socket.socketpair()
        self.request = client.send("attach", {"name": name, "fd": 1, "from": start, "policy": "block"}, {"stream": theirs.fileno()})
        theirs.close()

    def read(self, size):
        return self.ours.recv(size)

    def rate(self, seconds):
        """Bytes a second at full speed."""
        start, total = time.monotonic(), 0
        while time.monotonic() < start + seconds:
            total += len(self.read(1 << 18))
        return total / (time.monotonic() - start)


def serve_others(daemon, name, stop, served):
    with daemon.client() as client:
        while not stop.is_set():
            client.call("list")
            made = client.call("exec", specs.execute(client.call("inspect", {"name": name})["id"], ["true"]))
            client.call("wait", {"name": name, "process": made["process"]})  # an exit that nobody has waited for is kept
            served.append(1)


def never_reads(home, daemon):
    with daemon.client() as client, daemon.client() as other:
        made = client.call("create", dict(specs.create(home.rootfs, ["yes"], name="yes"), stdio=STDIO))
        other.call("create", specs.create(home.rootfs, ["sleep", "1000"], name="other"))
        keeper = keeper_of(made["pid"])
        reader = Reader(client, "yes", "oldest")
        time.sleep(1)
        before = kilobytes(daemon.process.pid), kilobytes(keeper), tapes(keeper)
        stop, served = threading.Event(), [[] for _ in range(8)]
        threads = [threading.Thread(target=serve_others, args=(daemon, "other", stop, one)) for one in served]
        for thread in threads:
            thread.start()
        time.sleep(5)
        stop.set()
        for thread in threads:
            thread.join()
        after = kilobytes(daemon.process.pid), kilobytes(keeper), tapes(keeper)
        print(f"    never read: daemon {before[0]} -> {after[0]} kB, keeper {before[1]} -> {after[1]} kB, tapes {after[2] >> 10} KiB, "
              f"8 others served {[len(one) for one in served]}")
        assert after[0] < before[0] + 4096 and after[1] < before[1] + 1024 and after[2] <= 3 * WINDOW
        assert all(len(one) > 3 for one in served)
        reader.ours.close()
        client.call("destroy", {"name": "yes"})
        other.call("destroy", {"name": "other"})


def slow_beside_fast(home, daemon):
    with daemon.client() as client:
        made = client.call("create", dict(specs.create(home.rootfs, ["yes"], name="yes"), stdio=STDIO))
        fast = Reader(client, "yes")
        alone = fast.rate(2)
        slow = Reader(client, "yes")
        slow.ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stop = threading.Event()

        def crawl():
            while not stop.wait(1):
                slow.read(1)
        thread = threading.Thread(target=crawl)
        thread.start()
        beside = fast.rate(4)
        stop.set()
        thread.join()
        fast.ours.close()
        client.call("signal", {"name": "yes", "signal": "KILL", "set": "init"})
        received = 0
        while data := slow.read(1 << 18):
            received += len(data)
        answer = client.answer(slow.request)
        print(f"    fast reader {alone / 1e6:.0f} MB/s alone, {beside / 1e6:.0f} MB/s beside one at 1 byte/s, which lost {answer['lost'] >> 20} MiB")
        assert beside > alone / 5, "the slow reader slows the fast one"
        assert answer["verdict"] == "eof" and answer["lost"] > 0
        assert answer["from"] + answer["bytes"] + answer["lost"] == answer["position"], answer
        assert tapes(keeper_of(made["pid"])) <= 4 * WINDOW if os.path.exists(f"/proc/{made['pid']}") else True
        client.call("destroy", {"name": "yes"})


def main():
    with house.House() as home:
        daemon = home.daemon(store="file").start()
        daemon.mark()
        never_reads(home, daemon)
        slow_beside_fast(home, daemon)
        daemon.clean()
    return 0


if __name__ == "__main__":
    sys.exit(main())

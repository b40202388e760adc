#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""output_kills.py [KILLS] - 20 containers print numbered lines as fast as they can and exit with a code of their own, one following
the other, while 8 clients read them; meanwhile the daemon is killed KILLS times at random moments and started again.

A client counts the bytes of a stream and attaches again at its own number. At the end of each container the digest of what came, joined,
must be that of the numbered lines, on stdout and on stderr, and the exit code must be the one that the container was told.
"""
import hashlib
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(SOURCE, "tests/harness"), os.path.join(SOURCE, "tests/integration")]
import house  # noqa: E402
import specs  # noqa: E402
import wire  # noqa: E402

CLIENTS = 8
CONTAINERS = 20
AWAY = (FileNotFoundError, ConnectionError, EOFError)


def digest_of(lines):
    """Of the numbers 1 to `lines`, one a line: what `seq` prints."""
    with subprocess.Popen(["seq", "1", str(lines)], stdout=subprocess.PIPE) as seq:
        digest = hashlib.sha256()
        while data := seq.stdout.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def settled(path, request):
    """request(client) with as many daemons as it takes."""
    while True:
        try:
            with wire.Client(path, timeout=60) as client:
                return request(client)
        except AWAY:
            time.sleep(0.01)


class Stream:
    """One descriptor of one container, read to its end."""

    def __init__(self, path, name, fd):
        self.path, self.name, self.fd = path, name, fd
        self.digest = hashlib.sha256()
        self.bytes = 0
        self.attaches = 0
        self.lost = 0

    def attach(self, client):
        ours, theirs = socket.socketpair()
        with ours:
            request = client.send("attach", {"name": self.name, "fd": self.fd, "from": self.bytes, "policy": "block"}, {"stream": theirs.fileno()})
            theirs.close()
            self.attaches += 1
            while data := ours.recv(1 << 18):
                self.digest.update(data)
                self.bytes += len(data)
        return client.answer(request)

    def read(self):
        while True:
            answer = settled(self.path, self.attach)
            self.lost += answer["lost"]
            if answer["verdict"] == "eof":
                assert answer["position"] == self.bytes, f"{self.name}: {self.bytes} bytes came, the daemon says {answer}"
                return
            assert answer["verdict"] == "draining", answer


def make(path, rootfs, name, script):
    """Creates the container unless a create whose answer was lost has."""
    params = specs.create(rootfs, ["sh", "-c", script], name=name)
    params["stdio"] = [{"kind": "null"}, {"kind": "pipe"}, {"kind": "pipe"}]

    def request(client):
        if any(one["name"] == name for one in client.call("list")["sandboxes"]):
            return
        client.call("create", params)
    settled(path, request)


def destroy(path, name):
    def request(client):
        try:
            client.call("destroy", {"name": name})
        except wire.Refused as refused:
            if refused.error["code"] != "no_entity":
                raise
    settled(path, request)


def one_container(path, rootfs, name, rng):
    lines = [rng.randrange(1000, 2000000), rng.randrange(10, 50000)]
    code = rng.randrange(256)
    make(path, rootfs, name, f"seq 1 {lines[0]} & seq 1 {lines[1]} >&2; wait; exit {code}")
    streams = [Stream(path, name, fd) for fd in (1, 2)]
    threads = [threading.Thread(target=stream.read) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status = settled(path, lambda client: client.call("wait", {"name": name}))["status"]
    assert status["kind"] == "exited" and status["code"] == code, f"{name}: {status}, not {code}"
    for stream, count in zip(streams, lines):
        assert stream.lost == 0, f"{name}: {stream.lost} bytes lost"
        assert stream.digest.hexdigest() == digest_of(count), f"{name} fd {stream.fd}: {stream.bytes} bytes with another digest"
    destroy(path, name)
    return sum(stream.bytes for stream in streams), sum(stream.attaches for stream in streams)


def client_process(path, rootfs, first, count, stop, results):
    def work(number):
        rng = random.Random(f"{os.getpid()}-{number}")
        done = 0
        while not stop.is_set() or done == 0:
            try:
                size, attaches = one_container(path, rootfs, f"c{number}-{done}", rng)
            except BaseException as error:  # pylint: disable=broad-except
                results.put(("failed", f"container {number}-{done}: {type(error).__name__}: {error}"))
                stop.set()
                return
            results.put(("done", size, attaches))
            done += 1
    threads = [threading.Thread(target=work, args=(first + i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def start_clients(daemon, rootfs, stop, results):
    clients = []
    for i in range(CLIENTS):
        first, end = i * CONTAINERS // CLIENTS, (i + 1) * CONTAINERS // CLIENTS
        clients.append(multiprocessing.Process(target=client_process, args=(daemon.socket, rootfs, first, end - first, stop, results)))
        clients[-1].start()
    return clients


def collect(clients, results):
    containers = total = attaches = 0
    failures = []
    while any(client.is_alive() for client in clients) or not results.empty():
        try:
            kind, *rest = results.get(timeout=0.2)
        except Exception:  # pylint: disable=broad-except
            continue
        if kind == "failed":
            failures.append(rest[0])
        else:
            containers, total, attaches = containers + 1, total + rest[0], attaches + rest[1]
    return containers, total, attaches, failures


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    stop, results = multiprocessing.Event(), multiprocessing.Queue()
    with house.House() as home:
        daemon = home.daemon(store="file").start()
        daemon.mark()
        clients = start_clients(daemon, home.rootfs, stop, results)
        gathered = []
        gatherer = threading.Thread(target=lambda: gathered.append(collect(clients, results)))
        gatherer.start()
        done = 0
        while done < kills and not stop.is_set():
            time.sleep(random.uniform(0, 0.3))
            daemon.kill()
            daemon.start()
            done += 1
        stop.set()
        gatherer.join(300)
        hung = [client for client in clients if client.is_alive()]
        for client in hung:
            os.kill(client.pid, signal.SIGKILL)
        assert gathered and not hung, "a client never came to its end"
        containers, total, attaches, failures = gathered[0]
        for failure in failures[:5]:
            print(f"    {failure}")
        print(f"    {done} kills, {containers} containers, {total >> 20} MiB, {attaches} attaches")
        assert not failures and containers >= CONTAINERS
        daemon.clean()
    return 0


if __name__ == "__main__":
    sys.exit(main())

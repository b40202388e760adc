#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""handover.py - one daemon after another: sockets that are handed over, --wait-store, what a second SIGTERM does, another boot.

Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py; CL_STORE, the persistence plugin.
"""
import copy
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import traceback

from house import House, eventually
import specs

STORE = os.environ.get("CL_STORE", "memory")
CLIENTS, CALLS = 4, 200
HELD_MS = 30000
# What a service manager does: descriptors from 3 on, and variables that say so. $1 = names, $2... = descriptors, then -- and a command.
# First out of the way, above where they are to go.
ACTIVATE = """names=$1 count=0; shift
for fd; do [ "$fd" = -- ] && break; eval "exec $((count + 100))<&$fd"; count=$((count + 1)); done
while [ "$1" != -- ]; do shift; done; shift
for ((i = 0; i < count; i++)); do eval "exec $((i + 3))<&$((i + 100)) $((i + 100))<&-"; done
export LISTEN_PID=$$ LISTEN_FDS=$count LISTEN_FDNAMES=$names
exec "$@" """


def listener(path, kind=socket.SOCK_STREAM, backlog=1024):
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(path)
    if backlog:
        made.listen(backlog)
    return made


def activate(daemon, names, *sockets):
    """The daemon is started with these; its own endpoint is the first."""
    daemon.prepare = ["bash", "-c", ACTIVATE, "bash", names, *(str(each.fileno()) for each in sockets), "--"]
    daemon.handed = [each.fileno() for each in sockets]
    daemon.config["services"][0]["listen"][0] = {"transports": ["unix-json"], "address": "fd:" + names.split(":")[0]}
    daemon.socket = sockets[0].getsockname()
    return daemon


def start(daemon):
    daemon.process = daemon.spawn(pass_fds=getattr(daemon, "handed", ()))
    assert eventually(10, daemon.answers), "the daemon does not answer"
    return daemon


def second_of(daemon, *arguments):
    """Another process with the same configuration and directories, and a log of its own."""
    second = copy.copy(daemon)
    second.log_path = daemon.log_path + ".2"
    second.process = second.spawn(*arguments, pass_fds=getattr(daemon, "handed", ()))
    daemon.house.daemons.append(second)
    return second


def waiting_second(daemon):
    second = second_of(daemon, "--wait-store")
    second.logged(f"waiting: run directory '.*' is in use by the daemon with pid {daemon.process.pid}$", 10)
    return second


def fails(daemon, code, pattern):
    assert daemon.process.wait(10) == code, f"it ended with {daemon.process.returncode}"
    daemon.logged(pattern)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return file.read().split()


def held_by(pid):
    return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]


# ---- handover ----

class Callers:
    """Clients that connect, ask, hang up, and again. Every failure is kept."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.lock = threading.Lock()
        self.answers = 0
        self.failures = []
        self.over = False
        self.threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.over:
            try:
                with self.daemon.client(30) as client:
                    assert client.call("version")["instance"]
                with self.lock:
                    self.answers += 1
            except Exception as error:  # pylint: disable=broad-except
                with self.lock:
                    self.failures.append(repr(error))

    def until(self, answers):
        assert eventually(30, lambda: self.answers >= answers or self.failures), f"only {self.answers} answers"
        assert not self.failures, self.failures[:5]

    def end(self):
        self.over = True
        for thread in self.threads:
            thread.join(40)
            assert not thread.is_alive(), "a client still waits"
        assert not self.failures, self.failures[:5]


def nobody_is_refused(house):
    with listener(os.path.join(house.work, "handed.sock")) as handed:
        os.chmod(handed.getsockname(), 0o640)
        before = os.stat(handed.getsockname())
        first = start(activate(house.daemon("first", store=STORE), "web", handed))
        cookie = first.cookie()
        second = waiting_second(first)
        assert children(second.process.pid) == [], "it did more than wait"
        callers = Callers(first)
        try:
            callers.until(CALLS // 2)
            assert first.stop() == 0
            callers.until(callers.answers + CALLS // 2)
        finally:
            callers.end()
        second.logged("run directory '.*' is free after [0-9]+ ms: starting")
        second.logged(f"ready: .* cookie {cookie}")
        after = os.stat(handed.getsockname())
        assert (before.st_ino, before.st_mode, before.st_gid) == (after.st_ino, after.st_mode, after.st_gid)
        second.stop()
        assert os.path.exists(handed.getsockname())
        with socket.socket(socket.AF_UNIX) as late:  # the one who handed it over still has it
            late.connect(handed.getsockname())


class Tail:
    """Reads stdout of a container from `position` on, in a thread of its own."""

    def __init__(self, daemon, name, position):
        self.client = daemon.client(60)
        ours, theirs = socket.socketpair()
        self.request = self.client.send("attach", {"name": name, "fd": 1, "from": position, "policy": "block"}, {"stream": theirs.fileno()})
        theirs.close()
        self.data = b""
        self.thread = threading.Thread(target=self.run, args=(ours,))
        self.thread.start()

    def run(self, ours):
        with ours:
            while data := ours.recv(1 << 16):
                self.data += data

    def end(self):
        """The answer, once the stream has ended."""
        self.thread.join(60)
        assert not self.thread.is_alive(), "the stream never ends"
        answer = self.client.answer(self.request)
        self.client.close()
        return answer


def what_runs_goes_on(house):
    """Containers are taken over by the next daemon; a stream in flight ends where both sides know it (O10), and goes on there."""
    script = "seq 1 200000; while [ ! -e /tmp/end ]; do sleep 0.1; done; exit 9"
    with listener(os.path.join(house.work, "handed.sock")) as handed:
        first = start(activate(house.daemon("first", store="file"), "web", handed))
        first.mark()
        with first.client() as client:
            made = [client.call("create", dict(specs.create(house.rootfs, ["sh", "-c", script], name=f"c{i}"),
                                               stdio=[{"kind": "null"}, {"kind": "pipe"}, {"kind": "pipe"}])) for i in range(5)]
        second = waiting_second(first)
        callers = Callers(first)
        try:
            callers.until(20)
            tails = [Tail(first, f"c{i}", 0) for i in range(5)]
            assert eventually(20, lambda: all(tail.data for tail in tails))
            assert first.stop() == 0
            callers.until(callers.answers + 20)
        finally:
            callers.end()
        for tail in tails:
            answer = tail.end()
            assert answer["verdict"] == "draining" and answer["position"] == len(tail.data) and answer["lost"] == 0, answer
        with second.client() as client:
            listed = {one["name"]: one for one in client.call("list")["sandboxes"]}
            for i, one in enumerate(made):
                assert listed[f"c{i}"]["state"] == "up" and listed[f"c{i}"]["containers"][0]["pid"] == one["pid"], listed[f"c{i}"]
            rest = [Tail(second, f"c{i}", len(tail.data)) for i, tail in enumerate(tails)]
            want = b"".join(b"%d\n" % i for i in range(1, 200001))
            assert eventually(20, lambda: all(len(a.data) + len(b.data) >= len(want) for a, b in zip(tails, rest)))
            for i in range(5):
                client.call("stop", {"name": f"c{i}", "grace_ms": 0})
            for tail, more in zip(tails, rest):
                assert more.end()["verdict"] == "eof" and tail.data + more.data == want
            for i in range(5):
                client.call("destroy", {"name": f"c{i}"})
        own_log = f"descriptor {second.log_path}"
        left = eventually(10, lambda: [line for line in second.snapshot() - first.before if line != own_log] == [])
        assert left, f"left behind: {sorted(second.snapshot() - first.before)}"
        assert second.stop() == 0


def who_was_let_in_is_answered(house):
    """A request that is still on its way when the drain begins, on a connection that is new."""
    daemon = house.daemon("late").start()
    with daemon.client(10) as client:
        assert eventually(5, lambda: os.listdir(f"/proc/{daemon.process.pid}/fd"))
        time.sleep(0.1)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.logged("signal 15: draining")
        time.sleep(0.2)
        assert client.call("version")["instance"]
        assert not client.read(), "the connection stays"
    assert daemon.process.wait(10) == 0


def a_socket_of_ours_is_bound_anew(house):
    first = house.daemon("bound").start()
    second = waiting_second(first)
    assert first.stop() == 0
    assert eventually(10, second.answers), "the second daemon does not answer"
    assert second.stop() == 0
    assert not os.path.exists(first.socket)


# ---- who has it ----

def without_the_option_it_refuses(house):
    first = house.daemon("busy").start()
    fails(second_of(first), 1, f"start: run directory '.*' is in use by the daemon with pid {first.process.pid}$")
    begin = time.monotonic()
    fails(second_of(first, "--wait-store=1"), 1, f"start: run directory '.*' is in use by the daemon with pid {first.process.pid}$")
    assert time.monotonic() - begin >= 1
    assert first.answers()


def a_signal_ends_the_wait(house):
    first = house.daemon("patient").start()
    for signo in (signal.SIGTERM, signal.SIGINT):
        second = waiting_second(first)
        second.process.send_signal(signo)
        fails(second, 0, f"signal {signo.value}: no longer waiting")
    assert first.answers()


def the_option_is_read_strictly(house):
    daemon = house.daemon("options")
    for option, sentence in (("--wait-store=soon", "expects whole seconds up to 1000000, not soon"),
                             ("--wait-store=1000001", "not 1000001"), ("--wait-store=", "expects whole seconds"),):
        fails(second_of(daemon, option), 2, sentence)
    fails(second_of(daemon, "--check-config", "--wait-store"), 2, "--wait-store is for serving")
    assert not os.path.exists(daemon.run)


# ---- what is handed over ----

def bad_sockets_are_named(house):
    place = r"cloister.conf:1:\d+: key 'services\[0\].listen\[0\].address': listen on 'fd:web': "
    for name, kind, backlog, sentence in (
            ("mute", socket.SOCK_STREAM, 0, r"descriptor 3 \('web'\) is a socket that does not listen"),
            ("packets", socket.SOCK_SEQPACKET, 1, r"descriptor 3 \('web'\) is a seqpacket socket")):
        with listener(os.path.join(house.work, name + ".sock"), kind, backlog) as handed:
            daemon = activate(house.daemon(name), "web", handed)
            fails(second_of(daemon), 1, place + sentence)
    daemon = house.daemon("none")
    daemon.config["services"][0]["listen"][0] = {"transports": ["unix-json"], "address": "fd:web"}
    fails(second_of(daemon), 1, place + "no descriptor 'web' was handed over")
    fails(second_of(daemon, "--check-config"), 0, "")


def what_nobody_names_is_closed(house):
    with listener(os.path.join(house.work, "a.sock")) as named, listener(os.path.join(house.work, "b.sock")) as other:
        daemon = start(activate(house.daemon("more"), "web:other", named, other))
        assert daemon.log().count("was handed over, but no endpoint names it: closed") == 1
        daemon.logged(r"descriptor 4 \('other'\) was handed over")
        links = [f"socket:[{os.fstat(each.fileno()).st_ino}]" for each in (named, other)]
        assert links[0] in held_by(daemon.process.pid) and links[1] not in held_by(daemon.process.pid)
        assert not set(links) & set(held_by(children(daemon.process.pid)[0])), "the zygote has it too"
        daemon.stop()


# ---- the way down ----

def held_exec(daemon, rootfs):
    """A request that takes long: its answer is held back. Returns the client and what runs in the container."""
    client = daemon.client()
    made = client.call("create", specs.create(rootfs, ["sleep", "1000"]))
    client.send("exec", specs.execute(made["id"], ["true"]))
    assert eventually(5, lambda: client_in_flight(daemon) > 0), "nothing is under way"
    return client, made


def client_in_flight(daemon):
    with daemon.client(5) as client:
        return client.call("health")["in_flight"] - 1  # this one


def init_of(daemon, made):
    with daemon.client(5) as client:
        return next(each for each in client.call("list")["sandboxes"] if each["id"] == made["id"])["containers"][0]["pid"]


def the_second_signal_ends_the_drain(house):
    daemon = house.daemon("hurry", wrap=[{"plugin": "delay", "op": "exec", "ms": HELD_MS, "count": 1000}]).start()
    client, made = held_exec(daemon, house.rootfs)
    pid = init_of(daemon, made)
    with client:
        daemon.process.send_signal(signal.SIGTERM)
        daemon.logged("signal 15: draining, containers run on")
        time.sleep(1)
        assert daemon.process.poll() is None, "it did not wait for a request under way"
        daemon.process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        assert daemon.process.wait(HELD_MS / 2000) == 0
        assert time.monotonic() - begin < HELD_MS / 2000
    daemon.logged("signal 2 again: the drain ends now")
    assert os.path.exists(f"/proc/{pid}"), "the container has ended"


def the_drain_has_a_deadline(house):
    daemon = house.daemon("brief", wrap=[{"plugin": "delay", "op": "exec", "ms": HELD_MS, "count": 1000}], top={"drain_ms": 500})
    client, _ = held_exec(daemon.start(), house.rootfs)
    with client:
        begin = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(HELD_MS / 2000) == 0
        assert time.monotonic() - begin >= 0.5


def containers_can_be_stopped_at_the_end(house):
    daemon = house.daemon("sweeper", top={"on_sigterm": "stop", "stop_grace_ms": 2000}).start()
    with daemon.client() as client:
        made = client.call("create", specs.create(house.rootfs, ["sleep", "1000"]))
    pid = init_of(daemon, made)
    assert daemon.stop() == 0
    daemon.logged("signal 15: draining, containers are stopped then")
    daemon.logged("stopped; containers are off")
    assert eventually(5, lambda: not os.path.exists(f"/proc/{pid}")), "the container runs on"


# ---- another boot ----

def another_boot_is_noticed(house):
    daemon = house.daemon("boots")
    boot_id = os.path.join(house.work, "boot_id")
    daemon.config["boot_id_file"] = boot_id
    seen = []
    for number, boot in enumerate("001122"):
        with open(boot_id, "w", encoding="ascii") as file:
            file.write(boot * 8 + "-0000-4000-8000-" + boot * 12 + "\n")
        # As if the directory were on a disk: a sandbox's run record, and what only looks like one.
        for name in ("abcdefghijklmnop", "keep") if number else ():
            os.makedirs(os.path.join(daemon.run, name), exist_ok=True)
            with open(os.path.join(daemon.run, name, "run"), "w", encoding="ascii") as file:
                file.write("secret")
        daemon.start()
        with open(os.path.join(daemon.run, "instance"), encoding="ascii") as file:
            instance = json.load(file)
        seen.append((instance["cookie"], instance.get("previous_cookie")))
        assert daemon.stop() == 0
        if number:
            assert os.path.exists(os.path.join(daemon.run, "keep", "run"))
    cookies = [cookie for cookie, _ in seen]
    assert len(set(cookies)) == 3 and cookies[0::2] == cookies[1::2], seen
    assert [previous for _, previous in seen] == [None, None, cookies[0], cookies[0], cookies[2], cookies[2]], seen
    assert len(re.findall("removed 1 run records of another boot", daemon.log())) == 2


CASES = (nobody_is_refused, what_runs_goes_on, who_was_let_in_is_answered, a_socket_of_ours_is_bound_anew, without_the_option_it_refuses,
         a_signal_ends_the_wait, the_option_is_read_strictly, bad_sockets_are_named, what_nobody_names_is_closed,
         the_second_signal_ends_the_drain, the_drain_has_a_deadline, containers_can_be_stopped_at_the_end, another_boot_is_noticed)


def main():
    failed = 0
    for case in CASES:
        name = case.__name__.replace("_", "-")
        try:
            with House() as house:
                case(house)
            print(f"ok {name}")
        except BaseException as error:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {name}: {type(error).__name__}: {error}".replace("\n", " "))
            traceback.print_exc()
    print(f"{len(CASES) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""section7.py [NAME...] - the items of sdk.md section 7 that issue 01 must show, each against a daemon of its own.

Prints "ok NAME" or "not ok NAME: why", and "N passed, N failed, N skipped". Environment: CL_PREFIX and CL_BUILD, see house.py.
"""
import collections
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
import traceback

from house import SOURCE, House, eventually
import specs
import wire

SLEEP = ["sleep", "1000"]
STUBBORN = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
EXECS = 1000
HELD_MS = int(os.environ.get("CL_DELAY_MS", "2000"))


# ---- small things ----

def refused(client, request, code):
    """The answer is an error with this code."""
    try:
        client.answer(request)
    except wire.Refused as refusal:
        assert refusal.error["code"] == code, refusal.error
        return refusal.error
    raise AssertionError(f"request {request} succeeded instead of '{code}'")


def exited(status, code=0):
    assert status["kind"] == "exited" and status["code"] == code, status


def run_true(client, rootfs, **more):
    """A whole life: create, wait, destroy."""
    made = client.call("create", specs.create(rootfs, ["true"], **more))
    exited(client.call("wait", {"id": made["id"]})["status"])
    client.call("destroy", {"id": made["id"]})


def quiet(client, seconds=0.3):
    """Nothing comes any more."""
    ready, _, _ = select.select([client.socket], [], [], seconds)
    assert not client.buffer and not ready, "a message too many"


def ended(pidfd):
    return bool(select.select([pidfd], [], [], 0)[0])


def parent(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"^PPid:\s*(\d+)", file.read(), re.M).group(1))


def cgroup_pids(pid):
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as file:
        path = re.search(r"^\d+:pids:(.*)$", file.read(), re.M).group(1)
    with open(f"/sys/fs/cgroup/pids{path}/cgroup.procs", encoding="ascii") as file:
        return [int(line) for line in file]


# ---- order ----

def exec_answers_precede_events(house):
    """O1: 1,000 execs pipelined on the connection that also has the events."""
    daemon = house.daemon().start()
    with daemon.client(120) as client:
        sandbox = client.call("create", specs.create(house.rootfs, SLEEP))["id"]
        client.call("events", {"sandbox": sandbox})
        first, params = client.last_id + 1, specs.execute(sandbox, ["true"])
        lines = [json.dumps({"id": first + i, "method": "exec", "params": params}) + "\n" for i in range(EXECS)]
        writer = threading.Thread(target=client.socket.sendall, args=("".join(lines).encode(),), daemon=True)
        writer.start()
        answered, started, ends = {}, set(), collections.Counter()
        while len(answered) < EXECS or len(ends) < EXECS:
            line = client.line()
            assert line is not None, "the daemon closed the connection"
            message = json.loads(line)
            if "sub" not in message:
                assert "error" not in message and first <= message["id"] < first + EXECS, message
                assert message["id"] not in answered, "answered twice"
                answered[message["id"]] = message["result"]["process"]
                started.add(message["result"]["process"])
                continue
            event = message["payload"]
            if event["process"] and not event["is_init"]:
                assert event["process"] in started, f"{event['kind']} of a process before its exec's answer"
            if event["kind"] == "exit":
                exited(event["status"])
                ends[event["process"]] += 1
        writer.join()
        assert len(started) == EXECS and set(ends) == started, "an exit of another process"
        assert set(ends.values()) == {1}, "an exit was told twice"
        client.last_id = first + EXECS
        client.call("destroy", {"id": sandbox})


def early_exit_waits_for_answer(house):
    """O1 at its worst: isolation tells the exit first, then that the process has started."""
    daemon = house.daemon(wrap=[{"plugin": "misbehave", "op": "exec", "how": "exit-first"}]).start()
    with daemon.client() as client:
        sandbox = client.call("create", specs.create(house.rootfs, SLEEP))["id"]
        client.call("events", {"sandbox": sandbox})
        client.pushes.clear()
        process = client.call("exec", specs.execute(sandbox, ["true"]))["process"]
        early = [push["payload"] for push in client.pushes if push["payload"].get("process") == process]
        assert not early, f"before the exec's answer: {early}"
        exited(client.call("wait", {"id": sandbox, "process": process})["status"], 7)
        kinds = [push["payload"]["kind"] for push in client.pushes if push["payload"].get("process") == process]
        assert kinds.count("exit") == 1, kinds
        client.call("destroy", {"id": sandbox})


def exit_precedes_waits(house):
    """O2: on each of three connections the exit is there before the wait that it satisfies is answered."""
    daemon = house.daemon().start()
    with daemon.client() as killer, daemon.client() as one, daemon.client() as two, daemon.client() as three:
        sandbox = killer.call("create", specs.create(house.rootfs, SLEEP))["id"]
        waits = []
        for client in (one, two, three):
            client.call("events", {"sandbox": sandbox})
            waits.append((client, client.send("wait", {"id": sandbox})))
        killer.call("signal", {"id": sandbox, "set": "init", "signal": "KILL"})
        for client, request in waits:
            status = client.answer(request)["status"]
            kinds = [push["payload"]["kind"] for push in client.pushes]
            assert status["kind"] == "signaled" and status["signal"] == signal.SIGKILL, status
            assert kinds.count("exit") == 1, f"before the wait's answer: {kinds}"
        killer.call("destroy", {"id": sandbox})


def pause_init(house):
    """A container with a pause init and nothing else; an exec into it; its end."""
    daemon = house.daemon().start()
    with daemon.client() as client:
        run_true(client, house.rootfs)
        daemon.mark()
        made = client.call("create", specs.create(house.rootfs, None, pause=True, pause_comm="holder"))
        assert client.call("inspect", {"id": made["id"]})["state"] == "up"
        process = client.call("exec", specs.execute(made["id"], ["sh", "-c", "exit 3"]))["process"]
        exited(client.call("wait", {"id": made["id"], "process": process})["status"], 3)
        container = client.call("inspect", {"id": made["id"]})["containers"][0]
        assert container["state"] == "running", container
        client.call("destroy", {"id": made["id"]})
        assert client.call("list")["sandboxes"] == []
        daemon.clean()


def too_big_answer(house):
    """An answer that does not fit is an error in one frame; the next request is answered as ever."""
    daemon = house.daemon(transport={"plugin": "unix-json", "max_answer": 4096}).start()
    with daemon.client() as client:
        labels = {f"label-{i}": "x" * 500 for i in range(20)}
        sandbox = client.call("create", specs.create(house.rootfs, SLEEP, labels=labels))["id"]
        big = [client.send("inspect", {"id": sandbox}) for _ in range(3)]
        small = client.send("version")
        for request in big:
            refused(client, request, "too_big")
        client.answer(small)
        assert all(len(client.answers[request]) == 1 for request in big + [small])
        quiet(client)
        client.call("destroy", {"id": sandbox})


# ---- deadlines, cancels, blocked calls ----

def destroy_past_deadline(house):
    """A destroy's deadline ends the wait, not the work; a second destroy joins it."""
    daemon = house.daemon(wrap=[{"plugin": "delay", "op": "sandbox_destroy", "ms": 1500}]).start()
    with daemon.client() as client, daemon.client() as other:
        made = client.call("create", specs.create(house.rootfs, STUBBORN))
        process = os.pidfd_open(made["pid"])
        time.sleep(0.2)  # for the trap
        client.call("signal", {"id": made["id"], "signal": "TERM"})
        refused(client, client.send("wait", {"id": made["id"], "deadline_ms": 300}), "deadline")
        start = time.monotonic()
        refused(client, client.send("destroy", {"id": made["id"], "deadline_ms": 200}), "deadline")
        assert time.monotonic() - start < 1.2, "the deadline did not end the wait"
        assert not ended(process) and other.call("inspect", {"id": made["id"]})["state"] == "destroying"
        other.call("destroy", {"id": made["id"]})
        assert time.monotonic() - start > 1.4, "the second destroy did not join the first"
        assert ended(process), "the process outlives its sandbox"
        os.close(process)
        refused(client, client.send("inspect", {"id": made["id"]}), "no_entity")
        quiet(client)


def one_call_blocked(house):
    """O9: with one create held, a hundred version calls and ten other lives go by."""
    daemon = house.daemon(wrap=[{"plugin": "delay", "op": "sandbox_create", "ms": HELD_MS}]).start()
    with daemon.client() as client, daemon.client() as other:
        start = time.monotonic()
        held = client.send("create", specs.create(house.rootfs, ["true"]))
        daemon.logged("holds sandbox_create")
        for request in [client.send("version") for _ in range(50)] + [client.send("version") for _ in range(50)]:
            client.answer(request)
        for _ in range(10):
            run_true(other, house.rootfs)
        assert held not in client.answers and time.monotonic() - start < HELD_MS / 1000, "the others waited for the held create"
        sandbox = client.answer(held)["id"]
        assert time.monotonic() - start >= HELD_MS / 1000, "the create was not held"
        client.call("destroy", {"id": sandbox})


def destroy_during_create(house):
    """The create is cancelled, once, and leaves nothing."""
    daemon = house.daemon(wrap=[{"plugin": "delay", "op": "sandbox_create", "ms": 1500}]).start()
    with daemon.client() as client:
        daemon.mark()
        start = time.monotonic()
        held = client.send("create", specs.create(house.rootfs, SLEEP, name="doomed"))
        daemon.logged("holds sandbox_create")
        client.call("destroy", {"name": "doomed"})
        refused(client, held, "cancelled")
        assert time.monotonic() - start < 1.4, "the destroy waited for the delay"
        quiet(client, 1.7)
        assert client.call("list")["sandboxes"] == []
        daemon.clean()
        run_true(client, house.rootfs, name="doomed")


# ---- what dies ----

def keeper_killed(house):
    """Nothing of the sandbox outlives its keeper, whatever it did to; nobody is told of an exit 0."""
    daemon = house.daemon().start()
    with daemon.client() as client, daemon.client() as watcher:
        run_true(client, house.rootfs)
        daemon.mark()
        made = client.call("create", specs.create(house.rootfs, ["probe", "escape"]))
        watcher.call("events", {"sandbox": made["id"]})
        parked = client.send("wait", {"id": made["id"]})
        assert eventually(5, lambda: len(cgroup_pids(made["pid"])) >= 3), "the container did not double-fork"
        time.sleep(0.1)
        keeper = parent(made["pid"])
        watched = {pid: os.pidfd_open(pid) for pid in [keeper, *cgroup_pids(made["pid"])]}
        os.kill(keeper, signal.SIGKILL)
        time.sleep(1)
        alive = [pid for pid, pidfd in watched.items() if not ended(pidfd)]
        assert not alive, f"1 s later there are {alive}"
        for pidfd in watched.values():
            os.close(pidfd)
        assert client.answer(parked)["status"]["kind"] == "lost"
        seen = client.call("inspect", {"id": made["id"]})
        assert (seen["state"], seen["cause"]) == ("off", "lost"), seen
        assert client.call("wait", {"id": made["id"]})["status"]["kind"] == "lost"
        watcher.call("version")
        down = [push["payload"] for push in watcher.pushes if push["payload"]["kind"] == "sandbox_down"]
        assert [event["cause"] for event in down] == ["lost"], down
        refused(client, client.send("exec", specs.execute(made["id"], ["true"])), "invalid_state")
        client.call("destroy", {"id": made["id"]})
    daemon.clean()


def drain(house):
    """SIGTERM: the exec under way is answered, nothing new begins, containers run on, exit code 0."""
    daemon = house.daemon(wrap=[{"plugin": "delay", "op": "exec", "ms": 1000}]).start()
    with daemon.client() as client, daemon.client() as waiter:
        made = client.call("create", specs.create(house.rootfs, SLEEP))
        init = os.pidfd_open(made["pid"])
        waiter.send("wait", {"id": made["id"]})
        under_way = client.send("exec", specs.execute(made["id"], SLEEP))
        daemon.logged("holds exec")
        daemon.process.send_signal(signal.SIGTERM)
        child = client.answer(under_way)["pid"]
        assert not waiter.read(), "a parked wait was answered by the drain"
    assert daemon.process.wait(10) == 0
    assert not ended(init) and os.path.exists(f"/proc/{child}"), "the drain ended a container"
    assert not os.path.exists(daemon.socket), "the socket is left"
    daemon.start()
    assert eventually(5, lambda: ended(init)), "the next start did not remove the container"
    os.close(init)
    assert daemon.stop() == 0


def restart_sweeps(house):
    """kill -9 of the daemon: containers run on; the next start finds, reports and removes them."""
    daemon = house.daemon().start()
    with daemon.client() as client:
        run_true(client, house.rootfs)
        daemon.mark()
        made = [client.call("create", specs.create(house.rootfs, args)) for args in (SLEEP, STUBBORN, ["probe", "escape"])]
        client.call("exec", specs.execute(made[0]["id"], SLEEP))
    cookie = daemon.cookie()
    pidfds = [os.pidfd_open(one["pid"]) for one in made]
    daemon.kill()
    time.sleep(0.5)
    assert not any(map(ended, pidfds)), "a container died with the daemon"
    size = len(daemon.log())
    daemon.start()
    assert daemon.cookie() == cookie, "another cookie"
    assert eventually(5, lambda: all(map(ended, pidfds))), "an orphan runs on"
    for pidfd in pidfds:
        os.close(pidfd)
    for one in made:
        assert one["id"] in daemon.log()[size:], f"the sweep does not report {one['id']}"
    with daemon.client() as client:
        assert client.call("list")["sandboxes"] == []
        run_true(client, house.rootfs)
    daemon.clean()


def zygote_killed(house):
    """Without its zygote the daemon can start nothing: it says so and ends with 75, to be started again. Containers run on."""
    daemon = house.daemon().start()
    with daemon.client() as client:
        made = client.call("create", specs.create(house.rootfs, SLEEP))
    init = os.pidfd_open(made["pid"])
    with open(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children", encoding="ascii") as file:
        [zygote] = file.read().split()
    os.kill(int(zygote), signal.SIGKILL)
    assert daemon.process.wait(10) == 75
    daemon.logged("the zygote died: exiting with 75")
    assert not ended(init), "the container died with the zygote"
    daemon.start()
    assert eventually(5, lambda: ended(init)), "the next start did not remove the container"
    os.close(init)
    with daemon.client() as client:
        run_true(client, house.rootfs)


# ---- plugins that break the rules ----

def spoilt(house, how):
    """A daemon whose first exec and first create are spoilt; what the client sees of it."""
    daemon = house.daemon(wrap=[{"plugin": "misbehave", "op": op, "how": how} for op in ("exec", "sandbox_create")]).start()
    with daemon.client() as client:
        daemon.mark()
        create = client.send("create", specs.create(house.rootfs, SLEEP, name="spoilt"))
        assert "misbehaves" in refused(client, create, "io")["message"]
        assert client.call("list")["sandboxes"] == []
        daemon.clean()
        sandbox = client.call("create", specs.create(house.rootfs, SLEEP, name="spoilt"))["id"]
        request = client.send("exec", specs.execute(sandbox, ["true"]))
        assert "misbehaves" in refused(client, request, "io")["message"]
        process = client.call("exec", specs.execute(sandbox, ["true"]))["process"]
        exited(client.call("wait", {"id": sandbox, "process": process})["status"])
        client.call("destroy", {"id": sandbox})
        quiet(client)
        assert all(len(answers) == 1 for answers in client.answers.values()), "something was answered twice"
        daemon.clean()
    return daemon


def completed_twice(house):
    daemon = spoilt(house, "twice")
    daemon.logged(r"isolation 'main'.*completed operation \d+ a second time; ignored")
    assert len(re.findall("a second time; ignored", daemon.log())) == 2
    assert daemon.stop() == 0


def completed_inside(house):
    daemon = spoilt(house, "inside")
    for name in "sandbox_create", "exec":
        daemon.logged(rf"isolation 'main'.*completed {name} \(operation \d+\) inside the call")
    assert daemon.stop() == 0


def completed_without_reason(house):
    """An error without a code is a failure that names the plugin, never a success."""
    daemon = house.daemon(wrap=[{"plugin": "misbehave", "op": op, "how": "no-reason"} for op in ("exec", "sandbox_create")]).start()
    with daemon.client() as client:
        daemon.mark()
        create = client.send("create", specs.create(house.rootfs, SLEEP, name="mute"))
        assert re.search(r"isolation 'main'.* failed without saying why", refused(client, create, "internal")["message"])
        assert client.call("list")["sandboxes"] == []
        daemon.clean()
        sandbox = client.call("create", specs.create(house.rootfs, SLEEP, name="mute"))["id"]
        request = client.send("exec", specs.execute(sandbox, ["true"]))
        assert "failed without saying why" in refused(client, request, "internal")["message"]
        client.call("destroy", {"id": sandbox})
        daemon.clean()
    assert daemon.stop() == 0


def completed_never(house):
    """DEADLINE for the client; after its patience the daemon names the plugin; everything else goes on."""
    daemon = house.daemon(wrap=[{"plugin": "misbehave", "op": op, "how": "never"} for op in ("exec", "sandbox_create")]).start()
    with daemon.client() as client, daemon.client() as other:
        create = specs.create(house.rootfs, SLEEP, name="silent")
        refused(client, client.send("create", dict(create, deadline_ms=300)), "deadline")
        sandbox = client.call("create", specs.create(house.rootfs, SLEEP))["id"]
        start = time.monotonic()
        refused(client, client.send("exec", dict(specs.execute(sandbox, ["true"]), deadline_ms=300)), "deadline")
        assert 0.25 < time.monotonic() - start < 5
        process = client.call("exec", specs.execute(sandbox, ["true"]))["process"]
        exited(client.call("wait", {"id": sandbox, "process": process})["status"])
        run_true(other, house.rootfs)
        for name in "exec", "sandbox_create":
            daemon.logged(rf"isolation 'main'.*has not completed {name} of \S+ \(operation \d+\) in time", 40)
        assert client.call("health")["overdue"] == 2
        # A silent exec does not hold up its sandbox's end; a silent create does: the plugin may still be making it.
        client.call("destroy", {"id": sandbox})
        refused(client, client.send("destroy", {"name": "silent", "deadline_ms": 300}), "deadline")
        assert [one["name"] for one in client.call("list")["sandboxes"]] == ["silent"]
        run_true(other, house.rootfs)
        quiet(client)
        assert all(len(answers) == 1 for answers in client.answers.values()), "something was answered twice"
    daemon.kill()
    daemon.start()  # what the silent call holds up is not for ever: the next start sweeps
    with daemon.client() as client:
        assert client.call("list")["sandboxes"] == []


def cancelled_too_late(house):
    """What is cancelled succeeds after all: the create is undone behind the caller's back, once."""
    daemon = house.daemon(wrap=[{"plugin": "misbehave", "op": "sandbox_create", "how": "late-cancel", "count": 2}]).start()
    with daemon.client() as client:
        daemon.mark()
        refused(client, client.send("create", dict(specs.create(house.rootfs, SLEEP, name="late"), deadline_ms=200)), "deadline")
        assert eventually(5, lambda: client.call("list")["sandboxes"] == []), "the late create is not undone"
        daemon.clean()
        create = client.send("create", specs.create(house.rootfs, SLEEP, name="late"))
        client.call("version")
        client.call("destroy", {"name": "late"})
        refused(client, create, "cancelled")
        daemon.clean()
        run_true(client, house.rootfs, name="late")
        assert all(len(answers) == 1 for answers in client.answers.values()), "something was answered twice"
        daemon.clean()
    assert daemon.stop() == 0


# ---- structs of other sizes ----

# Where a short vtable ends, and the mandatory callback it then lacks: isolation and persistence have theirs at the end.
KINDS = {"transport": ("answer_stream", None), "personality": ("writable", None), "isolation": ("container_start", "cancel"),
         "persistence": ("stat", "cancel")}


def build_plugin(house, name, kind, size):
    """From the sources of tests/badplugins, against the installed headers: out of the tree."""
    subprocess.run(["cc", "-std=gnu11", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-I", os.path.join(house.prefix, "include"),
                    f'-DNAME="{name}"', f"-DVTABLE_SIZE={size}", "-o", os.path.join(house.plugins, name + ".so"),
                    os.path.join(SOURCE, "tests/badplugins", kind + ".c")], check=True)


def dump_plugin(daemon, name):
    done = subprocess.run([os.path.join(daemon.house.prefix, "sbin/cloisterd"), "--config", daemon.config_path, "--dump-plugin", name],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def short_and_long_structs(house):
    """A vtable that ends early is not read beyond its end, one that goes on is taken for what is known of it."""
    for kind, (cut, _) in KINDS.items():
        build_plugin(house, f"short-{kind}", kind, f"offsetof(struct cloister_{kind},{cut})")
        build_plugin(house, f"long-{kind}", kind, f"sizeof(struct cloister_{kind})+64")
    services = [{"name": f"{size}-one", "personality": {"plugin": f"{size}-personality"}, "isolation": "main", "persistence": "main",
                 "grant": {"see": ["*"], "act": ["*"]}} for size in ("short", "long")]
    daemon = house.daemon(services=services).start()
    for kind, (_, lacks) in KINDS.items():
        code, text = dump_plugin(daemon, f"long-{kind}")
        assert code == 0 and f"long-{kind}" in text, text
        code, text = dump_plugin(daemon, f"short-{kind}")
        assert (code == 0) == (lacks is None), text
        assert (f"lacks the mandatory callback '{lacks}'" if lacks else f"short-{kind}") in text, text
    with daemon.client() as client:  # every event goes by the two personalities, which have no slot for it
        run_true(client, house.rootfs)
    assert daemon.stop() == 0


TESTS = [exec_answers_precede_events, early_exit_waits_for_answer, exit_precedes_waits, pause_init, too_big_answer,
         destroy_past_deadline, one_call_blocked, destroy_during_create, keeper_killed, drain, restart_sweeps, zygote_killed,
         completed_twice, completed_inside, completed_without_reason, completed_never, cancelled_too_late, short_and_long_structs]


def attempt(test):
    try:
        with House() as house:
            test(house)
    except Exception as problem:  # a test's failure is a result, whatever it is
        frame = [at for at in traceback.extract_tb(problem.__traceback__) if at.filename == __file__][-1]
        print(f"not ok {test.__name__}: {type(problem).__name__}: {problem} (line {frame.lineno}: {frame.line})", flush=True)
        return False
    print(f"ok {test.__name__}", flush=True)
    return True


def main():
    wanted = sys.argv[1:]
    unknown = set(wanted) - {test.__name__ for test in TESTS}
    if unknown or "CL_PREFIX" not in os.environ or "CL_BUILD" not in os.environ or os.geteuid() != 0:
        names = " ".join(test.__name__ for test in TESTS)
        print(f"usage, as root: CL_PREFIX=... CL_BUILD=... section7.py [NAME...]; names: {names}")
        return 2
    results = [attempt(test) for test in TESTS if not wanted or test.__name__ in wanted]
    print(f"{results.count(True)} passed, {results.count(False)} failed, 0 skipped")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

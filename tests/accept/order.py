#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""order.py SOCKET ROOTFS - the items of sdk.md section 7 that show on the wire: O1, O2, a pause init without processes."""
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../harness"))
import specs  # noqa: E402
import wire  # noqa: E402

EXECS = 1000
WINDOW = 50  # requests under way on one connection


def execs_then_exits(socket, rootfs):
    """O1: an exec's answer comes before its exit, however short the process. Answers and events share one connection here."""
    with wire.Client(socket, timeout=120) as client:
        sandbox = client.call("create", specs.create(rootfs, ["sleep", "1000"]))["id"]
        client.call("events", {"sandbox": sandbox})
        started, exited, waiting, sent = set(), set(), set(), 0
        while len(exited) < EXECS:
            while sent < EXECS and len(waiting) < WINDOW:
                waiting.add(client.send("exec", specs.execute(sandbox, ["true"])))
                sent += 1
            assert client.read(), "the daemon closed"
            for request in [request for request in waiting if request in client.answers]:
                process = client.answer(request)["process"]
                assert process not in exited, f"the exit of {process} came before its exec's answer"
                started.add(process)
                waiting.discard(request)
                client.send("wait", {"id": sandbox, "process": process})  # lets the exit record go
            while client.pushes:
                event = client.pushes.pop(0)["payload"]
                if event["kind"] == "exit":
                    assert event["process"] in started, f"exit of {event['process']} before its exec's answer"
                    assert event["status"] == dict(event["status"], kind="exited", code=0), event
                    exited.add(event["process"])
        client.call("destroy", {"id": sandbox})
    print(f"    {len(exited)} execs, every exit after its answer")


def three_waiters(socket, rootfs):
    """O2: the exit event is out before the waits that it completes; all three waiters learn the same."""
    with wire.Client(socket) as client:
        sandbox = client.call("create", specs.create(rootfs, ["sleep", "1000"]))["id"]
        client.call("events", {"sandbox": sandbox})
        waits = [client.send("wait", {"id": sandbox}) for _ in range(3)]
        client.call("signal", {"id": sandbox, "set": "init", "signal": "KILL"})
        order = []
        while sum(request in client.answers for request in waits) < 3:
            before = {request for request in waits if request in client.answers}
            assert client.read(), "the daemon closed"
            order += ["wait"] * sum(request in client.answers and request not in before for request in waits)
            while client.pushes:
                if client.pushes.pop(0)["payload"]["kind"] == "exit":
                    order.append("exit")
        assert order == ["exit", "wait", "wait", "wait"], order
        for request in waits:
            status = client.answer(request)["status"]
            assert status["kind"] == "signaled" and status["signal"] == 9, status
        client.call("destroy", {"id": sandbox})
    print("    the exit, then three waits")


def pause_init(socket, rootfs):
    with wire.Client(socket) as client:
        made = client.call("create", specs.create(rootfs, None, pause=True, pause_comm="holder"))
        with open(f"/proc/{made['pid']}/comm", encoding="ascii") as file:
            assert file.read() == "holder\n"
        process = client.call("exec", specs.execute(made["id"], ["sh", "-c", "exit 3"]))["process"]
        status = client.call("wait", {"id": made["id"], "process": process})["status"]
        assert status["kind"] == "exited" and status["code"] == 3, status
        state = client.call("inspect", {"id": made["id"]})["state"]
        assert state == "up", state
        client.call("destroy", {"id": made["id"]})
    print("    a pause init, an exec into it, destroyed")


def busy_clients(socket, stop, failures):
    try:
        with wire.Client(socket) as client:
            while not stop.is_set():
                client.call("list")
    except (OSError, EOFError, wire.Refused) as problem:
        failures.append(problem)


def main():
    socket, rootfs = sys.argv[1:]
    stop, failures = threading.Event(), []
    busy = threading.Thread(target=busy_clients, args=(socket, stop, failures))
    busy.start()
    try:
        execs_then_exits(socket, rootfs)
        three_waiters(socket, rootfs)
        pause_init(socket, rootfs)
    finally:
        stop.set()
        busy.join()
    assert not failures, failures
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""half_close.py - clients that send no more: one that waits gets its answer, one that has gone is noticed though nothing is written.

Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py.
"""
import os
import socket
import sys
import time
import traceback

from house import House, eventually
import specs

CLIENTS = 10
IN_FLIGHT = 64
HELD_MS = 20000


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def cpu_seconds(daemon):
    with open(f"/proc/{daemon.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waiting_client(daemon, sandbox):
    """Half-closed, and known to the daemon as such."""
    client = daemon.client()
    client.call("version")
    client.send("wait", {"id": sandbox})
    client.socket.shutdown(socket.SHUT_WR)
    return client


def back_to(daemon, before):
    assert eventually(5, lambda: descriptors(daemon) <= before), f"{before} descriptors before, {descriptors(daemon)} after"


def gone_ones_are_noticed(daemon, sandbox, before):
    clients = [waiting_client(daemon, sandbox) for _ in range(CLIENTS)]
    assert eventually(5, lambda: descriptors(daemon) >= before + CLIENTS), "they were not accepted"
    time.sleep(0.2)
    assert descriptors(daemon) >= before + CLIENTS, "a client that only half-closed was dropped"
    spent = cpu_seconds(daemon)
    time.sleep(0.5)
    spent = cpu_seconds(daemon) - spent
    assert spent < 0.2, f"half-closed clients cost {spent} s of CPU in half a second"
    for client in clients:
        client.close()
    back_to(daemon, before)


def gone_ones_are_noticed_while_nothing_is_read(daemon, sandbox, before):
    """With as many requests as may be in flight, all of them held, the daemon reads no more of that connection."""
    client = daemon.client()
    for _ in range(IN_FLIGHT + 10):
        client.send("exec", specs.execute(sandbox, ["true"]))
    time.sleep(1)
    assert descriptors(daemon) > before, "it was not accepted"
    client.close()
    back_to(daemon, before)


def waiting_ones_are_answered(daemon, sandbox, before):
    clients = [waiting_client(daemon, sandbox) for _ in range(CLIENTS)]
    assert eventually(5, lambda: descriptors(daemon) >= before + CLIENTS), "they were not accepted"
    with daemon.client() as client:
        client.call("signal", {"id": sandbox, "signal": "KILL"})
    for client in clients:
        status = client.answer(client.last_id)["status"]
        assert (status["kind"], status["signal"]) == ("signaled", 9), status
        assert client.line() is None, "the connection stays"
        client.close()
    back_to(daemon, before)


CASES = (gone_ones_are_noticed, gone_ones_are_noticed_while_nothing_is_read, waiting_ones_are_answered)


def main():
    failed = 0
    with House() as house:
        daemon = house.daemon(wrap=[{"plugin": "delay", "op": "exec", "ms": HELD_MS, "count": 1000}]).start()
        with daemon.client() as client:
            sandbox = client.call("create", specs.create(house.rootfs, ["sleep", "1000"]))["id"]
        time.sleep(0.5)
        before = descriptors(daemon)
        for case in CASES:
            name = case.__name__.replace("_", "-")
            try:
                case(daemon, sandbox, before)
                print(f"ok {name}")
            except Exception as error:  # pylint: disable=broad-except
                traceback.print_exc()
                print(f"not ok {name}: {error}")
                failed += 1
        with daemon.client() as client:
            client.call("destroy", {"id": sandbox})
    print(f"{len(CASES) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


sys.exit(main())

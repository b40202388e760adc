#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""thousand.py [COUNT] - 1,000 containers that sleep: started, listed, the daemon killed, all taken over, all destroyed, nothing left."""
import os
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(SOURCE, "tests/harness"), os.path.join(SOURCE, "tests/integration")]
import house  # noqa: E402
import specs  # noqa: E402

WINDOW = 50  # requests under way at a time


def windowed(client, requests):
    """Sends all requests, at most WINDOW unanswered ones at a time; the results in order."""
    ids, results = [], []
    for method, params in requests:
        ids.append(client.send(method, params))
        if len(ids) - len(results) >= WINDOW:
            results.append(client.answer(ids[len(results)]))
    while len(results) < len(ids):
        results.append(client.answer(ids[len(results)]))
    return results


def correct(sandboxes, made):
    """Every container that was made is listed as up, with the init it had."""
    found = {one["id"]: one for one in sandboxes}
    return found.keys() == made.keys() and all(
        one["state"] == "up" and not one["flags"] and one["containers"][0]["state"] == "running" and
        one["containers"][0]["pid"] == made[one["id"]]["pid"] for one in found.values())


def first_correct_list(daemon, made):
    """Seconds from the new daemon's start until a list is correct."""
    start = time.monotonic()
    daemon.start(120)  # a sanitizer's daemon on a busy machine is slow
    with daemon.client(120) as client:
        while not correct(client.call("list")["sandboxes"], made):
            assert time.monotonic() < start + 120, [one for one in client.call("list")["sandboxes"] if one["state"] != "up"][:3]
    return time.monotonic() - start


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with house.House() as home:
        daemon = home.daemon(store="file").start()
        daemon.mark()
        start = time.monotonic()
        with daemon.client(120) as client:
            params = [specs.create(home.rootfs, ["sleep", "100000"], name=f"sleep-{i}") for i in range(count)]
            answers = windowed(client, [("create", one) for one in params])
            made = {one["id"]: one for one in answers}
            started = time.monotonic() - start
            assert correct(client.call("list")["sandboxes"], made), "the list is not what was made"
        daemon.kill()
        adopted = first_correct_list(daemon, made)
        memory = resident(daemon.process.pid)
        for one in answers:
            os.kill(one["pid"], 0)
        with daemon.client(120) as client:
            assert client.call("exec", specs.execute(answers[-1]["id"], ["true"]))["process"]
            start = time.monotonic()
            windowed(client, [("destroy", {"id": one}) for one in made])
            destroyed = time.monotonic() - start
            assert client.call("list")["sandboxes"] == []
        daemon.clean(30)
        print(f"    {count} started in {started:.2f} s, first correct list {adopted:.2f} s after the new daemon's exec "
              f"(its memory: {memory} kB), destroyed in {destroyed:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

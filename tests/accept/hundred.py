#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hundred.py SOCKET ROOTFS - 100 containers at once: started, listed, alive, destroyed."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../harness"))
import specs  # noqa: E402
import wire  # noqa: E402

COUNT = 100


def main():
    socket, rootfs = sys.argv[1:]
    with wire.Client(socket, timeout=120) as client, wire.Client(socket) as second:
        start = time.monotonic()
        requests = [client.send("create", specs.create(rootfs, ["sleep", "1000"], name=f"many-{i}")) for i in range(COUNT)]
        made = [client.answer(request) for request in requests]
        started = time.monotonic()
        listed = {sandbox["id"]: sandbox for sandbox in second.call("list")["sandboxes"]}
        assert set(listed) == {one["id"] for one in made}, f"{len(listed)} listed"
        for sandbox in listed.values():
            assert sandbox["state"] == "up" and sandbox["containers"][0]["state"] == "running", sandbox
        ranges = set()
        for one in made:
            with open(f"/proc/{one['pid']}/uid_map", encoding="ascii") as file:
                ranges.add(file.read())
        assert len(ranges) == COUNT, "two sandboxes share an id range"
        before = time.monotonic()
        for request in [client.send("destroy", {"id": one["id"]}) for one in made]:
            client.answer(request)
        assert second.call("list")["sandboxes"] == []
        end = time.monotonic()
        alive = [one["pid"] for one in made if os.path.exists(f"/proc/{one['pid']}")]
        assert not alive, f"alive after destroy: {alive}"
    print(f"    started in {started - start:.2f} s, destroyed in {end - before:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

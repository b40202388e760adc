#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""delay.py held|cancelled SOCKET ROOTFS MS - with the first create held MS milliseconds by the delay wrapper. held: nothing else
waits for it. cancelled: a destroy during the delay completes the create once and leaves nothing."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../harness"))
import specs  # noqa: E402
import wire  # noqa: E402

RUNS = 50
VERSIONS = 100


def others(socket, rootfs):
    """50 runs, all under way at once, and 100 version calls among them."""
    with wire.Client(socket) as runs, wire.Client(socket) as versions:
        created = [runs.send("create", specs.create(rootfs, ["true"])) for _ in range(RUNS)]
        asked = [versions.send("version") for _ in range(VERSIONS)]
        ids = [runs.answer(request)["id"] for request in created]
        ends = [runs.send("wait", {"id": sandbox}) for sandbox in ids]
        for request in ends:
            status = runs.answer(request)["status"]
            assert status["kind"] == "exited" and status["code"] == 0, status
        for request in [runs.send("destroy", {"id": sandbox}) for sandbox in ids]:
            runs.answer(request)
        for request in asked:
            versions.answer(request)


def held(socket, rootfs, milliseconds):
    with wire.Client(socket, timeout=60) as client:
        start = time.monotonic()
        request = client.send("create", specs.create(rootfs, ["true"], name="held"))
        time.sleep(0.1)
        others(socket, rootfs)
        meanwhile = time.monotonic() - start
        sandbox = client.answer(request)["id"]
        took = time.monotonic() - start
        client.call("destroy", {"id": sandbox})
    print(f"    the others took {meanwhile:.2f} s, the held create {took:.2f} s")
    assert took >= milliseconds / 1000, "the create was not held"
    assert meanwhile < took, "the others waited for the held create"
    assert meanwhile < milliseconds / 1000, "the others took longer than the delay: nothing is shown"


def cancelled(socket, rootfs, milliseconds):
    with wire.Client(socket, timeout=60) as client:
        start = time.monotonic()
        request = client.send("create", specs.create(rootfs, ["sleep", "1000"], name="doomed"))
        time.sleep(0.2)
        client.call("destroy", {"name": "doomed"})
        assert time.monotonic() - start < milliseconds / 1000, "destroy waited for the delay"
        try:
            client.answer(request)
        except wire.Refused as refused:
            assert refused.error["code"] == "cancelled", refused.error
        else:
            raise AssertionError("the cancelled create succeeded")
        time.sleep(milliseconds / 1000)  # the wrapper's timer would have passed it on by now
        client.call("version")
        assert len(client.answers[request]) == 1, "the create was answered twice"
        assert client.call("list")["sandboxes"] == [], "something is left"


def main():
    what, socket, rootfs, milliseconds = sys.argv[1:]
    {"held": held, "cancelled": cancelled}[what](socket, rootfs, int(milliseconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lost_store.py - a store that was cut, garbled or removed under running containers: every one is listed, as `unknown` where the store has lost
it, and none is killed; `rm -f` removes it. A record of a newer schema is left as it is."""
import glob
import os
import random
import re
import shutil
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(SOURCE, "tests/harness"), os.path.join(SOURCE, "tests/integration")]
import house  # noqa: E402
import specs  # noqa: E402
import wire  # noqa: E402

DAMAGES = 12


def store_files(daemon):
    return sorted(path for path in glob.glob(os.path.join(daemon.directory, "state/**"), recursive=True)
                  if os.path.isfile(path) and os.path.basename(path).startswith(("journal", "base")))


def damage(daemon, kind, rng):
    """Does it to one of the files that hold records; says what."""
    path = rng.choice([one for one in store_files(daemon) if os.path.getsize(one)])
    size = os.path.getsize(path)
    if kind == "remove":
        os.unlink(path)
    elif kind == "truncate":
        os.truncate(path, rng.randrange(size))
    elif kind == "zero":
        with open(path, "r+b") as file:
            file.seek(rng.randrange(size))
            file.write(bytes(64))
    else:
        with open(path, "r+b") as file:
            at = rng.randrange(size)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << rng.randrange(8)]))
    return f"{kind} {os.path.basename(path)}"


def alive(pids):
    return [pid for pid in pids if os.path.exists(f"/proc/{pid}/exe")]


def one_round(home, daemon, kind, rng):
    daemon.start()
    with daemon.client() as client:
        made = {client.call("create", specs.create(home.rootfs, ["sleep", "1000"], name=f"s{i}"))["id"]: i for i in range(3)}
        pids = [one["containers"][0]["pid"] for one in client.call("list")["sandboxes"]]
    daemon.kill()
    saved = os.path.join(daemon.directory, "saved")
    shutil.copytree(os.path.join(daemon.directory, "state"), saved)
    what = damage(daemon, kind, rng)
    daemon.start()
    with daemon.client() as client:
        listed = {one["id"]: one for one in client.call("list")["sandboxes"]}
        # What was destroyed in an earlier round may be back where the store has lost the entry that says so; it does not live.
        back = [one["state"] for key, one in listed.items() if key not in made]
        assert made.keys() <= listed.keys() and set(back) <= {"off", "unknown"}, f"{what}: {listed}"
        assert alive(pids) == pids, f"{what}: some were killed"
        states = [listed[key]["state"] for key in made]
        assert set(states) <= {"up", "unknown"}, f"{what}: {states}"
        for one in listed.values():
            if one["state"] == "unknown":
                assert client.call("inspect", {"id": one["id"]})["failure"], f"{what}: it is not said why"
        for one in listed:
            client.call("destroy", {"id": one, "force": True})
        assert client.call("list")["sandboxes"] == []
    assert house.eventually(5, lambda: not alive(pids)), f"{what}: alive after destroy"
    daemon.stop()
    shutil.rmtree(saved)
    return states.count("unknown")


def newest_record(daemon):
    """The record of the newer schema, as the store's files have it."""
    found = [one for path in store_files(daemon) for one in re.findall(rb'\{"schema":99,[^}]*\}', open(path, "rb").read())]
    assert len(found) == 1, f"{len(found)} records of schema 99"
    return found[0]


def newer(home):
    """A record of a newer schema, written by the kit through the store itself."""
    daemon = home.daemon("newer", store="file").start()
    daemon.mark()
    with daemon.client() as client:
        made = client.call("create", specs.create(home.rootfs, ["sleep", "1000"], name="newer"))
    daemon.kill()
    kit = os.path.join(home.prefix, "bin/cloister-kit")
    plugin = os.path.join(home.prefix, "lib/cloister/plugins/file.so")
    state = os.path.join(daemon.directory, "state")
    subprocess.run([kit, "edit", plugin, "--state-dir", state, made["id"], "sandbox", "schema", "99"], check=True)
    record = newest_record(daemon)
    for _ in range(2):  # it is as untouched by the second daemon as by the first
        daemon.start()
        with daemon.client() as client:
            [one] = client.call("list")["sandboxes"]
            assert one["state"] == "unknown" and "schema 99" in client.call("inspect", {"id": made["id"]})["failure"]["message"], one
            os.kill(made["pid"], 0)
            try:
                client.call("destroy", {"id": made["id"]})
                raise AssertionError("an unknown sandbox is destroyed without force")
            except wire.Refused:
                pass
        daemon.kill()
        assert newest_record(daemon) == record, "the record was rewritten"
    daemon.start()
    with daemon.client() as client:
        client.call("destroy", {"id": made["id"], "force": True})
        assert client.call("list")["sandboxes"] == []
    daemon.clean()


def main():
    rng = random.Random(int.from_bytes(os.urandom(4), "little"))
    with house.House() as home:
        daemon = home.daemon(store="file").start()
        daemon.mark()
        daemon.kill()
        unknown = sum(one_round(home, daemon, kind, rng) for kind in ["remove", "truncate", "flip", "zero"] * (DAMAGES // 4))
        assert unknown, "no damage ever lost a record: the test is blind"
        daemon.start()
        daemon.clean()
        newer(home)
    print(f"    {DAMAGES} damages: all 3 listed and alive each time, {unknown} as unknown; a newer schema left alone")
    return 0


if __name__ == "__main__":
    sys.exit(main())

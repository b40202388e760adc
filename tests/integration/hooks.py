#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hooks.py - hooks of all six kinds, by a daemon: in what order, with what, and what their failure does.

Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py.
"""
import json
import os
import subprocess
import sys
import threading

from house import House, eventually
import specs

# Notes its kind ($1), state, variables, directory and network namespace; does what $2 says.
SCRIPT = """#!/bin/sh
umask 0
state=$(cat)
env | cut -d= -f1 | grep -vE '^(PWD|OLDPWD|_|SHLVL)$' | sort | tr '\\n' ' ' >"%(notes)s/$1.env"
printf '%%s' "$state" >"%(notes)s/$1.state"
pwd >"%(notes)s/$1.cwd"
readlink /proc/self/ns/net >"%(notes)s/$1.net"
ls /proc/self/fd | wc -l >"%(notes)s/$1.fds"
echo "$1" >>"%(notes)s/order"
case $2 in
fail) echo "because of $1" >&2; exit 3 ;;
hang) exec sleep 98765 ;;
hang2) sleep 98764 & sleep 98764 ;;
talk) yes >&2; exit 4 ;;
esac
"""
HOST = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]


class Bench:
    def __init__(self, house):
        self.house = house
        self.notes = os.path.join(house.work, "notes")
        os.mkdir(self.notes, 0o777)
        os.chmod(self.notes, 0o777)
        self.program = os.path.join(house.work, "hook")
        with open(self.program, "w", encoding="utf-8") as file:
            file.write(SCRIPT % {"notes": self.notes})
        os.chmod(self.program, 0o755)
        self.daemon = house.daemon(top={"helpers": [self.program]}).start()

    def hook(self, kind, what="", **more):
        return {"path": self.program, "args": ["hook", kind, what], "env": ["MARK=1"], **more}

    def create(self, client, hooks, **more):
        params = specs.create(self.house.rootfs, ["sleep", "1000"], **more)
        params["spec"]["hooks"] = hooks
        params["spec"]["annotations"] = {"org.example.key": "value"}
        return client.call("create", params)

    def read(self, kind, what):
        path = os.path.join(self.notes, f"{kind}.{what}")
        with open(path, encoding="utf-8") as file:
            return file.read().strip()

    def order(self):
        path = os.path.join(self.notes, "order")
        try:
            with open(path, encoding="utf-8") as file:
                return file.read().split()
        except FileNotFoundError:
            return []

    def clear(self):
        for name in os.listdir(self.notes):
            os.unlink(os.path.join(self.notes, name))


def whole_life(bench, client):
    """Each of the host's is run once, in the text's order, with its own environment and a state that fits."""
    answer = bench.create(client, {kind: [bench.hook(kind)] for kind in HOST})
    assert bench.order() == HOST[:4], bench.order()
    ident, pid = answer["id"], answer["pid"]
    status = {"prestart": "creating", "createRuntime": "creating", "createContainer": "creating", "poststart": "running"}
    own = os.readlink("/proc/self/ns/net")
    for kind, wanted in status.items():
        state = json.loads(bench.read(kind, "state"))
        assert state["status"] == wanted and state["id"] == ident, state
        assert state["bundle"] == os.path.dirname(bench.house.rootfs), state
        assert state["annotations"] == {"org.example.key": "value"}, state
        assert state["pid"] == (1 if kind == "createContainer" else pid), (state, pid)
        assert (bench.read(kind, "net") == own) == (kind != "createContainer"), kind
    client.call("destroy", {"id": ident})
    assert bench.order() == HOST, bench.order()
    state = json.loads(bench.read("poststop", "state"))
    assert state["status"] == "stopped" and "pid" not in state, state
    for kind in HOST:
        assert bench.read(kind, "env") == "MARK", bench.read(kind, "env")
        assert bench.read(kind, "cwd") == "/" and bench.read(kind, "fds") == "4", kind


def failure(bench, client):
    """What fails before the program runs fails the create, with its path and the hook's own words; nothing is left."""
    for kind in ["prestart", "createRuntime", "createContainer"]:
        bench.clear()
        code, text = refused(bench, client, {kind: [bench.hook(kind), bench.hook(kind, "fail"), bench.hook(kind)]})
        assert f"hooks.{kind}[1]" in text and "exited with 3" in text, text
        assert kind == "createContainer" or "because of" in text, text
        assert bench.order() == [kind, kind], bench.order()
        left = client.call("list", {})
        assert not left["sandboxes"], left


def refused(bench, client, hooks):
    try:
        bench.create(client, hooks)
    except Exception as error:  # the wire's own error class
        return getattr(error, "code", None), str(error)
    raise AssertionError("created")


def later_failure(bench, client):
    """poststart and poststop can only warn."""
    answer = bench.create(client, {kind: [bench.hook(kind, "fail")] for kind in ["poststart", "poststop"]})
    client.call("destroy", {"id": answer["id"]})
    assert bench.order() == ["poststart", "poststop"], bench.order()
    log = open(bench.daemon.log_path, encoding="utf-8").read()
    for kind in ["poststart", "poststop"]:
        assert f"hooks.{kind}[0]" in log, kind


def timeout(bench, client):
    for kind in ["prestart", "createContainer"]:
        _, text = refused(bench, client, {kind: [bench.hook(kind, "hang", timeout=1)]})
        assert "longer than 1000 ms" in text, text


def timeout_of_many(bench, client):
    """What is over its time ends with all that it has started; a destroy goes on after it."""
    for kind in ["prestart", "createContainer"]:
        _, text = refused(bench, client, {kind: [bench.hook(kind, "hang2", timeout=1)]})
        assert "longer than 1000 ms" in text, text
        assert eventually(5, lambda: not runs("sleep 98764")), kind
    answer = bench.create(client, {"poststop": [bench.hook("poststop", "hang2", timeout=1)]})
    client.call("destroy", {"id": answer["id"]})
    assert bench.order()[-1] == "poststop", bench.order()
    assert "ran longer than 1000 ms" in open(bench.daemon.log_path, encoding="utf-8").read()
    assert eventually(5, lambda: not runs("sleep 98764")), "poststop"


def runs(command):
    return subprocess.run(["pgrep", "-f", f"^{command}$"], stdout=subprocess.DEVNULL, check=False).returncode == 0


def endless_talk(bench, client):
    """What a hook says is kept up to a page and no more."""
    _, text = refused(bench, client, {"prestart": [bench.hook("prestart", "talk", timeout=5)]})
    assert "hooks.prestart[0]" in text, text


def not_listed(bench, client):
    for kind in HOST:
        _, text = refused(bench, client, {kind: [{"path": "/bin/true"}]})
        assert f"hooks.{kind}[0].path" in text and "helpers" in text, text


def cancelled(bench, client):
    """A destroy ends a create in the middle of a hook that hangs, and the hook."""
    told = []
    creator = threading.Thread(target=lambda: told.append(refused(bench, client, {"prestart": [bench.hook("prestart", "hang")]})))
    creator.start()
    assert eventually(5, bench.order), "no hook"
    with bench.daemon.client() as other:
        other.call("destroy", {"id": other.call("list", {})["sandboxes"][0]["id"]})
        assert other.call("list") == {"sandboxes": []}
    creator.join(10)
    assert told, "the create hangs"
    assert not runs("sleep 98765"), "it runs on"


def inside(bench, client):
    """startContainer is the container's own program, which nobody has to list."""
    _, text = refused(bench, client, {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "exit 5"]}]})
    assert "hooks.startContainer[0]" in text and "exited with 5" in text, text


def main():
    failed = 0
    with House() as house:
        bench = Bench(house)
        for test in [whole_life, failure, later_failure, timeout, timeout_of_many, endless_talk, not_listed, cancelled, inside]:
            bench.clear()
            try:
                with bench.daemon.client() as client:
                    test(bench, client)
                print(f"ok {test.__name__}")
            except Exception as error:
                failed += 1
                print(f"not ok {test.__name__}: {type(error).__name__}: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

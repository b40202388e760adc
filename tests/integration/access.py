#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""access.py - what peers that are not root may do: by uid and by group, from the rules of a control socket that everybody can open.

Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py.
"""
import os
import sys
import traceback

from house import House
import specs
import wire

OBSERVER, OPERATOR, STRANGER = 65533, 65532, 65531
GROUP, CLOISTER = 65530, 65529
DENIED = {"error_kind": "failure", "message": "permission denied", "code": "permission_denied"}
RULES = [{"uid": OBSERVER, "class": "observe"}, {"uid": OPERATOR, "class": "control"}, {"group": GROUP, "class": "observe"}]


def become(uid, groups=()):
    os.setgroups(groups)
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def denied(client, method, params=None):
    request = client.send(method, params)
    assert client.read(), f"{method}: the daemon closed the connection"
    message = client.answers[request][0]
    assert message == {"id": request, "error": DENIED}, message


def observes(daemon, rootfs):
    """Everything that only looks; the rest is refused with the request's id, and the connection stays."""
    with daemon.client() as client:
        assert client.call("version")["instance"]
        assert client.call("list") == {"sandboxes": []}
        denied(client, "create", specs.create(rootfs, ["true"]))
        denied(client, "destroy", {"name": "nobody"})
        denied(client, "shutdown")
        assert client.call("health")["status"] == "ok"


def observer(daemon, rootfs):
    become(OBSERVER)
    observes(daemon, rootfs)


def member_of_group(daemon, rootfs):
    become(STRANGER, [STRANGER, GROUP])
    observes(daemon, rootfs)


def operator(daemon, rootfs):
    become(OPERATOR)
    with daemon.client() as client:
        made = client.call("create", specs.create(rootfs, ["sh", "-c", "exit 7"]))
        status = client.call("wait", {"id": made["id"]})["status"]
        assert (status["kind"], status["code"]) == ("exited", 7), status
        client.call("destroy", {"id": made["id"]})
        denied(client, "shutdown")


def stranger(daemon, _):
    """One line with no id, before anything was sent, and the end."""
    become(STRANGER)
    with daemon.client() as client:
        assert client.read(), "closed without a word"
        assert client.answers == {None: [{"id": None, "error": DENIED}]}, client.answers
        assert not client.read(), "the connection stays"


def member_of_cloister(daemon, rootfs):
    """By the rule that holds where the configuration has none; the socket's group and mode are what the daemon made them."""
    become(STRANGER, [STRANGER, CLOISTER])
    observes(daemon, rootfs)


def outsider(daemon, _):
    become(STRANGER)
    try:
        daemon.client().close()
    except PermissionError:
        return
    raise AssertionError("a peer outside the group could connect")


CASES = (observer, member_of_group, operator, stranger)
CASES_BY_DEFAULT = (member_of_cloister, outsider)


def as_somebody_else(case, daemon, rootfs):
    """In a child, because there is no way back from its uid. The error, or None."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            case(daemon, rootfs)
        except BaseException as error:  # pylint: disable=broad-except
            os.write(writer, (f"{type(error).__name__}: {error}\n" + traceback.format_exc()).encode()[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8", errors="replace") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def with_own_groups(house):
    """A daemon for which this machine has a group `cloister`: /etc/group is another file in its mount namespace."""
    groups = os.path.join(house.work, "group")
    with open(groups, "w", encoding="ascii") as file:
        file.write(f"root:x:0:\ncloister:x:{CLOISTER}:\n")
    daemon = house.daemon("groups")
    daemon.prepare = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                      'mount --bind "$1" /etc/group && shift && exec "$@"', "sh", groups]
    return daemon


def run_cases(cases, daemon, rootfs):
    failed = 0
    for case in cases:
        said = as_somebody_else(case, daemon, rootfs)
        name = case.__name__.replace("_", "-")
        print(f"not ok {name}: {said}" if said else f"ok {name}")
        failed += bool(said)
    with daemon.client() as client:  # root, and nobody who was refused has disturbed it
        assert client.call("list") == {"sandboxes": []}
    return failed


def main():
    with House() as house:
        daemon = house.daemon()
        daemon.config["services"][0]["listen"][0].update(mode="0666", access=RULES)
        failed = run_cases(CASES, daemon.start(), house.rootfs)
        failed += run_cases(CASES_BY_DEFAULT, with_own_groups(house).start(), house.rootfs)
    print(f"{len(CASES) + len(CASES_BY_DEFAULT) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


sys.exit(main())

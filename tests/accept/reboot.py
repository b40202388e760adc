#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""reboot.py - what a daemon makes of a machine that has booted again, of a stranger with a stored pid, of things half done."""
import ctypes
import os
import signal
import struct
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(SOURCE, "tests/harness"), os.path.join(SOURCE, "tests/integration")]
import house  # noqa: E402
import specs  # noqa: E402

SYS_CLONE3 = 435


def listed(daemon):
    with daemon.client() as client:
        return {one["name"]: one for one in client.call("list")["sandboxes"]}


def processes_of(daemon):
    return [line for line in daemon.snapshot() if line.startswith("process")]


def other_boot(home):
    """The boot id changes while the daemon is away: nothing is taken over, everything is cleaned, the records say so."""
    boot = os.path.join(home.work, "boot_id")
    with open(boot, "w", encoding="ascii") as file:
        file.write("11111111-2222-3333-4444-555555555555\n")
    daemon = home.daemon("boot", store="file", top={"boot_id_file": boot}).start()
    daemon.mark()
    with daemon.client() as client:
        for i in range(3):
            client.call("create", specs.create(home.rootfs, ["sleep", "1000"], name=f"s{i}"))
    daemon.kill()
    with open(boot, "w", encoding="ascii") as file:
        file.write("99999999-2222-3333-4444-555555555555\n")
    daemon.start()
    sandboxes = listed(daemon)
    assert {(name, one["state"], one["cause"]) for name, one in sandboxes.items()} == {(f"s{i}", "off", "reboot") for i in range(3)}, sandboxes
    assert house.eventually(10, lambda: not processes_of(daemon)), processes_of(daemon)
    with daemon.client() as client:
        for name in sandboxes:
            client.call("destroy", {"name": name})
        client.call("create", specs.create(home.rootfs, ["sleep", "1000"], name="s0"))
        client.call("destroy", {"name": "s0"})
    daemon.clean()
    print("    other boot: 3 off(reboot), nothing alive, names free again")


def clone_with_pid(pid):
    """A sleeping stranger that has this very pid."""
    wanted = (ctypes.c_int * 1)(pid)
    arguments = struct.pack("11Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(wanted), 1, 0)
    buffer = ctypes.create_string_buffer(arguments, len(arguments))
    child = ctypes.CDLL(None, use_errno=True).syscall(SYS_CLONE3, buffer, len(arguments))
    if child == 0:
        signal.pause()
        os._exit(0)
    assert child == pid, (child, ctypes.get_errno())
    return child


def reused_pid(home):
    """Keeper and init die while the daemon is away, and a stranger gets each pid: neither taken over nor killed."""
    daemon = home.daemon("pid", store="file").start()
    daemon.mark()
    with daemon.client() as client:
        init = client.call("create", specs.create(home.rootfs, ["sleep", "1000"], name="victim"))["pid"]
    with open(f"/proc/{init}/status", encoding="ascii") as file:
        keeper = next(int(line.split()[1]) for line in file if line.startswith("PPid"))
    daemon.kill()
    os.kill(keeper, signal.SIGKILL)
    gone = house.eventually(10, lambda: not os.path.exists(f"/proc/{keeper}") and not os.path.exists(f"/proc/{init}"))
    assert gone, "the keeper does not die"
    strangers = [clone_with_pid(pid) for pid in (keeper, init)]
    try:
        daemon.start()
        victim = listed(daemon)["victim"]
        assert (victim["state"], victim["cause"]) == ("off", "lost"), victim
        status = victim["containers"][0]["status"]
        assert status and status["kind"] == "lost", status
        with daemon.client() as client:
            client.call("destroy", {"name": "victim"})
        for pid in strangers:
            assert os.waitpid(pid, os.WNOHANG) == (0, 0), f"the stranger {pid} was killed"
    finally:
        for pid in strangers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    daemon.clean()
    print("    reused pids: off(lost), both strangers alive")


def half_done(home):
    """A stopped one stays stopped, with its status; a half-made one is gone; a provisional one is gone; a blocked one waits on."""
    daemon = home.daemon("half", store="file").start()
    daemon.mark()
    with daemon.client() as client:
        client.call("create", specs.create(home.rootfs, ["sh", "-c", "exit 3"], name="stopped"))
        client.call("wait", {"name": "stopped"})
        client.call("create", specs.create(home.rootfs, ["sleep", "1000"], name="provisional", provisional=True))
        client.call("create", specs.create(home.rootfs, ["sh", "-c", "exit 5"], name="blocked", start="blocked"))
    daemon.kill()
    # The next one dies between the intent and what it intends.
    daemon.config["isolation"]["main"]["wrap"] = [{"plugin": "fault", "op": "sandbox_create", "how": "stop"}]
    daemon.start()
    with daemon.client() as client:
        client.send("create", specs.create(home.rootfs, ["sleep", "1000"], name="half"))
        daemon.logged("halt: sandbox_create before", 10)
        daemon.kill()
    daemon.config["isolation"]["main"]["wrap"] = []
    daemon.start()
    sandboxes = listed(daemon)
    assert set(sandboxes) == {"stopped", "blocked"}, sorted(sandboxes)
    stopped = sandboxes["stopped"]
    assert (stopped["state"], stopped["cause"]) == ("off", "stopped") and stopped["containers"][0]["status"]["code"] == 3, stopped
    assert sandboxes["blocked"]["containers"][0]["state"] == "created", sandboxes["blocked"]
    with daemon.client() as client:
        client.call("start", {"name": "blocked"})
        assert client.call("wait", {"name": "blocked"})["status"]["code"] == 5
        for name in sandboxes:
            client.call("destroy", {"name": name})
    daemon.clean()
    print("    half done: stopped stays, blocked starts, half-made and provisional are gone")


def main():
    with house.House() as home:
        other_boot(home)
        reused_pid(home)
        half_done(home)
    return 0


if __name__ == "__main__":
    sys.exit(main())

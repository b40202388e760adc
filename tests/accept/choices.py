#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""choices.py - a container's life on daemons that lack something: each first choice forbidden in turn, all at once, and cgroup v2 not mounted."""
import os
import re
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(SOURCE, "tests/harness"), os.path.join(SOURCE, "tests/integration")]
import hazards  # noqa: E402
import house  # noqa: E402

NO_V2 = ["unshare", "-m", "--propagation", "private", "sh", "-c", 'umount -a -t cgroup2 && ! grep -q " - cgroup2 " /proc/self/mountinfo && exec "$@"', "sh"]
DEVICES = "mknod /dev/disk b 8 0 2>&-; head -c 1 /dev/disk >/dev/null 2>&- && echo open; head -c 1 /dev/zero | wc -c"


def choices(home):
    """Their names, as the daemon tells them to whoever names another."""
    daemon = home.daemon("asks", isolation={"forbid": ["nothing-of-this-name"]})
    daemon.spawn().wait(20)
    found = re.search(r"'nothing-of-this-name' is none of ([a-z0-9, -]+)", daemon.log())
    assert found, daemon.log()
    return found[1].split(", ")


def strong(spec):
    spec["process"]["capabilities"] = {name: ["CAP_MKNOD"] for name in ("bounding", "effective", "permitted")}
    spec["linux"].pop("seccomp")
    spec["linux"]["resources"].update({"pids": {"limit": 30}, "memory": {"limit": 64 << 20}})


def life(home, daemon):
    """Limits, devices, exec, out of memory, standing still, a fork bomb, a restart, the end; nothing is left."""
    with daemon.client() as client:
        daemon.mark()
        status, text = hazards.run(client, hazards.params(home.rootfs, ["/bin/sh", "-c", DEVICES], userns=False, change=strong))
        assert status["code"] == 0 and text == "1\n", (status, text)
        made = client.call("create", hazards.params(home.rootfs, ["/bin/probe", "bomb"], change=strong))["id"]
        hazards.same(client.call("update", {"id": made, "resources": {"pids": {"limit": 40}}})["limits"]["pids"]["limit"], 40)
        assert house.eventually(10, lambda: 20 < client.call("stats", {"id": made})["stats"]["pids"] <= 40)
        client.call("freeze", {"id": made})
        client.call("thaw", {"id": made})
        client.call("freeze", {"id": made})
    daemon.kill()
    daemon.start()
    with daemon.client() as client:
        begin = time.monotonic()
        client.call("destroy", {"id": made, "force": True})
        assert time.monotonic() - begin < 10, "the end of a frozen bomb takes long"
        made = client.call("create", hazards.params(home.rootfs, ["/bin/sleep", "1000"], change=strong))["id"]
        status, _ = hazards.execute(client, made, ["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=128M", "count=1"])
        assert status["kind"] == "signaled" and status["oom"], status
        client.call("stop", {"id": made, "grace_ms": 100})
        client.call("destroy", {"id": made})
    daemon.clean()


def main():
    with house.House() as home:
        names = choices(home)
        assert {"v2-freeze", "v2-kill", "v1-devices"} <= set(names), names
        most = [name for name in names if name != "device-programs"]
        lacks = [(name, {"forbid": [name]}, []) for name in names] + [("all but one", {"forbid": most}, []), ("no v2", {}, NO_V2)]
        for number, (name, isolation, prepare) in enumerate(lacks):
            daemon = home.daemon(f"d{number}", store="file", isolation=isolation)
            daemon.prepare = prepare
            daemon.start()
            life(home, daemon)
            hazards.same(daemon.stop(), 0)
            print(f"    {name}: a whole life", flush=True)
        # Neither of two ways to hold devices back: nothing is let run without.
        with home.daemon("none", isolation={"forbid": ["v1-devices", "device-programs"]}).start().client() as client:
            sentence = hazards.refused(client, "create", hazards.params(home.rootfs, ["/bin/true"]), "unsupported")
            assert "access cannot be restricted" in sentence, sentence
    return 0


if __name__ == "__main__":
    sys.exit(main())

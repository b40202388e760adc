#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hazards_images.py - hostile images and volumes (the known mistakes of other runtimes, tests/hazards.tsv 1.1): nothing on the host changes.

Most containers here have no user namespace, so that whatever leads outside leads there as the host's root.
Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py.
"""
import ctypes
import glob
import os
import subprocess
import sys
import threading

import hazards
from hazards import params, replace, run, run_if_let, same, tree

TARGETS = ["proc", "dev", "dev/pts", "dev/shm", "dev/mqueue", "sys", "sys/fs/cgroup", "data", "etc", "etc/hosts", "etc/deep/volume"]
WRITE = ("for d in / /proc /dev /dev/pts /dev/shm /sys /data /etc /etc/deep /etc/deep/volume /outside; do"
         " echo evil > $d/evil; mkdir $d/evil.d; echo evil > $d/kept; done 2>&-; exit 0")


def outside(house):
    """A directory of the host's that links point to; what a mount point or a device needs is not there."""
    path = os.path.join(house.work, "outside")
    if not os.path.isdir(path):
        os.makedirs(os.path.join(path, "folder"))
        with open(os.path.join(path, "kept"), "w", encoding="ascii") as file:
            file.write("kept\n")
    return path


def shapes(house, target):
    there = outside(house)
    return {"absolute": there, "relative": "../" * 8 + there[1:], "up": "..", "root": "/", "dangling": there + "/nothing",
            "loop": "/" + target, "magic": f"/proc/self/root{there}"}


def with_mounts(target, volume, keep_dev):
    """Default mounts but for /dev where what lies below it is the image's, and a volume."""
    def change(spec):
        if not keep_dev:
            spec["mounts"] = [one for one in spec["mounts"] if one["destination"] != "/dev"]
        if target in ("data", "etc/deep/volume"):
            spec["mounts"].append({"destination": "/" + target, "type": "bind", "source": volume, "options": ["rbind", "rw"]})
    return change


def symlinked_targets(house, daemon):
    """Seven shapes of link for every default mount target, for a volume's, and for a file of ours; also where only a parent is a link."""
    root, volume = hazards.copy_of(house, "linked"), os.path.join(house.work, "volume")
    os.mkdir(volume)
    outside(house)
    before = hazards.host(outside(house))
    refusals = 0
    with daemon.client() as client:
        for target in TARGETS:
            place = os.path.join(root, target)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            for shape, link in shapes(house, target).items():
                for spoilt in {place, os.path.dirname(place)} - {root, os.path.join(root, "sys"), os.path.join(root, "sys/fs")}:
                    replace(spoilt, link)
                    asked = params(root, ["/bin/sh", "-c", WRITE], userns=False, change=with_mounts(target, volume, target == "dev"))
                    asked["rootfs"]["writable"] = True
                    if target == "etc/hosts":
                        asked["files"] = [{"path": "/etc/hosts", "text": "1.2.3.4 evil\n"}]
                    status, _ = run_if_let(client, asked)
                    refusals += status is None
                    replace(spoilt)
                    os.makedirs(os.path.dirname(place), exist_ok=True)
                    if os.path.basename(spoilt) == "proc":
                        assert status is None, f"/proc -> {link} was accepted"
            hazards.unchanged(before, outside(house))
        # The same containers can be made without a link.
        for target in ("data", "etc/deep/volume"):
            same(run(client, params(root, ["/bin/true"], userns=False, change=with_mounts(target, volume, True)))[0]["code"], 0)
    assert refusals > 30, f"only {refusals} refused"


def fake_proc(house, daemon):
    """/proc a file; a volume over /proc/self/attr and over /proc/sys: no setting is written anywhere but to the kernel."""
    root, fake = hazards.copy_of(house, "fake"), os.path.join(house.work, "fake-sys")
    os.makedirs(os.path.join(fake, "net/ipv4"))
    for name in ("net/ipv4/ip_forward", "exec"):
        with open(os.path.join(fake, name), "w", encoding="ascii") as file:
            file.write("untouched\n")
    before = tree(fake)
    with daemon.client() as client:
        subprocess.run(["rm", "-rf", os.path.join(root, "proc")], check=True)
        with open(os.path.join(root, "proc"), "w", encoding="ascii"):
            pass
        assert run_if_let(client, params(root, ["/bin/true"], userns=False))[0] is None, "/proc as a file was accepted"
        os.unlink(os.path.join(root, "proc"))
        replace(os.path.join(root, "proc"))
        for covered in ("/proc/sys", "/proc/self/attr"):
            def change(spec, covered=covered):
                spec["mounts"].append({"destination": covered, "type": "bind", "source": fake, "options": ["bind", "rw"]})
                spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
                spec["linux"]["readonlyPaths"] = []
            script = "umount /proc/sys 2>&-; cat /proc/sys/net/ipv4/ip_forward"
            status, text = run_if_let(client, params(root, ["/bin/sh", "-c", script], userns=False, change=change))
            same(tree(fake), before)
            assert status is None or text.strip() in ("1", "untouched"), text
        # Without the fake one it is the kernel's.
        def plain(spec):
            spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
        same(run(client, params(root, ["/bin/cat", "/proc/sys/net/ipv4/ip_forward"], change=plain))[1], "1\n")


def null_of_the_image(house, daemon):
    """Masks are covered by a device of ours: the image's /dev/null may be a link, a fifo, a file, and shows nothing."""
    root = hazards.copy_of(house, "null")
    null, secret = os.path.join(root, "dev/null"), os.path.join(root, "secret")
    for path in (secret, os.path.join(root, "masked")):
        with open(path, "w", encoding="ascii") as file:
            file.write("secret\n")

    def change(spec):
        spec["mounts"] = [one for one in spec["mounts"] if not one["destination"].startswith("/dev")]
        spec["linux"]["maskedPaths"].append("/masked")
    for make in (lambda: os.symlink("/secret", null), lambda: os.mkfifo(null), lambda: os.link(secret, null), lambda: os.mkdir(null)):
        subprocess.run(["rm", "-rf", null], check=True)
        make()
        with daemon.client() as client:
            status, text = run_if_let(client, params(root, ["/bin/sh", "-c", "cat /masked /proc/kcore; echo x > /masked"], change=change))
        assert status is None or "secret" not in text, text
        with open(secret, encoding="ascii") as file:
            same(file.read(), "secret\n")


def own_executable(house, daemon):
    """`#!/proc/self/exe`, and every /proc/*/exe opened for writing while processes are started: what is ours keeps its bytes."""
    root = hazards.copy_of(house, "self")
    with open(os.path.join(root, "bin/self"), "w", encoding="ascii") as file:
        file.write("#!/proc/self/exe\n")
    os.chmod(os.path.join(root, "bin/self"), 0o755)
    ours = [path for path in glob.glob(house.prefix + "/**/*", recursive=True) if os.path.isfile(path) and os.access(path, os.X_OK)]
    before = [hazards.digest(path) for path in ours]
    assert any("keeper" in path for path in ours) and any(path.endswith("cloisterd") for path in ours), ours

    def caps(spec):
        spec["process"]["capabilities"] = {name: ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"] for name in ("bounding", "effective", "permitted")}
    script = "while :; do for e in /proc/[0-9]*/exe; do echo evil >> $e; done 2>&-; done"
    asked = params(root, ["/bin/sh", "-c", script], userns=False, change=caps)
    asked["rootfs"]["writable"] = True
    with daemon.client() as client:
        made = client.call("create", asked)["id"]
        for i in range(100):
            hazards.execute(client, made, ["/bin/true"])
            if i % 10 == 0:
                status, _ = hazards.execute(client, made, ["/bin/self"])
                assert status["code"] != 0, status
        client.call("destroy", {"id": made, "force": True})
        assert run(client, params(root, ["/bin/self"], userns=False))[0]["code"] != 0
    same([hazards.digest(path) for path in ours], before)


def spying(house, daemon):
    """During execs a process looks at every descriptor, cwd and root in /proc that it can open: nothing is outside of its root."""
    with daemon.client() as client:
        def caps(spec):
            spec["process"]["capabilities"] = {name: ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"]
                                               for name in ("bounding", "effective", "permitted")}
        made = client.call("create", params(house.rootfs, ["/bin/sleep", "1000"], change=caps))["id"]
        reader, writer = os.pipe()
        asked = hazards.specs.execute(made, ["/bin/probe", "spy"])
        asked["process"]["capabilities"] = {name: ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"]
                                            for name in ("bounding", "effective", "permitted")}
        spy = client.call("exec", asked, fds={"stdout": writer})["process"]
        os.close(writer)
        for _ in range(20):
            starts = [client.send("exec", hazards.specs.execute(made, ["/bin/sleep", "0.02"])) for _ in range(50)]
            for one in starts:
                client.call("wait", {"id": made, "process": client.answer(one)["process"]})
        client.call("signal", {"id": made, "process": spy, "signal": "TERM"})
        with os.fdopen(reader, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
        client.call("destroy", {"id": made, "force": True})
    assert not [line for line in lines if line.startswith("outside")], lines[:5]
    seen = [int(line.split("=")[1]) for line in lines if line.startswith("seen=")]
    assert seen and seen[0] > 100, f"it saw nothing: {lines[-3:]}"


def cwd_through_descriptors(house, daemon):
    """cwd=/proc/self/fd/N for every N that could be left open, also further up: refused, or nothing but the container's own root."""
    with daemon.client() as client:
        made = client.call("create", params(house.rootfs, ["/bin/sleep", "1000"], userns=False))["id"]
        for number in range(3, 65):
            for cwd in (f"/proc/self/fd/{number}", f"/proc/self/fd/{number}/../..", f"/proc/thread-self/fd/{number}/", f"proc/self/fd/{number}"):
                asked = hazards.specs.execute(made, ["/bin/pwd"])
                asked["process"]["cwd"] = cwd
                hazards.refused(client, "exec", asked)
            if number % 8 == 0:
                asked = params(house.rootfs, ["/bin/pwd"], userns=False,
                               change=lambda spec, number=number: spec["process"].update(cwd=f"/proc/self/fd/{number}"))
                hazards.refused(client, "create", asked)
        same(hazards.execute(client, made, ["/bin/pwd"], cwd="/tmp")[1], "/tmp\n")
        client.call("destroy", {"id": made, "force": True})


def swap(one, other, stop, count):
    libc = ctypes.CDLL(None)
    while not stop.is_set():
        libc.syscall(316, -100, one.encode(), -100, other.encode(), 2)  # renameat2(RENAME_EXCHANGE)
        count[0] += 1


def swapped_targets(house, daemon):
    """A mount point in a shared volume is a directory and a link by turns while containers are made: no mount outside of them."""
    volume = os.path.join(house.work, "swapped")
    os.makedirs(os.path.join(volume, "point/below"))
    os.symlink("../" * 8 + outside(house)[1:], os.path.join(volume, "link"))
    before, mounts = hazards.host(outside(house)), read_mounts()
    stop, count = threading.Event(), [0]
    thread = threading.Thread(target=swap, args=(f"{volume}/point", f"{volume}/link", stop, count))
    thread.start()

    def change(spec):
        spec["mounts"] += [{"destination": "/data", "type": "bind", "source": volume, "options": ["rbind", "rw"]},
                           {"destination": "/data/point/below", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k"]}]
    done = {True: 0, False: 0}
    try:
        with daemon.client() as client:
            for _ in range(100):
                asked = params(house.rootfs, ["/bin/sh", "-c", "cut -d' ' -f5 /proc/self/mountinfo | grep -E 'data|outside|below'"],
                               userns=False, change=change)
                asked["rootfs"]["writable"] = True
                status, text = run_if_let(client, asked)
                done[status is not None] += 1
                assert status is None or set(text.split()) <= {"/data", "/data/point/below", "/data/link/below"}, text
                same(read_mounts(), mounts)
    finally:
        stop.set()
        thread.join()
    hazards.unchanged(before, outside(house))
    assert count[0] > 1000, f"only {count[0]} swaps"
    print(f"    {done[True]} made, {done[False]} refused, {count[0]} swaps")


def read_mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return [line for line in file if "cloister-house" in line]


def groups_of_the_host(house, daemon):
    """release_agent and the parent's cgroup.procs cannot be written, not with CAP_SYS_ADMIN and no filter either, nor a hierarchy be mounted."""
    def strong(spec):
        spec["process"]["capabilities"] = {name: ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_SYS_CHROOT"]
                                           for name in ("bounding", "effective", "permitted")}
        spec["linux"].pop("seccomp")
    script = """cd /sys/fs/cgroup; for f in */release_agent */notify_on_release */cgroup.procs */../cgroup.procs */tasks cgroup.procs; do
        [ -e $f ] || continue
        echo looked; ( echo 1 > $f ) 2>&- && echo "wrote $f"
    done
    mkdir -p /tmp/c; for k in memory pids cpu freezer; do mount -t cgroup -o $k cgroup /tmp/c 2>&- && { echo /evil > /tmp/c/release_agent; } 2>&- && echo "wrote /tmp/c of $k"; done
    mount -o remount,rw /sys/fs/cgroup/memory 2>&- && ( echo 1 > /sys/fs/cgroup/memory/cgroup.procs ) 2>&- && echo wrote remounted
    exit 0"""
    agents = {path: open(path, encoding="ascii").read() for path in glob.glob("/sys/fs/cgroup/*/release_agent")}
    with daemon.client() as client:
        asked = params(house.rootfs, ["/bin/sh", "-c", script], change=strong)
        asked["rootfs"]["writable"] = True
        status, text = run(client, asked)
    same(status["code"], 0)
    assert "looked" in text and "wrote" not in text, text
    same({path: open(path, encoding="ascii").read() for path in agents}, agents)


def smuggled_values(house, daemon):
    """Commas, equals signs, plus signs, newlines in what becomes part of a file or a list of options: one value stays one value."""
    odd = "/a,b=c+d e\\f"
    with daemon.client() as client:
        def change(spec):
            spec["hostname"] = "host"
            spec["mounts"].append({"destination": odd, "type": "tmpfs", "source": "x,mode=4777", "options": ["size=64k", "mode=0701"]})
        asked = params(hazards.copy_of(house, "odd"), ["/bin/sh", "-c", f"stat -c %a '{odd}'; hostname"], change=change)
        asked["rootfs"]["writable"] = True
        same(run(client, asked)[1], "701\nhost\n")
        for key, value in (("net.ipv4.ip_forward", "1\n0"), ("net.ipv4.ip_forward\nkernel.panic", "1"), ("net/../../kernel/panic", "1"),
                           ("net.ipv4.ip_forward+kernel.panic", "1"), ("kernel.core_pattern", "|/evil"), ("kernel.panic", "9")):
            def sysctl(spec, key=key, value=value):
                spec["linux"]["sysctl"] = {key: value}
            with open("/proc/sys/kernel/panic", encoding="ascii") as file, open("/proc/sys/kernel/core_pattern", encoding="ascii") as cores:
                before = file.read(), cores.read()
            status, _ = run_if_let(client, params(house.rootfs, ["/bin/true"], userns=False, change=sysctl))
            assert status is None or value == "1\n0", f"sysctl {key!r} was accepted"
            with open("/proc/sys/kernel/panic", encoding="ascii") as file, open("/proc/sys/kernel/core_pattern", encoding="ascii") as cores:
                same((file.read(), cores.read()), before)
        for parent, good in (("shop/front", True), ("a,b", False), ("a\nb", False), ("a/../../up", False), ("..", False), ("x" * 300, False)):
            asked = params(house.rootfs, ["/bin/true"])
            asked["cgroup_parent"] = parent
            same((parent, run_if_let(client, asked)[0] is not None), (parent, good))


def private_directories(house, daemon):
    """Records and captured output are not another user's to search, so no set-user-id file in them can be reached: of the run directory he
    sees the socket, and nothing that he may enter."""
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    with daemon.client() as client:
        asked = params(house.rootfs, ["/bin/sh", "-c", "echo secret; exec sleep 1000"])
        asked["stdio"] = [{"kind": "null"}, {"kind": "pipe"}, {"kind": "pipe"}]
        made = client.call("create", asked)["id"]
        state = os.path.join(daemon.directory, "state")
        assert os.listdir(state) and os.listdir(daemon.run), "there is nothing to be seen"
        same(subprocess.run([*nobody, "ls", state], capture_output=True, text=True, check=False).stdout, "")
        for top, folders, _ in os.walk(daemon.run):
            for name in folders:
                same(subprocess.run([*nobody, "ls", os.path.join(top, name)], capture_output=True, text=True, check=False).stdout, "")
        client.call("destroy", {"id": made, "force": True})


TESTS = [symlinked_targets, fake_proc, null_of_the_image, own_executable, spying, cwd_through_descriptors, swapped_targets, groups_of_the_host,
         smuggled_values, private_directories]

if __name__ == "__main__":
    sys.exit(hazards.main([test for test in TESTS if len(sys.argv) < 2 or test.__name__ in sys.argv[1:]], [{"store": "file"}]))

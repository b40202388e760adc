#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""untouched.py COUNT - what the host looks like before, during and after COUNT containers, some of which write through every link they can
make: mounts, links, settings, /dev and /etc, cgroups below our root.

It runs itself in mount and network namespaces of its own, whose mounts are shared among everybody in there, so that a mount that leaks shows,
and nobody else's does.
"""
import os
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(SOURCE, "tests/harness"), os.path.join(SOURCE, "tests/integration")]
import hazards  # noqa: E402
import house  # noqa: E402

# A root process of the host's, with links to all that is above and beside: it writes wherever one leads.
TRICKS = """umask 0; mkdir -p /t; cd /t
ln -s / root; ln -s ../../../../../../.. up; ln -s /proc/1/root one; ln -s /proc/self/root self; ln -s /proc/1/cwd cwd; ln -s /dev dev; ln -s /sys sys
for i in 0 1 2 3 4 5 6 7 8 9 10 11 12; do ln -s /proc/1/fd/$i fd$i; ln -s /proc/self/fd/$i own$i; done
for d in root up one self cwd dev fd* own*; do
    for f in etc/passwd etc/evil tmp/../etc/evil2 dev/evil proc/sys/kernel/panic sys/kernel/uevent_helper sys/fs/cgroup/evil; do
        echo 4711 > $d/$f; mkdir $d/$f.d; mknod $d/$f.n c 1 1; ln -s / $d/$f.l; chmod 4777 $d/$f;
        mount -t tmpfs x $d/etc; umount $d/etc
    done
done 2>&-
echo done"""
SETTINGS = ["/proc/sys/kernel/panic", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname",
            "/proc/sys/kernel/pid_max", "/proc/sys/vm/overcommit_memory", "/proc/sys/user/max_user_namespaces", "/proc/sys/fs/protected_symlinks"]


def text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as problem:
        return str(problem)


def looks():
    settings = list(SETTINGS)
    for top, _, files in os.walk("/proc/sys/net"):
        settings += [os.path.join(top, name) for name in files if "inode" not in name and "file-" not in name]
    mounts = sorted(line.split(" ", 3)[3] for line in text("/proc/self/mountinfo").splitlines())
    return {**hazards.host(), "mounts": mounts, "links": sorted(line.split(":")[0].strip() for line in text("/proc/net/dev").splitlines()),
            "settings": [(path, text(path)) for path in settings]}


def compare(when, before, after):
    for name, value in before.items():
        new = [entry for entry in after[name] if entry not in value] + [entry for entry in value if entry not in after[name]]
        assert not new, f"{when}: {name}: {new[:5]}"


def strong(spec):
    spec["process"]["capabilities"] = {name: ["CAP_DAC_OVERRIDE", "CAP_MKNOD", "CAP_CHOWN", "CAP_FOWNER"] for name in ("bounding", "effective", "permitted")}
    spec["linux"].pop("seccomp")


def main():
    if "--inside" not in sys.argv:
        os.execvp("unshare", ["unshare", "-m", "-n", "--propagation", "private", "sh", "-c", 'mount --make-rshared / && exec "$@"', "sh",
                              sys.executable, *sys.argv, "--inside"])
    count = int(sys.argv[1])
    with house.House() as home:
        daemon = home.daemon(store="file").start()
        with daemon.client(120) as client:
            hazards.run(client, hazards.params(home.rootfs, ["/bin/true"]))  # what a daemon makes once: keepers' groups and the like
            daemon.mark()
            groups, before = sorted(daemon.cgroup_directories()), looks()
            made = []
            for i in range(count):
                made.append(client.call("create", hazards.params(home.rootfs, ["/bin/sleep", "1000"], userns=i % 2 == 0))["id"])
            compare("during", before, looks())
            for ident in made:
                client.call("destroy", {"id": ident, "force": True})
            for userns in (True, False):
                root = hazards.copy_of(home, f"tricks-{userns}")
                asked = hazards.params(root, ["/bin/sh", "-c", TRICKS], userns=userns, change=strong)
                asked["rootfs"]["writable"] = True
                status, said = hazards.run(client, asked)
                assert status["kind"] == "exited" and "done" in said, (status, said)
                compare("after links", before, looks())
        daemon.clean()
        assert sorted(daemon.cgroup_directories()) == groups, set(daemon.cgroup_directories()) ^ set(groups)
        compare("afterwards", before, looks())
    print(f"    {count} containers and two full of links: {len(before['mounts'])} mounts, {len(before['settings'])} settings, "
          f"{len(before['/dev'])} entries of /dev, {len(before['/etc'])} of /etc are as they were")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""outward.py CLOISTER-TAR: files out of a throw-away container, as archives (out) and as bytes (cat)."""
import io
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import tarfile
import time

import archives
import bed

PROGRAM = os.path.abspath(sys.argv[1])


def furnish(room):
    """A tree with one of each."""
    target = f"{room.root}/target"
    os.chown(target, room.base, room.base)
    room.write("target/d/f", b"x" * 100000, 0o640)
    os.link(f"{target}/d/f", f"{target}/d/same")
    room.write("target/" + "n" * 150, "long")
    room.write("target/\udcff\udcfe", "odd")
    room.write("target/ü", "umlaut")
    os.symlink("/outside", f"{target}/l")
    os.mkfifo(f"{target}/p")
    room.write("target/empty", "")
    with open(f"{target}/sparse", "wb") as file:
        file.truncate(50000)
    os.mkdir(f"{target}/bare", 0o700)
    sock = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(target)
    sock.bind("sock")
    os.chdir(here)
    sock.close()
    for directory, names, files in os.walk(target):
        for name in names + files:
            os.lchown(os.path.join(directory, name), room.base + 5, room.base + 6)


def members(output):
    with tarfile.open(fileobj=io.BytesIO(output), encoding="utf-8", errors="surrogateescape") as tar:
        return {one.name: (one, tar.extractfile(one).read() if one.isreg() else None) for one in tar.getmembers()}


def whole_tree():
    with bed.Room() as room:
        furnish(room)
        out = bed.run(PROGRAM, room, "out", path="/target")
        assert out.done and out.landlock and out.code == 0 and out.skipped == 1, out
        got = members(out.output)
        want = {"target", "target/d", "target/d/f", "target/d/same", "target/" + "n" * 150, "target/\udcff\udcfe", "target/ü", "target/l",
                "target/p", "target/empty", "target/sparse", "target/bare"}
        assert set(got) == want, set(got) ^ want
        first, second = sorted((got["target/d/f"], got["target/d/same"]), key=lambda one: one[0].islnk())
        assert first[1] == b"x" * 100000 and second[0].islnk() and second[0].linkname == first[0].name
        assert first[0].mode == 0o640 and (first[0].uid, first[0].gid) == (5, 6)
        assert got["target/l"][0].issym() and got["target/l"][0].linkname == "/outside"
        assert got["target/p"][0].isfifo() and got["target/bare"][0].isdir() and got["target/bare"][0].mode == 0o700
        assert got["target/sparse"][1] == bytes(50000) and got["target/empty"][1] == b"" and got["target/" + "n" * 150][1] == b"long"
        assert out.entries == len(want) and out.bytes == 100000 + 4 + 3 + 6 + 50000, out.bytes
        listed = subprocess.run(["tar", "-tf", "-"], input=out.output, capture_output=True, check=True)
        assert len(listed.stdout.splitlines()) == len(want)
        # And back in, as it was.
        again = bed.run(PROGRAM, room, "in", out.output, path="/copy", flags=bed.KEEP_OWNERS)
        assert again.done and again.entries == len(want), again
        assert os.lstat(f"{room.root}/copy/target/l").st_uid == room.base + 5
        assert os.stat(f"{room.root}/copy/target/d/f").st_nlink == 2


def shapes_of_paths():
    with bed.Room() as room:
        room.write("target/a/f", "x")
        os.symlink("a", f"{room.root}/target/to-a")
        os.symlink("/target/a", f"{room.root}/through")
        for path, names in (("/target/a", {"a", "a/f"}), ("/target/a/", {"f"}), ("/target/a/.", {"f"}), ("/target/a/f", {"f"}),
                            ("/target/to-a", {"to-a"}), ("/target/to-a/", {"f"}), ("/through/f", {"f"}), ("/target/../target/a//f", {"f"}),
                            ("/../../target/a", {"a", "a/f"})):
            out = bed.run(PROGRAM, room, "out", path=path)
            assert out.done and set(members(out.output)) == names, f"{path}: {out}"
        out = bed.run(PROGRAM, room, "out", path="/")
        assert out.done and "outside/secret" in members(out.output), out
        for path, error in (("/nothing", "NO_ENTITY"), ("/target/nothing/x", "NO_ENTITY"), ("/target/a/f/", "INVALID"), ("/target/..", "INVALID"),
                            ("/target/" + "n" * 5000, "TOO_BIG")):
            out = bed.run(PROGRAM, room, "out", path=path)
            assert out.error == error and not out.ready and out.output == b"", f"{path}: {out}"


def a_user_sees_what_it_may():
    with bed.Room() as room:
        room.write("target/open", "x", 0o644)
        room.write("target/closed", "x", 0o600)
        assert bed.run(PROGRAM, room, "out", path="/target/open", user="alice").done
        out = bed.run(PROGRAM, room, "out", path="/target", user="alice")
        assert (out.error, out.subject) == ("DENIED", "target/closed") and not out.done, out
        assert bed.run(PROGRAM, room, "out", path="/target").done


def a_deep_tree():
    for depth, name, error in ((900, "d" * 40, None), (1999, "d" * 30, None), (2000, "d", "TOO_BIG"), (1900, "d" * 40, "TOO_BIG")):
        with bed.Room() as room:
            here = os.getcwd()
            os.chdir(f"{room.root}/target")
            for _ in range(depth):
                os.mkdir(name)
                os.chdir(name)
            os.chdir(here)
            out = bed.run(PROGRAM, room, "out", path="/target")
            assert (out.error or None) == error and out.done == (error is None), f"{depth}: {out}"
            assert error or out.entries == depth + 1, f"{depth}: {out}"
            assert error is None or out.subject.startswith("target/d"), f"{depth}: {out}"
            assert name != "d" or "more than 2000 directories deep" in out.text, out
            subprocess.run(["rm", "-rf", f"{room.root}/target/{name}"], check=True)


def shrinking():
    """The file is cut while the pipe is full: the archive must not look whole."""
    with bed.Room() as room:
        room.write("target/f", b"x" * (8 << 20))
        process, control = bed.start(PROGRAM, room, "out", path="/target/f", stdin=subprocess.DEVNULL)
        got = process.stdout.read(65536)
        os.truncate(f"{room.root}/target/f", 65536)
        got += process.stdout.read()
        out = bed.Outcome(process.wait(), got, bed.slurp(control))
        assert out.ready and not out.done and out.code == 1 and (out.error, out.subject) == ("IO", "f"), out
        assert "shorter" in out.text, out
        assert len(got) < (8 << 20), len(got)


def running(room):
    """An outward run that waits for its reader: (process, control)."""
    room.write("target/f", b"x" * (8 << 20))
    process, control = bed.start(PROGRAM, room, "out", path="/target/f", stdin=subprocess.DEVNULL)
    process.stdout.read(65536)
    return process, control


def give_up(process, control):
    process.stdout.close()
    process.wait(timeout=20)
    os.close(control)


def no_mount_has_devices():
    """Nor gets one from the container later: it swaps names, and mounts, while we look."""
    for user_namespace in (False, True):
        with bed.Room(user_namespace=user_namespace) as room:
            os.mkdir(f"{room.root}/later")
            assert os.waitpid(room.inside(lambda: bed.check(bed.LIBC.mount(None, b"/", None, bed.MS_REC | 1 << 20, None), "shared")), 0)[1] == 0
            process, control = running(room)
            try:
                late = room.inside(lambda: bed.check(bed.LIBC.mount(b"late", b"/later", b"tmpfs", 0, None), "mount"))
                assert os.waitpid(late, 0)[1] == 0
                theirs = pathlib.Path(f"/proc/{room.pid}/mountinfo").read_text(encoding="utf-8").splitlines()
                ours = [line.split() for line in pathlib.Path(f"/proc/{process.pid}/mountinfo").read_text(encoding="utf-8").splitlines()]
                assert len(theirs) == len(ours) + 1, (theirs, ours)
                for words in ours:
                    assert "nodev" in words[5].split(",") and words[6] == "-", f"user namespace {user_namespace}: {words}"
                assert not any("nodev" in line.split()[5] for line in theirs if not user_namespace), "the container's own stay as they are"
            finally:
                give_up(process, control)


def sanitized():
    program = pathlib.Path(PROGRAM).read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


def limits_are_set():
    """What the container has us remember has an end, and so has what it has us hold open."""
    with bed.Room() as room:
        process, control = running(room)
        try:
            rows = pathlib.Path(f"/proc/{process.pid}/limits").read_text(encoding="utf-8").splitlines()
            limits = {row[:26].strip(): row[26:].split()[:2] for row in rows}
            size = next(int(line.split()[1]) for line in
                        pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines() if line.startswith("VmPeak"))
        finally:
            give_up(process, control)
    most = min(4200, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert limits["Max open files"] == [str(most)] * 2, limits
    if not sanitized():
        assert limits["Max address space"] == [str(512 << 20)] * 2, limits
    return size << 10


def too_much_to_remember():
    """Every file with another name somewhere is remembered by its path; with little memory, that is soon too much."""
    most = limits_are_set() + (8 << 20)
    if sanitized():
        print("too_much_to_remember: a sanitizer's build has no limit on addresses")
        return
    with bed.Room() as room:
        here = os.getcwd()
        os.chdir(f"{room.root}/target")
        for _ in range(100):
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
        for number in range(1000):
            pathlib.Path(f"{number}").touch()
            os.link(f"{number}", f"{room.root}/outside/{number}")
        os.chdir(here)
        process, control = bed.start(PROGRAM, room, "out", path="/target", stdin=subprocess.DEVNULL, wrap=("/usr/bin/prlimit", f"--as={most}"))
        output, _ = process.communicate(timeout=60)
        out = bed.Outcome(process.returncode, output, bed.slurp(control))
        assert out.ready and not out.done and (out.error, out.errno) == ("LIMIT", 12) and out.subject.startswith("target/ddd"), out
        assert bed.run(PROGRAM, room, "out", path="/target").done
        subprocess.run(["rm", "-rf", f"{room.root}/target/" + "d" * 250], check=True)


def gone_readers():
    with bed.Room() as room:
        room.write("target/f", b"x" * (8 << 20))
        process, control = bed.start(PROGRAM, room, "out", path="/target/f", stdin=subprocess.DEVNULL)
        process.stdout.read(10)
        process.stdout.close()
        out = bed.Outcome(process.wait(timeout=20), b"", bed.slurp(control))
        assert out.code == 1 and out.error == "CANCELLED", out


def bytes_of_a_file():
    with bed.Room() as room:
        room.write("etc/hosts", "127.0.0.1\n")
        os.symlink("/etc/hosts", f"{room.root}/target/link")
        os.symlink("../../../../etc/hosts", f"{room.root}/target/up")
        os.symlink("loop", f"{room.root}/target/loop")
        os.mkfifo(f"{room.root}/target/fifo")
        for path, most, error in (("/etc/hosts", 10, None), ("/target/link", 10, None), ("/target/up", 10, None), ("/etc/hosts", 9, "TOO_BIG"),
                                  ("/nothing", 10, "NO_ENTITY"), ("/target", 10, "INVALID"), ("/target/fifo", 10, "INVALID"),
                                  ("/target/loop", 10, "IO"), ("/etc/hosts/x", 10, "IO")):
            for host_root in ("", room.root):
                out = bed.run(PROGRAM, room if not host_root else None, "cat", path=path, most=most, host_root=host_root)
                assert (out.error or None) == error, f"{path} {host_root}: {out}"
                assert out.output == (b"" if error else b"127.0.0.1\n") and out.done == (error is None), f"{path}: {out}"
                assert error or out.landlock, out
        assert bed.run(PROGRAM, room, "cat", path="/target/loop", most=10).errno == 40, "ELOOP"
        out = bed.run(PROGRAM, None, "cat", path="/x", most=10, host_root="/nonexistent")
        assert out.error == "NO_ENTITY", out


def a_dead_container():
    room = bed.Room()
    os.kill(room.pid, signal.SIGKILL)
    time.sleep(0.1)
    for mode in ("in", "out", "cat"):
        out = bed.run(PROGRAM, room, mode, archives.END, path="/target", most=1)
        assert out.error in ("INVALID_STATE", "IO") and not out.done, out
    room.close()


def traced(room, mode, path, data):
    """System calls behind the setns that succeeded."""
    log = f"/tmp/cl-files-trace.{os.getpid()}"
    process, control = bed.start(PROGRAM, room, mode, path=path, wrap=("strace", "-o", log))
    process.communicate(data, timeout=60)
    assert bed.Outcome(process.returncode, b"", bed.slurp(control)).done
    calls = pathlib.Path(log).read_text(encoding="utf-8").splitlines()
    os.unlink(log)
    entered = max(number for number, call in enumerate(calls) if call.startswith("setns(") and call.endswith("= 0"))
    return calls[entered + 1 :]


def nothing_is_loaded_inside():
    """What is opened by a plain name after the entry would be the container's: no library, locale or conversion table, whatever is named how."""
    names = b"".join(archives.pax(path=name) + archives.entry("x", "x") for name in ("ü", "日本", "plain"))
    names += archives.pax(hdrcharset="BINARY", path=b"\xff\xfe") + archives.entry("x", "x") + archives.entry(b"\xff", "x") + archives.END
    with bed.Room() as room:
        for mode, data in (("in", names), ("out", b"")):
            calls = traced(room, mode, "/target", data)
            opened = [call for call in calls if call.startswith(("open(", "openat(AT_FDCWD", "execve", "socket", "connect", "clone", "fork"))]
            assert opened == ['openat(AT_FDCWD, "/", O_RDONLY|O_CLOEXEC|O_PATH|O_DIRECTORY) = 3'] or (
                len(opened) == 1 and '"/"' in opened[0] and "O_PATH" in opened[0]), f"{mode}: {opened}"
            assert any(call.startswith("landlock_restrict_self") for call in calls), mode


def main():
    for test in (whole_tree, shapes_of_paths, a_user_sees_what_it_may, a_deep_tree, shrinking, gone_readers, bytes_of_a_file, a_dead_container, no_mount_has_devices, too_much_to_remember,
                 nothing_is_loaded_inside):
        test()
        print(test.__name__)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cp.py - files into a container and out of it.

Prints "ok NAME" or "not ok NAME: why". Environment: CL_PREFIX and CL_BUILD, see house.py.
"""
import io
import os
import shutil
import subprocess
import sys
import tarfile

import cloisterctl
from cloisterctl import one_error, same


class Ctl(cloisterctl.Ctl):
    def __init__(self, house, daemon):
        super().__init__(house, daemon)
        self.here = os.path.join(house.work, "here")
        shutil.rmtree(self.here, ignore_errors=True)
        os.mkdir(self.here)
        self("rm", "-f", "box")
        code, _, err = self.run("-d", "--name", "box", "--mount", "type=tmpfs,dst=/mnt,mode=0777", "--", "sleep", "1000")
        same((code, err), (0, ""))

    def path(self, name):
        return os.path.join(self.here, name)

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def inside(self, command):
        code, out, err = self("exec", "box", "--", "sh", "-c", command)
        same((code, err), (0, ""))
        return out.strip()

    def cp(self, *words):
        same(self("cp", *words), (0, "", ""))

    def tar(self, *words, data=None):
        done = subprocess.run([*self.words, "cp", *words], input=data, capture_output=True, timeout=60, check=False)
        same((done.returncode, done.stderr), (0, b""))
        return done.stdout


def one_file(ctl):
    ctl.write("a", "hello\n", 0o640)
    ctl.cp(ctl.path("a"), "box:/mnt/b")
    same(ctl.inside("cat /mnt/b; stat -c '%a %u %g' /mnt/b"), "hello\n640 0 0")
    ctl.cp(ctl.path("a"), "box:/mnt")
    same(ctl.inside("cat /mnt/a"), "hello")
    ctl.write("a", "again\n")
    ctl.cp(ctl.path("a"), "box:/mnt/b")
    same(ctl.inside("cat /mnt/b"), "again")
    ctl.cp("box:/mnt/b", ctl.path("c"))
    same(ctl.read("c"), "again\n")
    os.mkdir(ctl.path("d"))
    ctl.cp("box:/mnt/b", ctl.path("d"))
    same(ctl.read("d/b"), "again\n")
    ctl.cp("box:mnt/b", ctl.path("c"))
    code, _, err = ctl("cp", ctl.path("a"), "box:/mnt/none/")
    same(code, 1)
    assert "no directory" in err, err
    code, _, err = ctl("cp", "box:/mnt/b", ctl.path("none/"))
    same(code, 1)
    assert "no directory" in err, err


def directories(ctl):
    ctl.write("src/a", "1\n")
    ctl.write("src/sub/b", "2\n", 0o600)
    os.symlink("../a", ctl.path("src/sub/link"))
    ctl.cp(ctl.path("src"), "box:/mnt/new")
    same(ctl.inside("cd /mnt/new; cat a sub/b sub/link; readlink sub/link; stat -c %a sub/b"), "1\n2\n1\n../a\n600")
    ctl.cp(ctl.path("src"), "box:/mnt/new")
    same(ctl.inside("cat /mnt/new/src/a"), "1")
    ctl.cp(ctl.path("src") + "/.", "box:/mnt/flat")
    ctl.cp(ctl.path("src") + "/.", "box:/mnt/flat")
    same(ctl.inside("ls /mnt/flat"), "a\nsub")
    ctl.cp("box:/mnt/new", ctl.path("back"))
    same(subprocess.run(["diff", "-r", "--no-dereference", ctl.path("src"), ctl.path("back"), "-x", "src"], check=False).returncode, 0)
    ctl.cp("box:/mnt/new", ctl.path("back"))
    same(ctl.read("back/new/sub/b"), "2\n")
    ctl.cp("box:/mnt/new/.", ctl.path("content"))
    same(sorted(os.listdir(ctl.path("content"))), ["a", "src", "sub"])
    ctl.inside("mkdir /mnt/empty; ln -s new /mnt/alias")
    ctl.cp("box:/mnt/empty/.", ctl.path("nothing"))
    same(os.listdir(ctl.path("nothing")), [])
    ctl.cp(ctl.path("src/a"), "box:/mnt/alias")
    same(ctl.inside("ls /mnt/new/a && test -L /mnt/alias && echo link"), "/mnt/new/a\nlink")
    ctl.write("file", "x")
    code, _, err = ctl("cp", "box:/mnt/new", ctl.path("file"))
    same(code, 1)
    assert "cannot take its place" in err, err
    ctl.inside("echo x > /mnt/file")
    code, _, err = ctl("cp", ctl.path("src"), "box:/mnt/file")
    same(code, 1)
    assert "cannot take its place" in err, err


def archives(ctl):
    ctl.inside("mkdir -p /mnt/t; echo one > /mnt/t/f")
    with tarfile.open(fileobj=io.BytesIO(ctl.tar("box:/mnt/t", "-"))) as archive:
        same(sorted(archive.getnames()), ["t", "t/f"])
        same(archive.extractfile("t/f").read(), b"one\n")
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        entry = tarfile.TarInfo("x/y")
        entry.size = 3
        archive.addfile(entry, io.BytesIO(b"two"))
    ctl.tar("-", "box:/mnt/t", data=data.getvalue())
    same(ctl.inside("cat /mnt/t/x/y"), "two")
    done = subprocess.run([*ctl.words, "cp", "--json", "-", "box:/mnt/t"], input=data.getvalue()[:700], capture_output=True, text=False,
                          timeout=60, check=False)
    same(done.returncode, 1)
    one_error(done.stderr.decode(), "cp", "protocol", None, "")


def much(ctl):
    data = os.urandom(1 << 20) * 8
    with open(ctl.path("big"), "wb") as file:
        file.write(data)
    ctl.cp(ctl.path("big"), "box:/mnt/big")
    ctl.cp("box:/mnt/big", ctl.path("back"))
    with open(ctl.path("back"), "rb") as file:
        assert file.read() == data


def strangers(ctl):
    """What a container has made is not to be trusted."""
    ctl.inside("mkdir /mnt/s; cp /bin/busybox /mnt/s/suid; chmod 4755 /mnt/s/suid; mkfifo /mnt/s/pipe; ln -s /etc /mnt/s/etc")
    code, _, err = ctl("cp", "box:/mnt/s", ctl.path("s"))
    same(code, 1)
    assert "'s/pipe' is neither" in err, err
    same(os.stat(ctl.path("s/suid")).st_mode & 0o7777, 0o755)
    same(os.readlink(ctl.path("s/etc")), "/etc")
    assert not os.path.lexists(ctl.path("s/pipe"))


def what_is_not_there(ctl):
    code, _, err = ctl("cp", "--json", "box:/mnt/none", ctl.path("x"))
    same(code, 1)
    one_error(err, "cp", "no_entity", None, "")
    code, _, err = ctl("cp", "--json", "nobody:/x", ctl.path("x"))
    one_error(err, "cp", "no_entity", None, "nobody")
    code, _, err = ctl("cp", "--json", ctl.path("none"), "box:/mnt")
    same(code, 1)
    assert not os.path.lexists(ctl.path("x"))


def whose_they_are(ctl):
    ctl.write("a", "x")
    os.chown(ctl.path("a"), 5, 6)
    ctl.cp("-a", ctl.path("a"), "box:/mnt/kept")
    same(ctl.inside("stat -c '%u %g' /mnt/kept"), "5 6")
    ctl.cp("-u", "7:8", ctl.path("a"), "box:/mnt/given")
    same(ctl.inside("stat -c '%u %g' /mnt/given"), "7 8")
    ctl.cp("-a", "box:/mnt/kept", ctl.path("b"))
    same((os.stat(ctl.path("b")).st_uid, os.stat(ctl.path("b")).st_gid), (5, 6))
    ctl.cp("box:/mnt/kept", ctl.path("c"))
    same(os.stat(ctl.path("c")).st_uid, os.getuid())


TESTS = [one_file, directories, archives, much, strangers, what_is_not_there, whose_they_are]

if __name__ == "__main__":
    sys.exit(cloisterctl.main(TESTS, Ctl))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""corpus.py CLOISTER-TAR: archives, good and bad, into a throw-away container. Whatever they hold, nothing outside the target changes, and
what is wrong is said with the entry's name."""
import os
import stat
import sys
import tarfile

import archives
import bed
from archives import END, entry, header, long_name, pax

PROGRAM = os.path.abspath(sys.argv[1])
LONG = "/".join(["long" * 25] * 9) + "/leaf"

# name; archive; what is wrong: (code, subject, a part of the text); flags. Of those with None the last column is what the target must hold.
BAD = [
    ("absolute name", entry("/outside/new", "x") + END, ("PROTOCOL", "/outside/new", "the name is absolute")),
    ("dot dot", entry("../outside/new", "x") + END, ("PROTOCOL", "../outside/new", "has a '..' in it")),
    ("dot dot inside", entry("a/../../outside/new", "x") + END, ("PROTOCOL", "a/../../outside/new", "has a '..' in it")),
    ("dot dot alone", entry("..", kind=b"5") + END, ("PROTOCOL", "..", "has a '..' in it")),
    ("no name", entry("", "x") + END, ("PROTOCOL", "", "")),
    ("long absolute name", long_name("/outside/" + "n" * 200) + entry("x", "x") + END, ("PROTOCOL", "/outside/" + "n" * 182, "absolute")),
    ("pax absolute name", pax(path="/outside/new") + entry("x", "x") + END, ("PROTOCOL", "/outside/new", "absolute")),
    ("through a link", entry("l", kind=b"2", link="/outside") + entry("l/new", "x") + END, ("PROTOCOL", "l/new", "a symbolic link")),
    ("through a relative link", entry("l", kind=b"2", link="../outside") + entry("l/new", "x") + END, ("PROTOCOL", "l/new", "a symbolic link")),
    ("through a link, deeper", entry("d/l", kind=b"2", link="/") + entry("d/l/outside/new", "x") + END,
     ("PROTOCOL", "d/l/outside/new", "a symbolic link")),
    ("through a file", entry("f", "x") + entry("f/new", "x") + END, ("PROTOCOL", "f/new", "not a directory")),
    ("hard link to outside", entry("h", kind=b"1", link="../outside/secret") + END, ("PROTOCOL", "h", "hard link of entry 'h': the name has a '..'")),
    ("hard link, absolute", entry("h", kind=b"1", link="/outside/secret") + END, ("PROTOCOL", "h", "the name is absolute")),
    ("hard link through a link", entry("l", kind=b"2", link="/outside") + entry("h", kind=b"1", link="l/secret") + END,
     ("PROTOCOL", "h", "a symbolic link")),
    ("hard link to nothing", entry("h", kind=b"1", link="nothing") + END, ("PROTOCOL", "h", "make 'h'")),
    ("hard link to itself", entry("h", "x") + entry("h", kind=b"1", link="./h") + END, ("PROTOCOL", "h", "to itself")),
    ("hard link to a directory", entry("d", kind=b"5") + entry("h", kind=b"1", link="d") + END, ("DENIED", "h", "make 'h'")),
    ("file over a directory", entry("d", kind=b"5") + entry("d", "x") + END, ("IO", "d", "make 'd'")),
    ("the directory itself as a file", entry("./", "x", kind=b"2", link="/outside") + END, ("PROTOCOL", "./", "the directory itself")),
    ("character device", header("null", kind=b"3", major=1, minor=3) + END, ("PROTOCOL", "null", "a device node")),
    ("block device", header("sda", kind=b"4", major=8) + END, ("PROTOCOL", "sda", "a device node")),
    ("device, owners kept", header("null", kind=b"3", major=1, minor=3) + END, ("DENIED", "null", "cannot be made in a user namespace"),
     bed.KEEP_OWNERS),
    ("owner that is not there", entry("f", "x", uid=70000) + END, ("PROTOCOL", "f", "does not have its owner"), bed.KEEP_OWNERS),
    ("owner that is no id", pax(uid="4294967295") + entry("f", "x") + END, ("PROTOCOL", "f", "no user or group id"), bed.KEEP_OWNERS),
    ("8 GiB that never come", header("big", size=8 << 30) + b"x" * 5000, ("PROTOCOL", "big", "runcated")),
    ("8 EiB that never come", header("big", size=(1 << 63) - 1) + b"x" * 5000, ("PROTOCOL", "", "")),
    ("pax size that never comes", pax(size=str(8 << 30)) + entry("big", "x") + END, ("PROTOCOL", "big", "runcated")),
    ("empty", b"", ("PROTOCOL", "", "")),
    ("no archive", b"no archive at all" * 100, ("PROTOCOL", "", "")),
    ("gzip", b"\x1f\x8b\x08" + bytes(2000), ("PROTOCOL", "", "")),
    ("zip", b"PK\x03\x04" + bytes(2000), ("PROTOCOL", "", "")),
    ("damaged header", entry("a", "x") + entry("b", "x")[1:] + END, ("PROTOCOL", "a", "behind entry 'a'")),
    ("no end", entry("a", "x"), ("PROTOCOL", "a", "cut off behind entry 'a'")),
    ("half an end", entry("a", "x") + END[:512], ("PROTOCOL", "a", "cut off behind entry 'a'")),
    ("name of 5000 bytes", long_name("n/" * 2500) + entry("x", "x") + END, ("PROTOCOL", ("n/" * 2500)[:191], "too long")),
    ("component of 300 bytes", long_name("n" * 300) + entry("x", "x") + END, ("TOO_BIG", "n" * 191, "make")),
]


def look(room, name):
    """Type, permissions, content or link of one entry; None if it is not there."""
    path = f"{room.root}/target/{name}"
    try:
        st = os.lstat(path)
    except OSError:
        return None
    kind = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo", stat.S_IFCHR: "char"}[stat.S_IFMT(st.st_mode)]
    content = None
    if kind == "file":
        with open(path, "rb") as file:
            content = file.read()
    elif kind == "link":
        content = os.readlink(path)
    return kind, oct(stat.S_IMODE(st.st_mode)), content


GOOD = [
    ("one file", entry("f", "hello", mode=0o640) + END, {"f": ("file", "0o640", b"hello")}),
    ("set-id bits go", entry("f", "x", mode=0o6755) + END, {"f": ("file", "0o755", b"x")}),
    ("set-id bits stay with owners", entry("f", "x", mode=0o6755) + END, {"f": ("file", "0o6755", b"x")}, bed.KEEP_OWNERS),
    ("directories are made", entry("a/b/c", "x") + END, {"a": ("dir", "0o755", None), "a/b/c": ("file", "0o644", b"x")}),
    ("a directory that may not be written", entry("a", kind=b"5", mode=0o555) + entry("a/f", "x") + END,
     {"a": ("dir", "0o555", None), "a/f": ("file", "0o644", b"x")}),
    ("the last one wins", entry("f", "one") + entry("f", "two") + END, {"f": ("file", "0o644", b"two")}),
    ("the last directory's mode wins", entry("d", kind=b"5", mode=0o700) + entry("d/", kind=b"5", mode=0o750) + END, {"d": ("dir", "0o750", None)}),
    ("a directory twice, owners kept", entry("d", kind=b"5", uid=7, gid=8) + entry("d/f", "x", uid=7) + entry("d/", kind=b"5", mode=0o750, uid=9) + END,
     {"d": ("dir", "0o750", None), "d/f": ("file", "0o644", b"x")}, bed.KEEP_OWNERS),
    ("link, then a file in its place", entry("f", kind=b"2", link="/outside/secret") + entry("f", "mine") + END, {"f": ("file", "0o644", b"mine")}),
    ("link, then a directory in its place", entry("d", kind=b"2", link="/outside") + entry("d", kind=b"5", mode=0o755) + entry("d/f", "mine") + END,
     {"d": ("dir", "0o755", None), "d/f": ("file", "0o644", b"mine")}),
    ("hard link, then a file in its place", entry("a", "one") + entry("b", kind=b"1", link="a") + entry("b", "two") + END,
     {"a": ("file", "0o644", b"one"), "b": ("file", "0o644", b"two")}),
    ("links that lead out are only links", entry("l", kind=b"2", link="../../outside") + END, {"l": ("link", "0o777", "../../outside")}),
    ("hard link to a link", entry("l", kind=b"2", link="/outside/secret") + entry("h", kind=b"1", link="l") + END,
     {"h": ("link", "0o777", "/outside/secret")}),
    ("hard link between directories", entry("a/f", "x") + entry("b/g", kind=b"1", link="a/f") + END, {"b/g": ("file", "0o644", b"x")}),
    ("fifo", header("p", kind=b"6", mode=0o620) + END, {"p": ("fifo", "0o620", None)}),
    ("dots and slashes", entry("./a//./b", "x") + END, {"a/b": ("file", "0o644", b"x")}),
    ("the directory itself", entry("./", kind=b"5", mode=0o700) + entry("./f", "x") + END, {"": ("dir", "0o755", None), "f": ("file", "0o644", b"x")}),
    ("GNU long name", long_name(LONG) + entry("x", "long") + END, {LONG: ("file", "0o644", b"long")}),
    ("GNU long link", long_name("/" + "t" * 300, b"K") + entry("l", kind=b"2", link="x") + END, {"l": ("link", "0o777", "/" + "t" * 300)}),
    ("pax name and time", pax(path="ü" * 60, mtime="1.5") + entry("x", "x") + END, {"ü" * 60: ("file", "0o644", b"x")}),
    ("a name that is no text", entry(b"\xff\xfe", "x") + END, {b"\xff\xfe".decode(errors="surrogateescape"): ("file", "0o644", b"x")}),
    ("a pax name that is no text", pax(hdrcharset="BINARY", path=b"\xff\xfe\xfd") + entry("x", "x") + END,
     {b"\xff\xfe\xfd".decode(errors="surrogateescape"): ("file", "0o644", b"x")}),
    ("attributes are left out", pax(SCHILY_xattr_user_x="y", SCHILY_acl_access="user::rw-,group::r--,mask::r--,other::r--,user:x:rwx:5") + entry("f", "x") + END, {"f": ("file", "0o644", b"x")}),
    ("sparse", archives.gnu_sparse("s", [(0, b"a"), (100000, b"b")], 200000) + END,
     {"s": ("file", "0o644", b"a" + bytes(99999) + b"b" + bytes(99999))}),
    ("empty file", entry("e") + END, {"e": ("file", "0o644", b"")}),
    ("nothing at all", END, {}),
    ("padding behind the end", entry("f", "x") + END + bytes(200000), {"f": ("file", "0o644", b"x")}),
]


def case(name, kind, data, *more):
    flags = more[1] if len(more) > 1 else 0
    with bed.Room() as room:
        room.write("target/before", "stays")
        before = room.snapshot()
        out = bed.run(PROGRAM, room, "in", data, flags=flags)
        assert room.snapshot() == before, f"{name}: something outside the target has changed"
        assert look(room, "before") == ("file", "0o644", b"stays"), name
        assert out.landlock, f"{name}: no Landlock: {out}"
        if kind == "bad":
            code, subject, text = more[0]
            assert out.code == 1 and not out.done and (out.error, out.subject) == (code, subject), f"{name}: {out}"
            assert text in out.text or text in os.strerror(out.errno).lower() or text in os.strerror(out.errno), f"{name}: {out}"
        else:
            assert out.code == 0 and out.done, f"{name}: {out}"
            for path, what in more[0].items():
                assert look(room, path) == what, f"{name}: {path} is {look(room, path)}, not {what}"


def cut_at_each_block():
    """Only the whole archive is a success, whatever block the cut is at."""
    members = [("d", tarfile.DIRTYPE, None, 0o755), ("d/f", tarfile.REGTYPE, b"x" * 1300, 0o644), ("e" * 60 + "/" + "n" * 90, tarfile.REGTYPE, b"y", 0o600),
               ("zeros", tarfile.REGTYPE, bytes(1024), 0o644), ("l", tarfile.SYMTYPE, "d/f", 0o777), ("h", tarfile.LNKTYPE, "d/f", 0o644)]
    for form in archives.FORMATS:
        whole = archives.tree(form, members)
        end = len(whole.rstrip(b"\0"))
        end += -end % 512
        with bed.Room() as room:
            before = room.snapshot()
            for size in range(0, end + 1024 + 1, 512):
                out = bed.run(PROGRAM, room, "in", whole[:size])
                assert out.done == (size == end + 1024), f"{form}, {size} of {end + 1024} bytes: {out}"
                assert out.done or out.error == "PROTOCOL", f"{form}, {size} bytes: {out}"
            for size in (1, 511, 513, end - 1, end + 1, end + 1023):
                out = bed.run(PROGRAM, room, "in", whole[:size])
                assert not out.done and out.error == "PROTOCOL", f"{form}, {size} bytes: {out}"
            assert room.snapshot() == before, form
            assert look(room, "h") == ("file", "0o644", b"x" * 1300) and look(room, "zeros")[2] == bytes(1024), form
            assert os.stat(f"{room.root}/target/d/f").st_nlink == 2, form


def owners():
    """Who everything belongs to: the user, or with KEEP_OWNERS whoever the archive says; and what the user may not do."""
    data = entry("d/f", "x", uid=7, gid=8) + entry("l", kind=b"2", link="x", uid=7, gid=8) + entry("e", kind=b"5", uid=7, gid=8) + END

    def owner(room, path):
        st = os.lstat(f"{room.root}/{path}")
        return st.st_uid - room.base, st.st_gid - room.base

    for user, flags, path, want in (("", 0, "/target", (0, 0)), ("alice", 0, "/new/home", (1000, 1001)), ("1000:50", 0, "/new", (1000, 50)),
                                    ("alice:staff", 0, "/new", (1000, 50)), ("4000", 0, "/new", (4000, 0)), ("", bed.KEEP_OWNERS, "/target", (7, 8)),
                                    ("0", bed.KEEP_OWNERS, "/new", (7, 8))):
        with bed.Room() as room:
            out = bed.run(PROGRAM, room, "in", data, user=user, flags=flags, path=path)
            assert out.done and out.entries == 3 and out.bytes == 1, f"{user} {path}: {out}"
            for name in ("d/f", "l", "e"):
                assert owner(room, f"{path}/{name}") == want, f"{user} {path} {name}: {owner(room, f'{path}/{name}')}"
            if path != "/target":
                made = (1000, 1001) if user == "alice" else want if not flags else (0, 0)
                assert owner(room, "new") == made, f"{user}: {owner(room, 'new')}"
    with bed.Room() as room:
        twice = entry("d", kind=b"5", uid=7, gid=8) + entry("d", kind=b"5", uid=9, gid=10) + END
        assert bed.run(PROGRAM, room, "in", twice, flags=bed.KEEP_OWNERS).done and owner(room, "target/d") == (9, 10), "the last owner wins"
    with bed.Room() as room:
        out = bed.run(PROGRAM, room, "in", data, user="alice")
        assert (out.error, out.subject) == ("DENIED", "d/f"), out
        out = bed.run(PROGRAM, room, "in", data, user="alice", flags=bed.KEEP_OWNERS)
        assert out.error == "INVALID", out
        out = bed.run(PROGRAM, room, "in", data, path="/outside/secret/x")
        assert out.error == "BAD_CWD", out


def users():
    """H1.1.13: what is no number is no number, and what is too large is nobody."""
    passwd = "alice:x:1000:1001::/:/bin/sh\n1000:x:0:0::/:\n" + "x" * 300000 + "\nevil:x:4294967296:0::/:\nneg:x:-1:0::/:\nlast:x:5:6::/:"
    for user, error in (("-1", "USER_UNKNOWN"), ("4294967295", "USER_UNKNOWN"), ("4294967296", "USER_UNKNOWN"), ("0x0", "USER_UNKNOWN"),
                        (" 1", "USER_UNKNOWN"), ("1:", "USER_UNKNOWN"), (":1", "USER_UNKNOWN"), ("1:2:3", "USER_UNKNOWN"),
                        ("nobody", "USER_UNKNOWN"), ("alice:nogroup", "GROUP_UNKNOWN"), ("evil", "USER_UNKNOWN"), ("neg", "USER_UNKNOWN"),
                        ("1:-1", "GROUP_UNKNOWN"), ("1:4294967295", "GROUP_UNKNOWN"), ("2147483648", "USER_UNKNOWN"), ("1000", None), ("last", None)):
        with bed.Room(passwd=passwd) as room:
            out = bed.run(PROGRAM, room, "in", entry("f", "x") + END, user=user, path="/new")
            assert (out.error or None) == error, f"user '{user}': {out}"
            if user == "1000":
                assert os.stat(f"{room.root}/new/f").st_uid == room.base + 1000, "a user that is called 1000"


def without_user_namespace():
    """Then devices can be made, with owners kept, and nothing else is different."""
    with bed.Room(user_namespace=False) as room:
        data = header("null", kind=b"3", major=1, minor=3, mode=0o666, uid=3) + entry("f", "x", uid=7) + END
        out = bed.run(PROGRAM, room, "in", data)
        assert (out.error, out.subject) == ("PROTOCOL", "null"), out
        out = bed.run(PROGRAM, room, "in", data, flags=bed.KEEP_OWNERS)
        assert out.done and look(room, "null") == ("char", "0o666", None), out
        assert os.stat(f"{room.root}/target/null").st_uid == 3


def no_files_of_users():
    """What is in the place of passwd or group is not opened if it is a device, not waited for if it is a fifo, and said."""
    for user_namespace in (False, True):
        for name in ("passwd", "group"):
            for kind, code, errno, text in ((stat.S_IFCHR, "DENIED", 13, "is a device"), (stat.S_IFIFO, "INVALID", 0, "not a regular file")):
                with bed.Room(user_namespace=user_namespace) as room:
                    os.unlink(f"{room.root}/etc/{name}")
                    os.mknod(f"{room.root}/etc/{name}", kind | 0o666, os.makedev(1, 3))
                    for mode in ("in", "out"):
                        out = bed.run(PROGRAM, room, mode, entry("f", "x") + END, user="root:staff")
                        assert (out.error, out.errno) == (code, errno) and f"/etc/{name}" in out.text and text in out.text, f"{mode} {name}: {out}"
                        assert not out.ready and look(room, "f") is None, f"{mode} {name}: {out}"
                    assert bed.run(PROGRAM, room, "in", entry("f", "x") + END).done, "the user that needs no file"
    with bed.Room() as room:
        os.unlink(f"{room.root}/etc/passwd")
        assert bed.run(PROGRAM, room, "in", entry("f", "x") + END, user="7", path="/new").done, "a number needs no file"


def claims():
    """A size that is only claimed takes no room; a file system with a limit says so itself."""
    with bed.Room() as room:
        bed.run(PROGRAM, room, "in", archives.gnu_sparse("big", [(0, b"x")], 1 << 50) + END)
        st = os.stat(f"{room.root}/target/big")
        assert st.st_size == 1 << 50 and st.st_blocks < 100, st


def full():
    with bed.Room() as room:
        out = bed.run(PROGRAM, room, "in", entry("big", bytes(b"x") * (300 << 20)) + END)
        assert (out.error, out.subject) == ("NO_SPACE", "big"), out


def main():
    failed = 0
    for one in BAD + GOOD:
        try:
            case(one[0], "bad" if one in BAD else "good", *one[1:])
        except AssertionError as error:
            print(error)
            failed += 1
    assert not failed, f"{failed} cases failed"
    cut_at_each_block()
    owners()
    users()
    without_user_namespace()
    no_files_of_users()
    claims()
    full()
    print(f"{len(BAD)} bad and {len(GOOD)} good archives")


if __name__ == "__main__":
    main()

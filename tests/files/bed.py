# SPDX-License-Identifier: Apache-2.0
"""A throw-away container for cloister-tar: a user and a mount namespace whose root is a small tmpfs, and the program run on it as the
daemon runs it. Wants root."""
import ctypes
import os
import pathlib
import signal
import stat
import struct
import subprocess
import sys
import tempfile

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REC, MS_PRIVATE, MNT_DETACH = 0x4000, 0x40000, 2
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}[os.uname().machine]
FIRST_ID = 300000
MESSAGE = struct.Struct("=IIIIiI QQQ 48s192s512s")
READY, DONE, FAILED = 1, 2, 3
KEEP_OWNERS = 1


def codes(source):
    """enum cloister_code by number, from the header."""
    text = (pathlib.Path(source) / "include/cloister/error.h").read_text(encoding="utf-8")
    found = {}
    for line in text.splitlines():
        words = line.strip().split()
        if line.startswith("    CLOISTER_") and len(words) > 2 and words[1] == "=":
            found[int(words[2].rstrip(","))] = words[0].removeprefix("CLOISTER_")
    return found


CODES = codes(pathlib.Path(__file__).resolve().parents[2])


def check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


class Room:
    """The container. `root` is its root as the host sees it."""

    def __init__(self, user_namespace=True, passwd="alice:x:1000:1001::/home/alice:/bin/sh\n"):
        self.dir = tempfile.mkdtemp(prefix="cl-files-", dir="/tmp")
        ready, go = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._inhabit(user_namespace, ready[1], go[0])
            except BaseException as error:  # pylint: disable=broad-except
                print(error, file=sys.stderr)
            os._exit(1)
        os.close(ready[1])
        if os.read(ready[0], 1) != b"n":
            raise RuntimeError("the room could not be made")
        if user_namespace:
            for name in ("uid_map", "gid_map"):
                pathlib.Path(f"/proc/{self.pid}/{name}").write_text(f"0 {FIRST_ID} 65536\n", encoding="ascii")
        os.write(go[1], b"g")
        os.close(go[1])
        if os.read(ready[0], 1) != b"r":
            raise RuntimeError("the room could not be made")
        os.close(ready[0])
        os.close(go[0])
        self.base = FIRST_ID if user_namespace else 0
        self.pidfd = os.pidfd_open(self.pid)
        self.root = f"/proc/{self.pid}/root"
        self.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n" + passwd)
        self.write("etc/group", "root:x:0:\nstaff:x:50:\n")
        self.write("outside/secret", "untouched")
        os.mkdir(f"{self.root}/target")
        self.chown("target", 0, 0)

    def _inhabit(self, user_namespace, ready, go):
        check(LIBC.unshare(CLONE_NEWNS), "unshare")
        check(LIBC.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "private")
        check(LIBC.mount(b"room", self.dir.encode(), b"tmpfs", 0, b"mode=0755,size=256m"), "tmpfs")
        os.chdir(self.dir)
        check(LIBC.syscall(SYS_PIVOT_ROOT, b".", b"."), "pivot_root")
        check(LIBC.umount2(b".", MNT_DETACH), "umount")
        os.chdir("/")
        if user_namespace: # and its own copy of the mounts: the file system stays the host's, as a container's root is
            os.chown("/", FIRST_ID, FIRST_ID)
            check(LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare")
        os.write(ready, b"n")
        os.read(go, 1)
        if user_namespace:
            os.setgroups([])
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        os.write(ready, b"r")
        os.close(ready)
        while True:
            signal.pause()

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        os.rmdir(self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    def chown(self, path, uid, gid):
        os.chown(f"{self.root}/{path}", self.base + uid, self.base + gid, follow_symlinks=False)

    def write(self, path, text, mode=0o644):
        full = pathlib.Path(self.root) / path
        for parent in reversed(full.relative_to(self.root).parents):
            if not (pathlib.Path(self.root) / parent).exists():
                (pathlib.Path(self.root) / parent).mkdir()
                self.chown(parent, 0, 0)
        full.write_bytes(text if isinstance(text, bytes) else text.encode())
        full.chmod(mode)
        self.chown(path, 0, 0)

    def inside(self, function):
        """Runs function in a process of the room's; its exit code."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                check(LIBC.setns(self.pidfd, CLONE_NEWNS | (CLONE_NEWUSER if self.base else 0)), "setns")
                if self.base:
                    os.setresgid(0, 0, 0)
                    os.setresuid(0, 0, 0)
                function()
                code = 0
            except BaseException as error:  # pylint: disable=broad-except
                print("inside:", error, file=sys.stderr)
            os._exit(code)
        return pid

    def snapshot(self, but=("target",)):
        """Everything in the room but some directories: type, mode, owner, links, content, change time."""
        seen = {}
        for directory, names, files in os.walk(self.root):
            if directory == self.root:
                names[:] = [name for name in names if name not in but]
            for name in names + files:
                path = os.path.join(directory, name)
                st = os.lstat(path)
                content = None
                if stat.S_ISREG(st.st_mode):
                    content = pathlib.Path(path).read_bytes()
                elif stat.S_ISLNK(st.st_mode):
                    content = os.readlink(path)
                seen[os.path.relpath(path, self.root)] = (st.st_mode, st.st_uid, st.st_gid, st.st_nlink, st.st_ctime_ns, content)
        return seen


class Outcome:
    """What a run came to."""

    def __init__(self, code, output, control):
        self.code = code
        self.output = output
        self.ready = self.done = False
        self.landlock = False
        self.error = self.subject = self.text = ""
        self.errno = self.entries = self.bytes = self.skipped = 0
        for at in range(0, len(control), MESSAGE.size):
            part = MESSAGE.unpack(control[at : at + MESSAGE.size])
            kind = part[2]
            if kind == READY:
                self.ready, self.landlock = True, bool(part[5])
            elif kind == DONE:
                self.done, (self.entries, self.bytes, self.skipped) = True, part[6:9]
            else:
                self.error, self.errno = CODES[part[3]], part[4]
                self.subject, self.text = (one.split(b"\0")[0].decode(errors="replace") for one in part[10:12])

    def __str__(self):
        return f"exit {self.code}, done {self.done}, {self.error} '{self.subject}': {self.text} (errno {self.errno})"


def command(program, mode, path, flags, user, most, host_root):
    return [program, mode, str(flags), user, path, str(most), host_root]


def start(program, room, mode, path="/target", flags=0, user="", most=0, host_root="", stdin=subprocess.PIPE, wrap=()):
    """The program with its descriptors as the daemon gives them; (process, control)."""
    control, theirs = os.pipe()
    given = {3: room.pidfd if room else os.open("/dev/null", os.O_RDONLY), 4: theirs}

    def place():
        high = {number: os.dup2(fd, number + 100) for number, fd in given.items()}
        for number, fd in high.items():
            os.dup2(fd, number)
            os.set_inheritable(number, True)

    process = subprocess.Popen(list(wrap) + command(program, mode, path, flags, user, most, host_root), stdin=stdin, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, preexec_fn=place, pass_fds=(3, 4, *given.values()), env={}, cwd="/")
    os.close(theirs)
    if not room:
        os.close(given[3])
    return process, control


def slurp(fd):
    parts = []
    while part := os.read(fd, 65536):
        parts.append(part)
    os.close(fd)
    return b"".join(parts)


def run(program, room, mode, data=b"", **more):
    process, control = start(program, room, mode, **more)
    output, _ = process.communicate(data, timeout=60)
    return Outcome(process.returncode, output, slurp(control))

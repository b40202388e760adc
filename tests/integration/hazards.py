# SPDX-License-Identifier: Apache-2.0
"""hazards.py - what the hazards_*.py scripts share: containers whose output comes back, and the host's looks before and after."""
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import traceback

from house import House
import specs
import wire


def same(got, want):
    assert got == want, f"{got!r}, not {want!r}"


def params(rootfs, args, userns=True, change=None, **more):
    """Those of `create`; without a user namespace what goes wrong goes wrong as the host's root. change(spec) may do what it likes."""
    made = specs.create(rootfs, args, **more)
    if not userns:
        made["rootfs"]["idmap"] = False
        made["spec"]["linux"]["namespaces"] = [one for one in made["spec"]["linux"]["namespaces"] if one["type"] != "user"]
    if change:
        change(made["spec"])
    return made


def output(client, method, asked):
    """Calls create or exec with a pipe for both outputs; (the answer, what was written until everybody had closed it)."""
    reader, writer = os.pipe()
    try:
        answer = client.call(method, asked, fds={"stdout": writer, "stderr": writer})
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    with os.fdopen(reader, encoding="utf-8", errors="replace") as file:
        return answer, file.read()


def run(client, asked):
    """A whole life: (exit status, output)."""
    made, text = output(client, "create", asked)
    status = client.call("wait", {"id": made["id"]})["status"]
    client.call("destroy", {"id": made["id"], "force": True})
    return status, text


def run_if_let(client, asked):
    """The same of what may be refused: (None, sentence)."""
    try:
        return run(client, asked)
    except wire.Refused as refusal:
        return None, str(refusal)


def execute(client, sandbox, args, **process):
    """(exit status, output) of a further process."""
    asked = specs.execute(sandbox, args)
    asked["process"].update(process)
    made, text = output(client, "exec", asked)
    return client.call("wait", {"id": sandbox, "process": made["process"]})["status"], text


def refused(client, method, asked, *codes):
    """The sentence of the error that it must be."""
    try:
        client.call(method, asked)
    except wire.Refused as refusal:
        assert not codes or refusal.error["code"] in codes, refusal.error
        return str(refusal)
    raise AssertionError(f"{method} was not refused")


def values(text):
    """What tests/probe prints: {key: value}, and [mount lines]."""
    pairs = [line.split("=", 1) for line in text.splitlines() if "=" in line]
    return {key: value for key, value in pairs if key != "mount"}, [value for key, value in pairs if key == "mount"]


# ---- the host ----

def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def tree(top, skip=()):
    """Every entry below a directory: its kind, mode, owner, and bytes or target."""
    found = []
    for path, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if os.path.join(path, name) not in skip)
        for name in sorted(folders + files):
            place = os.path.join(path, name)
            try:
                info = os.lstat(place)
                kind = stat.S_IFMT(info.st_mode)
                content = os.readlink(place) if kind == stat.S_IFLNK else digest(place) if kind == stat.S_IFREG else str(info.st_rdev)
            except FileNotFoundError:
                continue
            found.append((place, oct(info.st_mode), info.st_uid, info.st_gid, content))
    return found


def host(*more):
    """What no container may change: /etc, /dev (but terminals and shared memory), the names in /, and further directories."""
    return {"/": sorted(os.listdir("/")), "/etc": tree("/etc"), "/dev": tree("/dev", skip=("/dev/pts", "/dev/shm", "/dev/mqueue")),
            **{path: tree(path) for path in more}}


def unchanged(before, *more):
    after = host(*more)
    for name, entries in before.items():
        new = [entry for entry in after[name] if entry not in entries] + [entry for entry in entries if entry not in after[name]]
        assert not new, f"below {name}: {new[:4]}"


def copy_of(house, name):
    """A root file system of one's own, to be spoilt. Its files are not shared: a container may be root on the host."""
    path = os.path.join(house.work, name)
    shutil.copytree(house.rootfs, path, symlinks=True)
    return path


def replace(path, target=None):
    """Puts a symbolic link there, or, without a target, a directory."""
    subprocess.run(["rm", "-rf", path], check=True)
    if target is None:
        os.mkdir(path, 0o755)
    else:
        os.symlink(target, path)


# ---- scripts ----

def main(tests, daemons=({},)):
    """Each test with each daemon: test(house, daemon). A daemon is told by the arguments of house.daemon."""
    failed = 0
    with House() as house:
        for number, config in enumerate(daemons):
            config = dict(config)
            label, prepare = config.pop("label", ""), config.pop("prepare", [])
            daemon = house.daemon(f"d{number}", **config)
            daemon.prepare = prepare
            daemon.start()
            for test in tests:
                name = test.__name__ + (f"-{label}" if label else "")
                try:
                    test(house, daemon)
                    print(f"ok {name}", flush=True)
                except Exception as problem:  # a test's failure is a result, whatever it is
                    frame = [at for at in traceback.extract_tb(problem.__traceback__) if at.filename == sys.modules["__main__"].__file__][-1]
                    print(f"not ok {name}: {type(problem).__name__}: {problem} (line {frame.lineno})".replace("\n", " "), flush=True)
                    failed += 1
    return 1 if failed else 0

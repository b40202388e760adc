#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bad_plugins.py CLOISTERD BUILT PREFIX WORK - each bad plugin is refused with one clear sentence: both values, the file, what to do.

The plugins are those of tests/badplugins, loaded as installed files from a fresh root-owned directory by `--dump-plugin`.
"""
import json
import os
import shutil
import subprocess
import sys

# Name, what happens to the installed file (a function below), the sentence behind "plugin file 'PATH': ".
CASES = [
    ("bad-magic", None, "its magic is 0x12345678, not 0x54534c43; "),
    ("bad-major", None, "it was built for ABI major 1, this daemon has 0; "),
    ("bad-minor", None, "it was built for ABI 0.9, this daemon has 0.3, "),
    ("bad-kind", None, "it is of kind 9, this daemon knows 1 to 4; "),
    ("bad-requires", None, "it requires host features 0x24, this daemon has 0x0"),
    ("bad-name", None, "it calls itself 'other', but its file is called 'bad-name.so'; "),
    ("bad-vtable", None, "its descriptor has no vtable; "),
    ("bad-put", None, "its persistence vtable lacks the mandatory callback 'put'; "),
    ("bad-exchange", None, "its personality vtable lacks the mandatory callback 'exchange'; "),
    ("bad-push", None, "it provides PUSH, but its transport vtable lacks the callback 'push'; "),
    ("null-descriptor", None, "its entry function returned no descriptor; "),
    ("no-entry", None, "it does not export the function cloister_plugin_entry; "),
    ("undefined", None, "it cannot be linked: undefined symbol: nobody_provides_this; "),
    ("opt-twice", None, "its option 'n' is there twice; "),
    ("route-access", None, "its route number 1 ('do') has no access class"),
    ("good-isolation", "writable", "mode 0666"),
    ("good-persistence", "symlink", "symbolic link"),
    ("good-personality", "directory", "directory"),
    ("good-transport", "text", "not an ELF"),
    ("wrapper", "cut", ""),
]


def spoil(how, path):
    if how == "writable":
        os.chmod(path, 0o666)
    elif how == "symlink":
        os.rename(path, path + ".real")
        os.symlink(path + ".real", path)
    elif how == "directory":
        os.unlink(path)
        os.mkdir(path)
    elif how == "text":
        with open(path, "w", encoding="ascii") as file:
            file.write("this is no plugin, but it is long enough to be looked at: " + "x" * 100)
    elif how == "cut":
        os.truncate(path, 200)


def refusal(daemon, directory, name):
    config = os.path.join(directory, "..", "plugins.conf")
    with open(config, "w", encoding="ascii") as file:
        json.dump({"plugin_path": [directory], "persistence": {"main": {"plugin": "memory"}},
                   "isolation": {"main": {"plugin": "namespaces"}}, "services": []}, file)
    os.chmod(config, 0o600)
    done = subprocess.run([daemon, "--config", config, "--dump-plugin", name], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def main():
    daemon, built, _prefix, work = sys.argv[1:]
    directory = os.path.join(work, "bad-plugins")
    os.mkdir(directory, 0o755)
    failed = 0
    for name, how, sentence in CASES:
        path = os.path.join(directory, name + ".so")
        shutil.copyfile(os.path.join(built, name + ".so"), path)
        os.chmod(path, 0o755)
        spoil(how, path)
        code, said = refusal(daemon, directory, name)
        if code == 0 or sentence not in said or path not in said or said.count("\n") != 1:
            print(f"    {name}: exit code {code}: {said!r}, expected: ...{sentence!r}")
            failed += 1
    os.chmod(directory, 0o777)
    code, said = refusal(daemon, directory, "bad-magic")
    if code == 0 or "mode" not in said or said.count("\n") != 1:
        print(f"    a world-writable directory: exit code {code}: {said!r}")
        failed += 1
    print(f"    {len(CASES) + 1 - failed} of {len(CASES) + 1} refused as expected")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

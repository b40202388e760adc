#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""arch.py RULE SOURCE [BUILD] - the rules of the tree that can be checked by reading it. Each breach is one line with its place.

Rules: includes, sizes, headers, spdx, names, format, exports, keeper.
"""
import pathlib
import re
import subprocess
import sys

FOLDERS = ("core", "plugins", "include", "tools", "tests", "abi")
FUNCTION_LINES = 80
FILE_LINES = 700

# Core's rooms, lowest first: a room may include itself and those before it, less what `APART` takes away.
ROOMS = ["util", "error", "log", "value", "loop", "net", "config", "loader", "zygote", "registry", "host", "exchange", "events", "store",
         "engine", "inspect", "daemon"]
APART = {
    "util": {"error", "log", "value"},
    "value": {"log"},
    "inspect": {"zygote", "exchange", "events", "store", "engine"},
}
# Third-party headers and the rooms that may see them.
FOREIGN = {"uv.h": {"loop", "net"}, "dlfcn.h": {"loader"}, "cjson/cJSON.h": {"value"}}
SDK_INCLUDES = {"stddef.h", "stdint.h"}
TOOL_ROOMS = {"util", "error", "value"}
# Tests link the leaf libraries only; a test whose subject is one parser or room sees that one.
TEST_ROOMS = TOOL_ROOMS | {"log"}
TEST_SUBJECTS = {"tests/fuzz": {"config", "loop", "exchange", "events"}, "tests/badplugins": {"loader", "registry", "config"},
                 "tests/backend": {"loop", "zygote", "host"}}
# Words that are also names of plugins, and the files of core in which they mean something else.
OTHER_MEANINGS = {
    "control": {"core/config/service.c": "an access class", "core/exchange/access.c": "an access class", "core/inspect": "an access class",
                "core/config/dump.c": "an access class"},
    "memory": {"": "the step of an error about memory"},
    "file": {"core/host/report.c": "the key of a plugin's path"},
}


def code_files(source, *folders):
    for folder in folders:
        for path in sorted((source / folder).rglob("*")):
            if path.suffix in (".c", ".h") and path.is_file():
                yield path


def includes(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if found:
            yield number, found[1] == "<", found[2]


def allowed_rooms(room):
    if room == "main":
        return set(ROOMS)
    before = set(ROOMS[: ROOMS.index(room) + 1])
    return before - APART.get(room, set())


def check_core_include(source, path, angled, name):
    parts = path.relative_to(source).parts
    room = parts[1] if len(parts) > 2 else "main"
    if room not in ROOMS + ["main"]:
        return f"core/{room} is not a known room (tests/arch, CONTRIBUTING.md)"
    if angled:
        rooms = FOREIGN.get(name)
        if rooms is not None and room not in rooms:
            return f"<{name}> is for {' and '.join(sorted(rooms))} only"
        return None
    if name.startswith("core/"):
        wanted = name.split("/")[1]
        if wanted not in allowed_rooms(room):
            return f"core/{room} may not include core/{wanted}"
        return None
    return f'"{name}" does not name its layer' if "/" not in name else f"core may not include {name}"


def check_plugin_include(source, path, angled, name):
    own = "/".join(path.relative_to(source / "plugins").parts[:2])
    if angled:
        return f"<{name}> is not for plugins" if name in FOREIGN or name.startswith("core/") else None
    if "/" not in name or name.startswith(own + "/") or name.startswith("common/"):
        return None
    return f"a plugin may not include {name}"


def check_sdk_include(_source, _path, angled, name):
    if angled and (name.startswith("cloister/") or name in SDK_INCLUDES):
        return None
    return f"the SDK may not include {name}"


def check_outer_include(source, path, _angled, name):
    place = str(path.relative_to(source))
    rooms = set(TOOL_ROOMS) if place.startswith(("tools/", "abi/kit/")) else set() if place.startswith("abi/") else set(TEST_ROOMS)
    for folder, more in TEST_SUBJECTS.items():
        if place.startswith(folder + "/"):
            rooms |= more
    if name in FOREIGN and not place.startswith("tests/badplugins/") and not (place.startswith(("abi/kit/", "tests/fault/")) and name == "dlfcn.h"):
        return f"<{name}> is for core"
    if name.startswith("core/") and name.split("/")[1] not in rooms:
        return f"{place.split('/')[0]} may not include {name}"
    return None


def rule_includes(source, _build):
    checks = {"core": check_core_include, "plugins": check_plugin_include, "include": check_sdk_include, "tools": check_outer_include,
              "tests": check_outer_include, "abi": check_outer_include}
    for folder, check in checks.items():
        for path in code_files(source, folder):
            for number, angled, name in includes(path):
                problem = check(source, path, angled, name)
                if problem:
                    yield f"{path.relative_to(source)}:{number}: {problem}"


def rule_sizes(source, _build):
    for path in code_files(source, *FOLDERS):
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > FILE_LINES:
            yield f"{path.relative_to(source)}: {len(lines)} lines, more than {FILE_LINES}: it is two nouns"
        begin = None
        for number, line in enumerate(lines, 1):
            if line == "{":
                begin = number
            elif line == "}" and begin:
                if number - begin + 1 > FUNCTION_LINES:
                    yield f"{path.relative_to(source)}:{begin}: a function of {number - begin + 1} lines, more than {FUNCTION_LINES}"
                begin = None


def compile_alone(source, header, command):
    text = f'#include "{header}"\nextern int cloister_arch_unused;\n'
    done = subprocess.run(command + ["-fsyntax-only", "-"], input=text, text=True, capture_output=True, cwd=source, check=False)
    return done.stderr.strip().splitlines()[:1] if done.returncode else []


def strip_comments(text):
    return re.sub(r"//[^\n]*", "", re.sub(r"/\*.*?\*/", lambda found: "\n" * found[0].count("\n"), text, flags=re.S))


def rule_headers(source, _build):
    strict = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Iinclude"]
    for path in sorted((source / "include/cloister").glob("*.h")):
        name = f"cloister/{path.name}"
        for command in (["gcc", "-std=c11", "-xc"] + strict, ["g++", "-std=c++11", "-xc++"] + strict):
            for line in compile_alone(source, name, command):
                yield f"{name} does not compile alone with {command[0]}: {line}"
        code = strip_comments(path.read_text(encoding="utf-8"))
        for number, line in enumerate(code.splitlines(), 1):
            if re.search(r"\b(bool|_Bool|long|size_t|off_t|time_t|pid_t|FILE)\b", line) and not line.lstrip().startswith("#"):
                yield f"{name}:{number}: a type without a fixed width: {line.strip()}"
    for path in code_files(source, "core"):
        if path.suffix == ".h":
            name = str(path.relative_to(source))
            for line in compile_alone(source, name, ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-xc", "-Wall", "-Werror", "-I.", "-Iinclude"]):
                yield f"{name} does not compile alone: {line}"


def rule_spdx(source, _build):
    line = "SPDX-License-Identifier: Apache-2.0"
    for folder in ("core", "plugins", "include", "tools", "tests", "abi", "conf", ".ci"):
        for path in sorted((source / folder).rglob("*")):
            if not path.is_file() or "seeds" in path.parts or "__pycache__" in path.parts:
                continue
            script = path.suffix == "" and path.read_bytes()[:2] == b"#!"
            if path.suffix in (".c", ".h"):
                if not path.read_text(encoding="utf-8").startswith(f"/* {line} */\n"):
                    yield f"{path.relative_to(source)}: its first line is not /* {line} */"
            elif path.suffix in (".py", ".sh", ".syms", ".in") or path.name == "meson.build" or script:
                if not any(line in head for head in path.read_text(encoding="utf-8").splitlines()[:3]):
                    yield f"{path.relative_to(source)}: no line with {line} at its top"


# Who makes something by name: in a directory below a container's root, held by descriptor; and in the keeper's own one, where nothing else is.
MAKERS = {"inside.c": {"mkdirat", "openat"}, "do_devices.c": {"mknodat", "symlinkat"}, "do_resolve.c": {"mkdirat"}, "do_terminal.c": {"openat"},
          "nest.c": {"mkdir", "mknod"}}


def rule_roots(source, _build):
    """What is placed in a root by name, is placed by these few functions."""
    for path in sorted((source / "plugins/common/keeper").glob("*.c")):
        if path.name.startswith("test_"):
            continue
        code = strip_comments(path.read_text(encoding="utf-8"))
        for number, line in enumerate(code.splitlines(), 1):
            found = re.findall(r"\b(mkdir|mknod|mkfifo|symlink|link|rename|renameat2?|mkdirat|mknodat|mkfifoat|symlinkat|linkat|creat|fopen)\(", line)
            found += re.findall(r"\b(open|openat)\(.*O_CREAT", line)
            for call in found:
                if call not in MAKERS.get(path.name, set()):
                    yield f"{path.relative_to(source)}:{number}: {call} makes something by name; inside.h does that"


def rule_names(source, _build):
    names = [path.name for path in (source / "plugins").glob("*/*") if path.is_dir() and path.parent.name != "common"]
    for path in code_files(source, "core"):
        place = str(path.relative_to(source))
        if path.name.startswith("test_"):
            continue
        code = strip_comments(path.read_text(encoding="utf-8"))
        for number, line in enumerate(code.splitlines(), 1):
            for name in names:
                allowed = any(place.startswith(prefix) for prefix in OTHER_MEANINGS.get(name, {}))
                if f'"{name}"' in line and not allowed:
                    yield f'{place}:{number}: core names the plugin "{name}"'


def rule_format(source, _build):
    files = [str(path.relative_to(source)) for path in code_files(source, *FOLDERS)]
    done = subprocess.run(["clang-format", "--dry-run", "-Werror"] + files, capture_output=True, text=True, cwd=source, check=False)
    first = {}
    for path, line in re.findall(r"^(\S+?):(\d+):\d+: (?:error|warning): ", done.stderr, flags=re.M):
        first.setdefault(path, line)
    for path, line in first.items():
        yield f"{path}:{line}: not as clang-format -i would have it"
    if done.returncode and not first:
        yield f"clang-format: {done.stderr.strip()}"


def rule_exports(_source, build):
    plugins = sorted(build.glob("plugins/*/*/*.so"))
    for path in plugins:
        done = subprocess.run(["nm", "-D", "--defined-only", str(path)], capture_output=True, text=True, check=True)
        symbols = [line.split()[-1] for line in done.stdout.splitlines()]
        if symbols != ["cloister_plugin_entry"]:
            yield f"{path.name} exports {symbols}, not cloister_plugin_entry alone"
    if not plugins:
        yield f"no plugin was built in {build}"


def rule_keeper(_source, build):
    path = build / "plugins/common/keeper/cloister-keeper"
    if not path.exists():
        yield f"{path} was not built"
        return
    done = subprocess.run(["readelf", "-lW", str(path)], capture_output=True, text=True, check=True)
    for word in ("INTERP", "DYNAMIC"):
        if re.search(rf"^\s*{word}\b", done.stdout, flags=re.M):
            yield f"the keeper is not static: it has a {word} segment"


def main():
    rule = globals().get("rule_" + sys.argv[1])
    if not rule:
        print(__doc__)
        return 2
    source = pathlib.Path(sys.argv[2]).resolve()
    build = pathlib.Path(sys.argv[3]).resolve() if len(sys.argv) > 3 else None
    breaches = list(rule(source, build))
    for breach in breaches:
        print(breach)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())

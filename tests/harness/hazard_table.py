#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hazard_table.py - is every known hazard shown by a test that ran?

    hazard_table.py check BUILD [LIST]   tests/hazards.tsv against the rows of LIST (tests/hazards.ids, or the document that has them) and against
                                         what the last suite of BUILD said; one line for each thing wrong, and exit code 1
    hazard_table.py mapped [LIST]        the same without what any suite said
    hazard_table.py wanted               what the table names, one a line: kind and test

A row of the table: id, kind, test, what it shows; or id, `not yet`, -, why (at most 8). The kinds:
    meson         NAME, or NAME: FUNCTION of cmocka
    integration   SCRIPT, or SCRIPT: CASE
    accept        NN.K
"""
import json
import os
import re
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLE = os.path.join(SOURCE, "tests/hazards.tsv")
IDS = os.path.join(SOURCE, "tests/hazards.ids")
NOT_YET = 8
ROW = re.compile(r"\bH(?:1\.[13]|2\.[1-4])\.\d+\b")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def rows():
    for line in read(TABLE).splitlines():
        if line and not line.startswith("#"):
            cells = line.split("\t")
            if len(cells) != 4 or not all(cells):
                yield line, "", "", ""
            else:
                yield tuple(cells)


class Results:
    """What the last suite of a build said."""

    def __init__(self, build):
        self.build = build
        self.meson = {}
        for line in read(os.path.join(build, "meson-logs/testlog.json")).splitlines():
            test = json.loads(line)
            self.meson[test["name"].split(" / ", 1)[-1].strip()] = test

    def of_meson(self, name, case):
        test = self.meson.get(name)
        if test is None:
            return f"'{name}' did not run"
        if test["result"] not in ("OK", "EXPECTEDFAIL"):
            return f"'{name}': {test['result']}"
        said = (test.get("stdout") or "") + (test.get("stderr") or "")
        if case and not re.search(rf"^\[ +OK \] {re.escape(case)}( |$)", said, re.M):
            return f"'{case}' of '{name}' did not run"
        return None

    def of_integration(self, name, case):
        path = os.path.join(self.build, name + ".log")
        if not os.path.exists(path):
            return f"'{name}' did not run"
        verdicts = re.findall(r"^(ok|not ok) ([^\s:]+)", read(path), re.M)
        for verdict, which in verdicts:
            if verdict != "ok" and case in ("", which):
                return f"'{which}' of '{name}' failed"
        if not verdicts and "Traceback" in read(path):
            return f"'{name}' failed"
        if case and case not in [which for _, which in verdicts]:
            return f"'{case}' of '{name}' did not run"
        return None

    def of_accept(self, name, _):
        found = re.findall(rf"^{re.escape(name)} (PASS|FAIL|SKIP)", read(os.path.join(self.build, f"accept-{name.split('.')[0]}.log")), re.M)
        if not found:
            return f"'{name}' did not run"
        return None if found[-1] == "PASS" else f"'{name}': {found[-1]}"

    def of(self, kind, test):
        name, _, case = test.partition(": ")
        look = {"meson": self.of_meson, "integration": self.of_integration, "accept": self.of_accept}.get(kind)
        return look(name, case) if look else f"'{kind}' is none of meson, integration, accept, not yet"


def check(build, listed):
    wanted = list(dict.fromkeys(ROW.findall(read(listed))))
    if not wanted:
        yield f"{listed}: no row of a hazard in it"
    seen, waiting, results = {}, [], Results(build) if build else None
    for number, kind, test, shows in rows():
        if not shows:
            yield f"'{number[:60]}' is not id, kind, test and sentence"
            continue
        if number not in wanted:
            yield f"{number} is no hazard"
        seen[number] = True
        if kind == "not yet":
            waiting.append(number)
            continue
        wrong = results and results.of(kind, test)
        if wrong:
            yield f"{number}: {kind} {wrong}"
    for number in wanted:
        if number not in seen:
            yield f"{number} is not mapped to a test"
    if len(waiting) > NOT_YET:
        yield f"{len(waiting)} rows are 'not yet' ({', '.join(waiting)}), at most {NOT_YET} may be"


def main():
    if sys.argv[1:] == ["wanted"]:
        print("\n".join(dict.fromkeys(f"{kind}\t{test.partition(': ')[0]}" for _, kind, test, shows in rows() if shows and kind != "not yet")))
        return 0
    verb, arguments = "".join(sys.argv[1:2]), sys.argv[2:]
    if verb not in ("check", "mapped") or (verb == "check" and not arguments):
        print(__doc__)
        return 2
    build = arguments.pop(0) if verb == "check" else None
    wrong = list(check(build, arguments[0] if arguments else IDS))
    waiting = [number for number, kind, *_ in rows() if kind == "not yet"]
    print("\n".join(wrong) if wrong else f"{len(set(number for number, *_ in rows()))} hazards, {len(waiting)} of them not yet ({', '.join(waiting)})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""points.py - the points of the sweep: every place of create, exec, stop, destroy and recovery at which somebody can be killed.

Nothing is listed here by hand. The keeper's steps come from the keeper program itself (`cloister-keeper steps`), the isolation plugin's from
the help of its option `halt_at` (both are printed from the tables that are executed), the calls into the plugins from a run in which the
wrappers `fault` and `fault-store` tell of each. So a new step is a new point.
"""
import collections
import glob
import os
import re
import subprocess

SCENARIOS = ("create", "exec", "stop", "destroy", "recovery")
VICTIMS = ("daemon", "keeper")

# The scenario in which an operation's steps are points. None: tests/backend/test_halts.c halts in each of their steps. An operation that is not
# here is an error.
OPERATIONS = {"create": "create", "exec": "exec", "stop": "stop", "destroy": "destroy", "adopt": "recovery", "sweep": None, "start": None,
              "release": None, "attach": None}

# where: "step" (halt_at), "isolation", "store" (a call, by a wrapper); what: step or call; when: before or after; nth: of that call.
Point = collections.namedtuple("Point", "scenario where what when nth victim")


def name(point):
    nth = f" {point.nth}" if point.where != "step" else ""
    return f"{point.scenario}: {point.when} {point.where} '{point.what}'{nth}: {point.victim} killed"


def keeper_steps(prefix):
    """(operation, step) as the keeper has them."""
    program = glob.glob(os.path.join(prefix, "libexec/cloister/cloister-keeper"))[0]
    for line in subprocess.run([program, "steps"], check=True, capture_output=True, text=True).stdout.splitlines():
        yield tuple(line.split(" ", 1))


def plugin_steps(prefix, config):
    """(operation, step) as the isolation plugin has them: `create: ids cgroups ...; exec: ...` in the help of `halt_at`."""
    program = os.path.join(prefix, "sbin/cloisterd")
    text = subprocess.run([program, "--config", config, "--dump-plugin", "namespaces"], check=True, capture_output=True, text=True).stdout
    line = next(line for line in text.splitlines() if "halt_at" in line and "create:" in line)
    for operation, steps in re.findall(r"\b([a-z]+): ([a-z0-9 -]+)(?=;)", line.split("steps:", 1)[1]):
        for step in steps.split():
            yield operation, step


def calls(log):
    """(where, call) in order, from the log of a run whose wrappers tell."""
    for who, call in re.findall(r"\((fault|fault-store)\): call \d+ ([a-z_]+)", log):
        yield ("store" if who == "fault-store" else "isolation"), call


def of_steps(scenario, steps):
    for step in steps:
        for when in ("before", "after"):
            for victim in VICTIMS:
                yield Point(scenario, "step", step, when, 0, victim)


def of_calls(scenario, seen, begin):
    """seen: all calls of the run; those from index `begin` on belong to the scenario."""
    count = collections.Counter()
    for index, (where, call) in enumerate(seen):
        count[where, call] += 1
        if index < begin:
            continue
        for when in ("before", "after"):
            for victim in VICTIMS:
                yield Point(scenario, where, call, when, count[where, call], victim)

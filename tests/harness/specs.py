# SPDX-License-Identifier: Apache-2.0
"""specs.py - params of `create` and `exec` for tests that speak on the wire, from the installed default profile."""
import json
import os

ENV = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]


def profile():
    path = os.path.join(os.environ["CL_PREFIX"], "share/cloister/profiles/default.json")
    with open(path, encoding="utf-8") as file:
        spec = json.load(file)
    spec.pop("root", None)
    return spec


def create(rootfs, args, name=None, pause=False, **more):
    spec = profile()
    process = spec.pop("process")
    if not pause:
        spec["process"] = dict(process, args=args, env=ENV)
    params = {"spec": spec, "rootfs": {"directory": rootfs, "writable": False, "idmap": True}, **more}
    if pause:
        params["init"] = "pause"
    if name:
        params["name"] = name
    return params


def execute(sandbox, args):
    return {"id": sandbox, "process": dict(profile()["process"], args=args, env=ENV)}

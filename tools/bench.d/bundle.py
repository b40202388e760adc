# SPDX-License-Identifier: Apache-2.0
"""bundle.py - the one OCI configuration that all sides run: the installed default profile, with limits and id mappings."""
import hashlib
import json
import os

ENV = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
LIMITS = {"memory": {"limit": 64 << 20}, "pids": {"limit": 64}, "cpu": {"shares": 1024, "quota": 200000, "period": 100000}}
# Named, because the peers have no ranges of their own to take from.
MAPPING = [{"containerID": 0, "hostID": 2000000, "size": 65536}]


def without_time(spec):
    spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "time"]


# What is taken out of the configuration for all when a peer cannot run it whole, each with what is told.
ADAPTATIONS = [("without the time namespace", without_time)]


class Bundle:
    """A directory with config.json, as the peers want it; `params` is the same for our `create`."""

    def __init__(self, directory, profile, rootfs, args, adaptations):
        with open(profile, encoding="utf-8") as file:
            spec = json.load(file)
        spec["process"].update(args=args, env=ENV)
        # Relative: the digest is to be the same in every run.
        spec["root"] = {"path": os.path.relpath(rootfs, directory), "readonly": True}
        spec["linux"]["resources"].update(LIMITS)
        spec["linux"].update(uidMappings=MAPPING, gidMappings=MAPPING)
        for _, adapt in adaptations:
            adapt(spec)
        os.makedirs(directory, exist_ok=True)
        text = json.dumps(spec, indent=1, sort_keys=True).encode()
        with open(os.path.join(directory, "config.json"), "wb") as file:
            file.write(text)
        self.directory = directory
        self.digest = hashlib.sha256(text).hexdigest()
        self.process = spec["process"]
        # The root travels beside the spec; everything else is the same.
        root = spec.pop("root")
        self.params = {"spec": spec, "rootfs": {"directory": rootfs, "writable": not root["readonly"]}}

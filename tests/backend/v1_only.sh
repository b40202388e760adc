#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# v1_only.sh PROGRAM [ARGUMENTS] - runs it where no cgroup v2 is mounted; elsewhere nothing changes.
set -eu
[ "${V1_ONLY:-}" ] || exec env V1_ONLY=1 unshare --mount --propagation private sh "$0" "$@"
umount -a -t cgroup2
if grep -q ' - cgroup2 ' /proc/self/mountinfo; then
    echo "cgroup v2 is still mounted" >&2
    exit 1
fi
exec "$@"

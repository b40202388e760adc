#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kit.sh KIT PLUGIN KEEPER TAR MKROOTFS - the conformance suite over the namespaces plugin, in a root file system made for it. Wants root.
set -eu
[ "$(id -u)" = 0 ] || exit 77
place=$(mktemp -d /tmp/cloister-kit-root.XXXXXX)
trap 'rm -rf -- "$place"' EXIT
trap 'exit 1' HUP INT TERM
sh "$5" "$place/root"
mkdir "$place/state"
"$1" isolation "$2" --keeper "$3" --helpers "$(dirname "$4")" --rootfs "$place/root" --state-dir "$place/state" -o "cgroup_root=/cl-kit-$$"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fresh.sh - a stranger's first hour, by machine: a minimal Debian 12 from debootstrap, entered by pivot_root in a mount namespace of
# its own (in a plain chroot user namespaces are refused), a clone of HEAD, tools/quickstart, tools/test.
#
# The last line is that of tools/test. Uses Debian's package mirror only. CL_FRESH_DIR (default: a new directory below /var/tmp)
# holds the root while it runs.
set -eu
CL_SOURCE=${CL_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
. "$CL_SOURCE/tools/lib.sh"
need_root "test --fresh"
need_packages debootstrap git

if [ "${1:-}" != inside ]; then
    WORK=$(mktemp -d "${CL_FRESH_DIR:-/var/tmp}/cloister-fresh.XXXXXX")
    ROOT=$WORK/root
    # What runs on from inside (a daemon that the suite left) is in a pid namespace, which ends with its first process.
    trap 'rm -rf --one-file-system "$WORK"' EXIT
    MIRROR=$(sed -n 's/^deb *\(\[[^]]*\]\)* *\([^ ]*\) .*/\2/p; s/^URIs: *\([^ ]*\).*/\1/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
    echo "== debootstrap into $ROOT from ${MIRROR:-its own default}"
    debootstrap --variant=minbase --include=ca-certificates,git bookworm "$ROOT" ${MIRROR:+"$MIRROR"} >"$WORK/debootstrap.log" 2>&1 ||
        { tail -n 20 "$WORK/debootstrap.log" >&2; exit 1; }
    # How this machine reaches its mirror is this machine's business: take it over.
    rm -f "$ROOT/etc/apt/sources.list"
    cp -a /etc/apt/. "$ROOT/etc/apt/"
    cp /etc/resolv.conf "$ROOT/etc/resolv.conf" 2>/dev/null || true
    cp -aL /etc/ssl/certs/ca-certificates.crt "$ROOT/etc/ssl/certs/" 2>/dev/null || true
    git clone -q --no-hardlinks "$CL_SOURCE" "$ROOT/root/cloister"
    echo "== enter"
    unshare --mount --pid --fork --kill-child --propagation private "$0" inside "$ROOT"
    exit
fi

ROOT=$2
mount --bind "$ROOT" "$ROOT"
for place in dev sys; do
    mount --rbind "/$place" "$ROOT/$place"
done
mount -t tmpfs -o mode=1777 tmpfs "$ROOT/tmp"
mount -t tmpfs -o mode=0755 tmpfs "$ROOT/run"
mount -t proc proc "$ROOT/proc"
cd "$ROOT"
mkdir -p .old
pivot_root . .old
umount -l /.old
rmdir /.old
cd /root/cloister
exec env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} CL_INSIDE_FRESH=1 \
    sh -c 'tools/quickstart && tools/quickstart --stop && exec tools/test'

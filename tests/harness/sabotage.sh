#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sabotage.sh [PATCH...] - does the suite notice? Each patch of tests/sabotage is applied to a copy of the tree; its first line
# names the one test that must fail there, and only that one is run:
#   # fails: accept 01.4        a line of an acceptance script
#   # fails: unit NAME          a test of meson (the rules of tests/arch are among them)
# Prints "PATCH NOTICED", or "PATCH MISSED: why". The copies share one build directory, so that each patch costs what it changes.
set -u
CL_SOURCE=${CL_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
. "$CL_SOURCE/tools/lib.sh"
need_root sabotage

WORK=$(mktemp -d /tmp/cloister-sabotage.XXXXXX)
chmod 0755 "$WORK"
COPY=$WORK/tree
BUILD=$WORK/build
MISSED=0
trap 'remove_prefix "$(prefix_of "$BUILD")"; rm -rf "$WORK"' EXIT

missed() {
    echo "$1 MISSED: $2"
    MISSED=1
}

# The named test in the copy; 0 = it fails, as it must.
fails_as_named() {
    local kind=$1 name=$2
    case $kind in
        unit)
            ! meson test -C "$BUILD" --no-rebuild "$name" >"$WORK/log" 2>&1 && grep -q -E "FAIL|TIMEOUT|ERROR" "$WORK/log"
            ;;
        accept)
            local prefix
            prefix=$(install_build "$BUILD") || return 1
            CL_SOURCE=$COPY CL_BUILD=$BUILD CL_PREFIX=$prefix CL_ONLY=$name bash "$COPY/tests/accept/${name%%.*}.sh" >"$WORK/log" 2>&1
            grep -q "^$name FAIL" "$WORK/log"
            ;;
    esac
}

try_patch() {
    local patch=$1 name kind test
    name=$(basename "$patch")
    read -r _ _ kind test <"$patch"
    case $kind in
        unit | accept) [ -n "$test" ] || { missed "$name" "its first line names no test"; return; } ;;
        *) missed "$name" "its first line is not '# fails: unit NAME' or '# fails: accept NN.K'"; return ;;
    esac
    if ! patch -d "$COPY" -p1 -s -f <"$patch" >"$WORK/log" 2>&1; then
        missed "$name" "it does not apply: $(tail -n 1 "$WORK/log")"
    elif ! CL_SOURCE=$COPY build "$BUILD" 2>"$WORK/log"; then
        # A build that refuses the sabotage has noticed it too, but then no test had to; say so.
        missed "$name" "the copy does not build: $(grep -m1 -E 'error' "$WORK/log")"
    elif fails_as_named "$kind" "$test"; then
        echo "$name NOTICED"
    else
        missed "$name" "$kind $test does not fail"
        tail -n 15 "$WORK/log" >&2
    fi
    patch -d "$COPY" -p1 -s -f -R <"$patch" >/dev/null 2>&1 || true
}

# Only what belongs to the tree: no builds.
mkdir "$COPY"
tar -C "$CL_SOURCE" --exclude='./build*' --exclude=./.git -cf - . | tar -C "$COPY" -xf -
CL_SOURCE=$COPY build "$BUILD" || { echo "sabotage MISSED: the copy does not build without any patch"; exit 1; }
[ $# -gt 0 ] || set -- "$CL_SOURCE"/tests/sabotage/*.patch
for patch; do
    try_patch "$patch"
done
exit $MISSED

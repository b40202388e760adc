#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 02.sh - acceptance of "02 · The daemon's death is a non-event". Run by tools/accept 02.
#
# The lines that kill and restart have daemons of their own (tests/integration/house.py), with the `file` store.
set -u
SLOW=
. "$CL_SOURCE/tests/harness/accept.sh"
HERE=$CL_SOURCE/tests/accept
FULL=${CL_FULL:-}

# part: which third of a sweep runs when not everything does; it moves on with each commit.
part() {
    local commits
    commits=$(git -C "$CL_SOURCE" rev-list --count HEAD 2>/dev/null || echo 0)
    [ -n "$FULL" ] && echo 1/1 || echo "$((commits % 3 + 1))/3"
}

line_1() {
    local kills=100
    [ -z "$FULL" ] || kills=500
    doing "20 containers print, 8 clients read, $kills kills of the daemon"
    check "output or exit codes" python3 "$HERE/output_kills.py" "$kills"
}

line_2() {
    doing "the sweep: kill of daemon and keeper at every point (part $(part))"
    check "the sweep" "$CL_SOURCE/tests/fault/sweep" --part "$(part)"
    doing "every allocation of the daemon failing once (part $(part))"
    check "the sweep of allocations" "$CL_SOURCE/tests/fault/allocations" --part "$(part)"
    # A sanitizer's own system calls fail too, which it takes for its end.
    ldd "$CL_SBIN/cloisterd" | grep -qE 'lib(asan|tsan)' && return
    doing "every system call of create and destroy failing once (part $(part))"
    check "the sweep of system calls" "$CL_SOURCE/tests/fault/syscalls" --part "$(part)"
}

line_3() {
    doing "truncation at every length, a bit flip in every byte, a newer format (meson: persistence/file)"
    check "the file store's own tests" meson test -C "$CL_BUILD" --no-rebuild --logbase accept-02 persistence/file/store persistence/file/damage kit-persistence-file
    local script
    for script in "$CL_SOURCE"/tests/integration/store_*; do
        doing "$(basename "$script")"
        check "$(basename "$script")" "$script"
    done
    doing "a store that has lost its records: what lives is listed as unknown, and lives on"
    check "unknown sandboxes" python3 "$HERE/lost_store.py"
}

line_4() {
    doing "1,000 containers over a restart"
    check "1,000 containers" python3 "$HERE/thousand.py" 1000
    doing "a reader that never reads; a slow one beside a fast one"
    check "slow readers" python3 "$HERE/slow_readers.py"
}

line_5() {
    doing "another boot, reused pids, things half done"
    check "what a restart makes of them" python3 "$HERE/reboot.py"
}

line_6() {
    doing "a secret in the environment and in a label"
    check "secrets" python3 "$HERE/secrets_kept.py"
}

line_7() {
    doing "a daemon hands over to the next under load"
    check "handover" python3 "$CL_SOURCE/tests/integration/handover.py"
}

line_8() {
    doing "tools/bench on a few rounds (its numbers are for a quiet machine: tools/bench without --rounds)"
    local out
    out=$("$CL_SOURCE/tools/bench" start exec recover stdout --rounds 2 --build "$CL_BUILD" 2>&1) || fails "tools/bench: $out"
    local word
    for word in 'digest' 'start.*ratio' 'exec.*ratio' 'first correct list' '1 GiB|1024 MiB'; do
        grep -q -i -E "$word" <<<"$out" || fails "tools/bench does not print '$word'"
    done
    say "$out"
}

accept_main 02

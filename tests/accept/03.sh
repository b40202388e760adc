#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 03.sh - acceptance of "03 · What a container may not do, and what may not be done to it". Run by tools/accept 03.
set -u
SLOW=
. "$CL_SOURCE/tests/harness/accept.sh"
HERE=$CL_SOURCE/tests/accept
FULL=${CL_FULL:-}

unit() { meson test -C "$CL_BUILD" --no-rebuild --logbase "$(basename "$CL_WORK")" "$@" >"$CL_WORK/unit.log" 2>&1 || { tail -n 15 "$CL_WORK/unit.log"; return 1; }; }
script() { python3 "$CL_SOURCE/tests/integration/$1" "${@:2}"; }

line_1() {
    local table=$CL_SOURCE/tests/harness/hazard_table.py nothing=$CL_WORK/nothing
    doing "each known hazard is mapped to a test, or says why not yet"
    check "the table" python3 "$table" mapped
    doing "a row that is not mapped, and a test that did not run, are told"
    mkdir "$nothing"
    { cat "$CL_SOURCE/tests/hazards.ids"; echo H1.1.99; } >"$CL_WORK/more.ids"
    ! python3 "$table" mapped "$CL_WORK/more.ids" >"$CL_WORK/told" || fails "a row too many is not noticed"
    same "what it says" "$(cat "$CL_WORK/told")" "H1.1.99 is not mapped to a test"
    ! python3 "$table" check "$nothing" >"$CL_WORK/told" || fails "tests that did not run are not noticed"
    like "what it says" "$(head -n 1 "$CL_WORK/told")" '^H1.1.1: .* did not run$'
    [ -n "$FULL" ] || return 0
    doing "tools/test --hazards"
    local last
    last=$(env -u CL_FULL -u CL_ONLY -u CL_BUILD -u CL_PREFIX "$CL_SOURCE/tools/test" --hazards 2>&1 | tee "$CL_WORK/hazards.log" | tail -n 1)
    like "its last line" "$last" '^[0-9]+ passed, 0 failed, [0-9]+ skipped$'
    [ "$LINE_FAILED" = 0 ] || tail -n 40 "$CL_WORK/hazards.log" | sed 's/^/      /'
}

line_2() {
    doing "a whole life with each first choice forbidden in turn, with all of them, and without cgroup v2"
    check "a machine that lacks something" python3 "$HERE/choices.py"
    doing "what is written on v1, on v2 and on both, on trees of plain files"
    check "trees of files" unit isolation/namespaces/cgroup isolation/namespaces/layout isolation/namespaces/limits
    [ -n "$FULL" ] || return 0
    doing "the backend's own tests where no v2 is mounted"
    check "without v2" sh "$CL_SOURCE/tests/backend/v1_only.sh" meson test -C "$CL_BUILD" --no-rebuild --logbase "$(basename "$CL_WORK")" \
        backend/backend backend/update backend/stats backend/takeover
}

line_3() {
    local count=100
    [ -z "$FULL" ] || count=1000
    doing "mounts, links, settings, /dev, /etc and cgroups before, during and after $count containers; two that write through every link"
    check "the host" python3 "$HERE/untouched.py" "$count"
    doing "seven shapes of link at every mount point"
    check "links in an image" script hazards_images.py symlinked_targets swapped_targets
}

line_4() {
    local cycles=200
    [ -z "$FULL" ] || cycles=10000
    doing "each row of ARCHITECTURE's table by both freezers; $cycles cycles under load"
    check "the frozen" env CL_CYCLES=$cycles python3 "$CL_SOURCE/tests/integration/frozen.py"
    doing "bombs of processes, out of memory"
    check "busy ones" script hazards_processes.py fork_bombs deaf_inits allocates_at_once
}

line_5() {
    local rounds=60
    [ -z "$FULL" ] || rounds=2000
    doing "hostile archives, in and out"
    check "archives" unit files/corpus files/outward
    doing "directories become links and links directories while archives go in and out, $rounds rounds"
    check "the race" python3 "$CL_SOURCE/tests/files/race.py" "$(find "$CL_PREFIX" -name cloister-tar)" "$rounds"
    doing "cloisterctl cp"
    check "cp" script cp.py
}

line_6() {
    local target targets="value unix_json config journal plan oci mountinfo users" names=()
    doing "the seeds of every fuzz target: $targets"
    for target in $targets; do
        names+=("replay-$target")
        [ -n "$(ls "$CL_SOURCE/tests/fuzz/seeds/$target")" ] || fails "$target has no seeds"
    done
    check "seeds" unit "${names[@]}"
    [ -n "$FULL" ] || return 0
    doing "60 s of each, and of one with a planted bug"
    (
        . "$CL_SOURCE/tools/lib.sh"
        . "$CL_SOURCE/tests/harness/suite.sh"
        fuzz "$CL_WORK/fuzz" 60
        fuzz_planted "$CL_WORK/planted" 60
        totals
    ) || fails "fuzzing"
}

line_7() {
    doing "bundles by ours, by runc and by crun: every difference has its reason"
    check "bundles" script bundles.py ${FULL:+--crun}
}

accept_main 03

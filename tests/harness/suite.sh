# SPDX-License-Identifier: Apache-2.0
# suite.sh - the parts of tools/test. Each adds to the totals; none stops the others.

PASSED=0 FAILED=0 SKIPPED=0
FAILURES=

stage() { printf '\n== %s (%s)\n' "$*" "$(date +%T)"; }

passed() { PASSED=$((PASSED + 1)); }
failed() {
    FAILED=$((FAILED + 1))
    FAILURES="$FAILURES
  $*"
    echo "FAILED: $*"
}
# skipped NAME: fails the run unless it is listed.
skipped() {
    if grep -q "^$1 " "$CL_SOURCE/tests/skips.expected"; then
        SKIPPED=$((SKIPPED + 1))
    else
        failed "$1: skipped, and not listed in tests/skips.expected"
    fi
}

totals() {
    [ -z "$FAILURES" ] || printf '\nfailed:%s\n' "$FAILURES"
    echo
    echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
    [ "$FAILED" = 0 ] && [ "$PASSED" -gt 0 ]
}

# suite LABEL DIR [MESON-OPTIONS...]: builds DIR and runs everything on it.
suite() {
    local label=$1 dir=$2
    shift 2
    stage "$label: build"
    if ! build "$dir" "$@"; then
        failed "$label: build"
        return
    fi
    passed
    unit_tests "$label" "$dir"
    CL_BUILD=$dir
    CL_PREFIX=$(install_build "$dir") || { failed "$label: install"; return; }
    export CL_BUILD CL_PREFIX
    rm -f "$dir"/*.py.log "$dir"/*.sh.log "$dir"/accept-*.log
    integration_tests "$label"
    accept_tests "$label"
    remove_prefix "$CL_PREFIX"
}

# Reads meson's log of results: one JSON object a line. What a failed test said is told.
unit_tests() {
    local name result
    stage "$1: unit tests, fuzz seeds, rules of the tree"
    meson test -C "$2" --no-rebuild --num-processes 2 >"$2/unit.log" 2>&1
    while IFS=$'\t' read -r name result; do
        case $result in
            OK | EXPECTEDFAIL) passed ;;
            SKIP) skipped "$name" ;;
            '') echo "    $name" ;;
            *) failed "$1: $name: $result" ;;
        esac
    done < <(python3 - "$2/meson-logs/testlog.json" <<'END'
import json, sys
with open(sys.argv[1], encoding="utf-8", errors="replace") as file:
    for line in file:
        test = json.loads(line)
        print(test["name"].split(" / ")[-1].strip(), test["result"], sep="\t")
        if test["result"] in ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT"):
            said = (test.get("stdout") or "") + (test.get("stderr") or "")
            for told in [part for part in said.splitlines() if "[ RUN" not in part and "[       OK" not in part][-25:]:
                print(told.replace("\t", " ") + "\t")
END
    )
}

# Each script of tests/integration (what begins with #!) is one test. Those that need a daemon take its socket as their argument; the others find
# CL_BUILD and CL_PREFIX in the environment and start what they need. What meson runs is left to meson.
integration_tests() {
    local script name
    stage "$1: integration"
    for script in "$CL_SOURCE"/tests/integration/*; do
        name=$(basename "$script")
        [ -f "$script" ] && [ "$(head -c 2 "$script")" = '#!' ] && ! grep -q "$name" "$CL_SOURCE"/tests/*/meson.build || continue
        integration_test "$1" "$script"
    done
}

integration_test() {
    local script=$2 name code=0
    name=$(basename "$script")
    if grep -q 'usage: .* SOCKET' "$script"; then
        (
            . "$CL_SOURCE/tests/harness/lib.sh"
            trap 'harness_end || exit 1' EXIT
            harness_begin && daemon_start d || exit 1
            run_script "$script" "$(daemon_socket d)"
        ) >"$CL_BUILD/$name.log" 2>&1 || code=$?
    else
        run_script "$script" >"$CL_BUILD/$name.log" 2>&1 || code=$?
    fi
    integration_verdict "$1" "$name" "$code"
}

run_script() {
    case $1 in
        *.py) python3 "$@" ;;
        *) bash "$@" ;;
    esac
}

# A script that tells of its cases ("ok NAME", "not ok NAME: why") is counted by them, any other by its exit code.
integration_verdict() {
    local label=$1 name=$2 code=$3 line cases=0
    while read -r line; do
        cases=$((cases + 1))
        case $line in
            ok*) passed ;;
            *) failed "$label: $name: ${line#not ok }" ;;
        esac
    done < <(grep -E '^(not )?ok ' "$CL_BUILD/$name.log")
    if [ "$code" = 77 ]; then
        skipped "$name"
    elif [ "$code" != 0 ]; then
        [ "$cases" -gt 0 ] || failed "$label: $name"
        tail -n 30 "$CL_BUILD/$name.log"
    elif [ "$cases" = 0 ]; then
        passed
    fi
}

# The verdicts of each accept script are counted one by one.
accept_tests() {
    local script nn line
    for script in "$CL_SOURCE"/tests/accept/[0-9][0-9].sh; do
        nn=$(basename "$script" .sh)
        stage "$1: accept $nn"
        bash "$script" 2>&1 | tee "$CL_BUILD/accept-$nn.log"
        while read -r line; do
            case $line in
                *" PASS") passed ;;
                *" FAIL") failed "$1: accept ${line% FAIL}" ;;
                *" SKIP "*) skipped "${line%% *}" ;;
            esac
        done < <(grep -E "^$nn\.[0-9]+ (PASS|FAIL|SKIP)" "$CL_BUILD/accept-$nn.log")
        grep -q -E '^[0-9]+ passed, [0-9]+ failed' "$CL_BUILD/accept-$nn.log" || failed "$1: accept $nn did not end"
    done
}

# hazards [LIST]: every known hazard has a test that ran on this build.
hazards() {
    stage "hazards"
    if python3 "$CL_SOURCE/tests/harness/hazard_table.py" check "$CL_BUILD" "$@"; then
        passed
    else
        failed "hazards: tests/hazards.tsv"
    fi
}

# hazards_only DIR [LIST]: the tests that the table names, and no others; then the check.
hazards_only() {
    local kind name dir=$1 names
    shift
    stage "hazards: build"
    build "$dir" && CL_BUILD=$dir && CL_PREFIX=$(install_build "$dir") || { failed "hazards: build"; return; }
    export CL_BUILD CL_PREFIX
    rm -f "$dir"/*.py.log "$dir"/*.sh.log "$dir"/accept-*.log
    stage "hazards: the tests that are named"
    mapfile -t names < <(python3 "$CL_SOURCE/tests/harness/hazard_table.py" wanted | sed -n 's/^meson\t//p')
    meson test -C "$dir" --no-rebuild --num-processes 2 "${names[@]}" >"$dir/unit.log" 2>&1 || tail -n 12 "$dir/unit.log"
    while IFS=$'\t' read -r kind name; do
        case $kind in
            integration) integration_test hazards "$CL_SOURCE/tests/integration/$name" ;;
            accept) CL_ONLY=$name bash "$CL_SOURCE/tests/accept/${name%.*}.sh" 2>&1 | tee -a "$dir/accept-${name%.*}.log" ;;
        esac
    done < <(python3 "$CL_SOURCE/tests/harness/hazard_table.py" wanted)
    hazards "$@"
    remove_prefix "$CL_PREFIX"
}

plugin_options() { sed -n "s/^option('\([a-z_]*\)', type: 'feature'.*/\1/p" "$CL_SOURCE/meson_options.txt"; }

# matrix none|all|each: configures and compiles with these plugins only; tests are built with them.
matrix() {
    local option wanted set sets=
    for set; do
        if [ "$set" = each ]; then sets="$sets $(plugin_options)"; else sets="$sets $set"; fi
    done
    for set in $sets; do
        stage "plugins: $set"
        local dir arguments=()
        dir=$(mktemp -d /tmp/cloister-matrix.XXXXXX)
        for option in $(plugin_options); do
            wanted=disabled
            [ "$set" != all ] && [ "$set" != "$option" ] || wanted=enabled
            arguments+=("-D$option=$wanted")
        done
        if build "$dir/build" --buildtype plain -Dtests=false "${arguments[@]}" &&
            same_plugins "$dir/build" "$set"; then
            passed
        else
            failed "plugins: $set"
        fi
        rm -rf "$dir"
    done
}

# A disabled option builds no plugin: as many plugin files as options were enabled.
same_plugins() {
    local found wanted
    found=$(find "$1/plugins" -name '*.so' | wc -l)
    case $2 in
        none) wanted=0 ;;
        all) wanted=$(plugin_options | wc -l) ;;
        *) wanted=1 ;;
    esac
    [ "$found" = "$wanted" ] || { echo "$found plugins were built, not $wanted"; return 1; }
}

sabotage() {
    stage "sabotage"
    local line
    while read -r line; do
        echo "$line"
        case $line in
            *" NOTICED") passed ;;
            *" MISSED"*) failed "sabotage: $line" ;;
        esac
    done < <("$CL_SOURCE/tests/harness/sabotage.sh" 2>&1)
}

# tidy DIR: clang-tidy over what is shipped, compiled as in DIR. Any finding fails; .clang-tidy says what is one.
tidy() {
    stage "clang-tidy"
    if run-clang-tidy -quiet -j "$(nproc)" -p "$1" "^$CL_SOURCE/(core|plugins|tools)/(.*/)?(?!test_)[^/]*\\.c\$" >"$1/tidy.log" 2>&1 &&
        grep -q "$CL_SOURCE/core/main.c" "$1/tidy.log"; then
        passed
    else
        failed "clang-tidy: the whole log is $1/tidy.log"
        sed 's/\x1b\[[0-9;]*m//g' "$1/tidy.log" | grep -E '(error|warning): ' | sort -u | head -n 40
    fi
}

# fuzz DIR SECONDS: each target of tests/fuzz under libFuzzer, starting from its seeds.
fuzz() {
    local target name corpus targets
    stage "fuzzing, $2 s per target"
    # Only these: a static program cannot be linked with the fuzzer's instrumentation.
    targets=$(cd "$CL_SOURCE/tests/fuzz" && for target in fuzz_*.c; do echo "tests/fuzz/${target%.c}"; done)
    if ! CC=clang BUILD_TARGETS=$targets build "$1" -Db_sanitize=address,undefined -Db_lundef=false -Dc_args=-fsanitize=fuzzer-no-link; then
        failed "fuzz: build"
        return
    fi
    for target in "$1"/tests/fuzz/fuzz_*; do
        [ -x "$target" ] && [ -f "$target" ] || continue
        name=$(basename "$target")
        corpus=$(mktemp -d /tmp/cloister-corpus.XXXXXX)
        if "$target" -max_total_time="$2" -timeout=10 -rss_limit_mb=1024 -artifact_prefix="$1/" "$corpus" \
            "$CL_SOURCE/tests/fuzz/seeds/${name#fuzz_}" >"$1/$name.log" 2>&1; then
            passed
        else
            failed "fuzz: $name"
            tail -n 20 "$1/$name.log"
        fi
        # libFuzzer's last line of progress: "#123 DONE cov: 45 ft: 67 ..."
        sed -n 's/^#\([0-9]*\)[[:space:]]*DONE[[:space:]]*cov: \([0-9]*\).*/'"$name"': \1 executions, \2 edges/p' "$1/$name.log"
        rm -rf "$corpus"
    done
}

# fuzz_planted DIR SECONDS: would a bug be found? One is planted in a build of its own (tests/fuzz/fuzz_value.c).
fuzz_planted() {
    local corpus
    stage "fuzzing, a planted bug"
    if ! CC=clang BUILD_TARGETS=tests/fuzz/fuzz_value build "$1" -Db_sanitize=address,undefined -Db_lundef=false \
        "-Dc_args=-fsanitize=fuzzer-no-link,-DCL_PLANTED_BUG"; then
        failed "fuzz: build with a planted bug"
        return
    fi
    corpus=$(mktemp -d /tmp/cloister-corpus.XXXXXX)
    if "$1/tests/fuzz/fuzz_value" -max_total_time="$2" -artifact_prefix="$1/" "$corpus" "$CL_SOURCE/tests/fuzz/seeds/value" >"$1/planted.log" 2>&1; then
        failed "fuzz: a planted bug is not found within $2 s"
    elif grep -q 'broken: cl_value_key(member).size <= 32' "$1/planted.log"; then
        passed
    else
        failed "fuzz: it stumbles over something else"
        tail -n 20 "$1/planted.log"
    fi
    rm -rf "$corpus"
}

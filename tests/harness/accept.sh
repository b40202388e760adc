# SPDX-License-Identifier: Apache-2.0
# accept.sh - the frame of an acceptance script: one function per line of the issue, each with a verdict of its own.
#
# A script tests/accept/NN.sh sources this, defines functions line_1, line_2, ... and calls accept_main NN. In a line:
#   doing TEXT            says what is being done
#   same WHAT GOT WANT    compares; a difference is told and fails the line, which goes on
#   like WHAT GOT REGEX   the same with an extended regular expression
#   fails WHAT            told and counted; check WHAT COMMAND... does it if the command fails
#   skip REASON           ends the line
# Variables: CL_ONLY (one line, as 01.4), CL_FULL=1 (slow lines too). SLOW, set by the script, names the slow ones: " 1 7 ".

. "$CL_SOURCE/tests/harness/lib.sh"

LINE_FAILED=0
doing() { printf '  - %s\n' "$*"; }
fails() { printf '    WRONG: %s\n' "$*"; LINE_FAILED=1; }
same() { [ "$2" = "$3" ] || fails "$1 is '$2', not '$3'"; }
like() { [[ $2 =~ $3 ]] || fails "$1 is '$2', which does not match '$3'"; }
check() {
    local what=$1
    shift
    "$@" || fails "$what (exit code $?)"
}
skip() {
    printf '%s' "$*" >"$CL_VERDICT"
    exit 77
}

# Runs one line in a subshell, so that no line's failure, directory or trap reaches another's.
accept_line() {
    local number=$1 code=0
    CL_VERDICT=$(mktemp /tmp/cloister-verdict.XXXXXX)
    (
        LINE_FAILED=0
        trap 'harness_end || exit 1' EXIT
        harness_begin || exit 1
        "line_${number#*.}"
        exit $LINE_FAILED
    ) || code=$?
    case $code in
        0) echo "$number PASS" ;;
        77) echo "$number SKIP $(cat "$CL_VERDICT")" ;;
        *) echo "$number FAIL" ;;
    esac
    rm -f "$CL_VERDICT"
    return $code
}

skip_expected() { grep -q "^$1 " "$CL_SOURCE/tests/skips.expected"; }

accept_main() {
    local nn=$1 k passed=0 failed=0 skipped=0 code
    for k in $(seq 99); do
        declare -F "line_$k" >/dev/null || continue
        [ -z "${CL_ONLY:-}" ] || [ "$CL_ONLY" = "$nn.$k" ] || continue
        if [[ " ${SLOW:-} " == *" $k "* ]] && [ -z "${CL_FULL:-}" ] && [ -z "${CL_ONLY:-}" ]; then
            echo "$nn.$k is slow: it runs with --full"
            continue
        fi
        code=0
        accept_line "$nn.$k" || code=$?
        case $code in
            0) passed=$((passed + 1)) ;;
            77)
                skipped=$((skipped + 1))
                skip_expected "$nn.$k" || { echo "$nn.$k: this skip is not in tests/skips.expected"; failed=$((failed + 1)); }
                ;;
            *) failed=$((failed + 1)) ;;
        esac
    done
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ] && [ $((passed + skipped)) -gt 0 ]
}

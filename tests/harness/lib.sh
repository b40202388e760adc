# SPDX-License-Identifier: Apache-2.0
# lib.sh - daemons for tests: each has its own directories, configuration, cgroup root and log, so that many run side by side.
#
# Sourced by tools/test and tests/accept/NN.sh. Expects CL_SOURCE (the tree), CL_BUILD (a build directory) and CL_PREFIX (where that
# build was installed). Everything a test makes lies below CL_WORK or the cgroup root, and harness_end removes it.
#
#   harness_begin             CL_WORK, CL_ROOTFS (busybox, with the probe), CL_CGROUP_ROOT
#   daemon_start NAME         writes NAME's configuration (unless daemon_config did), starts it, waits until it answers
#   ctl NAME ARGUMENTS...     cloisterctl on that daemon
#   daemon_stop NAME          SIGTERM, waits; daemon_kill NAME: SIGKILL
#   leaks_before NAME / leaks_after NAME   the leak check; after prints what is new, and fails
#   harness_end               stops what still runs and removes everything

say() { printf '    %s\n' "$*"; }

# fd 3.. of this shell are never a daemon's: a test that waits for a pipe's end must not wait for the daemon.
harness_begin() {
    [ "$(id -u)" = 0 ] || { echo "must be run as root" >&2; return 1; }
    CL_WORK=$(mktemp -d /tmp/cloister-work.XXXXXX)
    chmod 0755 "$CL_WORK"
    CL_CGROUP_ROOT=/cloister-test-$$-$(basename "$CL_WORK" | tail -c 7)
    CL_ROOTFS=$CL_WORK/rootfs
    CL_SBIN=$CL_PREFIX/sbin
    CL_BIN=$CL_PREFIX/bin
    "$CL_SOURCE/tools/mkrootfs" "$CL_ROOTFS" || return 1
    if [ -x "$CL_BUILD/tests/probe/probe" ]; then
        install -m 0755 "$CL_BUILD/tests/probe/probe" "$CL_ROOTFS/bin/probe" || return 1
    fi
    # Wrappers for tests lie in a directory of their own, root-owned like the installed ones.
    mkdir -p "$CL_WORK/plugins"
    local plugin
    for plugin in "$CL_BUILD"/tests/plugins/*.so; do
        [ -e "$plugin" ] && install -m 0755 "$plugin" "$CL_WORK/plugins/"
    done
    CL_DAEMONS=
    CL_DAEMON_WRAP=()
}

daemon_dir() { printf '%s/%s' "$CL_WORK" "$1"; }
daemon_socket() { printf '%s/%s/run/control.sock' "$CL_WORK" "$1"; }
daemon_pid() { cat "$CL_WORK/$1/pid"; }
daemon_alive() { kill -0 "$(daemon_pid "$1")" 2>/dev/null; }
# Where a daemon's cgroups are: each has a root of its own below the test's.
daemon_cgroup() { printf '%s-%s' "$CL_CGROUP_ROOT" "$1"; }
# The first eight digits of its cookie, which are part of every name it gives to something outside.
daemon_cookie() { sed -n 's/.*"cookie":"\([0-9a-f]\{8\}\).*/\1/p' "$CL_WORK/$1/run/instance"; }

# daemon_config NAME [KEY=JSON...]: isolation=... is added to the isolation entry (as in isolation='"wrap":[...]'), service=...
# to the service, top=... at top level.
daemon_config() {
    local name=$1 dir isolation= service= top= extra
    dir=$(daemon_dir "$name")
    shift
    for extra; do
        case $extra in
            isolation=*) isolation=,${extra#*=} ;;
            service=*) service=,${extra#*=} ;;
            top=*) top=,${extra#*=} ;;
            *) echo "daemon_config: '$extra'?" >&2; return 1 ;;
        esac
    done
    mkdir -p "$dir"
    cat >"$dir/cloister.conf" <<END
// Written by tests/harness/lib.sh for one test.
{ "instance": "$name",
  "run_dir": "$dir/run", "state_dir": "$dir/state",
  "plugin_path": [ "$CL_PREFIX/lib/cloister/plugins", "$CL_WORK/plugins" ],
  "log": { "level": "${CL_LOG_LEVEL:-debug}" },
  "persistence": { "main": { "plugin": "memory" } },
  "isolation": { "main": { "plugin": "namespaces", "cgroup_root": "$(daemon_cgroup "$name")",
                           "ids": { "first": 1000000, "count": 65536, "each": "sandbox" }$isolation } },
  "services": [ { "name": "control", "personality": { "plugin": "control" },
                  "listen": [ { "transports": [ "unix-json" ], "address": "unix:$dir/run/control.sock", "mode": "0660" } ],
                  "isolation": "main", "persistence": "main", "grant": { "see": [ "*" ], "act": [ "*" ] }$service } ]$top }
END
    chmod 0600 "$dir/cloister.conf"
}

# Starts NAME and waits until it answers, at most 10 s. Its output goes to NAME/log.
daemon_start() {
    local name=$1 dir pid
    dir=$(daemon_dir "$name")
    [ -e "$dir/cloister.conf" ] || daemon_config "$name" || return 1
    # setsid: a daemon is not part of the test's job, and a test's Ctrl-C is not the daemon's.
    setsid "${CL_DAEMON_WRAP[@]}" "$CL_SBIN/cloisterd" --config "$dir/cloister.conf" >>"$dir/log" 2>&1 </dev/null 3>&- 4>&- 5>&- &
    pid=$!
    disown "$pid" # the shell is not to tell when it is killed
    echo "$pid" >"$dir/pid"
    CL_DAEMONS="$CL_DAEMONS $name"
    local tries
    for tries in $(seq 200); do
        if [ -S "$dir/run/control.sock" ] && ctl "$name" version >/dev/null 2>&1; then
            return 0
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    say "the daemon '$name' does not answer; its log ends:"
    tail -n 20 "$dir/log" | sed 's/^/      /'
    return 1
}

ctl() {
    local name=$1
    shift
    "$CL_BIN/cloisterctl" --socket "$(daemon_socket "$name")" "$@"
}

# wait_for SECONDS COMMAND...: until it succeeds, looking every 50 ms.
wait_for() {
    local end=$(($(date +%s%N) + $1 * 1000000000))
    shift
    until "$@"; do
        [ "$(date +%s%N)" -lt "$end" ] || return 1
        sleep 0.05
    done
}

daemon_gone() { ! daemon_alive "$1"; }

daemon_stop() {
    daemon_alive "$1" || return 0
    kill -TERM "$(daemon_pid "$1")"
    wait_for 70 daemon_gone "$1" || { say "the daemon '$1' does not stop"; return 1; }
}

daemon_kill() {
    kill -KILL "$(daemon_pid "$1")"
    wait_for 5 daemon_gone "$1"
}

# Removes every container of NAME; used at the end of a test that leaves some.
daemon_empty() {
    local id
    for id in $(ctl "$1" --json ps -a | python3 -c 'import json,sys; [print(s["id"]) for s in json.load(sys.stdin)["sandboxes"]]'); do
        ctl "$1" rm -f "$id" || return 1
    done
}

leaks() { python3 "$CL_SOURCE/tests/harness/leaks.py" "$@"; }

leaks_options() {
    printf '%s\n' --work "$CL_WORK" --cgroup "$(daemon_cgroup "$1")" --run "$CL_WORK/$1/run" --cookie "$(daemon_cookie "$1")" \
        --daemon "$(daemon_pid "$1")"
}

leaks_before() {
    local options
    mapfile -t options < <(leaks_options "$1")
    leaks take "${options[@]}" >"$CL_WORK/$1/leaks.before" || return 1
    [ -z "${CL_SHOW_LEAKS:-}" ] || { say "before:"; sed 's/^/      /' "$CL_WORK/$1/leaks.before"; }
}

# What is there now and was not before, with 10 s (or $2) for what ends by itself (zombies of orphans, asynchronous removal).
leaks_after() {
    local options result=0
    mapfile -t options < <(leaks_options "$1")
    leaks check --before "$CL_WORK/$1/leaks.before" --seconds "${2:-10}" "${options[@]}" >"$CL_WORK/$1/leaks.new" || result=1
    [ -z "${CL_SHOW_LEAKS:-}" ] || { say "after:"; leaks take "${options[@]}" | sed 's/^/      /'; }
    [ "$result" = 0 ] || { say "left behind:"; sed 's/^/      /' "$CL_WORK/$1/leaks.new"; }
    return $result
}

# Everything below one cgroup root: kill what is in it, then remove it, children first.
cgroup_remove() {
    local tries dir pid
    for tries in 1 2 3 4 5 6 7 8 9 10; do
        local left=
        for dir in $(find /sys/fs/cgroup/*"$1" -depth -type d 2>/dev/null); do
            while read -r pid; do
                [ "$pid" = 0 ] || kill -KILL "$pid" 2>/dev/null
            done <"$dir/cgroup.procs"
            rmdir "$dir" 2>/dev/null || left=1
        done
        [ -n "$left" ] || return 0
        sleep 0.2
    done
    return 1
}

# What a sanitizer said in a daemon's log.
daemon_sane() {
    # With its value: in a trap a bare return means what was returned before the trap.
    ! grep -q -E 'AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|Assertion' "$CL_WORK/$1/log" && return 0
    say "the daemon '$1' said:"
    grep -n -A15 -E 'AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|Assertion' "$CL_WORK/$1/log" | head -n 60 | sed 's/^/      /'
    return 1
}

harness_end() {
    local name result=0
    for name in $CL_DAEMONS; do
        # Not killed, so that it drains, and a sanitizer looks for leaks.
        daemon_stop "$name" || { daemon_kill "$name"; result=1; }
        daemon_sane "$name" || result=1
        cgroup_remove "$(daemon_cgroup "$name")" || { say "cgroups of '$name' cannot be removed"; result=1; }
    done
    CL_DAEMONS=
    if [ "$result" = 0 ] && [ -z "${CL_KEEP:-}" ] && [ -n "$CL_WORK" ]; then
        rm -rf "$CL_WORK"
    else
        say "kept: $CL_WORK"
    fi
    return $result
}

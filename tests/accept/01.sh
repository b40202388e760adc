#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 01.sh - acceptance of "01 · A container through the whole house". Run by tools/accept 01.
set -u
SLOW="1 7"
. "$CL_SOURCE/tests/harness/accept.sh"
HERE=$CL_SOURCE/tests/accept

# output of a command in OUT (both streams), its exit code in CODE
run() {
    CODE=0
    OUT=$("$@" 2>&1) || CODE=$?
}
json() { python3 -c "import json,sys; d=json.load(sys.stdin); print($1)"; }
# One member of what inspect says: member DAEMON CONTAINER PYTHON-EXPRESSION over d
member() { ctl "$1" --json inspect "$2" | json "$3"; }
init_pid() { member "$1" "$2" 'd["containers"][0]["pid"]'; }
# The keeper is the parent of a container's init.
keeper_pid() { awk '/^PPid:/ { print $2 }' "/proc/$(init_pid "$1" "$2")/status"; }

line_1() {
    doing "tools/test --fresh: a fresh Debian, a clone, quickstart, the suite"
    local last
    last=$(env -u CL_FULL -u CL_ONLY -u CL_BUILD -u CL_PREFIX "$CL_SOURCE/tools/test" --fresh 2>&1 | tee "$CL_WORK/fresh.log" | tail -n 1)
    like "its last line" "$last" '^[0-9]+ passed, 0 failed, [0-9]+ skipped$'
    [ "$LINE_FAILED" = 0 ] || tail -n 40 "$CL_WORK/fresh.log" | sed 's/^/      /'
}

# A bundle of `$1 spec`, with only terminal and args changed (and what the Python statement $3 does to the config c).
make_bundle() {
    local bundle=$CL_WORK/$2
    mkdir -p "$bundle"
    "$CL_SOURCE/tools/mkrootfs" "$bundle/rootfs" || return 1
    (cd "$bundle" && "$1" spec) || return 1
    python3 - "$bundle/config.json" "$3" <<'END'
import json, sys
path, statement = sys.argv[1:]
with open(path) as file:
    c = json.load(file)
c["process"]["terminal"] = False
c["process"]["args"] = ["sh", "-c", "for n in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$n; done; cat /proc/self/uid_map; exit 7"]
exec(statement)
with open(path, "w") as file:
    json.dump(c, file)
END
}

# Runs bundle $1 and looks at its namespaces: those named in $2 are new, all others the host's; $3 is the uid map's first line.
check_bundle() {
    local kind inside host
    run ctl d run --bundle "$CL_WORK/$1" --rm
    same "$1: exit code" "$CODE" 7
    [ "$CODE" = 7 ] || { say "$OUT"; return; }
    for kind in cgroup ipc mnt net pid time user uts; do
        inside=$(grep "^$kind:" <<<"$OUT")
        host=$(readlink "/proc/$(daemon_pid d)/ns/$kind")
        if [[ " $2 " == *" $kind "* ]]; then
            [ -n "$inside" ] && [ "$inside" != "$host" ] || fails "$1: namespace $kind is the host's"
        elif [ "$kind" != pid ]; then
            same "$1: namespace $kind" "$inside" "$host"
        fi
    done
    same "$1: uid map" "$(tail -n 1 <<<"$OUT" | xargs)" "$3"
}

line_2() {
    daemon_start d || { fails "no daemon"; return; }
    doing "run --rootfs: output and exit code are the program's"
    run ctl d run --rootfs "$CL_ROOTFS" --rm -- sh -c 'echo hi; exit 7'
    same "output" "$OUT" hi
    same "exit code" "$CODE" 7
    same "input passed through" "$(echo abc | ctl d run --rootfs "$CL_ROOTFS" --rm -- cat)" abc

    doing "137 for one killed by cloisterctl kill"
    ctl d run --rootfs "$CL_ROOTFS" --rm --name victim -- sleep 100 &
    local runner=$!
    wait_for 10 ctl d kill victim 2>/dev/null || fails "kill"
    CODE=0
    wait "$runner" || CODE=$?
    same "exit code" "$CODE" 137

    doing "signals that cloisterctl gets are the program's"
    # Not through the function: the signal is to reach cloisterctl, not a shell.
    "$CL_BIN/cloisterctl" --socket "$(daemon_socket d)" run --rootfs "$CL_ROOTFS" --rm --name trap --mount type=tmpfs,dst=/tmp -- \
        sh -c 'trap "exit 42" TERM; touch /tmp/ready; while :; do sleep 0.1; done' &
    runner=$!
    wait_for 10 ctl d exec trap -- ls /tmp/ready >/dev/null 2>&1 || fails "the container does not get ready"
    kill -TERM "$runner"
    CODE=0
    wait "$runner" || CODE=$?
    same "exit code" "$CODE" 42

    doing "127 with a sentence for a missing program, 126 for one that is not executable; neither leaves anything"
    leaks_before d
    run ctl d run --rootfs "$CL_ROOTFS" --rm -- no-such-program
    same "exit code" "$CODE" 127
    like "sentence" "$OUT" '^cloisterctl: run: .*no-such-program'
    run ctl d run --rootfs "$CL_ROOTFS" --rm -- /etc/passwd
    same "exit code" "$CODE" 126
    run ctl d ps -a
    same "containers left" "$(tail -n +2 <<<"$OUT")" ""
    leaks_after d || fails "leak check"

    doing "--writable is refused for a directory that others can reach, and works for a closed one"
    run ctl d run --rootfs "$CL_ROOTFS" --writable --rm -- true
    same "exit code" "$CODE" 125
    like "sentence" "$OUT" 'other users can reach'
    mkdir -m 0700 "$CL_WORK/closed"
    "$CL_SOURCE/tools/mkrootfs" "$CL_WORK/closed/rootfs"
    run ctl d run --rootfs "$CL_WORK/closed/rootfs" --writable --rm -- sh -c 'echo text >/written'
    same "exit code" "$CODE" 0
    same "owner and content" "$(stat -c %u "$CL_WORK/closed/rootfs/written") $(cat "$CL_WORK/closed/rootfs/written")" "0 text"
    run ctl d run --rootfs "$CL_WORK/closed/rootfs" --rm -- sh -c 'echo text >/refused'
    [ "$CODE" != 0 ] && [ ! -e "$CL_WORK/closed/rootfs/refused" ] || fails "a root without --writable could be written"

    doing "bundles of runc spec and crun spec, literally; the same with a user namespace; one with few namespaces"
    local tool add='c["linux"]["namespaces"].append({"type": "user"})
for kind in "uidMappings", "gidMappings": c["linux"][kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]'
    local few='c["linux"]["namespaces"] = [{"type": "mount"}, {"type": "pid"}]
c.pop("hostname", None); c.pop("domainname", None)
c["mounts"] = [m for m in c["mounts"] if m["type"] not in ("sysfs", "mqueue", "cgroup")]'
    for tool in runc crun; do
        make_bundle "$tool" "$tool" pass && make_bundle "$tool" "$tool-user" "$add" && make_bundle "$tool" "$tool-few" "$few" ||
            { fails "cannot make a bundle with $tool"; continue; }
        local named
        named=$(json '" ".join({"mount": "mnt", "network": "net"}.get(n["type"], n["type"]) for n in d["linux"]["namespaces"])' \
            <"$CL_WORK/$tool/config.json")
        check_bundle "$tool" "$named" "0 0 4294967295"
        check_bundle "$tool-user" "$named user" "0 100000 65536"
        check_bundle "$tool-few" "mnt pid" "0 0 4294967295"
    done
    doing "what a bundle asks for and cannot have is refused by its JSON path"
    make_bundle runc refused 'c["linux"]["intelRdt"] = {"closID": "x"}'
    run ctl d run --bundle "$CL_WORK/refused" --rm
    same "exit code" "$CODE" 125
    like "sentence" "$OUT" 'linux\.intelRdt'
}

# The value of a v1 cgroup file of a process: cgroup_value PID CONTROLLER FILE
cgroup_value() {
    local path
    path=$(awk -F: -v c="$2" '$2 == c { print $3 }' "/proc/$1/cgroup")
    cat "/sys/fs/cgroup/$2$path/$3"
}

line_3() {
    daemon_start d || { fails "no daemon"; return; }
    doing "the probe as init"
    ctl d run --rootfs "$CL_ROOTFS" --rm --hostname inside -e MARK=1 -- probe >"$CL_WORK/init.txt" 2>"$CL_WORK/init.err" </dev/null ||
        { fails "the probe did not run"; cat "$CL_WORK/init.err"; return; }
    check "the table for init" python3 "$HERE/probe_check.py" init "$CL_WORK/init.txt"
    doing "the probe by exec, beside a sleeping init, with limits"
    ctl d run --rootfs "$CL_ROOTFS" -d --name sleeper --hostname inside --memory 64m --cpus 0.5 --pids 20 -- sleep 1000 >/dev/null ||
        { fails "no container"; return; }
    ctl d exec -e MARK=1 sleeper -- probe >"$CL_WORK/exec.txt" 2>"$CL_WORK/exec.err" </dev/null || cat "$CL_WORK/exec.err"
    check "the table for exec" python3 "$HERE/probe_check.py" exec "$CL_WORK/exec.txt"
    ctl d exec -u 1000:50 -w /tmp sleeper -- probe >"$CL_WORK/user.txt" </dev/null
    check "the table for exec as another user" python3 "$HERE/probe_check.py" user "$CL_WORK/user.txt"

    doing "limits read from the cgroups"
    local pid
    pid=$(init_pid d sleeper)
    same "memory limit" "$(cgroup_value "$pid" memory memory.limit_in_bytes)" 67108864
    same "cpu quota" "$(cgroup_value "$pid" cpu cpu.cfs_quota_us)" 50000
    same "cpu period" "$(cgroup_value "$pid" cpu cpu.cfs_period_us)" 100000
    same "pids limit" "$(cgroup_value "$pid" pids pids.max)" 20
    run ctl d run --rootfs "$CL_ROOTFS" --rm --memory 16m -- sh -c 'dd if=/dev/zero of=/dev/null bs=64M count=1'
    same "over the memory limit: exit code" "$CODE" 137
    like "over the memory limit: sentence" "$OUT" 'out of memory'

    doing "the session keyring is not the host's (seen without the seccomp filter)"
    python3 - "$CL_PREFIX/share/cloister/profiles/default.json" "$CL_WORK/open.json" <<'END'
import json, sys
with open(sys.argv[1]) as file:
    profile = json.load(file)
del profile["linux"]["seccomp"]
with open(sys.argv[2], "w") as file:
    json.dump(profile, file)
END
    local inside
    inside=$(ctl d run --rootfs "$CL_ROOTFS" --rm --profile "$CL_WORK/open.json" -- probe </dev/null | sed -n 's/^keyring=//p')
    like "keyring inside" "$inside" '^[0-9]+$'
    [ "$inside" != "$("$CL_ROOTFS/bin/probe" | sed -n 's/^keyring=//p')" ] || fails "the keyring is the host's"
    daemon_empty d

    doing "a drop of capabilities that the kernel refuses is no container (strace makes capset fail)"
    local zygote tracer
    daemon_start e || { fails "no daemon"; return; }
    zygote=$(pgrep -P "$(daemon_pid e)")
    # Not the daemon's own: what containers are made of comes from the zygote.
    strace -f -qq -o "$CL_WORK/trace" -e trace=capset -e inject=capset:error=EPERM -p "$zygote" &
    tracer=$!
    wait_for 5 grep -q '^TracerPid:.*[1-9]' "/proc/$zygote/status" || { fails "no tracer"; return; }
    run ctl e run --rootfs "$CL_ROOTFS" --rm -- echo ran
    same "exit code" "$CODE" 125
    like "sentence" "$OUT" 'capabilities.*Operation not permitted'
    kill "$tracer"
    wait "$tracer" || true
}

# A container whose processes try to outlive their keeper; prints nothing.
start_stubborn() {
    ctl d run --rootfs "$CL_ROOTFS" -d --name "$1" -- probe escape >/dev/null || return 1
    wait_for 5 eval '[ "$(wc -l <"$(cgroup_procs '"$1"')")" -ge 3 ]'
}
cgroup_procs() {
    local pid path
    pid=$(init_pid d "$1")
    path=$(awk -F: '$2 == "pids" { print $3 }' "/proc/$pid/cgroup")
    printf '/sys/fs/cgroup/pids%s/cgroup.procs' "$path"
}

line_4() {
    # The daemon gets cgroups of its own, in every hierarchy, as a service manager would give it.
    local own=/cloister-own-$$ dir files=
    for dir in /sys/fs/cgroup/{memory,pids,cpu,cpuacct,systemd,unified}; do
        mkdir -p "$dir$own" && files="$files $dir$own/cgroup.procs"
    done
    CL_DAEMON_WRAP=(sh -c 'for f in '"$files"'; do echo $$ >$f; done; exec "$@"' join)
    daemon_start d || { fails "no daemon"; return; }
    ctl d run --rootfs "$CL_ROOTFS" --rm -- true || fails "a first container"
    leaks_before d

    doing "kill -9 of a keeper: nothing of its sandbox lives 1 s later, also what cleared PDEATHSIG and double-forked"
    start_stubborn stubborn || fails "no container"
    local keeper procs
    keeper=$(keeper_pid d stubborn)
    procs=$(cgroup_procs stubborn)
    check "processes outlive their keeper" python3 "$HERE/kill_keeper.py" "$keeper" "$procs"
    run ctl d ps -a
    like "state" "$OUT" 'stubborn +off \(lost\)'
    check "remove the lost container" ctl d rm stubborn
    doing "lost is never exit 0"
    ctl d run --rootfs "$CL_ROOTFS" --name attached -- sleep 1000 2>"$CL_WORK/lost.err" &
    local runner=$!
    wait_for 10 ctl d exec attached -- true 2>/dev/null || fails "the container does not get ready"
    kill -KILL "$(keeper_pid d attached)"
    CODE=0
    wait "$runner" || CODE=$?
    same "exit code" "$CODE" 125
    like "sentence" "$(cat "$CL_WORK/lost.err")" 'lost'
    ctl d rm attached || fails "remove"
    leaks_after d || fails "leak check"

    doing "kill -9 of the daemon: the container runs on; the next start finds it by its cookie, reports and removes it"
    local way id pid cookie
    for way in daemon cgroups; do
        id=$(ctl d run --rootfs "$CL_ROOTFS" -d --name "survivor" -- sleep 1000) || fails "no container"
        pid=$(init_pid d survivor)
        cookie=$(daemon_cookie d)
        if [ "$way" = daemon ]; then
            daemon_kill d
        else
            doing "the same, killing everything in the daemon's own cgroups"
            for dir in $files; do
                while read -r victim; do kill -KILL "$victim" 2>/dev/null; done <"$dir"
            done
            wait_for 5 daemon_gone d || fails "the daemon was not in its cgroups"
        fi
        sleep 1
        kill -0 "$pid" || fails "the container died with the daemon"
        : >"$CL_WORK/d/log"
        daemon_start d || { fails "the daemon does not start again"; return; }
        same "cookie" "$(daemon_cookie d)" "$cookie"
        like "log" "$(cat "$CL_WORK/d/log")" "$id"
        wait_for 10 eval "! kill -0 $pid 2>/dev/null" || fails "the orphan still runs"
        same "list" "$(ctl d ps -a | tail -n +2)" ""
        ctl d run --rootfs "$CL_ROOTFS" --rm -- true || fails "a container after the sweep"
    done
    leaks_after d || fails "leak check"
    daemon_stop d || fails "stop"
    for dir in $files; do
        rmdir "${dir%/cgroup.procs}" || fails "something is left in the daemon's own cgroup ${dir%/cgroup.procs}"
    done
}

line_5() {
    local ms=${CL_DELAY_MS:-2000} name
    for name in d e; do
        daemon_config "$name" "isolation=\"wrap\":[{\"plugin\":\"delay\",\"op\":\"sandbox_create\",\"ms\":$ms,\"count\":1}]"
        daemon_start "$name" || { fails "no daemon"; return; }
    done
    doing "one create held for $ms ms: 50 other runs and 100 version calls complete meanwhile"
    check "delay" python3 "$HERE/delay.py" held "$(daemon_socket d)" "$CL_ROOTFS" "$ms"
    doing "cancel during the delay: the create completes once, nothing is left"
    leaks_before e
    check "cancel" python3 "$HERE/delay.py" cancelled "$(daemon_socket e)" "$CL_ROOTFS" "$ms"
    leaks_after e || fails "leak check"
    leaks_before d
    doing "1,000 pipelined execs of true (O1), a kill with three waiters (O2), a pause init without processes"
    check "order" python3 "$HERE/order.py" "$(daemon_socket d)" "$CL_ROOTFS"
    leaks_after d || fails "leak check"
}

line_6() {
    local source=$CL_WORK/example prefix_pc
    doing "build abi/example outside the tree, from the installed tree, with pkg-config"
    cp -r "$CL_SOURCE/abi/example" "$source"
    [ "$(cat "$source"/*.c | wc -l)" -lt 150 ] || fails "the example has 150 lines or more"
    prefix_pc=$(dirname "$(find "$CL_PREFIX" -name cloister-plugin.pc)")
    (
        cd / && export PKG_CONFIG_PATH=$prefix_pc
        meson setup "$source/build" "$source" && ninja -C "$source/build"
    ) >"$CL_WORK/example.log" 2>&1 || { fails "the example does not build"; tail -n 20 "$CL_WORK/example.log"; return; }
    install -m 0755 "$source/build/hello-run.so" "$CL_WORK/plugins/"

    doing "a service with it runs a container over unix-json and answers its exit code"
    mkdir -p "$CL_WORK/d"
    daemon_config d
    python3 - "$CL_WORK/d/cloister.conf" "$CL_WORK/d/run/hello.sock" <<'END'
import json, sys
text = "".join(line for line in open(sys.argv[1]) if not line.startswith("//"))
config = json.loads(text)
config["services"].append({"name": "hello", "personality": {"plugin": "hello-run"}, "isolation": "main", "persistence": "main",
                           "listen": [{"transports": ["unix-json"], "address": "unix:" + sys.argv[2], "mode": "0660"}]})
json.dump(config, open(sys.argv[1], "w"))
END
    daemon_start d || { fails "no daemon"; return; }
    run python3 - "$CL_WORK/d/run/hello.sock" "$CL_ROOTFS" <<END
import sys
sys.path.insert(0, "$CL_SOURCE/tests/harness")
import wire
with wire.Client(sys.argv[1]) as client:
    print(client.call("run", {"rootfs": sys.argv[2], "args": ["sh", "-c", "exit 7"]})["exit_code"])
    print(client.call("run", {"rootfs": sys.argv[2], "args": ["true"]})["exit_code"])
END
    same "answers" "$OUT" $'7\n0'
    same "containers left" "$(ctl d ps -a | tail -n +2)" ""
}

line_7() {
    doing "each patch of tests/sabotage makes the test that it names fail"
    env -u CL_FULL -u CL_ONLY "$CL_SOURCE/tools/accept" 01 --sabotage || fails "a sabotage was not noticed"
}

line_8() {
    doing "20 bad configurations: file, line, column, key; no side effect"
    check "bad configurations" python3 "$HERE/bad_configs.py" "$CL_SBIN/cloisterd" "$CL_WORK"
    doing "15 bad plugins: each its sentence"
    check "bad plugins" python3 "$HERE/bad_plugins.py" "$CL_SBIN/cloisterd" "$CL_BUILD/tests/badplugins" "$CL_PREFIX" "$CL_WORK"
    doing "25 bad request lines: each its answer, others are served, descriptors are back to start"
    daemon_start d || { fails "no daemon"; return; }
    ctl d run --rootfs "$CL_ROOTFS" --rm -- true || fails "a first container"
    leaks_before d
    ctl d run --rootfs "$CL_ROOTFS" -d --name witness -- sleep 1000 >/dev/null || fails "no container"
    check "bad requests" python3 "$CL_SOURCE/tests/integration/control_wire.py" "$(daemon_socket d)"
    check "another client" ctl d exec witness -- true
    check "remove" ctl d rm -f witness
    leaks_after d || fails "leak check"
}

line_9() {
    daemon_start d || { fails "no daemon"; return; }
    ctl d run --rootfs "$CL_ROOTFS" --rm -- true || fails "a first container"
    leaks_before d
    doing "the leak check sees a container that is there"
    ctl d run --rootfs "$CL_ROOTFS" -d --name seen -- sleep 1000 >/dev/null || fails "no container"
    ! leaks_after d 0 >/dev/null || fails "it sees nothing"
    local kind
    for kind in process cgroup descriptor file; do
        grep -q "^[0-9]* $kind " "$CL_WORK/d/leaks.new" || fails "it sees no $kind"
    done
    ctl d rm -f seen || fails "remove"
    doing "100 containers at once: started, listed, destroyed"
    check "100 containers" python3 "$HERE/hundred.py" "$(daemon_socket d)" "$CL_ROOTFS"
    leaks_after d || fails "leak check"
    [ -n "${CL_FULL:-}" ] || return 0
    doing "the suite under ASan and UBSan"
    local last
    last=$(env -u CL_FULL -u CL_ONLY -u CL_BUILD -u CL_PREFIX "$CL_SOURCE/tools/test" --sanitized 2>&1 | tee "$CL_WORK/asan.log" | tail -n 1)
    like "its last line" "$last" '^[0-9]+ passed, 0 failed, [0-9]+ skipped$'
    [ "$LINE_FAILED" = 0 ] || grep -A40 '^failed:' "$CL_WORK/asan.log"
}

accept_main 01

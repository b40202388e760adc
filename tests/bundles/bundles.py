# SPDX-License-Identifier: Apache-2.0
"""bundles.py - the OCI configurations that every runtime is to run alike: one base, and for each name what is changed in it.

A change is a function of the configuration; its name, with hyphens, is the bundle's. Nothing in them is particular to one runtime.
"""
import copy

CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
                "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"]
BASE = {
    "ociVersion": "1.0.2",
    "process": {
        "terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["/bin/probe", "all"], "cwd": "/", "noNewPrivileges": True,
        "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"],
        "capabilities": {"bounding": CAPABILITIES, "permitted": CAPABILITIES, "effective": CAPABILITIES},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024}],
    },
    "root": {"path": "rootfs", "readonly": True},
    "hostname": "bundle",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]},
    ],
    "linux": {
        "namespaces": [{"type": kind} for kind in ["pid", "network", "ipc", "uts", "mount", "cgroup"]],
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/proc/scsi"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
}
CHANGES = []


def change(function):
    CHANGES.append((function.__name__.replace("_", "-"), function))
    return function


def bundles():
    """Pairs of a name and a configuration."""
    for name, function in CHANGES:
        spec = copy.deepcopy(BASE)
        function(spec)
        yield name, spec


def without(spec, kind):
    spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != kind]


def mount(spec, destination, kind, source, *options):
    spec["mounts"].append({"destination": destination, "type": kind, "source": source, "options": list(options)})


def capabilities(spec, **sets):
    spec["process"]["capabilities"] = {name: [f"CAP_{one}" for one in words.split()] for name, words in sets.items()}


def seccomp(spec, default, *calls, **more):
    spec["linux"]["seccomp"] = {"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64"], "syscalls": list(calls), **more}


def map_ids(spec, *ranges):
    spec["linux"]["namespaces"].append({"type": "user"})
    for kind in ["uidMappings", "gidMappings"]:
        spec["linux"][kind] = [{"containerID": inside, "hostID": outside, "size": size} for inside, outside, size in ranges]


# ---- namespaces ----

@change
def base(spec):
    del spec


@change
def namespace_pid_left_out(spec):
    without(spec, "pid")


@change
def namespace_network_left_out(spec):
    without(spec, "network")


@change
def namespace_ipc_left_out(spec):
    without(spec, "ipc")


@change
def namespace_uts_left_out(spec):
    without(spec, "uts")
    del spec["hostname"]


@change
def namespace_cgroup_left_out(spec):
    without(spec, "cgroup")


@change
def user_namespace(spec):
    map_ids(spec, (0, 2000000, 65536))


@change
def user_namespace_with_gaps(spec):
    map_ids(spec, (0, 2100000, 10), (1000, 2200000, 1), (20, 2300000, 40))
    spec["process"]["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [25]}


@change
def time_namespace_with_offsets(spec):
    spec["ociVersion"] = "1.1.0"
    spec["linux"]["namespaces"].append({"type": "time"})
    spec["linux"]["timeOffsets"] = {"monotonic": {"secs": 1000, "nanosecs": 5}, "boottime": {"secs": 86400}}


# ---- the process ----

@change
def capabilities_none(spec):
    capabilities(spec)


@change
def capabilities_of_a_user(spec):
    spec["process"]["user"] = {"uid": 1000, "gid": 1000}


@change
def capabilities_ambient(spec):
    spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    few = "NET_RAW NET_BIND_SERVICE"
    capabilities(spec, bounding=few + " KILL", permitted=few, effective=few, inheritable=few, ambient="NET_BIND_SERVICE")


@change
def capabilities_uneven(spec):
    spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    capabilities(spec, bounding="CHOWN KILL NET_RAW SETUID", permitted="KILL NET_RAW", effective="KILL", inheritable="CHOWN KILL")


@change
def new_privileges(spec):
    spec["process"]["noNewPrivileges"] = False


@change
def rlimits(spec):
    spec["process"]["rlimits"] = [{"type": f"RLIMIT_{name}", "soft": soft, "hard": hard} for name, soft, hard in [
        ("CORE", 0, 0), ("NOFILE", 100, 200), ("NPROC", 5000, 6000), ("STACK", 4 << 20, 8 << 20), ("CPU", 60, 120),
        ("FSIZE", 1 << 30, 1 << 31), ("AS", 1 << 32, 1 << 33), ("MSGQUEUE", 1000, 2000), ("LOCKS", 7, 8)]]


@change
def user_umask_groups(spec):
    spec["process"]["user"] = {"uid": 1000, "gid": 50, "umask": 0o27, "additionalGids": [5, 7000, 7]}


@change
def environment(spec):
    spec["process"]["env"] = ["PATH=/bin", "A=1", "A=2", "EMPTY=", "LINES=a b"]
    spec["process"]["args"] = ["probe", "all"]


@change
def cwd(spec):
    spec["process"]["cwd"] = "/var/tmp"


@change
def cwd_that_is_not_there(spec):
    spec["root"]["readonly"] = False
    spec["process"]["cwd"] = "/new/deep"


@change
def cwd_that_is_closed(spec):
    spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    spec["process"]["cwd"] = "/root"


@change
def names(spec):
    spec["hostname"] = "other.example"
    spec["domainname"] = "example.org"


@change
def oom_score(spec):
    spec["process"]["oomScoreAdj"] = 500


@change
def io_priority(spec):
    spec["ociVersion"] = "1.1.0"
    spec["process"]["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}


@change
def personality(spec):
    spec["linux"]["personality"] = {"domain": "LINUX32"}


@change
def program_that_is_not_there(spec):
    spec["process"]["args"] = ["/bin/nothing"]


@change
def hook_start_container(spec):
    script = "{ env; pwd; id -u; tr -dc '[:alpha:]\" ,' | tr , '\\n' | sed 's/ //g' | grep -o '^\"[a-zA-Z]*\"' | sort; } | tr '\\n' ' ' >/tmp/hook"
    spec["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin", "MARK=1"]}]}


# ---- kernel parameters, paths, mounts ----

@change
def sysctl(spec):
    spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "net.ipv4.ping_group_range": "0 1000", "kernel.msgmax": "9000",
                               "fs.mqueue.msg_max": "20", "net.ipv4.ip_unprivileged_port_start": "0"}


@change
def paths_unmasked(spec):
    spec["linux"]["maskedPaths"] = []
    spec["linux"]["readonlyPaths"] = []


@change
def paths_more(spec):
    spec["linux"]["maskedPaths"] += ["/etc/passwd", "/var", "/nowhere"]
    spec["linux"]["readonlyPaths"] += ["/tmp", "/nowhere/either"]


@change
def root_writable(spec):
    spec["root"]["readonly"] = False


@change
def mounts_none(spec):
    spec["root"]["readonly"] = False
    spec["mounts"] = spec["mounts"][:1]
    spec["linux"]["maskedPaths"] = []


@change
def mount_tmpfs_options(spec):
    mount(spec, "/mnt", "tmpfs", "memory", "ro", "nosuid", "nodev", "noexec", "noatime", "size=1m", "mode=0750", "nr_inodes=100")


@change
def mount_point_that_is_not_there(spec):
    spec["root"]["readonly"] = False
    mount(spec, "/new/deep", "tmpfs", "tmpfs", "size=1m")


@change
def mount_without_options(spec):
    spec["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"})


@change
def bind_file(spec):
    mount(spec, "/mnt/file", "bind", "DATA/inner/data", "bind", "ro", "nosuid")


@change
def bind_directory(spec):
    mount(spec, "/mnt", "bind", "DATA", "bind", "nodev", "noexec")


@change
def bind_read_only(spec):
    mount(spec, "/mnt", "bind", "/dev", "rbind", "ro")


@change
def bind_recursively_read_only(spec):
    mount(spec, "/mnt", "bind", "/dev", "rbind", "rro", "rnoexec")


@change
def bind_shared(spec):
    mount(spec, "/mnt", "bind", "DATA", "rbind", "rslave", "rw")


@change
def propagation_private(spec):
    spec["linux"]["rootfsPropagation"] = "private"


@change
def propagation_slave(spec):
    spec["linux"]["rootfsPropagation"] = "rslave"


@change
def propagation_shared(spec):
    spec["linux"]["rootfsPropagation"] = "shared"


@change
def propagation_unbindable(spec):
    spec["linux"]["rootfsPropagation"] = "unbindable"


# ---- devices, system calls, limits ----

@change
def devices(spec):
    spec["linux"]["devices"] = [
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 5, "gid": 6},
        {"path": "/dev/own", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600}]


@change
def devices_of_a_bound_directory(spec):
    spec["mounts"] = [one for one in spec["mounts"] if not one["destination"].startswith("/dev")]
    mount(spec, "/dev", "bind", "DATA/dev", "bind", "ro")


@change
def device_rules(spec):
    spec["linux"]["resources"]["devices"] += [
        {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "m"},
        {"allow": True, "type": "b", "access": "m"},
        {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"}]


@change
def device_rules_open(spec):
    spec["linux"]["resources"]["devices"] = [{"allow": True, "access": "rwm"}]


@change
def seccomp_errno(spec):
    seccomp(spec, "SCMP_ACT_ALLOW", {"names": ["getcpu"], "action": "SCMP_ACT_ERRNO", "errnoRet": 42},
            {"names": ["unshare"], "action": "SCMP_ACT_ERRNO"})


@change
def seccomp_refusal_of_an_unknown_call(spec):
    seccomp(spec, "SCMP_ACT_ALLOW", {"names": ["getcpu", "not_a_system_call"], "action": "SCMP_ACT_ERRNO"})


@change
def seccomp_arguments(spec):
    seccomp(spec, "SCMP_ACT_ALLOW",
            {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 43,
             "args": [{"index": 0, "value": 0x40000, "op": "SCMP_CMP_EQ"}]},
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 44,
             "args": [{"index": 1, "value": 15, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["setpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 45,
             "args": [{"index": 2, "value": 0xffffffff, "op": "SCMP_CMP_GE"}]})


@change
def seccomp_default_errno(spec):
    names = ("read write close openat open fstat newfstatat lstat stat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask "
             "rt_sigreturn ioctl access faccessat2 dup2 nanosleep getpid fork clone clone3 execve exit exit_group wait4 kill uname "
             "fcntl getdents64 getcwd chdir mkdir rmdir readlink umask getrlimit prlimit64 getuid prctl arch_prctl getppid getpgid "
             "getpgrp getsid setpgid statfs fstatfs personality sched_getaffinity sched_getscheduler getpriority pause futex "
             "set_tid_address set_robust_list rseq getrandom capget capset setuid setgid setgroups epoll_ctl epoll_pwait tgkill "
             "gettid sched_yield writev sigaltstack pipe2 ioprio_get")
    seccomp(spec, "SCMP_ACT_ERRNO", {"names": names.split(), "action": "SCMP_ACT_ALLOW"}, defaultErrnoRet=38)


@change
def seccomp_kill(spec):
    seccomp(spec, "SCMP_ACT_ALLOW", {"names": ["getcpu"], "action": "SCMP_ACT_KILL_PROCESS"},
            {"names": ["chroot"], "action": "SCMP_ACT_TRAP"})


@change
def limits(spec):
    spec["linux"]["resources"].update(memory={"limit": 64 << 20, "reservation": 32 << 20, "swappiness": 10}, pids={"limit": 8},
                                      cpu={"shares": 512, "quota": 50000, "period": 100000})


@change
def limits_cpuset(spec):
    spec["linux"]["resources"]["cpu"] = {"cpus": "0", "mems": "0"}


@change
def limits_of_nothing(spec):
    spec["linux"]["resources"].update(memory={"limit": -1}, pids={"limit": -1}, cpu={"quota": -1})

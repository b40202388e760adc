/* SPDX-License-Identifier: Apache-2.0 */
/*
 * properties.c - every property of the OCI runtime spec 1.1, and what this backend does with it: without a reason it is
 * carried out, with one it is refused by its JSON path. Whatever is in no table is refused too. A property is never
 * parsed and ignored. (annotations have a meaning for hooks only, which read them in the state they are given.)
 *
 * This is the one place that decides. oci.tsv lists it for people; test_properties.c compares that list, and tries each
 * property of the spec. Values of a property that is carried out may still be refused, by the file of its facility.
 */
#include "properties.h"

#include <stddef.h>

#define PROP_END               \
    {                          \
        NULL, 0, 0, NULL, NULL \
    }
/* Refused whatever its value. */
#define PROP_REFUSED(name, kind, why)     \
    {                                     \
        name, kind, PROP_NEVER, NULL, why \
    }

static const struct ns_prop text_element = {"", PROP_STRING, 0, NULL};
static const struct ns_prop integer_element = {"", PROP_INTEGER, 0, NULL};

static const struct ns_prop root_members[] = {
    {"path", PROP_STRING, 0, NULL},
    {"readonly", PROP_BOOL, 0, NULL},
    PROP_END,
};

static const struct ns_prop mapping_members[] = {
    {"containerID", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"hostID", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"size", PROP_INTEGER, PROP_REQUIRED, NULL},
    PROP_END,
};
static const struct ns_prop mapping_element = {"", PROP_OBJECT, 0, mapping_members};

static const struct ns_prop mount_members[] = {
    {"destination", PROP_STRING, PROP_REQUIRED, NULL},
    {"type", PROP_STRING, 0, NULL},
    {"source", PROP_STRING, 0, NULL},
    {"options", PROP_ARRAY, 0, &text_element},
    {"uidMappings", PROP_ARRAY, 0, &mapping_element},
    {"gidMappings", PROP_ARRAY, 0, &mapping_element},
    PROP_END,
};
static const struct ns_prop mount_element = {"", PROP_OBJECT, 0, mount_members};

static const struct ns_prop hook_members[] = {
    {"path", PROP_STRING, PROP_REQUIRED, NULL},
    {"args", PROP_ARRAY, 0, &text_element},
    {"env", PROP_ARRAY, 0, &text_element},
    {"timeout", PROP_INTEGER, 0, NULL},
    PROP_END,
};
static const struct ns_prop hook_element = {"", PROP_OBJECT, 0, hook_members};
static const struct ns_prop hooks_members[] = {
    {"prestart", PROP_ARRAY, 0, &hook_element},
    {"createRuntime", PROP_ARRAY, 0, &hook_element},
    {"createContainer", PROP_ARRAY, 0, &hook_element},
    {"startContainer", PROP_ARRAY, 0, &hook_element},
    {"poststart", PROP_ARRAY, 0, &hook_element},
    {"poststop", PROP_ARRAY, 0, &hook_element},
    PROP_END,
};

static const struct ns_prop namespace_members[] = {
    {"type", PROP_STRING, PROP_REQUIRED, NULL},
    {"path", PROP_STRING, 0, NULL},
    PROP_END,
};
static const struct ns_prop namespace_element = {"", PROP_OBJECT, 0, namespace_members};

static const struct ns_prop time_offset_members[] = {
    {"secs", PROP_INTEGER, 0, NULL},
    {"nanosecs", PROP_INTEGER, 0, NULL},
    PROP_END,
};
static const struct ns_prop time_offsets_members[] = {
    {"monotonic", PROP_OBJECT, 0, time_offset_members},
    {"boottime", PROP_OBJECT, 0, time_offset_members},
    PROP_END,
};

static const struct ns_prop device_members[] = {
    {"type", PROP_STRING, PROP_REQUIRED, NULL},
    {"path", PROP_STRING, PROP_REQUIRED, NULL},
    {"major", PROP_INTEGER, 0, NULL},
    {"minor", PROP_INTEGER, 0, NULL},
    {"fileMode", PROP_INTEGER, 0, NULL},
    {"uid", PROP_INTEGER, 0, NULL},
    {"gid", PROP_INTEGER, 0, NULL},
    PROP_END,
};
static const struct ns_prop device_element = {"", PROP_OBJECT, 0, device_members};

static const struct ns_prop device_rule_members[] = {
    {"allow", PROP_BOOL, PROP_REQUIRED, NULL}, {"type", PROP_STRING, 0, NULL},   {"major", PROP_INTEGER, 0, NULL},
    {"minor", PROP_INTEGER, 0, NULL},          {"access", PROP_STRING, 0, NULL}, PROP_END,
};
static const struct ns_prop device_rule_element = {"", PROP_OBJECT, 0, device_rule_members};

static const struct ns_prop memory_members[] = {
    {"limit", PROP_INTEGER, 0, NULL},
    {"reservation", PROP_INTEGER, 0, NULL},
    {"swap", PROP_INTEGER, 0, NULL},
    PROP_REFUSED("kernel", PROP_INTEGER, "kernels take it and do nothing"),
    PROP_REFUSED("kernelTCP", PROP_INTEGER, "kernels take it and do nothing"),
    {"swappiness", PROP_INTEGER, 0, NULL},
    {"disableOOMKiller", PROP_BOOL, 0, NULL},
    {"useHierarchy", PROP_BOOL, 0, NULL},
    {"checkBeforeUpdate", PROP_BOOL, 0, NULL},
    PROP_END,
};
static const struct ns_prop cpu_members[] = {
    {"shares", PROP_INTEGER, 0, NULL},
    {"quota", PROP_INTEGER, 0, NULL},
    {"period", PROP_INTEGER, 0, NULL},
    {"burst", PROP_INTEGER, 0, NULL},
    {"realtimeRuntime", PROP_INTEGER, 0, NULL},
    {"realtimePeriod", PROP_INTEGER, 0, NULL},
    {"cpus", PROP_STRING, 0, NULL},
    {"mems", PROP_STRING, 0, NULL},
    {"idle", PROP_INTEGER, 0, NULL},
    PROP_END,
};
#define PROP_NO_LEAVES PROP_REFUSED("leafWeight", PROP_INTEGER, "no kernel of today has it")
static const struct ns_prop weight_device_members[] = {
    {"major", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"minor", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"weight", PROP_INTEGER, PROP_REQUIRED, NULL},
    PROP_NO_LEAVES,
    PROP_END,
};
static const struct ns_prop weight_device_element = {"", PROP_OBJECT, 0, weight_device_members};
static const struct ns_prop throttle_members[] = {
    {"major", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"minor", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"rate", PROP_INTEGER, PROP_REQUIRED, NULL},
    PROP_END,
};
static const struct ns_prop throttle_element = {"", PROP_OBJECT, 0, throttle_members};
static const struct ns_prop block_io_members[] = {
    {"weight", PROP_INTEGER, 0, NULL},
    PROP_NO_LEAVES,
    {"weightDevice", PROP_ARRAY, 0, &weight_device_element},
    {"throttleReadBpsDevice", PROP_ARRAY, 0, &throttle_element},
    {"throttleWriteBpsDevice", PROP_ARRAY, 0, &throttle_element},
    {"throttleReadIOPSDevice", PROP_ARRAY, 0, &throttle_element},
    {"throttleWriteIOPSDevice", PROP_ARRAY, 0, &throttle_element},
    PROP_END,
};
static const struct ns_prop huge_page_members[] = {
    {"pageSize", PROP_STRING, PROP_REQUIRED, NULL},
    {"limit", PROP_INTEGER, PROP_REQUIRED, NULL},
    PROP_END,
};
static const struct ns_prop huge_page_element = {"", PROP_OBJECT, 0, huge_page_members};
static const struct ns_prop priority_members[] = {
    {"name", PROP_STRING, PROP_REQUIRED, NULL},
    {"priority", PROP_INTEGER, PROP_REQUIRED, NULL},
    PROP_END,
};
static const struct ns_prop priority_element = {"", PROP_OBJECT, 0, priority_members};
static const struct ns_prop network_members[] = {
    {"classID", PROP_INTEGER, 0, NULL},
    {"priorities", PROP_ARRAY, 0, &priority_element},
    PROP_END,
};
static const struct ns_prop rdma_members[] = {
    {"hcaHandles", PROP_INTEGER, 0, NULL},
    {"hcaObjects", PROP_INTEGER, 0, NULL},
    PROP_END,
};
static const struct ns_prop rdma_element = {"", PROP_OBJECT, 0, rdma_members};
static const struct ns_prop pids_members[] = {{"limit", PROP_INTEGER, PROP_REQUIRED, NULL}, PROP_END};
const struct ns_prop ns_resources_members[] = {
    {"devices", PROP_ARRAY, 0, &device_rule_element},
    {"memory", PROP_OBJECT, 0, memory_members},
    {"cpu", PROP_OBJECT, 0, cpu_members},
    {"pids", PROP_OBJECT, 0, pids_members},
    {"blockIO", PROP_OBJECT, 0, block_io_members},
    {"hugepageLimits", PROP_ARRAY, 0, &huge_page_element},
    {"network", PROP_OBJECT, 0, network_members},
    {"rdma", PROP_MAP, 0, &rdma_element},
    {"unified", PROP_MAP, 0, &text_element},
    PROP_END,
};

static const struct ns_prop seccomp_arg_members[] = {
    {"index", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"value", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"valueTwo", PROP_INTEGER, 0, NULL},
    {"op", PROP_STRING, PROP_REQUIRED, NULL},
    PROP_END,
};
static const struct ns_prop seccomp_arg_element = {"", PROP_OBJECT, 0, seccomp_arg_members};
static const struct ns_prop syscall_members[] = {
    {"names", PROP_ARRAY, PROP_REQUIRED, &text_element},
    {"action", PROP_STRING, PROP_REQUIRED, NULL},
    {"errnoRet", PROP_INTEGER, 0, NULL},
    {"args", PROP_ARRAY, 0, &seccomp_arg_element},
    PROP_END,
};
static const struct ns_prop syscall_element = {"", PROP_OBJECT, 0, syscall_members};
static const struct ns_prop seccomp_members[] = {
    {"defaultAction", PROP_STRING, PROP_REQUIRED, NULL},
    {"defaultErrnoRet", PROP_INTEGER, 0, NULL},
    {"architectures", PROP_ARRAY, 0, &text_element},
    {"flags", PROP_ARRAY, 0, &text_element},
    {"syscalls", PROP_ARRAY, 0, &syscall_element},
    PROP_REFUSED("listenerPath", PROP_STRING, "no supervisor is handed a process's system calls"),
    PROP_REFUSED("listenerMetadata", PROP_STRING, "no supervisor is handed a process's system calls"),
    PROP_END,
};

static const struct ns_prop personality_members[] = {
    {"domain", PROP_STRING, PROP_REQUIRED, NULL},
    {"flags", PROP_ARRAY, PROP_EMPTY, &text_element, "the spec has none yet"},
    PROP_END,
};

static const struct ns_prop linux_members[] = {
    {"namespaces", PROP_ARRAY, PROP_REQUIRED, &namespace_element},
    {"uidMappings", PROP_ARRAY, 0, &mapping_element},
    {"gidMappings", PROP_ARRAY, 0, &mapping_element},
    {"timeOffsets", PROP_OBJECT, 0, time_offsets_members},
    {"devices", PROP_ARRAY, 0, &device_element},
    {"resources", PROP_OBJECT, 0, ns_resources_members},
    {"rootfsPropagation", PROP_STRING, 0, NULL},
    {"seccomp", PROP_OBJECT, 0, seccomp_members},
    {"personality", PROP_OBJECT, 0, personality_members},
    {"sysctl", PROP_MAP, 0, &text_element},
    {"maskedPaths", PROP_ARRAY, 0, &text_element},
    {"readonlyPaths", PROP_ARRAY, 0, &text_element},
    {"mountLabel", PROP_STRING, PROP_EMPTY, NULL, "labels of security modules are not set"},
    PROP_REFUSED("cgroupsPath", PROP_STRING,
                 "groups are named after the sandbox; the call's cgroup_parent says where they are"),
    PROP_REFUSED("intelRdt", PROP_OBJECT, "cache and bandwidth classes are not made"),
    PROP_END,
};

const struct ns_prop ns_spec_members[] = {
    {"ociVersion", PROP_STRING, PROP_REQUIRED, NULL},
    {"root", PROP_OBJECT, 0, root_members},
    {"mounts", PROP_ARRAY, 0, &mount_element},
    {"hostname", PROP_STRING, 0, NULL},
    {"domainname", PROP_STRING, 0, NULL},
    {"hooks", PROP_OBJECT, 0, hooks_members},
    {"annotations", PROP_MAP, 0, &text_element},
    {"linux", PROP_OBJECT, PROP_REQUIRED, linux_members},
    PROP_REFUSED("solaris", PROP_OBJECT, "containers are Linux ones"),
    PROP_REFUSED("windows", PROP_OBJECT, "containers are Linux ones"),
    PROP_REFUSED("zos", PROP_OBJECT, "containers are Linux ones"),
    PROP_REFUSED("vm", PROP_OBJECT, "containers share the host's kernel"),
    PROP_END,
};

static const struct ns_prop user_members[] = {
    {"uid", PROP_INTEGER, 0, NULL},
    {"gid", PROP_INTEGER, 0, NULL},
    {"umask", PROP_INTEGER, 0, NULL},
    {"additionalGids", PROP_ARRAY, 0, &integer_element},
    PROP_REFUSED("username", PROP_STRING, "it is an account of Windows"),
    PROP_END,
};
const struct ns_prop ns_capability_members[] = {
    {"bounding", PROP_ARRAY, 0, &text_element},    {"effective", PROP_ARRAY, 0, &text_element},
    {"inheritable", PROP_ARRAY, 0, &text_element}, {"permitted", PROP_ARRAY, 0, &text_element},
    {"ambient", PROP_ARRAY, 0, &text_element},     PROP_END,
};
static const struct ns_prop rlimit_members[] = {
    {"type", PROP_STRING, PROP_REQUIRED, NULL},
    {"soft", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"hard", PROP_INTEGER, PROP_REQUIRED, NULL},
    PROP_END,
};
static const struct ns_prop rlimit_element = {"", PROP_OBJECT, 0, rlimit_members};
static const struct ns_prop io_priority_members[] = {
    {"class", PROP_STRING, PROP_REQUIRED, NULL},
    {"priority", PROP_INTEGER, 0, NULL},
    PROP_END,
};
static const struct ns_prop scheduler_members[] = {
    {"policy", PROP_STRING, PROP_REQUIRED, NULL},
    {"nice", PROP_INTEGER, 0, NULL},
    {"priority", PROP_INTEGER, 0, NULL},
    {"flags", PROP_ARRAY, 0, &text_element},
    {"runtime", PROP_INTEGER, 0, NULL},
    {"deadline", PROP_INTEGER, 0, NULL},
    {"period", PROP_INTEGER, 0, NULL},
    PROP_END,
};
static const struct ns_prop console_size_members[] = {
    {"height", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"width", PROP_INTEGER, PROP_REQUIRED, NULL},
    PROP_END,
};
const struct ns_prop ns_process_members[] = {
    {"terminal", PROP_BOOL, 0, NULL},
    {"consoleSize", PROP_OBJECT, 0, console_size_members},
    {"user", PROP_OBJECT, 0, user_members},
    {"args", PROP_ARRAY, 0, &text_element},
    {"env", PROP_ARRAY, PROP_EMPTY, &text_element, "the environment travels apart: `env` of the call"},
    {"cwd", PROP_STRING, PROP_REQUIRED, NULL},
    {"capabilities", PROP_OBJECT, 0, ns_capability_members},
    {"rlimits", PROP_ARRAY, 0, &rlimit_element},
    {"noNewPrivileges", PROP_BOOL, 0, NULL},
    {"apparmorProfile", PROP_STRING, PROP_EMPTY, NULL, "labels of security modules are not set"},
    {"selinuxLabel", PROP_STRING, PROP_EMPTY, NULL, "labels of security modules are not set"},
    {"oomScoreAdj", PROP_INTEGER, 0, NULL},
    {"ioPriority", PROP_OBJECT, 0, io_priority_members},
    {"scheduler", PROP_OBJECT, 0, scheduler_members},
    PROP_REFUSED("commandLine", PROP_STRING, "it is a command line of Windows"),
    PROP_END,
};

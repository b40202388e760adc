/* SPDX-License-Identifier: Apache-2.0 */
/*
 * properties.c - the list of OCI properties this backend does. Whatever is not in it is refused by its JSON path: a
 * property is either carried out or an error, never parsed and ignored. (`root` is checked and replaced by the rootfs
 * of the container arguments; annotations are for others and have no meaning here.)
 */
#include "oci.h"

#include <stdio.h>

enum prop_kind { PROP_STRING, PROP_BOOL, PROP_INTEGER, PROP_OBJECT, PROP_ARRAY, PROP_MAP };

#define PROP_REQUIRED 1u
#define PROP_EMPTY 2u /* only the value that means nothing (false, "", [], {}) is accepted */

/* `sub` is the member table of an OBJECT, or the one nameless element of an ARRAY or MAP. Tables end with kind of name
 * NULL. */
struct prop {
    const char *name;
    uint32_t kind;
    uint32_t flags;
    const struct prop *sub;
};

#define PROP_END         \
    {                    \
        NULL, 0, 0, NULL \
    }

static const struct prop text_element = {"", PROP_STRING, 0, NULL};
static const struct prop integer_element = {"", PROP_INTEGER, 0, NULL};

static const struct prop root_members[] = {
    {"path", PROP_STRING, 0, NULL},
    {"readonly", PROP_BOOL, 0, NULL},
    PROP_END,
};

static const struct prop mount_members[] = {
    {"destination", PROP_STRING, PROP_REQUIRED, NULL},
    {"type", PROP_STRING, 0, NULL},
    {"source", PROP_STRING, 0, NULL},
    {"options", PROP_ARRAY, 0, &text_element},
    PROP_END,
};
static const struct prop mount_element = {"", PROP_OBJECT, 0, mount_members};

static const struct prop hook_element = {"", PROP_OBJECT, PROP_EMPTY, NULL};
static const struct prop hooks_members[] = {
    {"prestart", PROP_ARRAY, PROP_EMPTY, &hook_element},
    {"createRuntime", PROP_ARRAY, PROP_EMPTY, &hook_element},
    {"createContainer", PROP_ARRAY, PROP_EMPTY, &hook_element},
    {"startContainer", PROP_ARRAY, PROP_EMPTY, &hook_element},
    {"poststart", PROP_ARRAY, PROP_EMPTY, &hook_element},
    {"poststop", PROP_ARRAY, PROP_EMPTY, &hook_element},
    PROP_END,
};

static const struct prop namespace_members[] = {
    {"type", PROP_STRING, PROP_REQUIRED, NULL},
    {"path", PROP_STRING, 0, NULL},
    PROP_END,
};
static const struct prop namespace_element = {"", PROP_OBJECT, 0, namespace_members};

static const struct prop mapping_members[] = {
    {"containerID", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"hostID", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"size", PROP_INTEGER, PROP_REQUIRED, NULL},
    PROP_END,
};
static const struct prop mapping_element = {"", PROP_OBJECT, 0, mapping_members};

static const struct prop time_offset_members[] = {
    {"secs", PROP_INTEGER, 0, NULL},
    {"nanosecs", PROP_INTEGER, 0, NULL},
    PROP_END,
};
static const struct prop time_offsets_members[] = {
    {"monotonic", PROP_OBJECT, 0, time_offset_members},
    {"boottime", PROP_OBJECT, 0, time_offset_members},
    PROP_END,
};

static const struct prop device_members[] = {
    {"type", PROP_STRING, PROP_REQUIRED, NULL},
    {"path", PROP_STRING, PROP_REQUIRED, NULL},
    {"major", PROP_INTEGER, 0, NULL},
    {"minor", PROP_INTEGER, 0, NULL},
    {"fileMode", PROP_INTEGER, 0, NULL},
    {"uid", PROP_INTEGER, 0, NULL},
    {"gid", PROP_INTEGER, 0, NULL},
    PROP_END,
};
static const struct prop device_element = {"", PROP_OBJECT, 0, device_members};

static const struct prop device_rule_members[] = {
    {"allow", PROP_BOOL, PROP_REQUIRED, NULL}, {"type", PROP_STRING, 0, NULL},   {"major", PROP_INTEGER, 0, NULL},
    {"minor", PROP_INTEGER, 0, NULL},          {"access", PROP_STRING, 0, NULL}, PROP_END,
};
static const struct prop device_rule_element = {"", PROP_OBJECT, 0, device_rule_members};

static const struct prop memory_members[] = {
    {"limit", PROP_INTEGER, 0, NULL},
    {"reservation", PROP_INTEGER, 0, NULL},
    {"swap", PROP_INTEGER, 0, NULL},
    {"swappiness", PROP_INTEGER, 0, NULL},
    {"disableOOMKiller", PROP_BOOL, PROP_EMPTY, NULL},
    {"checkBeforeUpdate", PROP_BOOL, 0, NULL},
    PROP_END,
};
static const struct prop cpu_members[] = {
    {"shares", PROP_INTEGER, 0, NULL}, {"quota", PROP_INTEGER, 0, NULL}, {"period", PROP_INTEGER, 0, NULL},
    {"cpus", PROP_STRING, 0, NULL},    {"mems", PROP_STRING, 0, NULL},   PROP_END,
};
static const struct prop pids_members[] = {{"limit", PROP_INTEGER, PROP_REQUIRED, NULL}, PROP_END};
static const struct prop resources_members[] = {
    {"devices", PROP_ARRAY, 0, &device_rule_element},
    {"memory", PROP_OBJECT, 0, memory_members},
    {"cpu", PROP_OBJECT, 0, cpu_members},
    {"pids", PROP_OBJECT, 0, pids_members},
    PROP_END,
};

static const struct prop seccomp_arg_members[] = {
    {"index", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"value", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"valueTwo", PROP_INTEGER, 0, NULL},
    {"op", PROP_STRING, PROP_REQUIRED, NULL},
    PROP_END,
};
static const struct prop seccomp_arg_element = {"", PROP_OBJECT, 0, seccomp_arg_members};
static const struct prop syscall_members[] = {
    {"names", PROP_ARRAY, PROP_REQUIRED, &text_element},
    {"action", PROP_STRING, PROP_REQUIRED, NULL},
    {"errnoRet", PROP_INTEGER, 0, NULL},
    {"args", PROP_ARRAY, 0, &seccomp_arg_element},
    PROP_END,
};
static const struct prop syscall_element = {"", PROP_OBJECT, 0, syscall_members};
static const struct prop seccomp_members[] = {
    {"defaultAction", PROP_STRING, PROP_REQUIRED, NULL}, {"defaultErrnoRet", PROP_INTEGER, 0, NULL},
    {"architectures", PROP_ARRAY, 0, &text_element},     {"flags", PROP_ARRAY, 0, &text_element},
    {"syscalls", PROP_ARRAY, 0, &syscall_element},       PROP_END,
};

static const struct prop linux_members[] = {
    {"namespaces", PROP_ARRAY, PROP_REQUIRED, &namespace_element},
    {"uidMappings", PROP_ARRAY, 0, &mapping_element},
    {"gidMappings", PROP_ARRAY, 0, &mapping_element},
    {"timeOffsets", PROP_OBJECT, 0, time_offsets_members},
    {"devices", PROP_ARRAY, 0, &device_element},
    {"resources", PROP_OBJECT, 0, resources_members},
    {"rootfsPropagation", PROP_STRING, 0, NULL},
    {"seccomp", PROP_OBJECT, 0, seccomp_members},
    {"sysctl", PROP_MAP, 0, &text_element},
    {"maskedPaths", PROP_ARRAY, 0, &text_element},
    {"readonlyPaths", PROP_ARRAY, 0, &text_element},
    {"mountLabel", PROP_STRING, PROP_EMPTY, NULL},
    PROP_END,
};

static const struct prop spec_members[] = {
    {"ociVersion", PROP_STRING, PROP_REQUIRED, NULL},
    {"root", PROP_OBJECT, 0, root_members},
    {"mounts", PROP_ARRAY, 0, &mount_element},
    {"hostname", PROP_STRING, 0, NULL},
    {"domainname", PROP_STRING, 0, NULL},
    {"hooks", PROP_OBJECT, 0, hooks_members},
    {"annotations", PROP_MAP, 0, &text_element},
    {"linux", PROP_OBJECT, PROP_REQUIRED, linux_members},
    PROP_END,
};

static const struct prop user_members[] = {
    {"uid", PROP_INTEGER, 0, NULL},
    {"gid", PROP_INTEGER, 0, NULL},
    {"umask", PROP_INTEGER, 0, NULL},
    {"additionalGids", PROP_ARRAY, 0, &integer_element},
    PROP_END,
};
static const struct prop capability_members[] = {
    {"bounding", PROP_ARRAY, 0, &text_element},    {"effective", PROP_ARRAY, 0, &text_element},
    {"inheritable", PROP_ARRAY, 0, &text_element}, {"permitted", PROP_ARRAY, 0, &text_element},
    {"ambient", PROP_ARRAY, 0, &text_element},     PROP_END,
};
static const struct prop rlimit_members[] = {
    {"type", PROP_STRING, PROP_REQUIRED, NULL},
    {"soft", PROP_INTEGER, PROP_REQUIRED, NULL},
    {"hard", PROP_INTEGER, PROP_REQUIRED, NULL},
    PROP_END,
};
static const struct prop rlimit_element = {"", PROP_OBJECT, 0, rlimit_members};
static const struct prop process_members[] = {
    {"terminal", PROP_BOOL, PROP_EMPTY, NULL},
    {"user", PROP_OBJECT, 0, user_members},
    {"args", PROP_ARRAY, 0, &text_element},
    {"env", PROP_ARRAY, PROP_EMPTY, &text_element},
    {"cwd", PROP_STRING, PROP_REQUIRED, NULL},
    {"capabilities", PROP_OBJECT, 0, capability_members},
    {"rlimits", PROP_ARRAY, 0, &rlimit_element},
    {"noNewPrivileges", PROP_BOOL, 0, NULL},
    {"apparmorProfile", PROP_STRING, PROP_EMPTY, NULL},
    {"selinuxLabel", PROP_STRING, PROP_EMPTY, NULL},
    {"oomScoreAdj", PROP_INTEGER, 0, NULL},
    PROP_END,
};

static int check(const struct ns_reader *r, const cloister_value *value, const struct prop *prop, const char *path);

static int check_type(const struct ns_reader *r, const cloister_value *value, const struct prop *prop, const char *path)
{
    static const struct {
        uint32_t type;
        const char *name;
    } want[] = {
        [PROP_STRING] = {CLOISTER_VALUE_STRING, "a string"},    [PROP_BOOL] = {CLOISTER_VALUE_BOOL, "true or false"},
        [PROP_INTEGER] = {CLOISTER_VALUE_NUMBER, "an integer"}, [PROP_OBJECT] = {CLOISTER_VALUE_OBJECT, "an object"},
        [PROP_ARRAY] = {CLOISTER_VALUE_ARRAY, "an array"},      [PROP_MAP] = {CLOISTER_VALUE_OBJECT, "an object"},
    };
    uint64_t u;
    int64_t i;

    if (r->value->type(value) != want[prop->kind].type ||
        (prop->kind == PROP_INTEGER && r->value->u64(value, &u) < 0 && r->value->i64(value, &i) < 0))
        return ns_refuse(r, CLOISTER_INVALID, path, "must be %s", want[prop->kind].name);
    return 0;
}

static bool is_empty(const struct ns_reader *r, const cloister_value *value)
{
    struct cloister_sv text;
    uint32_t yes;

    if (r->value->boolean(value, &yes) == 0)
        return yes == 0;
    if (r->value->string(value, &text) == 0)
        return text.size == 0;
    return r->value->count(value) == 0;
}

static void member_path(char *ret, const char *base, struct cloister_sv key)
{
    snprintf(ret, NS_PATH_MAX, "%s%s%.*s", base, *base ? "." : "", (int)(key.size < 100 ? key.size : 100), key.data);
}

static int check_object(const struct ns_reader *r, const cloister_value *object, const struct prop *members,
                        const char *base)
{
    char path[NS_PATH_MAX];
    struct cloister_sv key;
    cloister_value *value;

    for (uint64_t i = 0; (value = r->value->at(object, i, &key)) != NULL; i++) {
        const struct prop *prop = members;

        while (prop->name && !ns_equal(key, prop->name))
            prop++;
        member_path(path, base, key);
        if (prop->name == NULL)
            return ns_refuse(r, CLOISTER_UNSUPPORTED, path, "is not supported by the namespaces backend");
        if (check(r, value, prop, path) < 0)
            return -1;
    }
    for (const struct prop *prop = members; prop->name; prop++) {
        if (!(prop->flags & PROP_REQUIRED) || ns_get(r, object, prop->name) != NULL)
            continue;
        member_path(path, base, ns_view(prop->name));
        return ns_refuse(r, CLOISTER_INVALID, path, "is required");
    }
    return 0;
}

static int check_elements(const struct ns_reader *r, const cloister_value *list, const struct prop *prop,
                          const char *base)
{
    char path[NS_PATH_MAX];
    struct cloister_sv key;
    cloister_value *value;

    for (uint64_t i = 0; (value = r->value->at(list, i, &key)) != NULL; i++) {
        if (prop->kind == PROP_MAP)
            member_path(path, base, key);
        else
            snprintf(path, sizeof(path), "%s[%llu]", base, (unsigned long long)i);
        if (check(r, value, prop->sub, path) < 0)
            return -1;
    }
    return 0;
}

static int check(const struct ns_reader *r, const cloister_value *value, const struct prop *prop, const char *path)
{
    if (check_type(r, value, prop, path) < 0)
        return -1;
    if (prop->flags & PROP_EMPTY)
        return is_empty(r, value)
                   ? 0
                   : ns_refuse(r, CLOISTER_UNSUPPORTED, path, "is not supported by the namespaces backend");
    if (prop->kind == PROP_OBJECT)
        return check_object(r, value, prop->sub, path);
    if (prop->kind == PROP_ARRAY || prop->kind == PROP_MAP)
        return check_elements(r, value, prop, path);
    return 0;
}

/* 1.0 and later 1.x: additive by the OCI's own rule, and what is new in one is refused by its path. */
static int check_version(const struct ns_reader *r, const cloister_value *spec)
{
    struct cloister_sv text = ns_get_string(r, spec, "ociVersion");

    if (text.size < 3 || memcmp(text.data, "1.", 2) != 0 || text.data[2] < '0' || text.data[2] > '9')
        return ns_refuse_at(r, CLOISTER_UNSUPPORTED, "ociVersion", "'%.*s' is not a 1.x version",
                            (int)(text.size < 32 ? text.size : 32), text.data);
    return 0;
}

int ns_check_spec(const struct ns_reader *r, const cloister_value *spec)
{
    if (r->value->type(spec) != CLOISTER_VALUE_OBJECT)
        return ns_refuse(r, CLOISTER_INVALID, "spec", "must be an object");
    if (ns_get(r, spec, "process") != NULL)
        return ns_refuse(r, CLOISTER_INVALID, "process", "travels apart from the spec");
    if (check_object(r, spec, spec_members, "") < 0)
        return -1;
    return check_version(r, spec);
}

int ns_check_process(const struct ns_reader *r, const cloister_value *process)
{
    if (r->value->type(process) != CLOISTER_VALUE_OBJECT)
        return ns_refuse(r, CLOISTER_INVALID, "process", "must be an object");
    return check_object(r, process, process_members, "process");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* compile.c - the order of compilation, and the lists that the facility files add to. */
#include "compile.h"

#include <errno.h>
#include <stdio.h>

void ns_compile_init(struct ns_compile *c, const struct ns_reader *r, const struct ns_machine *machine,
                     uint32_t plan_kind)
{
    memset(c, 0, sizeof(*c));
    c->r = *r;
    c->machine = machine;
    c->kept = (struct ns_kept){-1, -1, 100000};
    cl_plan_init(&c->plan, plan_kind);
}

static void free_write(struct ns_write *write)
{
    free(write->file);
    free(write->value);
    free(write->none);
}

void ns_compile_clear(struct ns_compile *c)
{
    cl_plan_clear(&c->plan);
    for (uint32_t i = 0; i < c->need_count; i++)
        free(c->needs[i].path);
    for (uint32_t i = 0; i < c->write_count; i++)
        free_write(&c->writes[i]);
    for (uint32_t i = 0; i < c->warning_count; i++)
        free(c->warnings[i].text);
    free(c->needs);
    free(c->writes);
    free(c->warnings);
    free(c->seccomp);
    ns_hooks_free(c->hooks);
    c->hooks = NULL;
    free(c->device_code);
    c->device_code = NULL;
    c->needs = NULL;
    c->writes = NULL;
    c->warnings = NULL;
    c->seccomp = NULL;
    c->need_count = c->write_count = c->warning_count = 0;
}

/* Room for one more zeroed item; NULL when memory is short. */
static void *grow(void **list, uint32_t *count, size_t item)
{
    void *grown = realloc(*list, (*count + 1u) * item);

    if (grown == NULL)
        return NULL;
    *list = grown;
    memset((char *)grown + *count * item, 0, item);
    return (char *)grown + (*count)++ * item;
}

static struct ns_need *add_need(struct ns_compile *c, uint32_t kind, const char *where)
{
    struct ns_need *need;

    if (c->need_count >= CL_WIRE_STAGED_MAX - 8u) {
        ns_refuse_at(&c->r, CLOISTER_LIMIT, where, "more than %u descriptors are needed", CL_WIRE_STAGED_MAX - 8u);
        return NULL;
    }
    need = grow((void **)&c->needs, &c->need_count, sizeof(*need));
    if (need == NULL) {
        ns_no_memory(&c->r);
        return NULL;
    }
    need->kind = kind;
    snprintf(need->where, sizeof(need->where), "%s", where);
    return need;
}

uint32_t ns_need_path(struct ns_compile *c, uint32_t kind, struct cloister_sv path, const char *where)
{
    struct ns_need *need = add_need(c, kind, where);

    if (need == NULL)
        return CL_WIRE_NO_FD;
    need->path = ns_dup(path);
    if (need->path == NULL) {
        ns_no_memory(&c->r);
        return CL_WIRE_NO_FD;
    }
    return c->need_count - 1;
}

uint32_t ns_need_hierarchy(struct ns_compile *c, uint32_t kind, uint32_t hierarchy)
{
    struct ns_need *need = add_need(c, kind, "linux.resources");

    if (need == NULL)
        return CL_WIRE_NO_FD;
    need->hierarchy = hierarchy;
    return c->need_count - 1;
}

int ns_add_write(struct ns_compile *c, uint32_t hierarchy, const char *file, char *value, const char *where)
{
    struct ns_write *write = value ? grow((void **)&c->writes, &c->write_count, sizeof(*write)) : NULL;

    if (write == NULL) {
        free(value);
        return ns_no_memory(&c->r);
    }
    write->hierarchy = hierarchy;
    write->value = value;
    write->file = strdup(file);
    snprintf(write->where, sizeof(write->where), "%s", where);
    return write->file ? 0 : ns_no_memory(&c->r);
}

int ns_set_none(struct ns_compile *c, char *none)
{
    c->writes[c->write_count - 1].none = none;
    return none ? 0 : ns_no_memory(&c->r);
}

int ns_add_warning(struct ns_compile *c, const char *where, char *text)
{
    struct ns_warning *warning = text ? grow((void **)&c->warnings, &c->warning_count, sizeof(*warning)) : NULL;

    if (warning == NULL) {
        free(text);
        return ns_no_memory(&c->r);
    }
    snprintf(warning->where, sizeof(warning->where), "%s", where);
    warning->text = text;
    return 0;
}

/* Every process of a container joins its group in every hierarchy. */
static int compile_joins(struct ns_compile *c)
{
    for (uint32_t i = 0; i < c->machine->hierarchies.count; i++) {
        uint32_t index = ns_need_hierarchy(c, NS_NEED_JOIN, i);

        if (index == CL_WIRE_NO_FD)
            return -1;
        cl_plan_add(&c->plan, CL_WIRE_CGROUPS, &index);
    }
    return 0;
}

/* The group's OOM counter, and its member list for a container that has no pid namespace to be found by. */
static int compile_watched(struct ns_compile *c)
{
    struct cl_wire_plan *plan = &c->plan.head;
    uint32_t memory = ns_hierarchy_of(&c->machine->hierarchies, "memory");

    if (memory != NS_NO_HIERARCHY) {
        plan->oom_kind = c->machine->hierarchies.list[memory].v2 ? CL_WIRE_OOM_V2 : CL_WIRE_OOM_V1;
        plan->oom_fd = ns_need_hierarchy(c, NS_NEED_OOM, memory);
        if (plan->oom_fd == CL_WIRE_NO_FD)
            return -1;
    }
    if (c->machine->hierarchies.count == 0)
        return 0;
    plan->procs_fd = ns_need_hierarchy(c, NS_NEED_MEMBERS, 0);
    return plan->procs_fd == CL_WIRE_NO_FD ? -1 : 0;
}

/* The call's rootfs is the root; the spec may repeat it, and may make it read-only. */
static int check_root(struct ns_compile *c, const cloister_value *root, const struct cloister_container_args *args)
{
    struct cloister_sv path = ns_get_string(&c->r, root, "path");

    if (path.size == 0 || (path.size == args->rootfs.size && memcmp(path.data, args->rootfs.data, path.size) == 0))
        return 0;
    return ns_refuse(&c->r, CLOISTER_INVALID, "root.path", "is not the root file system of the call");
}

static int compile_root(struct ns_compile *c, const cloister_value *root, const struct cloister_container_args *args)
{
    struct cl_wire_plan *plan = &c->plan.head;

    if (args->rootfs_kind != CLOISTER_ROOTFS_DIRECTORY)
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, "rootfs", "kind %u is not supported", args->rootfs_kind);
    if (args->file_count != 0)
        return ns_refuse(&c->r, CLOISTER_UNSUPPORTED, "files", "are not supported");
    if (args->rootfs_flags & ~(CLOISTER_ROOTFS_WRITABLE | CLOISTER_ROOTFS_IDMAP))
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, "rootfs", "unknown flags 0x%x", args->rootfs_flags);
    if (ns_check_inner_path(&c->r, args->rootfs, "rootfs") < 0 || check_root(c, root, args) < 0)
        return -1;
    plan->root_fd = ns_need_path(c, NS_NEED_ROOT, args->rootfs, "rootfs");
    if (plan->root_fd == CL_WIRE_NO_FD)
        return -1;
    if (!(args->rootfs_flags & CLOISTER_ROOTFS_WRITABLE) || ns_get_bool(&c->r, root, "readonly", false))
        plan->flags |= CL_WIRE_PLAN_ROOT_READONLY;
    /* Without a user namespace the mapping is the identity. */
    if ((args->rootfs_flags & CLOISTER_ROOTFS_IDMAP) && ns_in_userns(c))
        plan->flags |= CL_WIRE_PLAN_ROOT_IDMAP;
    return 0;
}

static int compile_spec(struct ns_compile *c, const cloister_value *spec, const struct cloister_container_args *args)
{
    static int (*const facilities[])(struct ns_compile * c, const cloister_value *spec) = {
        ns_compile_mounts,  ns_compile_devices,     ns_compile_limits,
        ns_compile_seccomp, ns_compile_personality, ns_compile_hooks};

    if (ns_check_spec(&c->r, spec) < 0 || ns_compile_namespaces(c, spec) < 0 || ns_compile_ids(c, spec) < 0)
        return -1;
    if (compile_root(c, ns_get(&c->r, spec, "root"), args) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(facilities) / sizeof(*facilities); i++)
        if (facilities[i](c, spec) < 0)
            return -1;
    return compile_joins(c) < 0 || compile_watched(c) < 0 ? -1 : 0;
}

static int compile_pause(struct ns_compile *c, const struct cloister_container_args *args)
{
    struct cloister_sv comm = args->pause_comm.size ? args->pause_comm : CLOISTER_SV("pause");

    if (args->process != NULL)
        return ns_refuse_at(&c->r, CLOISTER_INVALID, "process", "a pause init has none");
    if (comm.size > 15 || memchr(comm.data, 0, comm.size) || memchr(comm.data, '\n', comm.size))
        return ns_refuse(&c->r, CLOISTER_INVALID, "pause_comm", "must be at most 15 bytes without NUL and newline");
    c->plan.head.flags |= CL_WIRE_PLAN_PAUSE | CL_WIRE_PLAN_NO_NEW_PRIVS;
    c->plan.head.comm = cl_plan_string(&c->plan, comm.data, comm.size);
    c->no_new_privs = false;
    return 0;
}

static int compile_process(struct ns_compile *c, const struct cloister_process_args *args)
{
    cloister_value *process = NULL;
    int rc;

    if (ns_parse(&c->r, args->oci, "process", &process) < 0)
        return -1;
    rc = ns_check_process(&c->r, process);
    if (rc == 0)
        rc = ns_compile_program(c, process, args);
    if (rc == 0)
        rc = ns_compile_capabilities(c, process);
    if (rc == 0)
        rc = ns_compile_resolve(c, process, args);
    c->r.value->free(process);
    return rc;
}

/* A builder's first failure is kept to the end, so that no compiler need check each addition. */
static int finish(struct ns_compile *c)
{
    c->plan.head.flags |= CL_WIRE_PLAN_KEYRING;
    if (c->plan.error == -EINVAL)
        return ns_refuse_at(&c->r, CLOISTER_INVALID, "spec", "a string contains a NUL character");
    if (c->plan.error == -E2BIG)
        return ns_refuse(&c->r, CLOISTER_TOO_BIG, "spec", "needs a plan of more than %u bytes", CL_WIRE_PLAN_MAX);
    return c->plan.error ? ns_no_memory(&c->r) : 0;
}

int ns_compile_container(struct ns_compile *c, const struct cloister_container_args *args)
{
    cloister_value *spec = NULL;
    int rc;

    if (args->rootfs_kind == CLOISTER_ROOTFS_DIRECTORY)
        c->rootfs = args->rootfs;
    if (ns_parse(&c->r, args->spec, "spec", &spec) < 0)
        return -1;
    rc = compile_spec(c, spec, args);
    c->r.value->free(spec);
    if (rc < 0)
        return -1;
    if (args->init == CLOISTER_INIT_PAUSE)
        rc = compile_pause(c, args);
    else if (args->process == NULL)
        rc = ns_refuse(&c->r, CLOISTER_INVALID, "process", "is required");
    else
        rc = compile_process(c, args->process);
    return rc < 0 ? -1 : finish(c);
}

int ns_compile_known(struct ns_compile *c, struct cloister_sv text)
{
    cloister_value *spec = NULL;
    int rc;

    c->known_only = true;
    if (ns_parse(&c->r, text, "spec", &spec) < 0)
        return -1;
    rc = ns_check_spec(&c->r, spec);
    if (rc == 0)
        rc = ns_compile_namespaces(c, spec);
    if (rc == 0)
        rc = ns_compile_seccomp(c, spec);
    if (rc == 0)
        rc = ns_compile_personality(c, spec);
    if (rc == 0)
        rc = ns_compile_hooks(c, spec);
    c->r.value->free(spec);
    return rc < 0 ? -1 : 0;
}

int ns_compile_process(struct ns_compile *c, const struct cloister_process_args *args, bool inherited_nnp)
{
    if (compile_process(c, args) < 0 || compile_joins(c) < 0)
        return -1;
    if (inherited_nnp)
        c->plan.head.flags |= CL_WIRE_PLAN_NO_NEW_PRIVS;
    return finish(c);
}

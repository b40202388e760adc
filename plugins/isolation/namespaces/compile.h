/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile.h - OCI in, the keeper's binary plan out.
 *
 * Compiling is pure: it reads JSON and what the machine was found to be, and touches nothing. What it cannot write into
 * the plan it lists: *needs* are descriptors to be opened later (in a worker), in the order in which the plan numbers
 * them; *writes* are cgroup files to be set in the sandbox's own groups; *warnings* name the JSON path of one of the
 * three allowed exceptions. So the same code validates in plan() (and throws the product away) and prepares a create.
 * One file per kernel facility: namespaces.c ids.c mounts.c devices.c limits.c seccomp.c capabilities.c process.c.
 */
#ifndef NS_COMPILE_H
#define NS_COMPILE_H

#include "common/keeper/client.h"
#include "hierarchy.h"
#include "hooks.h"
#include "oci.h"

struct bpf_insn;
struct ns_filter; /* a compiled seccomp program, shared: filter.h */

#define NS_HUGE_MAX 8u

/* A span of host ids, for sandboxes whose spec has a user namespace and names no mappings. */
struct ns_range {
    uint32_t first;
    uint32_t count;
};

/* What is known of the machine. Filled once by probe, constant afterwards, so any thread may read it. */
struct ns_machine {
    struct ns_hierarchies hierarchies;
    uint64_t bounding; /* capabilities this daemon can pass on */
    uint32_t last_capability;
    char huge_pages[NS_HUGE_MAX][16]; /* their sizes: "2MB" */
    uint32_t huge_count;
    const char *io_weight;        /* file of a group, v1 or v2: "blkio.bfq.weight"; NULL = this kernel has none */
    const char *io_weight_device; /* the same for one device */
    bool no_v1_devices;           /* forbidden: programs do their work */
    bool device_programs;         /* v2 takes programs that decide on devices */
    bool peak_reset;              /* the largest use of memory can be counted anew */
};

/* A text for a file of a group when it is updated that depends on what another file of it has now. */
struct ns_kept {
    int64_t memory_limit; /* -1 = none */
    int64_t cpu_quota;    /* -1 = none */
    int64_t cpu_period;
};

enum ns_need_kind {
    NS_NEED_ROOT = 1,       /* detached tree of directory `path` */
    NS_NEED_BIND = 2,       /* detached tree of `path`, `recursive` or not */
    NS_NEED_NAMESPACE = 3,  /* namespace file `path`, of kind `type` (CLONE_NEW*) */
    NS_NEED_DEVICE = 4,     /* detached tree of device node `path`, which must be `type`, `major`, `minor` */
    NS_NEED_GROUP_TREE = 5, /* detached tree of the sandbox's own group in `hierarchy` */
    NS_NEED_JOIN = 6,       /* cgroup.procs of the sandbox's group in `hierarchy`, for writing */
    NS_NEED_MEMBERS = 7,    /* the same, for reading */
    NS_NEED_OOM = 8         /* the OOM counter file of the group in `hierarchy` */
};

struct ns_need {
    uint32_t kind;
    uint32_t hierarchy;
    uint32_t recursive;
    uint32_t type;
    uint32_t major;
    uint32_t minor;
    char *path;              /* on the host */
    char where[NS_PATH_MAX]; /* JSON path, for errors; "" if it has none */
};

struct ns_write {
    uint32_t hierarchy;
    char *file; /* "memory.limit_in_bytes" */
    char *value;
    char *none; /* of a file with a line for each device or so: the text that takes this line back; NULL: not one */
    char where[NS_PATH_MAX];
};

struct ns_warning {
    char where[NS_PATH_MAX];
    char *text;
};

struct ns_compile {
    struct ns_reader r;
    const struct ns_machine *machine;
    uint64_t join;         /* number of the container whose namespaces it shares; 0 = none */
    uint64_t join_ns;      /* CLONE_NEW* of these */
    bool join_user;        /* and among them a user namespace that is not the host's */
    struct ns_range range; /* for a user namespace without mappings; count 0 = the instance has none to give */
    struct cl_plan plan;
    struct ns_need *needs;
    uint32_t need_count;
    struct ns_write *writes;
    uint32_t write_count;
    struct ns_warning *warnings;
    uint32_t warning_count;
    struct ns_kept kept;
    struct bpf_insn *device_code; /* a program that decides on devices, for the v2 group; NULL = none */
    uint32_t device_count;
    struct cloister_sv id;     /* of the sandbox, for hooks; borrowed */
    struct cloister_sv rootfs; /* a directory of the host's, or empty; borrowed */
    struct ns_hooks *hooks;    /* NULL = the spec has none */
    bool known_only;           /* of a container that runs already */
    char *seccomp;             /* JSON text of linux.seccomp, compact; NULL = none */
    uint64_t uid_mapped;       /* size of the widest mapping, for describe */
    bool own_devices;          /* the spec mounts a file system on /dev: the default nodes go there */
    bool bound_devices;        /* or binds one: it is to have them */
    bool no_new_privs;         /* of init: holds for every exec into the container too */
    uint32_t rows;             /* of its terminal; 0 = not said */
    uint32_t columns;
};

void ns_compile_init(struct ns_compile *c, const struct ns_reader *r, const struct ns_machine *machine,
                     uint32_t plan_kind);
void ns_compile_clear(struct ns_compile *c); /* fit for a second clear */

/* A container: everything of `args`, process included. 0, or -1 with the reader's error. */
int ns_compile_container(struct ns_compile *c, const struct cloister_container_args *args);

/* OCI linux.resources (JSON) of a whole sandbox, or of an exec's own group: its writes. `base` is what errors call it.
 * Device rules only if it has some: those of what is above hold anyway. */
int ns_compile_resources(struct ns_compile *c, struct cloister_sv resources, const char *base);

/* A further process of a container; `inherited_nnp`: the container's own no_new_privs. */
int ns_compile_process(struct ns_compile *c, const struct cloister_process_args *args, bool inherited_nnp);

/* Of a container that runs already, only what later execs must know: ns_new and seccomp. */
int ns_compile_known(struct ns_compile *c, struct cloister_sv spec);

/* --- for the facility files --- */

/* Each gives the index by which the plan names it, or CL_WIRE_NO_FD with an error set. `path` is copied. */
uint32_t ns_need_path(struct ns_compile *c, uint32_t kind, struct cloister_sv path, const char *where);
uint32_t ns_need_hierarchy(struct ns_compile *c, uint32_t kind, uint32_t hierarchy);

/* 0 or -1 with the error set. value is transferred, NULL = out of memory. */
int ns_add_write(struct ns_compile *c, uint32_t hierarchy, const char *file, char *value, const char *where);
/* Of the last write. */
int ns_set_none(struct ns_compile *c, char *none);
int ns_add_warning(struct ns_compile *c, const char *where, char *text);

/* Each compiles its part of `spec` (checked by ns_check_spec) or `process`; 0 or -1. In this order. */
int ns_compile_namespaces(struct ns_compile *c, const cloister_value *spec);
int ns_compile_ids(struct ns_compile *c, const cloister_value *spec);
int ns_compile_mounts(struct ns_compile *c, const cloister_value *spec);
/* `model` carries attributes and propagation; v2_only: the spec said "cgroup2". */
int ns_compile_cgroup_mount(struct ns_compile *c, const struct cl_wire_mount *model, bool v2_only, const char *target,
                            const char *where);
int ns_compile_devices(struct ns_compile *c, const cloister_value *spec);
int ns_compile_limits(struct ns_compile *c, const cloister_value *spec);
int ns_compile_seccomp(struct ns_compile *c, const cloister_value *spec);
int ns_compile_hooks(struct ns_compile *c, const cloister_value *spec);
int ns_compile_personality(struct ns_compile *c, const cloister_value *spec);
int ns_compile_program(struct ns_compile *c, const cloister_value *process, const struct cloister_process_args *args);
int ns_compile_priority(struct ns_compile *c, const cloister_value *process);
int ns_compile_capabilities(struct ns_compile *c, const cloister_value *process);
int ns_compile_nonroot_capabilities(struct ns_compile *c, const cloister_value *object, const char *base);
/* Who it runs as, if that is to be found out inside; search path and niceness too. `process` has passed the others. */
int ns_compile_resolve(struct ns_compile *c, const cloister_value *process, const struct cloister_process_args *args);

/* Shared by mounts and cgroup mounts: an item of MOUNTS with its target added. Error sticky in the plan. */
struct cl_wire_mount ns_mount_model(uint32_t kind);

/* uidMappings and gidMappings of a mount, for the plan's next one: 1 it has some, 0 none, -1 refused. */
int ns_compile_mount_maps(struct ns_compile *c, const cloister_value *mount, const char *base);

/* True if `id` exists inside: no user namespace, or one of the plan's maps of that section holds it. */
bool ns_id_is_mapped(const struct ns_compile *c, uint32_t section, uint32_t id);

static inline bool ns_has_new(const struct ns_compile *c, uint64_t flag)
{
    return (c->plan.head.ns_new & flag) != 0;
}

/* The container lives in a user namespace that is not the host's. */
static inline bool ns_in_userns(const struct ns_compile *c)
{
    return c->join_user || ns_has_new(c, 0x10000000u /* CLONE_NEWUSER */) ||
           c->plan.head.ns_join[CL_WIRE_NS_USER] != CL_WIRE_NO_FD;
}

#endif

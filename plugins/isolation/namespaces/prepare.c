/* SPDX-License-Identifier: Apache-2.0 */
/* prepare.c - [worker] the part of a create that may block. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "call.h"
#include "create.h"
#include "open.h"

static int os_failed(struct ns_create *create, const char *what, const char *subject)
{
    create->base.instance->host->log->error_set(&create->base.err, CLOISTER_IO, errno, subject, "prepare", "%s '%s'",
                                                what, subject);
    return -1;
}

static int compile(struct ns_create *create)
{
    struct ns_instance *instance = create->base.instance;
    struct ns_compile *c = &create->compile;
    const struct ns_seccomp_program *program;
    NS_FREE char *resources = NULL;

    if (ns_intent_resources(&c->r, create->args->sandbox.plan, &resources) < 0 ||
        (resources && ns_compile_resources(&create->whole, ns_view(resources), "resources") < 0))
        return -1;
    if (create->container == NULL)
        return 0;
    if (ns_compile_container(c, create->args->container) < 0)
        return -1;
    ns_halt_plan(instance, "create", &c->plan);
    if (c->seccomp == NULL)
        return 0;
    if (ns_filters_get(instance->filters, &c->r, c->seccomp, &create->filter) < 0)
        return -1;
    program = ns_filter_program(create->filter);
    cl_plan_add_seccomp(&c->plan, program->code, program->count, program->flags);
    return 0;
}

/* The sandbox's own limits come before what is made below them: on v1 a device list is inherited when a group is made,
 * and may only be narrowed then. */
static int make_groups(struct ns_create *create)
{
    const struct ns_cgroups *cgroups = &create->base.instance->cgroups;
    const struct ns_reader *r = &create->compile.r;
    const struct ns_intent *intent = &create->sandbox->intent;
    bool has_container = create->container != NULL;
    struct ns_cgroups own = ns_sandbox_cgroups(create->sandbox);
    uint32_t leaf = has_container && !intent->split ? NS_GROUP_LEAF : 0;

    if (create->further) {
        /* A dead daemon may have left one of that number, of which its keeper knows nothing. */
        ns_group_remove(&own, create->container->group, NS_SECOND, NULL);
        if (ns_group_make(&own, r, create->container->group, NS_GROUP_NEW | NS_GROUP_LEAF) < 0)
            return -1;
        if (create->shares)
            ns_group_mark(&own, create->container->group);
        return 0;
    }
    if (ns_group_make(cgroups, r, NS_KEEPERS, 0) < 0 ||
        ns_group_make(cgroups, r, intent->group, NS_GROUP_NEW | leaf) < 0 ||
        ns_group_set(cgroups, intent->group, &create->whole) < 0)
        return -1;
    return has_container && intent->split
               ? ns_group_make(cgroups, r, create->container->group, NS_GROUP_NEW | NS_GROUP_LEAF)
               : 0;
}

static int set_limits(struct ns_create *create)
{
    return create->container ? ns_group_set(&create->base.instance->cgroups, create->container->group, &create->compile)
                             : 0;
}

static int open_needs(struct ns_create *create)
{
    const struct ns_compile *c = &create->compile;

    if (create->container == NULL)
        return 0;
    create->fds = calloc(c->need_count + NS_STDIO_ROOM, sizeof(int));
    if (create->fds == NULL)
        return ns_no_memory(&c->r);
    while (create->fd_count < c->need_count) {
        int fd = ns_open_need(c, create->fd_count, &create->base.instance->cgroups, create->container->group);

        if (fd < 0)
            return -1;
        create->fds[create->fd_count++] = fd;
    }
    return 0;
}

/* Bound by us, listened on by the keeper: so a later daemon gets the keeper's pidfd from it. */
static int bind_socket(struct ns_create *create)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return os_failed(create, "make socket", create->sandbox->socket);
    create->keepers[create->keeper_count++] = fd;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", create->sandbox->socket);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return os_failed(create, "bind socket", create->sandbox->socket);
    return 0;
}

static int open_keepers(struct ns_create *create)
{
    const struct ns_cgroups *cgroups = &create->base.instance->cgroups;

    for (uint32_t i = 0; i < cgroups->hierarchies->count; i++) {
        int fd = ns_group_open(cgroups, &create->compile.r, i, NS_KEEPERS, "cgroup.procs", O_WRONLY);

        if (fd < 0)
            return -1;
        create->keepers[create->keeper_count++] = fd;
    }
    return 0;
}

static int bind_and_open(struct ns_create *create)
{
    if (create->further)
        return 0;
    return bind_socket(create) < 0 ? -1 : open_keepers(create);
}

static int seal(struct ns_create *create)
{
    struct ns_compile *c = &create->compile;
    const char *where = "";
    int rc;

    if (create->container == NULL)
        return 0;
    /* A blocked init gets its descriptors with its start: its terminal is made now. */
    if (create->args->container->start != CLOISTER_START_BLOCKED &&
        ns_stdio_fits(&c->r, &create->stdio, &c->plan.head) < 0)
        return -1;
    ns_stdio_move(&create->stdio, create->fds, &create->fd_count, c->plan.head.uid, create->message.stdio,
                  &create->message.memo);
    ns_memo_size(&create->message.memo, c);
    rc = cl_plan_seal_at(&c->plan, create->fd_count, create->version, &create->plan_fd, &where);
    if (rc == 0)
        return 0;
    if (rc == -ENOTSUP) {
        ns_too_old(create->base.instance, &create->base.err, where);
        return -1;
    }
    create->base.instance->host->log->error_set(&create->base.err, CLOISTER_INTERNAL, -rc, where, "plan",
                                                "seal the plan: member '%s'", where ? where : "");
    return -1;
}

static const struct {
    enum ns_step step;
    int (*run)(struct ns_create *create);
} steps[] = {
    {NS_STEP_create_compile, compile}, {NS_STEP_create_cgroups, make_groups},  {NS_STEP_create_limits, set_limits},
    {NS_STEP_create_open, open_needs}, {NS_STEP_create_socket, bind_and_open}, {NS_STEP_create_seal, seal},
};

void ns_create_prepare(void *ctx)
{
    struct ns_create *create = ctx;
    int rc = 0;

    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && rc == 0; i++) {
        ns_halt_before(create->base.instance, steps[i].step);
        rc = steps[i].run(create);
        ns_halt_after(create->base.instance, steps[i].step);
    }
}

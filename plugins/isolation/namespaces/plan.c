/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - plan(): compiles the spec for its errors alone, and names what will exist outside the sandbox. Touches
 * nothing. hold(): what an earlier daemon's plan named is in use. */
#include <errno.h>
#include <stdio.h>

#include "instance.h"

static bool wants_range(const struct ns_compile *c)
{
    return c->plan.section[CL_WIRE_UID_MAP].size > 0 && c->range.count > 0;
}

/* The range is taken first, because compiling needs one, and given back if the spec had no use for it. */
static int check(struct ns_instance *instance, const struct cloister_container_args *container, const char *id,
                 const struct ns_reader *r, struct ns_range *io_range)
{
    struct ns_compile compile;
    bool used;
    int rc;

    ns_compile_init(&compile, r, &instance->machine, CL_WIRE_PLAN_CONTAINER);
    compile.range = *io_range;
    rc = ns_compile_container(&compile, container);
    used = rc == 0 && wants_range(&compile);
    if (used) {
        const struct cl_wire_map *map = (const void *)compile.plan.section[CL_WIRE_UID_MAP].data;

        used = map->outside == io_range->first && map->count == io_range->count;
    }
    ns_compile_clear(&compile);
    if (!used) {
        ns_ranges_release(instance->ranges, id);
        *io_range = (struct ns_range){0, 0};
    }
    return rc;
}

/* The sandbox's resources are kept in the plan, compact: create gets nothing but that. */
static int keep_resources(struct ns_instance *instance, struct cloister_sv text, const struct ns_reader *r, char **ret)
{
    struct ns_compile compile;
    struct cloister_sv printed = {NULL, 0};
    cloister_value *doc = NULL;
    int rc;

    ns_compile_init(&compile, r, &instance->machine, CL_WIRE_PLAN_CONTAINER);
    rc = ns_compile_resources(&compile, text, "resources");
    ns_compile_clear(&compile);
    if (rc < 0 || ns_parse(r, text, "resources", &doc) < 0)
        return -1;
    *ret = r->value->print(doc, 0, &printed) == 0 ? ns_dup(printed) : NULL;
    r->value->free_text(printed);
    r->value->free(doc);
    return *ret ? 0 : ns_no_memory(r);
}

static int lay_out(struct ns_instance *instance, const struct cloister_iso_plan_args *args, const struct ns_reader *r,
                   struct ns_intent *io_intent, char **ret_resources)
{
    const struct cloister_sandbox_create_args *create = args->create;
    struct cloister_sv parent = create ? create->cgroup_parent : (struct cloister_sv){NULL, 0};

    if (!ns_cgroup_parent_ok(parent))
        return ns_refuse(r, CLOISTER_INVALID, "cgroup_parent",
                         "must be a relative path of plain words, like \"garden/good\"");
    if (create && create->resources.size > 0 && keep_resources(instance, create->resources, r, ret_resources) < 0)
        return -1;
    io_intent->split = create && (create->container == NULL || create->resources.size > 0);
    snprintf(io_intent->root, sizeof(io_intent->root), "%s", instance->cgroup_root);
    if (!ns_layout_sandbox(parent, args->sandbox.cookie, args->sandbox.id, io_intent->group))
        return ns_refuse(r, CLOISTER_TOO_BIG, "cgroup_parent", "is too long");
    return 0;
}

int32_t ns_plan(void *ctx, const struct cloister_iso_plan_args *args, struct cloister_sv *ret_blob,
                struct cloister_error *err)
{
    struct ns_instance *instance = ctx;
    struct ns_reader r = ns_reader(instance, err);
    struct ns_intent intent = {.range = {0, 0}};
    NS_FREE char *resources = NULL;
    char id[CLOISTER_ENGINE_ID_SIZE + 1];

    if (args->sandbox.id.size != CLOISTER_ENGINE_ID_SIZE)
        return ns_refuse(&r, CLOISTER_INVALID, "sandbox", "has an id that is none");
    snprintf(id, sizeof(id), "%.*s", (int)args->sandbox.id.size, args->sandbox.id.data);
    if (args->create && args->create->container) {
        intent.range = ns_ranges_take(instance->ranges, id, instance->host->system->now_mono());
        if (check(instance, args->create->container, id, &r, &intent.range) < 0)
            return -1;
    }
    if (lay_out(instance, args, &r, &intent, &resources) < 0) {
        ns_ranges_release(instance->ranges, id);
        return -1;
    }
    free(instance->blob);
    instance->blob = ns_intent_print(&intent, resources);
    if (instance->blob == NULL)
        return ns_no_memory(&r);
    *ret_blob = ns_view(instance->blob);
    return 0;
}

void ns_hold_range(struct ns_instance *instance, const char *id, const struct ns_intent *intent)
{
    int rc = ns_ranges_hold(instance->ranges, id, intent->range);

    if (rc == -EEXIST)
        cloister_log(instance->host, CLOISTER_WARNING, "sandbox '%s': ids from %u on are another sandbox's too", id,
                     intent->range.first);
    else if (rc < 0)
        cloister_log(instance->host, CLOISTER_WARNING, "sandbox '%s': its ids, from %u on, are not kept for it: %s", id,
                     intent->range.first, strerror(-rc));
}

void ns_hold(void *ctx, struct cloister_sv plan)
{
    struct ns_instance *instance = ctx;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    struct ns_intent intent;
    const char *id;

    if (ns_intent_parse(&r, plan, &intent) < 0) {
        char sentence[1024];

        r.log->error_sentence(&err, sentence, sizeof(sentence));
        cloister_log(instance->host, CLOISTER_WARNING, "hold what a recorded plan names: %s", sentence);
        return;
    }
    id = ns_group_id(intent.group, false);
    if (id == NULL)
        cloister_log(instance->host, CLOISTER_WARNING,
                     "hold what a recorded plan names: its group '%s' is no sandbox's", intent.group);
    else
        ns_hold_range(instance, id, &intent);
}

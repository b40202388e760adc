/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.c - what carries our cookie and has no record: keepers of a dead daemon (found by their sockets), then cgroups.
 * Keepers first, because killing one empties its groups. What carries another cookie is never touched.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "instance.h"
#include "stranger.h"

#define PATIENCE_NS (10 * NS_SECOND)

struct found {
    char id[CLOISTER_ENGINE_ID_SIZE + 1];
    const char *kind; /* "keeper", "cgroup", "run-directory" */
    char *name;
    bool removed;
};

struct sweep {
    struct ns_op base; /* first */
    const struct cloister_iso_sweep_args *args;
    char prefix[NS_GROUP_NAME_MAX];
    struct found *found;
    uint32_t count;
};

static bool is_id(const char *name)
{
    return strlen(name) == CLOISTER_ENGINE_ID_SIZE &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz234567") == CLOISTER_ENGINE_ID_SIZE;
}

static bool is_known(const struct sweep *sweep, const char *id)
{
    for (uint64_t i = 0; i < sweep->args->known_count; i++)
        if (ns_equal(sweep->args->known[i], id))
            return true;
    return false;
}

/* Transfers name; short of memory, the thing is swept and only not reported. */
static struct found *note(struct sweep *sweep, const char *id, const char *kind, char *name)
{
    struct found *grown = name ? realloc(sweep->found, (sweep->count + 1u) * sizeof(*grown)) : NULL;
    struct found *one;

    if (grown == NULL) {
        free(name);
        return NULL;
    }
    sweep->found = grown;
    one = &grown[sweep->count++];
    *one = (struct found){.kind = kind, .name = name};
    memcpy(one->id, id, CLOISTER_ENGINE_ID_SIZE);
    return one;
}

static bool noted(const struct sweep *sweep, const char *kind, const char *id)
{
    for (uint32_t i = 0; i < sweep->count; i++)
        if (strcmp(sweep->found[i].kind, kind) == 0 && strcmp(sweep->found[i].id, id) == 0)
            return true;
    return false;
}

static void sweep_keeper(struct sweep *sweep, const char *run, const char *id)
{
    NS_FREE char *dir = ns_format("%s/%s", run, id), *path = ns_format("%s/%s/k", run, id);
    struct found *one;
    int rc;

    if (dir == NULL || path == NULL || access(path, F_OK) < 0)
        return;
    if (sweep->args->report_only) {
        note(sweep, id, "keeper", strdup(path));
        return;
    }
    rc = ns_stranger_kill(path, sweep->args->cookie, id, PATIENCE_NS);
    if (rc == -EPERM)
        return;
    if (rc != 0) {
        one = note(sweep, id, "keeper", strdup(path));
        if (one)
            one->removed = rc == 1;
    }
    if (rc < 0)
        return;
    one = note(sweep, id, "run-directory", strdup(dir));
    unlink(path);
    if ((rmdir(dir) == 0 || errno == ENOENT) && one)
        one->removed = true;
}

static void sweep_run_dir(struct sweep *sweep)
{
    NS_FREE char *run = ns_dup(sweep->args->run_dir);
    DIR *dir = run ? opendir(run) : NULL;
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL)
        if (is_id(entry->d_name) && !is_known(sweep, entry->d_name))
            sweep_keeper(sweep, run, entry->d_name);
    if (dir)
        closedir(dir);
}

/* Listed first and removed afterwards: a directory that changes while it is read may hide entries. */
static void note_group(void *ctx, const char *name)
{
    struct sweep *sweep = ctx;
    const char *id = name + strlen(sweep->prefix);

    if (is_id(id) && !is_known(sweep, id) && !noted(sweep, "cgroup", id))
        note(sweep, id, "cgroup", strdup(name));
}

static void sweep_groups(struct sweep *sweep)
{
    const struct ns_cgroups *cgroups = &sweep->base.instance->cgroups;

    ns_group_list(cgroups, sweep->prefix, note_group, sweep);
    for (uint32_t i = 0; i < sweep->count && !sweep->args->report_only; i++)
        if (strcmp(sweep->found[i].kind, "cgroup") == 0)
            sweep->found[i].removed = ns_group_remove(cgroups, sweep->found[i].name, PATIENCE_NS, NULL);
}

/* [worker] */
static void work(void *ctx)
{
    struct sweep *sweep = ctx;

    sweep_run_dir(sweep);
    sweep_groups(sweep);
}

static void tell(void *ctx)
{
    struct sweep *sweep = ctx;
    const struct cloister_host *host = sweep->base.instance->host;

    for (uint32_t i = 0; i < sweep->count; i++) {
        struct found *one = &sweep->found[i];

        host->iso->orphan(host, ns_view(one->id), one->kind, ns_view(one->name), one->removed);
        free(one->name);
    }
    free(sweep->found);
    ns_op_done(&sweep->base, NULL);
    free(sweep);
}

static void cancel(struct ns_op *op)
{
}

void ns_sweep(void *ctx, const struct cloister_iso_sweep_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    struct sweep *sweep = calloc(1, sizeof(*sweep));

    if (sweep == NULL) {
        ns_fail_memory(instance, number);
        return;
    }
    sweep->args = args;
    ns_group_prefix(args->cookie, sweep->prefix);
    ns_op_begin(instance, &sweep->base, number, cancel);
    ns_op_job(&sweep->base, work, tell, sweep);
}

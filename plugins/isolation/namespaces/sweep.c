/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.c - what carries a cookie of ours and has no record: keepers of a dead daemon (found by their sockets),
 * cgroups, run directories. It is listed first; then, on the loop, what this daemon itself has begun to make meanwhile
 * is struck out; the rest is removed, or only told: then each sandbox once. Keepers first, because killing one empties
 * its groups. A keeper that says another cookie, or nothing at all, is told and never touched, nor is what it lives by.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "freezer.h"
#include "sandbox.h"
#include "stranger.h"

#define PATIENCE_NS (10 * NS_SECOND)

struct found {
    char id[CLOISTER_ENGINE_ID_SIZE + 1];
    const char *kind; /* "keeper", "cgroup", "run-directory" */
    char *name;       /* what is told of it */
    bool removed;
    bool silent; /* not told: not there any more, a keeper's that stays, or told already */
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

/* Transfers name. NULL: short of memory, so the thing stays for a later sweep. */
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

/* --- [worker] listing --- */

static void list_run_dir(struct sweep *sweep)
{
    NS_FREE char *run = ns_dup(sweep->args->run_dir);
    DIR *dir = run ? opendir(run) : NULL;
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        NS_FREE char *path = NULL;

        if (!is_id(entry->d_name) || is_known(sweep, entry->d_name))
            continue;
        path = ns_format("%s/%s/k", run, entry->d_name);
        if (path == NULL ||
            (access(path, F_OK) == 0 && note(sweep, entry->d_name, "keeper", ns_steal_text(&path)) == NULL))
            continue; /* without its keeper the rest of it may not go */
        note(sweep, entry->d_name, "run-directory", ns_format("%s/%s", run, entry->d_name));
    }
    if (dir)
        closedir(dir);
}

/* Listed first and removed afterwards: a directory that changes while it is read may hide entries. What is beside a
 * sandbox's group goes with it, also when it is all that is left. */
static void note_group(void *ctx, const char *name)
{
    struct sweep *sweep = ctx;
    const char *found = ns_group_id(name, true);
    char id[CLOISTER_ENGINE_ID_SIZE + 1] = "";

    if (found)
        memcpy(id, found, CLOISTER_ENGINE_ID_SIZE);
    if (is_id(id) && !is_known(sweep, id) && !noted(sweep, "cgroup", id))
        note(sweep, id, "cgroup", ns_format("%.*s", (int)(found + CLOISTER_ENGINE_ID_SIZE - name), name));
}

/* Where nothing is removed each sandbox is told once, by the first thing found of it. */
static void strike_repeats(struct sweep *sweep)
{
    for (uint32_t i = 1; i < sweep->count; i++)
        for (uint32_t j = 0; j < i; j++)
            sweep->found[i].silent |= strcmp(sweep->found[i].id, sweep->found[j].id) == 0;
}

static void list(void *ctx)
{
    struct sweep *sweep = ctx;

    list_run_dir(sweep);
    ns_group_list(&sweep->base.instance->cgroups, sweep->prefix, note_group, sweep);
    if (sweep->args->report_only)
        strike_repeats(sweep);
}

/* --- [worker] removing --- */

struct ending {
    const struct sweep *sweep;
    const char *id;
};

/* Its keeper has said that it is ours, and is being killed. */
static void end_groups(void *ctx)
{
    const struct ending *ending = ctx;
    const struct sweep *sweep = ending->sweep;

    for (uint32_t i = 0; i < sweep->count; i++)
        if (strcmp(sweep->found[i].kind, "cgroup") == 0 && strcmp(sweep->found[i].id, ending->id) == 0)
            ns_freezer_end(&sweep->base.instance->cgroups, sweep->found[i].name);
}

/* False: not ours, not sure to be, or not to be killed, so that nothing of that sandbox may be touched. */
static bool remove_keeper(struct sweep *sweep, struct found *one)
{
    struct ending ending = {sweep, one->id};
    int rc = ns_stranger_kill(one->name, sweep->args->cookie, one->id, false, PATIENCE_NS, end_groups, &ending);

    one->removed = rc == 1;
    one->silent = rc == 0;
    return rc >= 0;
}

/* Files that nobody answers for any more; a directory in it is not of our making. */
static void remove_run_dir(struct found *one)
{
    DIR *dir = opendir(one->name);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL)
        if (entry->d_type != DT_DIR)
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    one->removed = rmdir(one->name) == 0 || errno == ENOENT;
}

static void strike_out(struct sweep *sweep, const char *id)
{
    for (uint32_t i = 0; i < sweep->count; i++)
        if (strcmp(sweep->found[i].kind, "keeper") != 0 && strcmp(sweep->found[i].id, id) == 0)
            sweep->found[i].silent = true;
}

static void remove_keepers(struct sweep *sweep)
{
    for (uint32_t i = 0; i < sweep->count; i++) {
        struct found *one = &sweep->found[i];

        if (!one->silent && strcmp(one->kind, "keeper") == 0 && !remove_keeper(sweep, one))
            strike_out(sweep, one->id);
    }
}

static void remove_rest(struct sweep *sweep)
{
    const struct ns_cgroups *cgroups = &sweep->base.instance->cgroups;

    for (uint32_t i = 0; i < sweep->count; i++) {
        struct found *one = &sweep->found[i];

        if (one->silent || strcmp(one->kind, "keeper") == 0)
            continue;
        if (strcmp(one->kind, "cgroup") == 0)
            one->removed = ns_group_remove_sandbox(cgroups, one->name, PATIENCE_NS, NULL);
        else
            remove_run_dir(one);
    }
}

static void remove_all(void *ctx)
{
    struct sweep *sweep = ctx;
    const struct ns_instance *instance = sweep->base.instance;

    ns_halt_before(instance, NS_STEP_sweep_keepers);
    remove_keepers(sweep);
    ns_halt_after(instance, NS_STEP_sweep_keepers);
    ns_halt_before(instance, NS_STEP_sweep_rest);
    remove_rest(sweep);
    ns_halt_after(instance, NS_STEP_sweep_rest);
}

/* --- [loop] --- */

static void tell(void *ctx)
{
    struct sweep *sweep = ctx;
    const struct cloister_host *host = sweep->base.instance->host;

    for (uint32_t i = 0; i < sweep->count; i++) {
        struct found *one = &sweep->found[i];

        if (!one->silent)
            host->iso->orphan(host, ns_view(one->id), one->kind, ns_view(one->name), one->removed);
        free(one->name);
    }
    free(sweep->found);
    ns_op_done(&sweep->base, NULL);
    free(sweep);
}

/* What we are making has become known after `known` was written down. */
static void strike_ours(struct sweep *sweep)
{
    for (uint32_t i = 0; i < sweep->count; i++)
        if (ns_sandbox_find(sweep->base.instance, ns_view(sweep->found[i].id)))
            sweep->found[i].silent = true;
}

static void listed(void *ctx)
{
    struct sweep *sweep = ctx;

    strike_ours(sweep);
    if (sweep->args->report_only)
        tell(sweep);
    else
        ns_op_job(&sweep->base, remove_all, tell, sweep);
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
    ns_op_job(&sweep->base, list, listed, sweep);
}

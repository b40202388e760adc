/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c - the operation stats: a worker reads, the loop tells. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>

#include "sandbox.h"
#include "stat_list.h"

struct stats {
    struct ns_op base;          /* first */
    struct ns_sandbox *sandbox; /* a reference; NULL: the machine */
    char group[NS_GROUP_PATH_MAX];
    uint32_t scope;
    uint32_t flags;
    bool no_group; /* of a process */
    struct ns_stats read;
    uint64_t sampled;
};

/* --- descriptors of v2's memory.peak, each counting from its last reset --- */

struct ns_peak {
    struct ns_peak *next;
    char *path;
    char *group;
    int fd;
};

static pthread_mutex_t peaks_lock = PTHREAD_MUTEX_INITIALIZER;

static void free_peak(struct ns_peak *one)
{
    if (one->fd >= 0)
        close(one->fd);
    free(one->path);
    free(one->group);
    free(one);
}

static struct ns_peak *new_peak(const char *path, const char *group)
{
    struct ns_peak *one = calloc(1, sizeof(*one));

    if (one == NULL)
        return NULL;
    one->path = strdup(path);
    one->group = strdup(group);
    one->fd = open(path, O_RDWR | O_CLOEXEC);
    if (one->path && one->group)
        return one;
    free_peak(one);
    return NULL;
}

/* [worker] A reader that never resets needs none. What it gets is its own number for the open file: the loop may forget
 * the one that is kept at any moment. */
static int peak_fd(void *ctx, const char *path)
{
    struct stats *stats = ctx;
    struct ns_peak **list = &stats->base.instance->peaks, *one;
    int fd = -1;

    pthread_mutex_lock(&peaks_lock);
    for (one = *list; one && strcmp(one->path, path) != 0; one = one->next)
        ;
    if (one == NULL && (stats->flags & CLOISTER_STATS_RESET_PEAK)) {
        one = new_peak(path, stats->group);
        if (one) {
            one->next = *list;
            *list = one;
        }
    }
    if (one && one->fd >= 0)
        fd = fcntl(one->fd, F_DUPFD_CLOEXEC, 3);
    pthread_mutex_unlock(&peaks_lock);
    return fd;
}

/* The sandbox's group, one below it, or one beside it. */
static bool is_of(const char *group, const char *sandbox)
{
    size_t size = strlen(sandbox);

    return strncmp(group, sandbox, size) == 0 && (group[size] == 0 || group[size] == '/' || group[size] == '.');
}

/* [loop] */
void ns_peaks_forget(struct ns_instance *instance, const char *group)
{
    pthread_mutex_lock(&peaks_lock);
    for (struct ns_peak **at = &instance->peaks; *at;) {
        struct ns_peak *one = *at;

        if (group && !is_of(one->group, group)) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        free_peak(one);
    }
    pthread_mutex_unlock(&peaks_lock);
}

/* --- the operation --- */

/* [worker] */
static void work(void *ctx)
{
    struct stats *stats = ctx;
    const struct ns_instance *instance = stats->base.instance;
    struct ns_cgroups cgroups = stats->sandbox ? ns_sandbox_cgroups(stats->sandbox) : instance->cgroups;
    struct ns_stats_ask ask = {.cgroups = &cgroups,
                               .machine = &instance->machine,
                               .group = stats->group,
                               .beside = stats->scope == CLOISTER_SCOPE_SANDBOX &&
                                         ns_group_has_beside(&cgroups, stats->group),
                               .raw = (stats->flags & CLOISTER_STATS_RAW) != 0,
                               .peak_fd = peak_fd,
                               .reset_peak = (stats->flags & CLOISTER_STATS_RESET_PEAK) != 0,
                               .ctx = stats};

    stats->sampled = instance->host->system->now_mono();
    if (stats->sandbox == NULL)
        ns_stats_of_machine(&cgroups, &stats->read);
    else if (stats->scope == CLOISTER_SCOPE_PROCESS && !ns_group_is_there(&cgroups, stats->group))
        stats->no_group = true;
    else
        ns_stats_of_group(&ask, &stats->read);
}

static void done(void *ctx)
{
    struct stats *stats = ctx;
    struct ns_reader r = ns_reader(stats->base.instance, &stats->base.err);
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .stats = stats->read.list,
                                     .stat_count = stats->read.count, .stat_size = sizeof(*stats->read.list),
                                     .sampled_mono_ns = stats->sampled};

    if (stats->base.err.code == 0 && stats->read.short_of_memory)
        ns_no_memory(&r);
    if (stats->base.err.code == 0 && stats->no_group)
        ns_refuse_at(&r, CLOISTER_UNSUPPORTED, "process", "it has no group of its own");
    ns_op_done(&stats->base, &result);
    ns_stats_clear(&stats->read);
    if (stats->sandbox)
        ns_sandbox_unref(stats->sandbox);
    free(stats);
}

static void cancel(struct ns_op *op)
{
}

void ns_stats(void *ctx, const struct cloister_iso_stats_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_stats_args *ask = args->stats;
    bool machine = ask->scope == CLOISTER_SCOPE_MACHINE;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    struct ns_sandbox *sandbox = NULL;
    struct stats *stats;

    if ((ask->flags & CLOISTER_STATS_RESET_PEAK) && !instance->machine.peak_reset) {
        ns_refuse_at(&r, CLOISTER_UNSUPPORTED, "flags", "this machine cannot count the largest use of memory anew");
        ns_fail_now(instance, number, &err);
        return;
    }
    if (!machine)
        sandbox = ask->scope == CLOISTER_SCOPE_SANDBOX
                      ? ns_sandbox_here(instance, &args->sandbox, number)
                      : ns_sandbox_up(instance, &args->sandbox, ask->container, number);
    if (!machine && sandbox == NULL)
        return;
    stats = calloc(1, sizeof(*stats));
    if (stats == NULL) {
        ns_fail_memory(instance, number);
        return;
    }
    stats->sandbox = sandbox ? ns_sandbox_ref(sandbox) : NULL;
    stats->scope = ask->scope;
    stats->flags = ask->flags;
    if (sandbox)
        ns_sandbox_scope_group(sandbox, ask->scope, ask->container, ask->process, stats->group);
    ns_op_begin(instance, &stats->base, number, cancel);
    ns_op_job(&stats->base, work, done, stats);
}

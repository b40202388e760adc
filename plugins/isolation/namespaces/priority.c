/* SPDX-License-Identifier: Apache-2.0 */
/* priority.c - process.ioPriority, process.scheduler, linux.personality. */
#include "compile.h"

#include <linux/ioprio.h>
#include <linux/sched.h>
#include <stdio.h>
#include <sys/personality.h>

#define NICE_LEAST (-20)
#define NICE_MOST 19
#define REAL_TIME_MOST 99
#define IO_LEVEL_MOST 7

static const struct {
    const char *word;
    uint32_t number;
} io_classes[] = {
    {"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
    {"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
    {"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
};

/* Which of nice, priority, and the three times a policy knows. SCHED_ISO is in the OCI's list and in no kernel. */
static const struct {
    const char *word;
    uint32_t number;
    bool nice;
    bool priority;
    bool times;
} policies[] = {
    {"SCHED_OTHER", SCHED_NORMAL, true, false, false}, {"SCHED_FIFO", SCHED_FIFO, false, true, false},
    {"SCHED_RR", SCHED_RR, false, true, false},        {"SCHED_BATCH", SCHED_BATCH, true, false, false},
    {"SCHED_IDLE", SCHED_IDLE, true, false, false},    {"SCHED_DEADLINE", SCHED_DEADLINE, false, false, true},
};

/* Without the two that clamp a load, for which the OCI's object has no value. */
static const struct {
    const char *word;
    uint64_t flag;
} scheduler_flags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK}, {"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
    {"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},       {"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
    {"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
};

#define LENGTH(table) (sizeof(table) / sizeof(*(table)))

static int io_priority(struct ns_compile *c, const cloister_value *object)
{
    struct cloister_sv word = ns_get_string(&c->r, object, "class");
    uint64_t level = 0;

    if (object == NULL)
        return 0;
    if (ns_get_u64(&c->r, object, "priority", "process.ioPriority", IO_LEVEL_MOST, &level) < 0)
        return -1;
    for (size_t i = 0; i < LENGTH(io_classes); i++) {
        if (!ns_equal(word, io_classes[i].word))
            continue;
        c->plan.head.io_priority = io_classes[i].number << IOPRIO_CLASS_SHIFT | (uint32_t)level;
        c->plan.head.flags |= CL_WIRE_PLAN_IO_PRIORITY;
        return 0;
    }
    return ns_refuse(&c->r, CLOISTER_INVALID, "process.ioPriority.class", "is no class of priority");
}

static int flags(struct ns_compile *c, const cloister_value *object, uint64_t *ret)
{
    cloister_value *list = ns_get(&c->r, object, "flags"), *entry;
    struct cloister_sv word;
    char path[NS_PATH_MAX];

    for (uint64_t i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++) {
        size_t k = 0;

        c->r.value->string(entry, &word);
        while (k < LENGTH(scheduler_flags) && !ns_equal(word, scheduler_flags[k].word))
            k++;
        snprintf(path, sizeof(path), "process.scheduler.flags[%llu]", (unsigned long long)i);
        if (k == LENGTH(scheduler_flags))
            return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, path, "'%.*s' is not supported",
                                (int)(word.size < 40 ? word.size : 40), word.data);
        *ret |= scheduler_flags[k].flag;
    }
    return 0;
}

/* A member that the policy does not know would be ignored by the kernel. */
static int check_meaning(struct ns_compile *c, const cloister_value *object, const char *key, bool known,
                         const char *policy)
{
    char path[NS_PATH_MAX];

    if (known || ns_get(&c->r, object, key) == NULL)
        return 0;
    snprintf(path, sizeof(path), "process.scheduler.%s", key);
    return ns_refuse_at(&c->r, CLOISTER_INVALID, path, "means nothing to %s", policy);
}

static int check_policy(struct ns_compile *c, const cloister_value *object, size_t policy)
{
    const char *word = policies[policy].word;

    if (check_meaning(c, object, "nice", policies[policy].nice, word) < 0 ||
        check_meaning(c, object, "priority", policies[policy].priority, word) < 0 ||
        check_meaning(c, object, "runtime", policies[policy].times, word) < 0 ||
        check_meaning(c, object, "deadline", policies[policy].times, word) < 0)
        return -1;
    return check_meaning(c, object, "period", policies[policy].times, word);
}

static int scheduler(struct ns_compile *c, const cloister_value *object)
{
    const char *base = "process.scheduler";
    struct cl_wire_sched *sched = &c->plan.head.sched;
    struct cloister_sv word = ns_get_string(&c->r, object, "policy");
    int64_t nice = 0, priority = 0;
    size_t policy = 0;

    if (object == NULL)
        return 0;
    while (policy < LENGTH(policies) && !ns_equal(word, policies[policy].word))
        policy++;
    if (policy == LENGTH(policies))
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, "process.scheduler.policy", "'%.*s' is not supported",
                            (int)(word.size < 40 ? word.size : 40), word.data);
    if (check_policy(c, object, policy) < 0 ||
        ns_get_i64(&c->r, object, "nice", base, NICE_LEAST, NICE_MOST, &nice) < 0 ||
        ns_get_i64(&c->r, object, "priority", base, 1, REAL_TIME_MOST, &priority) < 0 ||
        ns_get_u64(&c->r, object, "runtime", base, INT64_MAX, &sched->runtime) < 0 ||
        ns_get_u64(&c->r, object, "deadline", base, INT64_MAX, &sched->deadline) < 0 ||
        ns_get_u64(&c->r, object, "period", base, INT64_MAX, &sched->period) < 0 || flags(c, object, &sched->flags) < 0)
        return -1;
    if (policies[policy].priority && priority == 0)
        return ns_refuse(&c->r, CLOISTER_INVALID, "process.scheduler.priority", "is required by the policy");
    sched->policy = policies[policy].number;
    sched->nice = (int32_t)nice;
    sched->priority = (uint32_t)priority;
    c->plan.head.flags |= CL_WIRE_PLAN_SCHEDULER;
    return 0;
}

int ns_compile_priority(struct ns_compile *c, const cloister_value *process)
{
    if (io_priority(c, ns_get(&c->r, process, "ioPriority")) < 0)
        return -1;
    return scheduler(c, ns_get(&c->r, process, "scheduler"));
}

int ns_compile_personality(struct ns_compile *c, const cloister_value *spec)
{
    const cloister_value *object = ns_get(&c->r, ns_get(&c->r, spec, "linux"), "personality");
    struct cloister_sv word = ns_get_string(&c->r, object, "domain");

    if (object == NULL)
        return 0;
    if (!ns_equal(word, "LINUX") && !ns_equal(word, "LINUX32"))
        return ns_refuse(&c->r, CLOISTER_INVALID, "linux.personality.domain", "must be LINUX or LINUX32");
    c->plan.head.personality = ns_equal(word, "LINUX32") ? PER_LINUX32 : PER_LINUX;
    c->plan.head.flags |= CL_WIRE_PLAN_PERSONALITY;
    return 0;
}

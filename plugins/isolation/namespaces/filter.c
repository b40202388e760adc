/* SPDX-License-Identifier: Apache-2.0 */
/* filter.c - the cache of compiled filters: a few slots, the longest unused one gives way. */
#include "filter.h"

#include <pthread.h>
#include <stdatomic.h>

#define SLOTS 16u

struct ns_filter {
    atomic_uint refs;
    uint64_t digest;
    char *text;
    struct ns_seccomp_program program;
};

struct ns_filters {
    pthread_mutex_t
        building; /* held while compiling, so that who wants the same program at the same time waits for it */
    pthread_mutex_t lock;
    uint64_t compiled;
    struct ns_filter *slot[SLOTS];
    uint64_t used[SLOTS]; /* when, in look-ups */
    uint64_t clock;
};

/* FNV-1a: only to skip most comparisons; equality is decided by the text. */
static uint64_t digest(const char *text)
{
    uint64_t sum = 14695981039346656037ull;

    for (; *text; text++)
        sum = (sum ^ (unsigned char)*text) * 1099511628211ull;
    return sum;
}

struct ns_filters *ns_filters_new(void)
{
    struct ns_filters *filters = calloc(1, sizeof(*filters));

    if (filters == NULL)
        return NULL;
    pthread_mutex_init(&filters->lock, NULL);
    pthread_mutex_init(&filters->building, NULL);
    return filters;
}

void ns_filters_free(struct ns_filters *filters)
{
    if (filters == NULL)
        return;
    for (uint32_t i = 0; i < SLOTS; i++)
        ns_filter_unref(filters->slot[i]);
    pthread_mutex_destroy(&filters->lock);
    pthread_mutex_destroy(&filters->building);
    free(filters);
}

struct ns_filter *ns_filter_ref(struct ns_filter *filter)
{
    if (filter)
        atomic_fetch_add(&filter->refs, 1);
    return filter;
}

void ns_filter_unref(struct ns_filter *filter)
{
    if (filter == NULL || atomic_fetch_sub(&filter->refs, 1) != 1)
        return;
    free(filter->text);
    free(filter->program.code);
    free(filter);
}

const struct ns_seccomp_program *ns_filter_program(const struct ns_filter *filter)
{
    return &filter->program;
}

static struct ns_filter *look_up(struct ns_filters *filters, uint64_t sum, const char *text)
{
    struct ns_filter *found = NULL;

    pthread_mutex_lock(&filters->lock);
    for (uint32_t i = 0; i < SLOTS && !found; i++) {
        struct ns_filter *one = filters->slot[i];

        if (one == NULL || one->digest != sum || strcmp(one->text, text) != 0)
            continue;
        filters->used[i] = ++filters->clock;
        found = ns_filter_ref(one);
    }
    pthread_mutex_unlock(&filters->lock);
    return found;
}

static void keep(struct ns_filters *filters, struct ns_filter *filter)
{
    uint32_t oldest = 0;

    pthread_mutex_lock(&filters->lock);
    for (uint32_t i = 1; i < SLOTS; i++)
        if (filters->used[i] < filters->used[oldest])
            oldest = i;
    ns_filter_unref(filters->slot[oldest]);
    filters->slot[oldest] = ns_filter_ref(filter);
    filters->used[oldest] = ++filters->clock;
    filters->compiled++;
    pthread_mutex_unlock(&filters->lock);
}

static int build(const struct ns_reader *r, const char *text, struct ns_seccomp_program *ret)
{
    cloister_value *doc = NULL;
    int rc;

    if (ns_parse(r, ns_view(text), "linux.seccomp", &doc) < 0)
        return -1;
    rc = ns_seccomp_build(r, doc, ret);
    r->value->free(doc);
    return rc;
}

uint64_t ns_filters_compiled(struct ns_filters *filters)
{
    uint64_t count;

    pthread_mutex_lock(&filters->lock);
    count = filters->compiled;
    pthread_mutex_unlock(&filters->lock);
    return count;
}

static struct ns_filter *compile(struct ns_filters *filters, const struct ns_reader *r, const char *text, uint64_t sum)
{
    struct ns_filter *filter = calloc(1, sizeof(*filter));

    if (filter)
        filter->text = strdup(text);
    if (filter == NULL || filter->text == NULL) {
        free(filter);
        ns_no_memory(r);
        return NULL;
    }
    atomic_init(&filter->refs, 1);
    filter->digest = sum;
    if (build(r, text, &filter->program) < 0) {
        ns_filter_unref(filter);
        return NULL;
    }
    keep(filters, filter);
    return filter;
}

int ns_filters_get(struct ns_filters *filters, const struct ns_reader *r, const char *text, struct ns_filter **ret)
{
    uint64_t sum = digest(text);
    struct ns_filter *filter = look_up(filters, sum, text);

    if (filter == NULL) {
        pthread_mutex_lock(&filters->building);
        filter = look_up(filters, sum, text);
        if (filter == NULL)
            filter = compile(filters, r, text, sum);
        pthread_mutex_unlock(&filters->building);
    }
    if (filter == NULL)
        return -1;
    *ret = filter;
    return 0;
}

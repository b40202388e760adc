/* SPDX-License-Identifier: Apache-2.0 */
/* stat_list.c - see stat_list.h. A file that is not there leaves its keys out. */
#include "stat_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#define NO_LIMIT (1ull << 62) /* and above: what v1 says where there is none */

void ns_stats_clear(struct ns_stats *stats)
{
    for (uint32_t i = 0; i < stats->count; i++)
        free((void *)(uintptr_t)stats->list[i].key.data);
    free(stats->list);
    *stats = (struct ns_stats){.count = 0};
}

void ns_stats_add(struct ns_stats *stats, uint64_t value, const char *key, ...)
{
    struct cloister_stat *grown;
    char *text = NULL;
    va_list args;
    int size;

    va_start(args, key);
    size = vasprintf(&text, key, args);
    va_end(args);
    for (uint32_t i = 0; size >= 0 && i < stats->count; i++)
        if (ns_equal(stats->list[i].key, text)) {
            stats->list[i].value += value;
            free(text);
            return;
        }
    grown = size < 0 ? NULL : realloc(stats->list, (stats->count + 1u) * sizeof(*grown));
    if (grown == NULL) {
        stats->short_of_memory = true;
        if (size >= 0)
            free(text);
        return;
    }
    stats->list = grown;
    grown[stats->count++] = (struct cloister_stat){.key = {text, (uint64_t)size}, .value = value};
}

/* --- files --- */

struct source {
    const struct ns_stats_ask *ask;
    struct ns_stats *stats;
    const char *group;
    bool first; /* not one beside it: limits are this one's */
};

/* The controller's hierarchy, by its name on v1 and on v2; *ret_v2 where it is. */
static uint32_t find(const struct source *s, const char *v1, const char *v2, bool *ret_v2)
{
    const struct ns_hierarchies *all = s->ask->cgroups->hierarchies;
    uint32_t h = ns_hierarchy_find(all, v1);

    *ret_v2 = h == NS_NO_HIERARCHY;
    if (h == NS_NO_HIERARCHY)
        h = ns_hierarchy_of(all, v2);
    return h;
}

static char *read_text(const struct source *s, uint32_t h, const char *file)
{
    NS_FREE char *path = h == NS_NO_HIERARCHY ? NULL : ns_group_path(s->ask->cgroups, h, s->group, file);
    char *text = NULL;

    return path && ns_read_file(path, 1u << 20, &text) == 0 ? text : NULL;
}

/* One number; "max" is none. */
static bool read_number(const struct source *s, uint32_t h, const char *file, uint64_t *ret)
{
    NS_FREE char *text = read_text(s, h, file);
    char *end;

    if (text == NULL)
        return false;
    *ret = strtoull(text, &end, 10);
    return end != text;
}

/* "name value" on a line of its own. */
static bool line_number(const char *text, const char *name, uint64_t *ret)
{
    size_t size = strlen(name);

    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, name, size) == 0 && line[size] == ' ') {
            *ret = strtoull(line + size, NULL, 10);
            return true;
        }
    return false;
}

static void add_number(const struct source *s, uint32_t h, const char *file, const char *key)
{
    uint64_t number;

    if (read_number(s, h, file, &number))
        ns_stats_add(s->stats, number, "%s", key);
}

struct line {
    const char *name;
    const char *key;
    uint64_t factor;
};

static void add_lines(const struct source *s, const char *text, const struct line *lines, size_t count)
{
    uint64_t number;

    for (size_t i = 0; text && i < count; i++)
        if (line_number(text, lines[i].name, &number))
            ns_stats_add(s->stats, number * lines[i].factor, "%s", lines[i].key);
}

#define ADD_LINES(s, text, lines) add_lines(s, text, lines, sizeof(lines) / sizeof(*(lines)))

/* v1 tells no limit by a number near the largest. */
static void add_limit(const struct source *s, uint32_t h, const char *file, const char *key)
{
    uint64_t number;

    if (s->first && read_number(s, h, file, &number) && number < NO_LIMIT)
        ns_stats_add(s->stats, number, "%s", key);
}

static void add_version(const struct source *s, uint32_t h, bool v2, const char *name)
{
    if (s->first && h != NS_NO_HIERARCHY)
        ns_stats_add(s->stats, v2 ? 2 : 1, "cgroup.%s", name);
}

/* --- cpu --- */

/* The use of time is in v2's cpu.stat whatever controllers it has; being throttled only with the controller. */
static void add_cpu(const struct source *s)
{
    static const struct line use[] = {
        {"usage_usec", "cpu_ns", 1000}, {"user_usec", "cpu_user_ns", 1000}, {"system_usec", "cpu_system_ns", 1000}};
    static const struct line throttled_v1[] = {{"nr_periods", "cpu_periods", 1},
                                               {"nr_throttled", "cpu_throttled", 1},
                                               {"throttled_time", "cpu_throttled_ns", 1}};
    static const struct line throttled_v2[] = {{"nr_periods", "cpu_periods", 1},
                                               {"nr_throttled", "cpu_throttled", 1},
                                               {"throttled_usec", "cpu_throttled_ns", 1000}};
    const struct ns_hierarchies *all = s->ask->cgroups->hierarchies;
    uint32_t account = ns_hierarchy_find(all, "cpuacct"), unified = ns_hierarchy_find(all, ""), h;
    NS_FREE char *text = NULL;
    bool v2;

    if (account != NS_NO_HIERARCHY) {
        add_number(s, account, "cpuacct.usage", "cpu_ns");
        add_number(s, account, "cpuacct.usage_user", "cpu_user_ns");
        add_number(s, account, "cpuacct.usage_sys", "cpu_system_ns");
    } else {
        NS_FREE char *stat = read_text(s, unified, "cpu.stat");

        ADD_LINES(s, stat, use);
    }
    h = find(s, "cpu", "cpu", &v2);
    text = read_text(s, h, "cpu.stat");
    if (v2)
        ADD_LINES(s, text, throttled_v2);
    else
        ADD_LINES(s, text, throttled_v1);
    add_version(s, h, v2, "cpu");
}

/* --- memory --- */

static void add_raw(const struct source *s, const char *text)
{
    char name[64];
    unsigned long long value;

    for (const char *line = text; line && sscanf(line, "%63s %llu", name, &value) == 2;
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        ns_stats_add(s->stats, value, "memory.stat.%s", name);
}

/* From the descriptor that was reset before, if there is one; reset after it has been read. */
static void add_peak_v2(const struct source *s, uint32_t h)
{
    NS_FREE char *path = ns_group_path(s->ask->cgroups, h, s->group, "memory.peak");
    NS_CLOSE int fd = path && s->ask->peak_fd ? s->ask->peak_fd(s->ask->ctx, path) : -1;
    char text[32] = "";

    if (fd < 0) {
        add_number(s, h, "memory.peak", "mem_peak");
        return;
    }
    if (pread(fd, text, sizeof(text) - 1, 0) > 0)
        ns_stats_add(s->stats, strtoull(text, NULL, 10), "mem_peak");
    if (s->ask->reset_peak && pwrite(fd, "0", 1, 0) < 0)
        return; /* the capability says that it can */
}

static void add_peak_v1(const struct source *s, uint32_t h)
{
    NS_FREE char *path = ns_group_path(s->ask->cgroups, h, s->group, "memory.max_usage_in_bytes");
    NS_CLOSE int fd = -1;

    add_number(s, h, "memory.max_usage_in_bytes", "mem_peak");
    fd = path && s->ask->reset_peak ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (fd >= 0 && write(fd, "0", 1) < 0)
        return; /* as above */
}

static void add_memory(const struct source *s)
{
    static const struct line v1[] = {
        {"total_cache", "mem_cache", 1}, {"total_rss", "mem_rss", 1}, {"total_swap", "mem_swap", 1}};
    static const struct line stat_v2[] = {{"file", "mem_cache", 1}, {"anon", "mem_rss", 1}};
    static const struct line kills[] = {{"oom_kill", "oom_kills", 1}};
    NS_FREE char *text = NULL, *events = NULL;
    bool v2;
    uint32_t h = find(s, "memory", "memory", &v2);

    if (h == NS_NO_HIERARCHY)
        return;
    text = read_text(s, h, "memory.stat");
    events = read_text(s, h, v2 ? "memory.events" : "memory.oom_control");
    if (v2) {
        add_number(s, h, "memory.current", "mem_usage");
        add_number(s, h, "memory.swap.current", "mem_swap");
        add_limit(s, h, "memory.max", "mem_limit");
        ADD_LINES(s, text, stat_v2);
    } else {
        add_number(s, h, "memory.usage_in_bytes", "mem_usage");
        add_limit(s, h, "memory.limit_in_bytes", "mem_limit");
        ADD_LINES(s, text, v1);
    }
    if (!s->ask->beside && v2)
        add_peak_v2(s, h);
    else if (!s->ask->beside)
        add_peak_v1(s, h);
    ADD_LINES(s, events, kills);
    if (s->ask->raw)
        add_raw(s, text);
    add_version(s, h, v2, "memory");
}

/* --- the rest --- */

/* "8:0 Read 4096" on v1, for each device; "8:0 rbytes=4096 wbytes=0 ..." on v2. */
static void add_devices(const struct source *s, const char *text, const char *word, const char *key)
{
    uint64_t sum = 0;

    if (text == NULL)
        return;
    for (const char *hit = text; (hit = strstr(hit, word)) != NULL; hit += strlen(word))
        sum += strtoull(hit + strlen(word), NULL, 10);
    ns_stats_add(s->stats, sum, "%s", key);
}

static void add_io(const struct source *s)
{
    bool v2;
    uint32_t h = find(s, "blkio", "io", &v2);
    NS_FREE char *bytes = read_text(s, h, v2 ? "io.stat" : "blkio.throttle.io_service_bytes_recursive");
    NS_FREE char *counts = v2 ? NULL : read_text(s, h, "blkio.throttle.io_serviced_recursive");

    add_devices(s, bytes, v2 ? " rbytes=" : " Read ", "io_read_bytes");
    add_devices(s, bytes, v2 ? " wbytes=" : " Write ", "io_write_bytes");
    add_devices(s, v2 ? bytes : counts, v2 ? " rios=" : " Read ", "io_reads");
    add_devices(s, v2 ? bytes : counts, v2 ? " wios=" : " Write ", "io_writes");
    add_version(s, h, v2, "io");
}

static void add_pids(const struct source *s)
{
    bool v2;
    uint32_t h = find(s, "pids", "pids", &v2);

    add_number(s, h, "pids.current", "pids");
    add_limit(s, h, "pids.max", "pids_limit");
    add_version(s, h, v2, "pids");
}

static void add_huge_pages(const struct source *s)
{
    bool v2, any = false;
    uint32_t h = find(s, "hugetlb", "hugetlb", &v2);

    for (uint32_t i = 0; h != NS_NO_HIERARCHY && i < s->ask->machine->huge_count; i++) {
        const char *size = s->ask->machine->huge_pages[i];
        NS_FREE char *file = ns_format("hugetlb.%s.%s", size, v2 ? "current" : "usage_in_bytes");
        uint64_t number;

        if (file == NULL || !read_number(s, h, file, &number))
            continue;
        ns_stats_add(s->stats, number, "hugetlb.%s.usage", size);
        any = true;
    }
    if (any)
        add_version(s, h, v2, "hugetlb");
}

static void add_group(void *ctx, const char *name)
{
    struct source *s = ctx;

    s->group = name;
    add_cpu(s);
    add_memory(s);
    add_pids(s);
    add_io(s);
    add_huge_pages(s);
    s->first = false;
}

void ns_stats_of_group(const struct ns_stats_ask *ask, struct ns_stats *io_stats)
{
    struct source s = {ask, io_stats, NULL, true};

    add_group(&s, ask->group);
    if (ask->beside && ask->cgroups->hierarchies->count > 0)
        ns_group_beside(ask->cgroups, 0, ask->group, add_group, &s);
}

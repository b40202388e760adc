/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_change.c - changing limits. Which of two files has to go first depends on the direction (H2.2.8: memory below
 * memory + swap at every moment; quota and period in a ratio that the group above allows), and the kernel says so by
 * EINVAL at once: what is refused so is tried again behind the others, as long as that gets one further.
 */
#include "limits_change.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "cgroup_file.h"

static char *read_text(const struct ns_cgroups *cgroups, uint32_t h, const char *group, const char *file)
{
    NS_FREE char *path = h == NS_NO_HIERARCHY ? NULL : ns_group_path(cgroups, h, group, file);
    char *text = NULL;

    return path && ns_read_file(path, 65536, &text) == 0 ? text : NULL;
}

/* -1: none, or not to be read. */
static int64_t read_number(const struct ns_cgroups *cgroups, uint32_t h, const char *group, const char *file)
{
    NS_FREE char *text = read_text(cgroups, h, group, file);
    char *end;
    long long number;

    if (text == NULL)
        return -1;
    number = strtoll(text, &end, 10);
    return end == text || number >= 1ll << 62 ? -1 : number;
}

static bool on_v2(const struct ns_cgroups *cgroups, uint32_t h)
{
    return h != NS_NO_HIERARCHY && cgroups->hierarchies->list[h].v2;
}

void ns_limits_kept(const struct ns_cgroups *cgroups, const char *group, struct ns_kept *ret)
{
    uint32_t memory = ns_hierarchy_of(cgroups->hierarchies, "memory"),
             cpu = ns_hierarchy_of(cgroups->hierarchies, "cpu");
    NS_FREE char *text = NULL;
    long long period;

    *ret = (struct ns_kept){-1, -1, 100000};
    ret->memory_limit =
        read_number(cgroups, memory, group, on_v2(cgroups, memory) ? "memory.max" : "memory.limit_in_bytes");
    if (!on_v2(cgroups, cpu)) {
        ret->cpu_quota = read_number(cgroups, cpu, group, "cpu.cfs_quota_us");
        period = read_number(cgroups, cpu, group, "cpu.cfs_period_us");
        ret->cpu_period = period > 0 ? period : ret->cpu_period;
        return;
    }
    ret->cpu_quota = read_number(cgroups, cpu, group, "cpu.max");
    text = read_text(cgroups, cpu, group, "cpu.max");
    if (text && sscanf(text, "%*s %lld", &period) == 1)
        ret->cpu_period = period;
}

/* --- what it was --- */

/* The line of a file that has one for each device, or the interface's: its first word is that of `line`. */
static char *line_of(const char *text, const char *line)
{
    size_t word = strcspn(line, " ");

    for (const char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, line, word) == 0 && at[word] == ' ')
            return ns_format("%.*s", (int)strcspn(at, "\n"), at);
    return NULL;
}

/* The text that puts it back. */
static char *old_value(const struct ns_cgroups *cgroups, const char *group, const struct ns_write *write)
{
    NS_FREE char *text = read_text(cgroups, write->hierarchy, group, write->file);
    char *line;

    if (text == NULL)
        return NULL;
    if (strcmp(write->file, "memory.oom_control") == 0)
        return strdup(strstr(text, "oom_kill_disable 1") ? "1" : "0");
    if (write->none == NULL) {
        text[strcspn(text, "\n")] = 0;
        return strdup(*text ? text : "\n");
    }
    line = line_of(text, write->none);
    return line ? line : strdup(write->none);
}

/* --- writing --- */

/* Each of `values` to its file; *ret_first is the one that could not be written, count = all were. Values that are NULL
 * are passed over. 0 or the negative errno. */
static int write_all(const struct ns_cgroups *cgroups, const char *group, const struct ns_compile *c,
                     char *const *values, bool *written, uint32_t *ret_first)
{
    bool further = true;
    int rc = 0;

    while (further) {
        further = false;
        rc = 0;
        for (uint32_t i = 0; i < c->write_count; i++) {
            struct ns_write write = c->writes[i];
            int one;

            if (written[i] || values[i] == NULL)
                continue;
            write.value = values[i];
            one = ns_group_put(cgroups, group, &write);
            written[i] = one == 0;
            further |= one == 0;
            if (one < 0 && one != -EINVAL) {
                *ret_first = i;
                return one;
            }
            if (one < 0 && rc == 0) {
                rc = one;
                *ret_first = i;
            }
        }
        if (rc == 0)
            return 0;
    }
    return rc;
}

static int put_error(const struct ns_compile *c, uint32_t i, int rc)
{
    const struct ns_write *write = &c->writes[i];
    uint32_t code = rc == -EBUSY ? CLOISTER_BUSY : rc == -EINVAL ? CLOISTER_INVALID : CLOISTER_CGROUP_FAILED;

    c->r.log->error_set(c->r.err, code, -rc, write->where, "cgroup", "%s: set %s to '%s'", write->where, write->file,
                        write->value);
    return -1;
}

/* --- below what is in use --- */

static uint64_t used_memory(const struct ns_cgroups *cgroups, uint32_t h, const char *group, bool all)
{
    bool v2 = on_v2(cgroups, h);
    int64_t usage = read_number(cgroups, h, group, v2 ? "memory.current" : "memory.usage_in_bytes");
    NS_FREE char *text = all ? NULL : read_text(cgroups, h, group, "memory.stat");
    const char *file = text ? strstr(text, v2 ? "\nfile " : "\ntotal_cache ") : NULL;
    uint64_t cache = file ? strtoull(strchr(file, ' '), NULL, 10) : 0;

    return usage < 0 ? 0 : (uint64_t)usage > cache ? (uint64_t)usage - cache : 0;
}

/* A size as the kernel reads it: with K, M, G, T, P or E behind it, in hexadecimal or octal, too. */
static uint64_t size_of(const char *text)
{
    static const char units[] = "KMGTPE";
    char *end;
    uint64_t number = strtoull(text, &end, 0);
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    unsigned shift = unit ? (unsigned)(unit - units + 1) * 10 : 0;

    return number > UINT64_MAX >> shift ? UINT64_MAX : number << shift;
}

/* v1 itself refuses a limit that it cannot reach; v2 would kill for it. */
static int check_memory(const struct ns_cgroups *cgroups, const char *group, const struct ns_compile *c, bool check)
{
    for (uint32_t i = 0; i < c->write_count; i++) {
        const struct ns_write *write = &c->writes[i];
        bool v2 = strcmp(write->file, "memory.max") == 0;
        uint64_t limit = size_of(write->value), used;

        if ((!v2 && strcmp(write->file, "memory.limit_in_bytes") != 0) || (!v2 && !check) || *write->value == '-' ||
            *write->value == 'm')
            continue;
        used = used_memory(cgroups, write->hierarchy, group, check);
        if (limit < used) {
            c->r.log->error_set(c->r.err, CLOISTER_BUSY, 0, write->where, "cgroup",
                                "%s: %llu is below the %llu bytes in use", write->where, (unsigned long long)limit,
                                (unsigned long long)used);
            return -1;
        }
    }
    return 0;
}

static int change(const struct ns_cgroups *cgroups, const char *group, const struct ns_compile *c, char **values,
                  bool *written)
{
    char **wanted = values + c->write_count;
    uint32_t first = 0;
    int rc;

    for (uint32_t i = 0; i < c->write_count; i++) {
        values[i] = old_value(cgroups, group, &c->writes[i]);
        wanted[i] = c->writes[i].value;
    }
    rc = write_all(cgroups, group, c, wanted, written, &first);
    if (rc == 0)
        return 0;
    put_error(c, first, rc);
    /* Only what was changed goes back. */
    for (uint32_t i = 0; i < c->write_count; i++)
        written[i] = !written[i];
    if (write_all(cgroups, group, c, values, written, &first) < 0) {
        c->r.log->error_wrap(c->r.err, "some limits have changed: the old value of %s could not be put back",
                             c->writes[first].file);
        c->r.err->code = CLOISTER_PARTIAL;
    }
    return -1;
}

int ns_limits_change(const struct ns_cgroups *cgroups, const char *group, const struct ns_compile *c, bool check)
{
    NS_FREE char **values = calloc((size_t)c->write_count * 2 + 1, sizeof(*values));
    NS_FREE bool *written = calloc((size_t)c->write_count + 1, sizeof(*written));
    int rc;

    if (values == NULL || written == NULL)
        return ns_no_memory(&c->r);
    if (check_memory(cgroups, group, c, check) < 0)
        return -1;
    rc = change(cgroups, group, c, values, written);
    for (uint32_t i = 0; i < c->write_count; i++)
        free(values[i]);
    return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* stat_machine.c - counters of the machine and of the daemon itself. */
#include <stdio.h>
#include <sys/resource.h>

#include "stat_list.h"

#define SECOND 1000000000ull

static char *read_at(const char *path)
{
    char *text = NULL;

    return ns_read_file(path, 4u << 20, &text) == 0 ? text : NULL;
}

/* "cpu  user nice system idle iowait irq softirq steal": in ticks, of all processors. */
static void add_time(const struct ns_cgroups *cgroups, struct ns_stats *stats)
{
    uint32_t account = ns_hierarchy_find(cgroups->hierarchies, "cpuacct");
    NS_FREE char *text = read_at("/proc/stat");
    NS_FREE char *path =
        account == NS_NO_HIERARCHY ? NULL : ns_format("%s/cpuacct.usage", cgroups->hierarchies->list[account].mount);
    NS_FREE char *usage = path ? read_at(path) : NULL;
    unsigned long long user, nice, sys, idle, wait, irq, soft, steal;
    uint64_t tick = SECOND / (uint64_t)sysconf(_SC_CLK_TCK);

    if (text == NULL || sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &sys, &idle, &wait,
                               &irq, &soft, &steal) != 8)
        return;
    ns_stats_add(stats, usage ? strtoull(usage, NULL, 10) : (user + nice + sys + irq + soft + steal) * tick, "cpu_ns");
    ns_stats_add(stats, idle * tick, "cpu_idle_ns");
}

static void add_memory(struct ns_stats *stats)
{
    NS_FREE char *text = read_at("/proc/meminfo");
    const char *total = text ? strstr(text, "MemTotal:") : NULL, *left = text ? strstr(text, "MemAvailable:") : NULL;

    if (total)
        ns_stats_add(stats, strtoull(total + strlen("MemTotal:"), NULL, 10) * 1024u, "mem_total");
    if (left)
        ns_stats_add(stats, strtoull(left + strlen("MemAvailable:"), NULL, 10) * 1024u, "mem_available");
}

/* "  eth0: bytes packets errs drop fifo frame compressed multicast bytes ..." */
static void add_interfaces(struct ns_stats *stats)
{
    NS_FREE char *text = read_at("/proc/self/net/dev");
    char *save = NULL;

    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): NS_FREE frees it, which the analyzer does not know. */
    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
        char *colon = strrchr(line, ':');
        unsigned long long received, sent;

        if (colon == NULL || sscanf(colon + 1, "%llu %*u %*u %*u %*u %*u %*u %*u %llu", &received, &sent) != 2)
            continue;
        *colon = 0;
        line += strspn(line, " ");
        ns_stats_add(stats, received, "net.%s.rx_bytes", line);
        ns_stats_add(stats, sent, "net.%s.tx_bytes", line);
    }
}

/* The group that the daemon was put in, if that is one of its own; in a root group everybody is. */
static bool own_group(const struct ns_cgroups *cgroups, uint64_t *ret)
{
    uint32_t account = ns_hierarchy_find(cgroups->hierarchies, "cpuacct");
    NS_FREE char *text = read_at("/proc/self/cgroup"), *path = NULL, *usage = NULL;

    for (char *line = text; account != NS_NO_HIERARCHY && line;
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        const char *controllers = strchr(line, ':'), *name = controllers ? strchr(controllers + 1, ':') : NULL;
        size_t size = name ? strcspn(name + 1, "\n") : 0;

        if (name == NULL || size < 2 || memmem(controllers, (size_t)(name - controllers), "cpuacct", 7) == NULL)
            continue;
        path = ns_format("%s%.*s/cpuacct.usage", cgroups->hierarchies->list[account].mount, (int)size, name + 1);
        usage = path ? read_at(path) : NULL;
        if (usage)
            *ret = strtoull(usage, NULL, 10);
        return usage != NULL;
    }
    return false;
}

static void add_service(const struct ns_cgroups *cgroups, struct ns_stats *stats)
{
    struct rusage used;
    uint64_t ns = 0;

    if (!own_group(cgroups, &ns) && getrusage(RUSAGE_SELF, &used) == 0)
        ns = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * SECOND +
             (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000u;
    ns_stats_add(stats, ns, "service_cpu_ns");
}

void ns_stats_of_machine(const struct ns_cgroups *cgroups, struct ns_stats *io_stats)
{
    add_time(cgroups, io_stats);
    add_memory(io_stats);
    add_interfaces(io_stats);
    add_service(cgroups, io_stats);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* sample.c - see sample.h. */
#include "sample.h"
#include <stdio.h>

static bool counter(const cloister_value *stats, const char *key, uint64_t *ret_number)
{
    return cl_value_u64(cl_value_get_cstr(stats, key), ret_number) == 0;
}

struct ctl_sample ctl_sample_read(const cloister_value *result)
{
    const cloister_value *stats = cl_value_get_cstr(result, "stats");
    struct ctl_sample sample = {0};

    sample.has_cpu = counter(result, "sampled_mono_ns", &sample.mono_ns) && counter(stats, "cpu_ns", &sample.cpu_ns);
    sample.has_mem = counter(stats, "mem_usage", &sample.mem_usage);
    sample.has_pids = counter(stats, "pids", &sample.pids);
    sample.has_io =
        counter(stats, "io_read_bytes", &sample.io_read) && counter(stats, "io_write_bytes", &sample.io_write);
    (void)counter(stats, "mem_limit", &sample.mem_limit);
    return sample;
}

/* "64MiB", "1.5GiB", "900B": a point only where it tells something. */
static int print_size(char *ret, size_t size, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double number = (double)bytes;
    unsigned unit = 0;

    while (number >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        number /= 1024;
        unit++;
    }
    uint64_t tenths = (uint64_t)(number * 10 + 0.5);
    if (tenths % 10 == 0)
        return snprintf(ret, size, "%llu%s", (unsigned long long)tenths / 10, units[unit]);
    return snprintf(ret, size, "%llu.%llu%s", (unsigned long long)tenths / 10, (unsigned long long)tenths % 10,
                    units[unit]);
}

const char *ctl_sample_cpu(const struct ctl_sample *before, const struct ctl_sample *now, char ret[CTL_SAMPLE_TEXT])
{
    bool moves = before->has_cpu && now->has_cpu && now->mono_ns > before->mono_ns && now->cpu_ns >= before->cpu_ns;

    if (!moves)
        (void)snprintf(ret, CTL_SAMPLE_TEXT, "-");
    else
        (void)snprintf(ret, CTL_SAMPLE_TEXT, "%.2f%%",
                       100.0 * (double)(now->cpu_ns - before->cpu_ns) / (double)(now->mono_ns - before->mono_ns));
    return ret;
}

static uint64_t limit_of(const struct ctl_sample *now, uint64_t machine)
{
    return now->mem_limit && (now->mem_limit < machine || !machine) ? now->mem_limit : machine;
}

const char *ctl_sample_memory(const struct ctl_sample *now, uint64_t machine, char ret[CTL_SAMPLE_TEXT])
{
    uint64_t limit = limit_of(now, machine);
    char usage[28] = "-", most[28] = "-";

    if (now->has_mem)
        (void)print_size(usage, sizeof(usage), now->mem_usage);
    if (limit)
        (void)print_size(most, sizeof(most), limit);
    (void)snprintf(ret, CTL_SAMPLE_TEXT, "%s / %s", usage, most);
    return ret;
}

const char *ctl_sample_memory_share(const struct ctl_sample *now, uint64_t machine, char ret[CTL_SAMPLE_TEXT])
{
    uint64_t limit = limit_of(now, machine);

    if (!now->has_mem || !limit)
        (void)snprintf(ret, CTL_SAMPLE_TEXT, "-");
    else
        (void)snprintf(ret, CTL_SAMPLE_TEXT, "%.2f%%", 100.0 * (double)now->mem_usage / (double)limit);
    return ret;
}

const char *ctl_sample_pids(const struct ctl_sample *now, char ret[CTL_SAMPLE_TEXT])
{
    if (!now->has_pids)
        (void)snprintf(ret, CTL_SAMPLE_TEXT, "-");
    else
        (void)snprintf(ret, CTL_SAMPLE_TEXT, "%llu", (unsigned long long)now->pids);
    return ret;
}

const char *ctl_sample_io(const struct ctl_sample *now, char ret[CTL_SAMPLE_TEXT])
{
    char in[28], out[28];

    if (!now->has_io) {
        (void)snprintf(ret, CTL_SAMPLE_TEXT, "-");
        return ret;
    }
    (void)print_size(in, sizeof(in), now->io_read);
    (void)print_size(out, sizeof(out), now->io_write);
    (void)snprintf(ret, CTL_SAMPLE_TEXT, "%s / %s", in, out);
    return ret;
}

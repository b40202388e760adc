/* SPDX-License-Identifier: Apache-2.0 */
/* sample.h - counters of a container at two moments, and what they say to people. Pure functions. */
#ifndef CLOISTERCTL_SAMPLE_H
#define CLOISTERCTL_SAMPLE_H

#include "core/value/value.h"

/* What one answer to `stats` says. */
struct ctl_sample {
    uint64_t mono_ns;
    uint64_t cpu_ns;
    uint64_t mem_usage;
    uint64_t mem_limit; /* 0 = none */
    uint64_t pids;
    uint64_t io_read;
    uint64_t io_write;
    bool has_cpu, has_mem, has_pids, has_io;
};

struct ctl_sample ctl_sample_read(const cloister_value *result);

#define CTL_SAMPLE_TEXT 64u

/* Each fills `ret` and returns it; "-" for what is not counted here. */
const char *ctl_sample_cpu(const struct ctl_sample *before, const struct ctl_sample *now, char ret[CTL_SAMPLE_TEXT]);
/* machine: bytes of memory that this machine has, 0 = unknown; it is the limit where there is none. */
const char *ctl_sample_memory(const struct ctl_sample *now, uint64_t machine, char ret[CTL_SAMPLE_TEXT]);
const char *ctl_sample_memory_share(const struct ctl_sample *now, uint64_t machine, char ret[CTL_SAMPLE_TEXT]);
const char *ctl_sample_pids(const struct ctl_sample *now, char ret[CTL_SAMPLE_TEXT]);
const char *ctl_sample_io(const struct ctl_sample *now, char ret[CTL_SAMPLE_TEXT]);

#endif

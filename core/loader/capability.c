/* SPDX-License-Identifier: Apache-2.0 */
#include "core/loader/capability.h"

#include <inttypes.h>
#include <stddef.h>

/* Indexed by bit; the order is that of <cloister/plugin.h>, which only grows at the end. */
static const char *const transport_words[] = {
    "FDS", "PUSH", "HIJACK", "STREAM_BODY", "STREAM_ANSWER", "IN_ORDER", "ADOPT",
};

static const char *const isolation_words[] = {
    "EXTRA_FDS",
    "STDIO_DIRECT",
    "REAL_PIDS",
    "PAUSE_INIT",
    "BLOCKED_INIT",
    "OWN_CGROUP",
    "GROUP_SIGNAL",
    "FREEZE",
    "KILL_WHILE_FROZEN",
    "TAPE",
    "PTY",
    "NS_JOIN",
    "RESOLVE",
    "PEAK_RESET",
    "QUOTA",
    "BIND_HOST",
    "HOST_HOOKS",
    "ADOPT",
    "SNAPSHOT",
    "TEMPLATE",
    "HOT_BLOCK",
    "HOT_NET",
    "CHANNEL",
    "MACHINE_STATS",
    "MACHINE_VOLUMES",
    "MACHINE_DEVICES",
    "MACHINE_FILES",
    "MACHINE_NET",
    "MACHINE_EXEC",
    "MACHINE_GROUPS",
    "MACHINE_POWER",
};

static const char *const persistence_words[] = {"DURABLE", "WATCH", "REMOTE"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

_Static_assert(CLOISTER_TRANSPORT_ADOPT == 1ull << (COUNT(transport_words) - 1), "a transport bit has no word");
_Static_assert(CLOISTER_ISO_MACHINE_POWER == 1ull << (COUNT(isolation_words) - 1), "an isolation bit has no word");
_Static_assert(CLOISTER_STORE_REMOTE == 1ull << (COUNT(persistence_words) - 1), "a persistence bit has no word");

static const char *const *words_of(uint32_t kind, unsigned *ret_count)
{
    switch (kind) {
    case CLOISTER_KIND_TRANSPORT:
        *ret_count = COUNT(transport_words);
        return transport_words;
    case CLOISTER_KIND_ISOLATION:
        *ret_count = COUNT(isolation_words);
        return isolation_words;
    case CLOISTER_KIND_PERSISTENCE:
        *ret_count = COUNT(persistence_words);
        return persistence_words;
    default:
        *ret_count = 0;
        return NULL;
    }
}

const char *cl_capability_word(uint32_t kind, unsigned bit)
{
    unsigned count;
    const char *const *words = words_of(kind, &count);
    return bit < count ? words[bit] : NULL;
}

uint64_t cl_capability_known(uint32_t kind)
{
    unsigned count;
    words_of(kind, &count);
    return (1ull << count) - 1;
}

void cl_capability_words(uint32_t kind, uint64_t bits, const char *separator, struct cl_str *out)
{
    const char *between = "";
    uint64_t unknown = bits & ~cl_capability_known(kind);
    for (unsigned bit = 0; bit < 64; bit++) {
        if (!(bits & ~unknown & (1ull << bit)))
            continue;
        cl_str_printf(out, "%s%s", between, cl_capability_word(kind, bit));
        between = separator;
    }
    if (unknown)
        cl_str_printf(out, "%s0x%" PRIx64, between, unknown);
}

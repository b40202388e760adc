/* SPDX-License-Identifier: Apache-2.0 */
/* ranges.c - the table of id spans, by slot. */
#include "ranges.h"

#define PLANNED_FOR_NS (300ull * 1000000000ull)

struct slot {
    char id[CLOISTER_ENGINE_ID_SIZE + 1]; /* "" = free */
    bool confirmed;
    uint64_t planned;
};

struct ns_ranges {
    uint32_t first;
    uint32_t count;
    bool shared;
    uint32_t limit; /* spans that fit below the last id */
    struct slot *slots;
    uint32_t size;
};

struct ns_ranges *ns_ranges_new(uint32_t first, uint32_t count, bool shared)
{
    struct ns_ranges *ranges = calloc(1, sizeof(*ranges));

    if (ranges == NULL)
        return NULL;
    ranges->first = first;
    ranges->count = count;
    ranges->shared = shared;
    ranges->limit = count ? (UINT32_MAX - first) / count : 0;
    return ranges;
}

void ns_ranges_free(struct ns_ranges *ranges)
{
    if (ranges)
        free(ranges->slots);
    free(ranges);
}

static struct slot *find(struct ns_ranges *ranges, const char *id)
{
    for (uint32_t i = 0; i < ranges->size; i++)
        if (strcmp(ranges->slots[i].id, id) == 0)
            return &ranges->slots[i];
    return NULL;
}

static bool is_free(const struct slot *slot, uint64_t now)
{
    return slot->id[0] == 0 || (!slot->confirmed && now - slot->planned > PLANNED_FOR_NS);
}

static struct slot *find_free(struct ns_ranges *ranges, uint64_t now)
{
    struct slot *grown;

    for (uint32_t i = 0; i < ranges->size; i++)
        if (is_free(&ranges->slots[i], now))
            return &ranges->slots[i];
    if (ranges->size == ranges->limit)
        return NULL;
    grown = realloc(ranges->slots, (ranges->size + 1u) * sizeof(*grown));
    if (grown == NULL)
        return NULL;
    ranges->slots = grown;
    memset(&grown[ranges->size], 0, sizeof(*grown));
    return &grown[ranges->size++];
}

static struct ns_range span(const struct ns_ranges *ranges, const struct slot *slot)
{
    return (struct ns_range){ranges->first + (uint32_t)(slot - ranges->slots) * ranges->count, ranges->count};
}

struct ns_range ns_ranges_take(struct ns_ranges *ranges, const char *id, uint64_t now)
{
    struct slot *slot;

    if (ranges->shared && ranges->limit > 0)
        return (struct ns_range){ranges->first, ranges->count};
    slot = find(ranges, id);
    if (slot == NULL)
        slot = find_free(ranges, now);
    if (slot == NULL)
        return (struct ns_range){0, 0};
    strncpy(slot->id, id, sizeof(slot->id) - 1);
    slot->planned = now;
    slot->confirmed = false;
    return span(ranges, slot);
}

bool ns_ranges_confirm(struct ns_ranges *ranges, const char *id, struct ns_range range)
{
    struct slot *slot = find(ranges, id);

    if (ranges->shared || range.count == 0)
        return true;
    if (slot == NULL || span(ranges, slot).first != range.first || span(ranges, slot).count != range.count)
        return false;
    slot->confirmed = true;
    return true;
}

void ns_ranges_release(struct ns_ranges *ranges, const char *id)
{
    struct slot *slot = find(ranges, id);

    if (slot)
        memset(slot, 0, sizeof(*slot));
}

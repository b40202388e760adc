/* SPDX-License-Identifier: Apache-2.0 */
/* ranges.c - the table of id spans, by slot. */
#include "ranges.h"

#include <errno.h>

#define PLANNED_FOR_NS (300ull * 1000000000ull)
#define HELD_SLOTS_MAX (1u << 20)

struct slot {
    char id[CLOISTER_ENGINE_ID_SIZE + 1]; /* "" = free */
    bool confirmed;
    uint64_t planned;
};

struct held {
    char id[CLOISTER_ENGINE_ID_SIZE + 1];
    struct ns_range range;
};

struct ns_ranges {
    uint32_t first;
    uint32_t count;
    bool shared;
    uint32_t limit; /* spans that fit below the last id */
    struct slot *slots;
    uint32_t size;
    struct held *held; /* spans that are none of the slots: of another configuration */
    uint32_t held_count;
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
    if (ranges) {
        free(ranges->slots);
        free(ranges->held);
    }
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

static struct ns_range span_at(const struct ns_ranges *ranges, uint32_t i)
{
    return (struct ns_range){ranges->first + i * ranges->count, ranges->count};
}

static struct ns_range span(const struct ns_ranges *ranges, const struct slot *slot)
{
    return span_at(ranges, (uint32_t)(slot - ranges->slots));
}

static bool overlap(struct ns_range a, struct ns_range b)
{
    return a.first < (uint64_t)b.first + b.count && b.first < (uint64_t)a.first + a.count;
}

static bool is_held(const struct ns_ranges *ranges, struct ns_range range)
{
    for (uint32_t i = 0; i < ranges->held_count; i++)
        if (overlap(ranges->held[i].range, range))
            return true;
    return false;
}

static bool grow(struct ns_ranges *ranges, uint32_t size)
{
    struct slot *grown = realloc(ranges->slots, size * sizeof(*grown));

    if (grown == NULL)
        return false;
    ranges->slots = grown;
    memset(&grown[ranges->size], 0, (size - ranges->size) * sizeof(*grown));
    ranges->size = size;
    return true;
}

static struct slot *find_free(struct ns_ranges *ranges, uint64_t now)
{
    uint32_t i;

    for (i = 0; i < ranges->size; i++)
        if (is_free(&ranges->slots[i], now) && !is_held(ranges, span_at(ranges, i)))
            return &ranges->slots[i];
    while (i < ranges->limit && is_held(ranges, span_at(ranges, i)))
        i++;
    return i < ranges->limit && grow(ranges, i + 1) ? &ranges->slots[i] : NULL;
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

/* The slot that is this span; NULL: none is, or one so far up that the table would be mostly holes. */
static struct slot *slot_of(struct ns_ranges *ranges, struct ns_range range)
{
    uint32_t i = ranges->count && range.first >= ranges->first ? (range.first - ranges->first) / ranges->count : 0;

    if (range.count != ranges->count || i >= ranges->limit || i >= HELD_SLOTS_MAX ||
        span_at(ranges, i).first != range.first || (i >= ranges->size && !grow(ranges, i + 1)))
        return NULL;
    return &ranges->slots[i];
}

/* A span that is none of the slots, or is somebody's already, in the list of odd ones. */
static int hold_apart(struct ns_ranges *ranges, const char *id, struct ns_range range)
{
    struct held *grown = realloc(ranges->held, (ranges->held_count + 1u) * sizeof(*grown));

    if (grown == NULL)
        return -ENOMEM;
    ranges->held = grown;
    grown[ranges->held_count] = (struct held){.range = range};
    strncpy(grown[ranges->held_count++].id, id, CLOISTER_ENGINE_ID_SIZE);
    return 0;
}

static bool holds(const struct ns_ranges *ranges, const char *id, struct ns_range range)
{
    for (uint32_t i = 0; i < ranges->held_count; i++)
        if (strcmp(ranges->held[i].id, id) == 0 && ranges->held[i].range.first == range.first)
            return true;
    return false;
}

int ns_ranges_hold(struct ns_ranges *ranges, const char *id, struct ns_range range)
{
    struct slot *slot;

    if (ranges->shared || range.count == 0 || holds(ranges, id, range))
        return 0;
    slot = slot_of(ranges, range);
    if (slot && (slot->id[0] == 0 || strcmp(slot->id, id) == 0)) {
        strncpy(slot->id, id, sizeof(slot->id) - 1);
        slot->confirmed = true;
        return 0;
    }
    if (hold_apart(ranges, id, range) < 0)
        return -ENOMEM;
    return slot ? -EEXIST : 0;
}

void ns_ranges_release(struct ns_ranges *ranges, const char *id)
{
    struct slot *slot = find(ranges, id);

    if (slot)
        memset(slot, 0, sizeof(*slot));
    for (uint32_t i = 0; i < ranges->held_count; i++)
        if (strcmp(ranges->held[i].id, id) == 0)
            ranges->held[i--] = ranges->held[--ranges->held_count];
}

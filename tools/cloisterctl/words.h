/* SPDX-License-Identifier: Apache-2.0 */
/* words.h - a growing list of borrowed strings, for options that may be given many times. */
#ifndef CLOISTERCTL_WORDS_H
#define CLOISTERCTL_WORDS_H

#include "core/util/mem.h"
#include <stdint.h>

struct ctl_words {
    const char **items;
    uint32_t count;
};

#define CTL_WORDS_INIT \
    {                  \
        NULL, 0        \
    }

static inline void ctl_words_free(struct ctl_words *words)
{
    free(words->items);
}
#define CTL_WORDS_CLEANUP __attribute__((cleanup(ctl_words_free)))

/* 0, or -1 without memory. */
static inline int ctl_words_add(struct ctl_words *words, const char *word)
{
    const char **bigger = cl_realloc_array(words->items, words->count + 1u, sizeof(*bigger));

    if (!bigger)
        return -1;
    words->items = bigger;
    words->items[words->count++] = word;
    return 0;
}

#endif

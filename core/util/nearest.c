/* SPDX-License-Identifier: Apache-2.0 */
#include "core/util/nearest.h"

#define WORD_MAX 64u

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: three rows of the usual matrix are enough to see a swap of neighbours. */
static unsigned distance(struct cloister_sv a, struct cloister_sv b)
{
    unsigned rows[3][WORD_MAX + 1];
    for (unsigned j = 0; j <= b.size; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a.size; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *up = rows[(i + 2) % 3];
        const unsigned *up2 = rows[(i + 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= b.size; j++) {
            unsigned change = up[j - 1] + (a.data[i - 1] != b.data[j - 1]);
            row[j] = least(change, least(up[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                row[j] = least(row[j], up2[j - 2] + 1);
        }
    }
    return rows[a.size % 3][b.size];
}

const char *cl_nearest(struct cloister_sv word, const char *const *known, size_t count)
{
    const char *nearest = NULL;
    unsigned best = 0;
    if (word.size == 0 || word.size > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        struct cloister_sv candidate = cl_sv_cstr(known[i]);
        if (candidate.size == 0 || candidate.size > WORD_MAX)
            continue;
        unsigned d = distance(word, candidate);
        unsigned longer = (unsigned)(word.size > candidate.size ? word.size : candidate.size);
        if (d > (longer + 2) / 3 || d >= longer || (nearest && d >= best))
            continue;
        nearest = known[i];
        best = d;
    }
    return nearest;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_mountinfo.c - mountinfo as bytes: parsed without crash, and what comes of it is whole. */
#include <stdlib.h>
#include <string.h>

#include "isolation/namespaces/hierarchy.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct ns_hierarchies hierarchies;

    if (text == NULL)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    if (ns_hierarchies_parse(text, &hierarchies) == 0) {
        FUZZ_CHECK(hierarchies.count <= NS_HIERARCHIES_MAX);
        for (uint32_t i = 0; i < hierarchies.count; i++) {
            const struct ns_hierarchy *h = &hierarchies.list[i];
            char first[64] = "";

            FUZZ_CHECK(strchr(h->label, '/') == NULL && strlen(h->label) <= strlen(h->mount));
            FUZZ_CHECK(h->v2 ? *h->controllers == 0 : *h->controllers != 0);
            /* Each is found by its own first controller. */
            strncat(first, h->controllers, sizeof(first) - 1);
            first[strcspn(first, ",")] = 0;
            FUZZ_CHECK(h->v2 || strlen(first) == sizeof(first) - 1 ||
                       ns_hierarchy_of(&hierarchies, first) != NS_NO_HIERARCHY);
        }
        ns_hierarchies_clear(&hierarchies);
    }
    free(text);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A user text, a passwd file and a group file, each ended by a byte 0xff: whoever is found has ids that exist, is root
 * only if somebody said 0, and borrows from passwd only. */
#include "common/users/users.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"

static struct users_text part(const char **at, size_t *left)
{
    const char *end = *left ? memchr(*at, 0xff, *left) : NULL;
    struct users_text text = {*at, end ? (size_t)(end - *at) : *left};
    size_t taken = text.size + (end ? 1 : 0);

    *at += taken;
    *left -= taken;
    return text;
}

static int inside(struct users_text text, struct users_text of)
{
    return text.size == 0 || (text.data >= of.data && text.data + text.size <= of.data + of.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    struct users_text text = part(&at, &size);
    struct users_text passwd = part(&at, &size);
    struct users_text group = part(&at, &size);
    struct users_who who;
    uint32_t groups[16];

    if (users_find(text, passwd, group, &who) < 0)
        return 0;
    FUZZ_CHECK(who.uid != UINT32_MAX && who.gid != UINT32_MAX);
    FUZZ_CHECK(inside(who.name, passwd) && inside(who.home, passwd));
    FUZZ_CHECK(who.uid != 0 || who.name.size > 0 || text.size == 0 || text.data[0] == '0' ||
               (text.size >= 4 && memcmp(text.data, "root", 4) == 0));
    int count = users_groups(who.name, group, who.gid, groups, 16);

    FUZZ_CHECK(count >= -7 && count <= 16);
    for (int i = 0; i < count; i++)
        FUZZ_CHECK(groups[i] != UINT32_MAX && groups[i] != who.gid);
    return 0;
}

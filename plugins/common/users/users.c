/* SPDX-License-Identifier: Apache-2.0 */
#include "common/users/users.h"

#include <errno.h>
#include <string.h>

#define FIELDS 7u /* of passwd; group has the first four */

static bool same(struct users_text a, struct users_text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Up to the byte, which is taken too; all of it if there is none. */
static struct users_text cut(struct users_text *rest, char byte)
{
    const char *end = rest->size ? memchr(rest->data, byte, rest->size) : NULL;
    struct users_text part = {rest->data, end ? (size_t)(end - rest->data) : rest->size};
    size_t taken = part.size + (end ? 1 : 0);

    *rest = (struct users_text){rest->size ? rest->data + taken : NULL, rest->size - taken};
    return part;
}

/* Digits only. 4294967295 is "no id" to the kernel, so `max` is below it. */
static bool number(struct users_text text, uint32_t max, uint32_t *ret)
{
    uint64_t value = 0;

    if (text.size == 0 || text.size > 10)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (value > max)
        return false;
    *ret = (uint32_t)value;
    return true;
}

/* The next line that has at least so many fields and no NUL. False: the file has ended. */
static bool next_entry(struct users_text *file, size_t fields, struct users_text entry[FIELDS])
{
    while (file->size > 0) {
        struct users_text line = cut(file, '\n');
        size_t n = 0;

        if (line.size == 0 || line.data[0] == '#' || memchr(line.data, 0, line.size) != NULL)
            continue;
        for (bool more = true; more && n < FIELDS; n++) {
            size_t before = line.size;

            entry[n] = cut(&line, ':');
            more = entry[n].size < before; /* a colon ended it */
        }
        for (size_t i = n; i < FIELDS; i++)
            entry[i] = (struct users_text){NULL, 0};
        if (n >= fields)
            return true;
    }
    return false;
}

/* By name, or by number if `name` is empty. */
static bool find_user(struct users_text passwd, struct users_text name, uint32_t uid, struct users_who *ret)
{
    struct users_text entry[FIELDS] = {{NULL, 0}};
    uint32_t found, gid;

    while (next_entry(&passwd, 4, entry)) {
        if (!number(entry[2], UINT32_MAX - 1, &found) || !number(entry[3], UINT32_MAX - 1, &gid))
            continue;
        if (entry[0].size == 0 || (name.size ? !same(entry[0], name) : found != uid))
            continue;
        ret->uid = found;
        ret->gid = gid;
        ret->name = entry[0];
        ret->home = entry[5];
        return true;
    }
    return false;
}

static bool find_group(struct users_text group, struct users_text name, uint32_t *ret)
{
    struct users_text entry[FIELDS] = {{NULL, 0}};

    while (next_entry(&group, 3, entry))
        if (same(entry[0], name) && number(entry[2], UINT32_MAX - 1, ret))
            return true;
    return false;
}

/* What looks like a number is one, or nobody: never the name that an image has given to somebody else. */
static bool looks_like_number(struct users_text text)
{
    size_t i = text.size > 1 && (text.data[0] == '-' || text.data[0] == '+') ? 1 : 0;

    while (i < text.size && text.data[i] >= '0' && text.data[i] <= '9')
        i++;
    return text.size > 0 && i == text.size;
}

static int user_part(struct users_text text, struct users_text passwd, struct users_who *ret)
{
    static const struct users_text root = {"root", 4};
    uint32_t uid = 0;

    if (text.size == 0 || number(text, USERS_ID_MAX, &uid)) {
        ret->uid = uid;
        (void)find_user(passwd, (struct users_text){NULL, 0}, uid, ret);
        return 0;
    }
    if (looks_like_number(text))
        return -ENOENT;
    return find_user(passwd, text, 0, ret) || same(text, root) ? 0 : -ENOENT;
}

int users_find(struct users_text text, struct users_text passwd, struct users_text group, struct users_who *ret)
{
    struct users_text rest = text;
    struct users_text user = cut(&rest, ':');
    struct users_who who = {.group_given = user.size < text.size};
    int r;

    if ((text.size > 0 && memchr(text.data, 0, text.size) != NULL) ||
        (who.group_given && (user.size == 0 || rest.size == 0 || memchr(rest.data, ':', rest.size) != NULL)))
        return -EINVAL;
    r = user_part(user, passwd, &who);
    if (r == 0 && who.group_given && !number(rest, USERS_ID_MAX, &who.gid) &&
        (looks_like_number(rest) || !find_group(group, rest, &who.gid)))
        r = -ESRCH;
    if (r == 0)
        *ret = who;
    return r;
}

static bool lists(struct users_text members, struct users_text name)
{
    while (members.size > 0)
        if (same(cut(&members, ','), name))
            return true;
    return false;
}

static bool has(const uint32_t *list, uint32_t count, uint32_t id)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i] == id)
            return true;
    return false;
}

int users_groups(struct users_text name, struct users_text group, uint32_t except, uint32_t *ret, uint32_t max)
{
    struct users_text entry[FIELDS] = {{NULL, 0}};
    uint32_t gid = 0, count = 0;

    while (name.size > 0 && next_entry(&group, 4, entry)) {
        if (!number(entry[2], UINT32_MAX - 1, &gid) || gid == except || !lists(entry[3], name) || has(ret, count, gid))
            continue;
        if (count == max)
            return -E2BIG;
        ret[count++] = gid;
    }
    return (int)count;
}

const char *users_path(uint32_t uid)
{
    return uid == 0 ? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" : "/usr/local/bin:/usr/bin:/bin";
}

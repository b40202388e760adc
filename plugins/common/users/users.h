/* SPDX-License-Identifier: Apache-2.0 */
/*
 * users.h - who a user text means, by the bytes of a container's own passwd and group files.
 *
 * Those files are the image's, so their author is nobody we trust: a line that is not one is no entry, a number that
 * is none is none, nothing overflows into another id, and a name that looks like a number is not found by that number
 * (H1.1.13). Pure functions over bytes, without allocation: they run in the process that is about to become that user.
 * Rules: spec/garden.md 10.1, 10.2.
 */
#ifndef COMMON_USERS_USERS_H
#define COMMON_USERS_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USERS_ID_MAX 2147483647u  /* of a number that is asked for */
#define USERS_FILE_MAX (4u << 20) /* bytes of a file that are looked at: more is an error of the reader's */
#define USERS_GROUPS_MAX 1024u    /* supplementary groups of one user that are taken */

struct users_text { /* borrows */
    const char *data;
    size_t size;
};

struct users_who {
    uint32_t uid;
    uint32_t gid;
    struct users_text name; /* as passwd has it; empty: it has no such user */
    struct users_text home; /* likewise; empty: unknown */
    bool group_given;       /* the text named a group: then there are no supplementary ones */
};

/*
 * The text is "", "name", "name:group", "uid" or "uid:gid". 0 and *ret, which borrows from passwd; -EINVAL: it has none
 * of these forms; -ENOENT: there is no such user; -ESRCH: no such group. A number needs no entry; "" and "root" need no
 * file.
 */
int users_find(struct users_text text, struct users_text passwd, struct users_text group, struct users_who *ret);

/* The groups that list `name` as a member, each once, without `except`; how many, at most `max`. Those beyond it are
 * not counted: -E2BIG. */
int users_groups(struct users_text name, struct users_text group, uint32_t except, uint32_t *ret, uint32_t max);

/* What PATH is for a user that was given none. */
const char *users_path(uint32_t uid);

#endif

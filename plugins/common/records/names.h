/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - things ordered by name, and pages of them: what every store's list is made of.
 * A thing is a struct that begins with a records_name; the table holds pointers and owns nothing but its array.
 */
#ifndef RECORDS_NAMES_H
#define RECORDS_NAMES_H

#include <cloister/abi.h>
#include <stdbool.h>
#include <stddef.h>

struct records_name {
    char *data;
    size_t size;
};

struct records_names {
    struct records_name **items;
    size_t count;
    size_t capacity;
};

struct records_page {
    size_t first; /* indices */
    size_t end;
    bool more; /* there is another page; its cursor is the name of the last item of this one */
};

/* Index of the first item whose name is greater than `name` (or equal, with or_equal). */
size_t records_after(const struct records_names *names, struct cloister_sv name, bool or_equal);
/* NULL if absent. */
void *records_find(const struct records_names *names, struct cloister_sv name);
/* Room for `more` items: 0 or -ENOMEM. After it as many insertions cannot fail. */
int records_reserve(struct records_names *names, size_t more);
/* Takes the place of an item of the same name, which is returned. */
void *records_insert(struct records_names *names, struct records_name *item);
/* The removed item, or NULL. */
void *records_remove(struct records_names *names, struct cloister_sv name);
struct records_page records_page(const struct records_names *names, struct cloister_sv prefix,
                                 struct cloister_sv cursor, uint32_t limit);

static inline struct cloister_sv records_sv(const struct records_name *name)
{
    return (struct cloister_sv){name->data, name->size};
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - an intrusive doubly linked list; a node that is in no list points at itself, so removing twice is harmless.
 */
#ifndef CL_UTIL_LIST_H
#define CL_UTIL_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct cl_list {
    struct cl_list *next;
    struct cl_list *prev;
};

#define CL_CONTAINER(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void cl_list_init(struct cl_list *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool cl_list_empty(const struct cl_list *list)
{
    return list->next == list;
}

static inline void cl_list_insert_after(struct cl_list *where, struct cl_list *node)
{
    node->prev = where;
    node->next = where->next;
    where->next->prev = node;
    where->next = node;
}

static inline void cl_list_append(struct cl_list *list, struct cl_list *node)
{
    cl_list_insert_after(list->prev, node);
}

static inline void cl_list_prepend(struct cl_list *list, struct cl_list *node)
{
    cl_list_insert_after(list, node);
}

static inline void cl_list_remove(struct cl_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    cl_list_init(node);
}

/* First node, NULL if the list is empty. */
static inline struct cl_list *cl_list_first(const struct cl_list *list)
{
    /* The analyzer does not follow that cl_list_remove takes a node out before it is freed. */
    return list->next == list ? NULL : list->next; /* NOLINT(clang-analyzer-unix.Malloc) */
}

/* The current node may be removed inside the loop; other nodes may not. */
#define CL_LIST_FOREACH(node, list)                                                      \
    for (struct cl_list *node = (list)->next, *node##_next = node->next; node != (list); \
         node = node##_next, node##_next = node->next)

#endif

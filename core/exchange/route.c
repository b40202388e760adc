/* SPDX-License-Identifier: Apache-2.0 */
#include "core/exchange/route.h"

#include <stdio.h>

#include "core/util/sv.h"

/* Cuts text at the first `byte`: returns what is before it, *text becomes what is behind it (data NULL: there was
 * none). */
static struct cloister_sv cut(struct cloister_sv *text, char byte)
{
    const char *at = text->size ? memchr(text->data, byte, text->size) : NULL;
    struct cloister_sv head = *text;
    if (!at) {
        *text = cl_sv(NULL, 0);
        return head;
    }
    head.size = (uint64_t)(at - text->data);
    *text = cl_sv(at + 1, text->size - head.size - 1);
    return head;
}

struct cloister_sv cl_target_path(struct cloister_sv target)
{
    return cut(&target, '?');
}

struct cloister_sv cl_target_query(struct cloister_sv target, struct cloister_sv name)
{
    (void)cut(&target, '?');
    while (target.data) {
        struct cloister_sv value = cut(&target, '&');
        struct cloister_sv key = cut(&value, '=');
        if (cl_sv_eq(key, name))
            return value;
    }
    return cl_sv(NULL, 0);
}

/* "/containers/:handle" against "/containers/abc": segment by segment; a parameter takes one segment that is not empty.
 */
static bool path_matches(const char *pattern_text, struct cloister_sv path, struct cl_route_match *match)
{
    struct cloister_sv pattern = cl_sv_cstr(pattern_text);
    match->parameter_count = 0;
    while (pattern.data && path.data) {
        struct cloister_sv want = cut(&pattern, '/');
        struct cloister_sv got = cut(&path, '/');
        if (want.size == 0 || want.data[0] != ':') {
            if (!cl_sv_eq(want, got))
                return false;
            continue;
        }
        if (got.size == 0 || match->parameter_count == CL_ROUTE_PARAMETERS)
            return false;
        match->parameters[match->parameter_count].name = cl_sv(want.data + 1, want.size - 1);
        match->parameters[match->parameter_count++].value = got;
    }
    return !pattern.data && !path.data;
}

static void add_allowed(struct cl_route_match *match, const char *verb)
{
    size_t used = strlen(match->allow);
    (void)snprintf(match->allow + used, sizeof(match->allow) - used, "%s%s", used ? ", " : "", verb);
}

static void find_by_path(const struct cloister_route *routes, size_t count, const struct cloister_head *head,
                         struct cl_route_match *match)
{
    struct cloister_sv path = cl_target_path(head->target);
    for (size_t i = 0; i < count; i++) {
        if (!routes[i].path || !routes[i].verb || !path_matches(routes[i].path, path, match))
            continue;
        if (cl_sv_is(head->verb, routes[i].verb)) {
            match->route = &routes[i];
            match->allow[0] = 0;
            return;
        }
        add_allowed(match, routes[i].verb);
    }
    match->parameter_count = 0;
    match->fault = match->allow[0] ? CLOISTER_FAULT_WRONG_VERB : CLOISTER_FAULT_NO_ROUTE;
}

void cl_route_find(const struct cloister_route *routes, size_t count, const struct cloister_head *head,
                   struct cl_route_match *ret_match)
{
    memset(ret_match, 0, sizeof(*ret_match));
    if (head->op.size == 0 && !head->has_number) {
        find_by_path(routes, count, head, ret_match);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        bool word = head->op.size > 0 && routes[i].op && cl_sv_is(head->op, routes[i].op);
        bool number = head->op.size == 0 && routes[i].number != 0 && routes[i].number == head->number;
        if (word || number) {
            ret_match->route = &routes[i];
            return;
        }
    }
    ret_match->fault = CLOISTER_FAULT_UNKNOWN_OP;
}

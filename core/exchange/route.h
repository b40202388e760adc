/* SPDX-License-Identifier: Apache-2.0 */
/* route.h - which of a personality's routes a request's head means: by word, by number, or by verb and path. */
#ifndef CL_EXCHANGE_ROUTE_H
#define CL_EXCHANGE_ROUTE_H

#include <cloister/personality.h>

#define CL_ROUTE_PARAMETERS 8u
#define CL_ROUTE_ALLOW_MAX 128u

struct cl_route_parameter { /* views into the route and the target */
    struct cloister_sv name;
    struct cloister_sv value;
};

struct cl_route_match {
    const struct cloister_route *route; /* NULL: none, fault says why */
    uint32_t fault;                     /* enum cloister_fault_kind: UNKNOWN_OP, NO_ROUTE, WRONG_VERB */
    uint32_t parameter_count;
    struct cl_route_parameter parameters[CL_ROUTE_PARAMETERS];
    char allow[CL_ROUTE_ALLOW_MAX]; /* WRONG_VERB: "GET, PUT" */
};

void cl_route_find(const struct cloister_route *routes, size_t count, const struct cloister_head *head,
                   struct cl_route_match *ret_match);

/* The path part of a target, and the raw value of a query's name (empty view if it is absent). */
struct cloister_sv cl_target_path(struct cloister_sv target);
struct cloister_sv cl_target_query(struct cloister_sv target, struct cloister_sv name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unknown.h - sandboxes that cannot be explained: the record is lost, unreadable, newer, another daemon's, or names a
 * service or an isolation that the config does not have; or there is no record.
 *
 * They are listed with the reason, and neither killed nor swept. A destroy by force takes down what isolation finds by
 * id and cookie, then the record set. A record that can be read at a later start is an ordinary sandbox again.
 */
#ifndef CL_CORE_ENGINE_UNKNOWN_H
#define CL_CORE_ENGINE_UNKNOWN_H

#include "core/engine/sandbox.h"

/* Empty, 0 or NULL: not known. */
struct cl_unknown {
    struct cl_store *store;
    struct cloister_sv id;
    struct cloister_sv service;
    struct cloister_sv isolation;
    struct cloister_sv name;
    struct cloister_sv plan;
    struct cloister_sv unexplained; /* a plan from a record that cannot be read: not for a destroy, to be held only */
    uint64_t cookie;
    struct cl_backend *backend; /* who found it */
};

/* 0; -EEXIST: there is a sandbox of that id; -ENOMEM. */
int cl_unknown_make(struct cl_engine *engine, const struct cl_unknown *args, const struct cloister_error *why);
/* A restored one turns out not to be ours. */
void cl_unknown_become(struct cl_sandbox *sandbox, const struct cloister_error *why);

#endif

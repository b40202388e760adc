/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - does this configuration fit together? What --check-config answers and every start asks first. */
#ifndef CL_CORE_INSPECT_CHECK_H
#define CL_CORE_INSPECT_CHECK_H

#include "core/config/config.h"
#include "core/registry/registry.h"

/*
 * Loads every plugin that config names, checks its options, and checks that what each service's personality needs is
 * provided by its transports and its isolation. Creates nothing. 0, or negative errno and one sentence.
 */
int cl_check_config(const struct cl_config *config, struct cl_registry *registry, struct cloister_error *err);

#endif

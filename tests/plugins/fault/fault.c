/* SPDX-License-Identifier: Apache-2.0 */
#include "../wrap_isolation.h"

#include "fault.h"

static const struct cloister_isolation vtable = WRAP_VTABLE(fault_create, fault_destroy, fault_cancel);
static const struct cloister_plugin plugin = FAULT_PLUGIN("fault", &vtable);

CLOISTER_PLUGIN_REGISTER(plugin)

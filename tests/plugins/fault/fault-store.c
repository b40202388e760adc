/* SPDX-License-Identifier: Apache-2.0 */
#include "../wrap_store.h"

#include "fault.h"

static const struct cloister_persistence vtable = WRAP_VTABLE(fault_create, fault_destroy, fault_cancel);
static const struct cloister_plugin plugin = FAULT_PLUGIN("fault-store", &vtable);

CLOISTER_PLUGIN_REGISTER(plugin)

/* SPDX-License-Identifier: Apache-2.0 */
#include "../wrap_store.h"

#include "delay.h"

static const struct cloister_persistence vtable = WRAP_VTABLE(delay_create, delay_destroy, delay_cancel);
static const struct cloister_plugin plugin = DELAY_PLUGIN("delay-store", &vtable);

CLOISTER_PLUGIN_REGISTER(plugin)

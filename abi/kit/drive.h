/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KIT_DRIVE_H
#define KIT_DRIVE_H

#include "host.h"

/* Opens a store, does what the words say, closes it. 0, 1: it could not be opened or broke a rule, 2: a bad word. */
int kit_drive(const struct cloister_plugin *plugin, const char *state_dir, const struct kit_options *options,
              char **words, unsigned count);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KIT_EDIT_H
#define KIT_EDIT_H

#include "host.h"

/* words: SANDBOX KIND MEMBER NUMBER. 0, 1: it could not be done; a sentence on stderr says why. */
int kit_edit(const struct cloister_plugin *plugin, const char *state_dir, const struct kit_options *options,
             char **words);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* suites.h - one conformance suite per kind of plugin: what the SDK's contract demands, tried. */
#ifndef KIT_SUITES_H
#define KIT_SUITES_H

#include "host.h"

/* The number of tests that failed. */
int kit_suite_persistence(const struct cloister_plugin *plugin, const char *state_dir,
                          const struct kit_options *options);

#endif

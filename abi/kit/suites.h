/* SPDX-License-Identifier: Apache-2.0 */
/* suites.h - one conformance suite per kind of plugin: what the SDK's contract demands, tried. */
#ifndef KIT_SUITES_H
#define KIT_SUITES_H

#include "host.h"

/* The number of tests that failed. */
int kit_suite_persistence(const struct cloister_plugin *plugin, const char *state_dir,
                          const struct kit_options *options);

/* keeper NULL: none is started, and who asks for a fork is told so. pattern: which cases, as of file names. */
struct iso_setting;
int kit_suite_isolation(const struct iso_setting *setting, const char *keeper, const char *pattern);

#endif

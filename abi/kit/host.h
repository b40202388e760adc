/* SPDX-License-Identifier: Apache-2.0 */
/* host.h - the kit as a plugin sees it: a host of log, loop and clocks, and one instance of the plugin's file. */
#ifndef KIT_HOST_H
#define KIT_HOST_H

#include <cloister/host.h>
#include <stdbool.h>
#include <stdio.h>

#define KIT_OPTIONS_MAX 64u

extern bool kit_verbose; /* print what plugins log */

/* Opens the file as an outsider would: its one function, and nothing else. NULL and a sentence on stderr. */
const struct cloister_plugin *kit_load(const char *path, uint32_t kind);

/* Values for the plugin's options: the defaults of its table, then "key=value" of the settings. */
struct kit_options {
    struct cloister_option_value values[KIT_OPTIONS_MAX];
};
bool kit_options_fill(const struct cloister_plugin *plugin, char *const *settings, unsigned count,
                      struct kit_options *ret);

/* host: filled for a plugin of this kind; its tables for upcalls are the suite's. */
void kit_host_init(struct cloister_host *host);

/* Upcalls that broke a rule, with a sentence each on stderr. */
extern unsigned kit_breaches;
void kit_breach(const char *format, ...) CLOISTER_PRINTF(1, 2);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* helper.h - the slot helper_spawn: our helper programs, forked from the kit itself. */
#ifndef KIT_HELPER_H
#define KIT_HELPER_H

#include <cloister/host.h>

/* The directory of programs that are named without a slash. Others are DENIED: there is no config. */
void kit_helper_directory(const char *path);

int32_t kit_helper_spawn(const struct cloister_host *host, const struct cloister_helper_args *args,
                         struct cloister_error *err);

#endif

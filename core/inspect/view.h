/* SPDX-License-Identifier: Apache-2.0 */
/* view.h - plugins as text for operators and scripts: --list-plugins and --dump-plugin. */
#ifndef CL_CORE_INSPECT_VIEW_H
#define CL_CORE_INSPECT_VIEW_H

#include <stdio.h>

#include "core/loader/loader.h"

/* One line for each file of the search path:
 *   name=memory kind=persistence version=0.1.0 path=/usr/lib/cloister/plugins/memory.so status=ok
 *   path=/usr/lib/cloister/plugins/old.so status=refused: plugin file '...': it was built for ...
 * Blanks and control bytes in values other than the status are written \xNN. 0 or negative errno. */
int cl_view_list(struct cl_loader *loader, FILE *to);

/* key=value lines, in a fixed order; a missing or bad plugin is an error. 0 or negative errno. */
int cl_view_plugin(struct cl_loader *loader, const char *name, FILE *to, struct cloister_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include <cloister/plugin.h>

CLOISTER_EXPORT const struct cloister_plugin *cloister_plugin_entry(void);

CLOISTER_EXPORT const struct cloister_plugin *cloister_plugin_entry(void)
{
    return NULL;
}

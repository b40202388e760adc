/* SPDX-License-Identifier: Apache-2.0 */
/* Uses what nobody provides: built without -Wl,-z,defs on purpose. */
#include <cloister/plugin.h>

extern const struct cloister_plugin *nobody_provides_this(void);

CLOISTER_EXPORT const struct cloister_plugin *cloister_plugin_entry(void);

CLOISTER_EXPORT const struct cloister_plugin *cloister_plugin_entry(void)
{
    return nobody_provides_this();
}

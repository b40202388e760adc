/* SPDX-License-Identifier: Apache-2.0 */
/* Has no entry of its own but uses that of a library, where dlsym would find it. */
#include <cloister/plugin.h>

extern const struct cloister_plugin *cloister_plugin_entry(void);

CLOISTER_EXPORT uint32_t borrowed_kind(void);

CLOISTER_EXPORT uint32_t borrowed_kind(void)
{
    return cloister_plugin_entry()->kind;
}

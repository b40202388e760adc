/* SPDX-License-Identifier: Apache-2.0 */
/* iso_call.h - between iso.c and iso_call.c. */
#ifndef KIT_ISO_CALL_H
#define KIT_ISO_CALL_H

#include "iso.h"

/* Destroys what the case's sandboxes left behind and forgets them; a destroy that fails is a breach. */
void iso_call_clear(void);
/* Waits; false when the time is over. */
bool iso_completed(struct iso_outcome *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* fold.h - everything that lives, moved to a new journal; the old one goes, or into the quarantine if it was damaged.
 */
#ifndef FILE_FOLD_H
#define FILE_FOLD_H

#include "store.h"

/* -1 with *err: the journal in use is still the old one, or a whole new one that takes nothing yet. */
int fold(struct store *store, struct cloister_error *err);
/* True when a fold would find room for what lives and `more` bytes beside the journal in use. */
bool fold_has_room(const struct store *store, uint64_t more);
/* A fold if the journal has grown enough to be worth it; that it fails is no failure, it is tried again later. */
void fold_if_due(struct store *store);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* write.h - changes, gathered and written together: one write and one sync for all that came while the last were under
 * way. */
#ifndef FILE_WRITE_H
#define FILE_WRITE_H

#include "request.h"

struct write;

struct writer {
    struct store *store;
    struct write *writes; /* checked and made ready, not yet written */
    size_t count;
    size_t capacity;
};

void write_put(struct writer *writer, struct request *request);
void write_destroy(struct writer *writer, struct request *request);
void write_global_put(struct writer *writer, struct request *request);
void write_global_delete(struct writer *writer, struct request *request);
/* A record set as found in the quarantine; `item` is replaced if it is there. */
void write_whole(struct writer *writer, struct request *request, struct cloister_sv id, uint64_t generation,
                 struct bytes *payload);

/* Before a change is checked: the epoch is that of the opening, nothing of its name waits, the journal takes entries.
 */
bool writer_begin(struct writer *writer, struct request *request, uint64_t epoch, struct cloister_sv name);
/* Nothing of this name waits to be written any more (empty: nothing at all). */
void writer_settle(struct writer *writer, struct cloister_sv name);
/* The end of a batch: all is written, and the journal folded if it is time. */
void writer_finish(struct writer *writer);
bool writer_is_open(struct writer *writer, struct request *request);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - one operation on its way from the loop to the worker and back. */
#ifndef FILE_REQUEST_H
#define FILE_REQUEST_H

#include "store.h"

struct request;
struct writer;
typedef void (*request_fn)(struct writer *writer, struct request *request);

struct request {
    struct request *next;
    request_fn run;   /* [worker]: fills err or result, at once or when the writer flushes */
    const void *args; /* the host keeps them until we complete */
    cloister_op op;
    bool cancelled; /* before the worker got it */
    struct cloister_error err;
    struct cloister_store_result result;
    void *array;       /* of the result: rows or records */
    struct bytes text; /* and what they point to */
};

void request_free(struct request *request);

/* Read operations. */
void read_list(struct writer *writer, struct request *request);
void read_get(struct writer *writer, struct request *request);
void read_global_get(struct writer *writer, struct request *request);
void read_global_list(struct writer *writer, struct request *request);
void read_verify(struct writer *writer, struct request *request);
void read_stat(struct writer *writer, struct request *request);

/* What the quarantine is asked. */
void ward_list(struct writer *writer, struct request *request);
void ward_get(struct writer *writer, struct request *request);
void ward_purge(struct writer *writer, struct request *request);
void ward_restore(struct writer *writer, struct request *request);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persistence.h - the vtable of persistence plugins, and their upcalls (cloister_host.store).
 *
 * A store holds record sets, one per sandbox, and a flat global name space. A record set is replaced in one transaction
 * with one generation. Payloads are opaque. Every operation is asynchronous: NAME(instance, args, op) completes by
 * exactly one cloister_store_done(host, op, error, result), never inside the call; args stay valid until then, results
 * are borrowed for the call of done. The engine has at most one operation per sandbox under way, sandboxes in parallel.
 * A plugin that blocks runs its own worker queue. Errors: NO_ENTITY, EXISTS, CONFLICT, FENCED, BUSY, DEADLINE, CORRUPT,
 * VERSION_NEWER, QUOTA, TOO_BIG, NO_SPACE, IO, UNAVAILABLE, INVALID, DENIED, CANCELLED. Members since 0.1. Source:
 * sdk.md sections 5 and 6.
 */
#ifndef CLOISTER_PERSISTENCE_H
#define CLOISTER_PERSISTENCE_H

#include <cloister/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLOISTER_GENERATION_NEW 0ull           /* if_generation: must not exist */
#define CLOISTER_GENERATION_ANY (~(uint64_t)0) /* if_generation: whatever is there */

#define CLOISTER_STORE_ID_MAX 128u      /* [A-Za-z0-9][A-Za-z0-9_.-]* */
#define CLOISTER_STORE_SUMMARY_MAX 256u /* bytes */
#define CLOISTER_STORE_RECORD_MAX (512u * 1024u)
#define CLOISTER_STORE_SET_MAX (1024u * 1024u)

enum cloister_durability {
    CLOISTER_DURABLE_POWER = 1, /* W: survives power loss before it completes */
    CLOISTER_DURABLE_DAEMON = 2 /* w: survives the daemon's death */
};

enum cloister_health {
    CLOISTER_HEALTH_OK = 1,
    CLOISTER_HEALTH_RECOVERED = 2,
    CLOISTER_HEALTH_QUARANTINED = 3,
    CLOISTER_HEALTH_NEWER = 4,
    CLOISTER_HEALTH_LOST = 5 /* the id is known, its records are not */
};

struct cloister_record {     /* stands in arrays */
    struct cloister_sv kind; /* "sandbox", "labels", "spec:main", "c:main", "iso", "svc" */
    struct cloister_sv data; /* data NULL in a put = delete this kind */
    uint64_t reserved[2];
};

struct cloister_store_row { /* stands in arrays */
    struct cloister_sv id;
    struct cloister_sv summary;
    uint64_t generation;
    uint64_t bytes;
    uint32_t health; /* enum cloister_health */
    uint32_t reserved32;
    uint64_t reserved[2];
};

struct cloister_store_open_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_sv instance;  /* daemon instance */
    struct cloister_sv state_dir; /* for stores that keep files */
};
struct cloister_store_list_args {
    uint32_t struct_size;
    uint32_t limit; /* rows, 1..4096 */
    struct cloister_sv prefix;
    struct cloister_sv cursor; /* empty = from the start; else result.cursor of the page before */
};
struct cloister_store_get_args {
    uint32_t struct_size;
    uint32_t kind_count; /* 0 = all */
    struct cloister_sv id;
    const struct cloister_sv *kinds;
};
struct cloister_store_put_args {
    uint32_t struct_size;
    uint32_t durability; /* enum cloister_durability */
    struct cloister_sv id;
    uint64_t if_generation;
    uint64_t epoch; /* of the open; an older one is FENCED */
    const struct cloister_record *records;
    uint64_t record_count;
    uint64_t record_size; /* bytes per element */
    struct cloister_sv summary;
};
struct cloister_store_destroy_args {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_sv id;
    uint64_t if_generation;
    uint64_t epoch;
};
struct cloister_store_global_args { /* get: key; put: all; delete: key, epoch; list: key = prefix, limit */
    uint32_t struct_size;
    uint32_t durability;
    struct cloister_sv key; /* [a-z0-9:._-]{1,64} */
    struct cloister_sv data;
    uint64_t epoch;
    uint32_t limit;
    uint32_t reserved;
    struct cloister_sv cursor;
};
struct cloister_store_lock_args;
struct cloister_store_unlock_args;
/*
 * Bytes that a store found damaged, kept as they were. list: limit, cursor; rows with id = their name, and bytes. get:
 * name, offset; one record with the bytes from there, at most CLOISTER_STORE_RECORD_MAX, none = the end. purge: name,
 * epoch. restore: name, id, epoch; the newest record set of this sandbox that can be found in those bytes is put back,
 * with its generation; EXISTS unless the sandbox's records are lost or quarantined.
 */
struct cloister_store_quarantine_args {
    uint32_t struct_size;
    uint32_t limit;
    struct cloister_sv name;
    struct cloister_sv id;
    struct cloister_sv cursor;
    uint64_t offset;
    uint64_t epoch;
};
struct cloister_store_verify_args {
    uint32_t struct_size;
    uint32_t deep;         /* also what is not in use any more, such as a journal's superseded entries */
    struct cloister_sv id; /* empty = all */
};
struct cloister_store_stat_args {
    uint32_t struct_size;
    uint32_t reserved;
};

/* Result; which members are set is said at each slot. */
struct cloister_store_result {
    uint32_t struct_size;
    uint32_t format;             /* open: format version */
    uint64_t capabilities;       /* open: CLOISTER_STORE_* */
    uint64_t epoch;              /* open: grows at each open */
    uint64_t generation;         /* get, put */
    struct cloister_sv store_id; /* open */
    struct cloister_sv report;   /* open, verify, stat: JSON text; open: "" = opened clean, nothing was repaired */
    const struct cloister_store_row *rows; /* list, global_list */
    uint64_t row_count;
    uint64_t row_size;
    struct cloister_sv cursor;             /* list: empty = that was the last page */
    const struct cloister_record *records; /* get, global_get */
    uint64_t record_count;
    uint64_t record_size;
    struct cloister_sv summary; /* get */
    uint32_t was_absent;        /* destroy, global_delete */
    uint32_t reserved;
};

#define CLOISTER_STORE_SLOT(name, args_type) void (*name)(void *instance, const struct args_type *args, cloister_op op)

struct cloister_persistence {
    uint32_t struct_size;
    uint32_t reserved;
    struct cloister_lifecycle life;
    CLOISTER_STORE_SLOT(open, cloister_store_open_args); /* mandatory, first. BUSY(pid): another daemon has it */
    CLOISTER_STORE_SLOT(list, cloister_store_list_args); /* mandatory. Ordered by id; never fails for one bad row */
    CLOISTER_STORE_SLOT(get, cloister_store_get_args);   /* mandatory. One generation */
    CLOISTER_STORE_SLOT(put, cloister_store_put_args);   /* mandatory. All or nothing */
    CLOISTER_STORE_SLOT(destroy, cloister_store_destroy_args); /* mandatory. Idempotent; possible on a full disk */
    CLOISTER_STORE_SLOT(global_get, cloister_store_global_args);
    CLOISTER_STORE_SLOT(global_put, cloister_store_global_args);
    CLOISTER_STORE_SLOT(global_delete, cloister_store_global_args);
    CLOISTER_STORE_SLOT(global_list, cloister_store_global_args);
    CLOISTER_STORE_SLOT(lock, cloister_store_lock_args);
    CLOISTER_STORE_SLOT(unlock, cloister_store_unlock_args);
    CLOISTER_STORE_SLOT(quarantine_list, cloister_store_quarantine_args);
    CLOISTER_STORE_SLOT(quarantine_get, cloister_store_quarantine_args);
    CLOISTER_STORE_SLOT(quarantine_purge, cloister_store_quarantine_args);
    CLOISTER_STORE_SLOT(quarantine_restore, cloister_store_quarantine_args);
    CLOISTER_STORE_SLOT(verify, cloister_store_verify_args);
    CLOISTER_STORE_SLOT(stat, cloister_store_stat_args);
    void (*cancel)(void *instance, cloister_op op); /* mandatory: asks; the completion still comes */
    /* Ends the use of the store. After the last completion, before destroy(instance). Mandatory. */
    void (*close)(void *instance);
};

struct cloister_store_api {
    uint32_t struct_size;
    uint32_t reserved;
    /* As iso done: error NULL = success; exactly once per op, never inside the call; misbehaviour is caught and named.
     */
    void (*done)(const struct cloister_host *host, cloister_op op, const struct cloister_error *error,
                 const struct cloister_store_result *result);
    void (*lease_lost)(const struct cloister_host *host);                   /* NULL until a later issue */
    void (*watch)(const struct cloister_host *host, struct cloister_sv id); /* NULL until a later issue */
};

#ifdef __cplusplus
}
#endif
#endif

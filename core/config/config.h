/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: file and drop-ins, checked whole, as typed structs. See config.c for the story. */
#ifndef CL_CONFIG_CONFIG_H
#define CL_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include <cloister/plugin.h>

#include "core/log/log.h"

/* Everything below is owned by the config and borrowed from it until cl_config_free. Strings are NUL-terminated. */
struct cl_config;
struct cl_config_room;

/* One plugin with its options: `{ "plugin": "namespaces", "optional": true, "wrap": [ ... ], <options> }`. */
struct cl_config_entry {
    struct cl_config_room *room;
    const char *name;   /* instance name: "main"; for transports and personalities the service's name */
    const char *path;   /* for sentences: "isolation.main", "services[0].personality" */
    const char *plugin; /* [a-z0-9-]{1,32} or an absolute path */
    bool optional;      /* the daemon starts without it */
    const struct cl_config_entry
        *wrap; /* isolation and persistence only: outermost first; these have no wrap of their own */
    size_t wrap_count;
    cloister_value *options; /* an object: the entry as written, or {} for a mere name; for cl_config_check_options */
    const cloister_value *where; /* the entry as written, for positions */
};

/* `"access": [ { "uid": 1000, "class": "control" }, { "group": "ops", "class": "observe" } ]` */
struct cl_config_access {
    uint32_t access; /* enum cloister_access */
    bool is_group;
    uint32_t id;
};

struct cl_config_listen {
    /* "unix:/path", path absolute and at most 107 bytes; or "fd:NAME" or "fd:3", a socket that whoever starts the
     * daemon hands over. Unique in the config. */
    const char *address;
    const struct cl_config_entry *transports; /* at least one */
    size_t transport_count;
    mode_t mode; /* default 0660; of fd: addresses none, that file is somebody else's */
    gid_t group; /* (gid_t)-1 = leave */
    const struct cl_config_access *access;
    size_t access_count;
    uint32_t connections;         /* default 256 */
    uint32_t connections_per_uid; /* default 64 */
    uint32_t in_flight;           /* per connection, default 64 */
    const char *path;             /* for sentences: "services[0].listen[1].address" */
    const cloister_value *where;  /* the address, for its position */
};

struct cl_config_service {
    const char *name;
    struct cl_config_entry personality;
    const struct cl_config_listen *listen;
    size_t listen_count;                       /* 0 is legal */
    const struct cl_config_entry *isolation;   /* one of the config's */
    const struct cl_config_entry *persistence; /* one of the config's */
    const char *const *see;                    /* names of services, or "*"; NULL-terminated */
    const char *const *act;
    bool machine_stats; /* `"machine": [ "stats" ]`: it may read the machine's counters; default no */
};

enum cl_on_sigterm { CL_ON_SIGTERM_LEAVE, CL_ON_SIGTERM_STOP };

struct cl_config {
    const char *instance;            /* [a-z0-9-]{1,32}, default "default" */
    const char *run_dir;             /* default /run/cloister/<instance> */
    const char *state_dir;           /* default /var/lib/cloister/<instance> */
    const char *keeper;              /* path of the keeper program; our helper programs lie beside it */
    const char *const *helpers;      /* absolute paths of host programs that plugins may run, NULL-terminated */
    const char *const *plugin_path;  /* absolute directories, NULL-terminated */
    const char *const *profile_path; /* absolute directories, NULL-terminated */
    enum cl_log_level log_level;
    bool log_timestamps;
    enum cl_on_sigterm on_sigterm; /* what becomes of containers after the drain; default leave */
    uint32_t stop_grace_ms;        /* of stop, until KILL; default 10,000 */
    uint32_t drain_ms;             /* default 60,000 */
    uint32_t recover_ms;           /* connections are accepted at the latest after this; default 5,000 */
    bool orphans_report;           /* "orphans": "remove" (default) or "report" */
    const char *boot_id_file;      /* default the kernel's; another one in containers and tests */
    const struct cl_config_entry *isolation;
    size_t isolation_count;
    const struct cl_config_entry *persistence;
    size_t persistence_count;
    const struct cl_config_service *services;
    size_t service_count;
    struct cl_config_room *room; /* bookkeeping of core/config */
};

/*
 * Reads `path` and `path`.d/ *.conf in name order, merges, checks. No side effect. On failure one sentence that starts
 * with
 * "<file>:<line>:<column>: key '<path>': ", err->subject = the key's path, line and column set; code INVALID,
 * UNSUPPORTED for what this version lacks, DENIED for a file that others may write, else by errno. 0 or negative errno.
 */
int cl_config_load(const char *path, struct cl_config **ret, struct cloister_error *err);
/* The same for a text in memory, without drop-ins; `file` is what sentences call it. */
int cl_config_parse(const char *file, struct cloister_sv text, struct cl_config **ret, struct cloister_error *err);
struct cl_config *cl_config_free(struct cl_config *config); /* returns NULL */

static inline void cl_config_freep(struct cl_config **config)
{
    (void)cl_config_free(*config);
}
#define CL_CONFIG_CLEANUP __attribute__((cleanup(cl_config_freep)))

/*
 * Checks an entry's options against its plugin's table: unknown keys (with the nearest known one), types, ranges,
 * required ones; puts defaults in. *ret_values is malloc'd (the caller frees it), `count` elements in table order; the
 * texts in it are borrowed until cl_config_free. options must be full-size copies (the loader's). May be called again
 * for the same entry.
 */
int cl_config_check_options(const struct cl_config_entry *entry, const struct cloister_option *options, size_t count,
                            struct cloister_option_value **ret_values, struct cloister_error *err);

/* Wraps an error about the plugin that the entry names, found after the config was read: "<file>:<line>:<column>: key
 * 'isolation.main.plugin'"; line and column are set. */
void cl_config_wrap_entry(const struct cl_config_entry *entry, struct cloister_error *err);
/* The same for `helpers[index]`. */
void cl_config_wrap_helper(const struct cl_config *config, size_t index, struct cloister_error *err);
/* The same for an address that cannot be listened on. */
void cl_config_wrap_listen(const struct cl_config *config, const struct cl_config_listen *listen,
                           struct cloister_error *err);

/*
 * The resolved view, one `key=value<TAB># origin` line each, in the order of the file, defaults included:
 *   services[0].listen[0].mode="0660"	# /etc/cloister/cloister.conf:31
 *   log.level="info"	# default
 * Values are JSON. Secret options print as `(secret)`, options of an entry that cl_config_check_options has not seen,
 * and which may therefore be secret, as `(not checked)`. 0 or negative errno.
 */
int cl_config_dump(const struct cl_config *config, FILE *to);

#endif

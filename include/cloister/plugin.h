/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin.h - what a plugin is: its one exported function, descriptor, options and lifecycle.
 *
 * Lifecycle, all [loop]:   dlopen -> cloister_plugin_entry() -> (for each configured instance) create -> ... -> destroy
 * The file is never unmapped. The entry function allocates nothing and opens nothing. A plugin may be instantiated many
 * times: keep no mutable globals.
 *
 * Members are since 0.1 unless they say otherwise. Source: style.md section 1 (entry, handshake), sdk.md section 2
 * (options).
 */
#ifndef CLOISTER_PLUGIN_H
#define CLOISTER_PLUGIN_H

#include <cloister/abi.h>
#include <cloister/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLOISTER_PLUGIN_MAGIC 0x54534c43u /* "CLST" */
#define CLOISTER_PLUGIN_ENTRY "cloister_plugin_entry"

enum cloister_kind {
    CLOISTER_KIND_TRANSPORT = 1,
    CLOISTER_KIND_PERSONALITY = 2,
    CLOISTER_KIND_ISOLATION = 3,
    CLOISTER_KIND_PERSISTENCE = 4
};

/* Transport capabilities (provides of a transport; needs_transport of a personality). */
#define CLOISTER_TRANSPORT_FDS (1ull << 0)           /* carries descriptors with requests */
#define CLOISTER_TRANSPORT_PUSH (1ull << 1)          /* answer_open, push, end */
#define CLOISTER_TRANSPORT_HIJACK (1ull << 2)        /* hijack */
#define CLOISTER_TRANSPORT_STREAM_BODY (1ull << 3)   /* request bodies as streams */
#define CLOISTER_TRANSPORT_STREAM_ANSWER (1ull << 4) /* answer_stream */
#define CLOISTER_TRANSPORT_IN_ORDER (1ull << 5)      /* answers leave in request order */
#define CLOISTER_TRANSPORT_ADOPT (1ull << 6)         /* adopt */

/* Isolation capabilities (provides of an isolation plugin, then refined per instance by probe; needs_isolation of a
 * personality). */
#define CLOISTER_ISO_EXTRA_FDS (1ull << 0)
#define CLOISTER_ISO_STDIO_DIRECT (1ull << 1)
#define CLOISTER_ISO_REAL_PIDS (1ull << 2)
#define CLOISTER_ISO_PAUSE_INIT (1ull << 3)
#define CLOISTER_ISO_BLOCKED_INIT (1ull << 4)
#define CLOISTER_ISO_OWN_CGROUP (1ull << 5)
#define CLOISTER_ISO_GROUP_SIGNAL (1ull << 6)
#define CLOISTER_ISO_FREEZE (1ull << 7)
#define CLOISTER_ISO_KILL_WHILE_FROZEN (1ull << 8)
#define CLOISTER_ISO_TAPE (1ull << 9)
#define CLOISTER_ISO_PTY (1ull << 10)
#define CLOISTER_ISO_NS_JOIN (1ull << 11)
#define CLOISTER_ISO_RESOLVE (1ull << 12)
#define CLOISTER_ISO_PEAK_RESET (1ull << 13)
#define CLOISTER_ISO_QUOTA (1ull << 14)
#define CLOISTER_ISO_BIND_HOST (1ull << 15)
#define CLOISTER_ISO_HOST_HOOKS (1ull << 16)
#define CLOISTER_ISO_ADOPT (1ull << 17)
#define CLOISTER_ISO_SNAPSHOT (1ull << 18)
#define CLOISTER_ISO_TEMPLATE (1ull << 19)
#define CLOISTER_ISO_HOT_BLOCK (1ull << 20)
#define CLOISTER_ISO_HOT_NET (1ull << 21)
#define CLOISTER_ISO_CHANNEL (1ull << 22)
#define CLOISTER_ISO_MACHINE_STATS (1ull << 23)
#define CLOISTER_ISO_MACHINE_VOLUMES (1ull << 24)
#define CLOISTER_ISO_MACHINE_DEVICES (1ull << 25)
#define CLOISTER_ISO_MACHINE_FILES (1ull << 26)
#define CLOISTER_ISO_MACHINE_NET (1ull << 27)
#define CLOISTER_ISO_MACHINE_EXEC (1ull << 28)
#define CLOISTER_ISO_MACHINE_GROUPS (1ull << 29)
#define CLOISTER_ISO_MACHINE_POWER (1ull << 30)

/* Persistence capabilities. */
#define CLOISTER_STORE_DURABLE (1ull << 0)
#define CLOISTER_STORE_WATCH (1ull << 1)
#define CLOISTER_STORE_REMOTE (1ull << 2)

/* Bits of `requires`: behaviour the host must have. The host refuses a bit it does not know. None is defined in 0.1. */
#define CLOISTER_REQUIRES_KNOWN 0ull

/* One configurable option. The host checks the config against the table, prints it in --dump-plugin and hands typed
 * values to create, in table order. */
enum cloister_option_type {
    CLOISTER_OPTION_STRING = 1,
    CLOISTER_OPTION_U64 = 2,  /* min..max */
    CLOISTER_OPTION_BOOL = 3, /* number is 0 or 1 */
    CLOISTER_OPTION_JSON = 4  /* any value; text is its JSON */
};

#define CLOISTER_OPTION_REQUIRED (1u << 0)
#define CLOISTER_OPTION_SECRET (1u << 1) /* value is not printed by --dump-config */

struct cloister_option { /* stands in arrays; does not grow, has spare slots */
    const char *key;
    uint32_t type;  /* enum cloister_option_type */
    uint32_t flags; /* CLOISTER_OPTION_* */
    uint64_t min;   /* U64: range, max 0 = no upper limit; STRING: length in bytes, max 0 = 4096 */
    uint64_t max;
    const char *fallback; /* default as config text ("512", "true", "\"x\"" without quotes for STRING), NULL = none */
    const char *help;     /* one line */
    uint64_t reserved[2];
};

struct cloister_option_value { /* stands in arrays */
    uint32_t set;              /* 1: present in the config or defaulted; 0: absent, no default */
    uint32_t type;             /* enum cloister_option_type */
    uint64_t number;
    struct cloister_sv text; /* STRING: the string; JSON: the text. Borrowed until the instance is destroyed */
    uint64_t reserved[2];
};

/* The host's argument to create. Borrowed for the call, except what says otherwise. */
struct cloister_create_args {
    uint32_t struct_size;
    uint32_t option_count;
    const struct cloister_host *host;            /* borrowed until destroy returns */
    struct cloister_sv name;                     /* instance name from the config; borrowed until destroy returns */
    const struct cloister_option_value *options; /* in table order; borrowed until destroy returns */
    uint64_t option_size;                        /* bytes per element of options */
    const void *next_vtable;                     /* wrappers only: the wrapped instance's vtable of the same kind */
    void *next_instance;                         /* wrappers only */
};

/* First members of every vtable, so that the host can create any kind alike. */
struct cloister_lifecycle {
    /* Makes one instance. [loop], before recovery; no thread is started, nothing outside the plugin is changed.
     * Returns 0 and *ret_instance, or -1 with *err filled. Mandatory. */
    int32_t (*create)(const struct cloister_create_args *args, void **ret_instance, struct cloister_error *err);
    /* Ends an instance after its close or the last call to it has completed; frees it. Mandatory. */
    void (*destroy)(void *instance);
};

#define CLOISTER_PLUGIN_WRAPPER (1u << 0) /* flags: needs next_vtable; usable in "wrap" only */

struct cloister_plugin {
    uint32_t struct_size;
    uint32_t magic; /* CLOISTER_PLUGIN_MAGIC */
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t min_host_minor; /* smallest host minor that will do */
    uint32_t kind;           /* enum cloister_kind */
    uint32_t flags;          /* CLOISTER_PLUGIN_* */
    uint32_t option_count;
    const char *name; /* [a-z0-9-]{1,32}, equal to the file name without .so */
    const char *version;
    const char *licence;      /* SPDX expression */
    const char *build;        /* free text for distributions, may be "" */
    const char *summary;      /* one line */
    uint64_t provides;        /* capability bits of the kind; the host may ignore unknown ones */
    uint64_t requires_host;   /* CLOISTER_REQUIRES_*; the host refuses unknown ones */
    uint64_t needs_transport; /* personalities: bits that each of its endpoints' transports must provide */
    uint64_t needs_isolation; /* personalities: bits that its isolation must provide */
    const struct cloister_option *options;
    uint64_t option_size; /* bytes per element of options */
    const void *vtable;   /* struct cloister_transport, _personality, _isolation or _persistence */
};

/* Stamps what the author must not forget. Use as the first initialiser: {
 * CLOISTER_PLUGIN_STAMP(CLOISTER_KIND_TRANSPORT), .name = ... } */
#define CLOISTER_PLUGIN_STAMP(plugin_kind)                                                                  \
    .struct_size = (uint32_t)sizeof(struct cloister_plugin), .magic = CLOISTER_PLUGIN_MAGIC,                \
    .abi_major = CLOISTER_ABI_MAJOR, .abi_minor = CLOISTER_ABI_MINOR, .min_host_minor = CLOISTER_ABI_MINOR, \
    .kind = (plugin_kind), .option_size = sizeof(struct cloister_option)

/* Defines the exported function; `descriptor` is a file-local constant struct cloister_plugin. */
#define CLOISTER_PLUGIN_REGISTER(descriptor)                                   \
    CLOISTER_EXPORT const struct cloister_plugin *cloister_plugin_entry(void); \
    CLOISTER_EXPORT const struct cloister_plugin *cloister_plugin_entry(void)  \
    {                                                                          \
        return &(descriptor);                                                  \
    }

typedef const struct cloister_plugin *(*cloister_plugin_entry_fn)(void);

#ifdef __cplusplus
}
#endif
#endif

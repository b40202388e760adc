/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - the one way back into the daemon: a table of tables, one per service, and inline accessors that cope with an
 * older host.
 *
 * Each plugin instance gets a cloister_host of its own in create (borrowed until its destroy returns): the host knows
 * by it who is calling. A table that a plugin kind has no use for is NULL. Slots are appended, never moved; the
 * accessors below check the table's size and the slot before the jump and answer UNSUPPORTED otherwise. Members since
 * 0.1. Source: style.md (host-services table), sdk.md section 2.
 */
#ifndef CLOISTER_HOST_H
#define CLOISTER_HOST_H

#include <cloister/abi.h>
#include <cloister/error.h>
#include <cloister/events.h>
#include <cloister/isolation.h>
#include <cloister/log.h>
#include <cloister/loop.h>
#include <cloister/persistence.h>
#include <cloister/personality.h>
#include <cloister/plugin.h>
#include <cloister/sandbox.h>
#include <cloister/stream.h>
#include <cloister/transport.h>
#include <cloister/value.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLOISTER_SHUTDOWN_DAEMON 1u

/*
 * A program of the host's that is run once, to its end: one of ours ("cloister-tar", in the installed helper
 * directory), or one that the config lists under `helpers`. It gets these descriptors and nothing else of the daemon's:
 * an empty signal mask, "/" as directory, `env` as its whole environment, no new privileges unless `flags` says so, and
 * it dies with the daemon. Since 0.3.
 */
#define CLOISTER_HELPER_PRIVILEGES (1u << 0) /* set-id programs and file capabilities count (host hooks) */
struct cloister_helper_args {
    uint32_t struct_size;
    uint32_t flags;                 /* CLOISTER_HELPER_* */
    struct cloister_sv program;     /* a name without slash, or an absolute path that the config lists; DENIED */
    const struct cloister_sv *argv; /* argv[0] included */
    uint64_t argv_count;
    const struct cloister_sv *env;
    uint64_t env_count;
    const int32_t *fds; /* become 0, 1, 2, ...; at most 32; borrowed */
    uint64_t fd_count;
    /* Once, later: 0, its pid and a pidfd (transferred); or a negative errno and the step ("fork", "exec", ...), and
     * then exited is not called. */
    void (*started)(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd);
    /* Once: how it ended; kind LOST: nobody saw it. */
    void (*exited)(void *ctx, const struct cloister_status *status);
    void *ctx;
};
struct cloister_sink_args;

/* Clocks, identity, paths, processes: what fits no other table. */
struct cloister_system_api {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t (*now_mono)(void);                  /* [any] ns */
    uint64_t (*now_real)(void);                  /* [any] ns */
    uint64_t (*now_boot)(void);                  /* [any] ns */
    int32_t (*random)(void *ret, uint64_t size); /* [any] 0 or negative errno */
    struct cloister_sv (*boot_id)(const struct cloister_host *host);
    struct cloister_sv (*version)(const struct cloister_host *host);  /* the daemon's, "0.1.0" */
    struct cloister_sv (*instance)(const struct cloister_host *host); /* the daemon instance's name */
    uint64_t (*cookie)(const struct cloister_host *host);
    /* Isolation only. Forks `role` from the zygote; fds (borrowed) become the role's, in order. fn is called once,
     * later, with 0, the child's pidfd and our end of its SEQPACKET socket (both transferred), or with a negative errno
     * and the step. */
    int32_t (*zygote_fork)(const struct cloister_host *host, const char *role, const int32_t *fds, uint32_t fd_count,
                           void (*fn)(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd,
                                      int32_t socket),
                           void *ctx);
    /* <run>/<sandbox>/<leaf>, checked against the 107 bytes of a socket address. 0, or -1 with err TOO_BIG. */
    int32_t (*run_path)(const struct cloister_host *host, struct cloister_sv sandbox, const char *leaf, char *ret,
                        uint64_t size, struct cloister_error *err);
    /* JSON texts for operators (control personality): valid until the next call. */
    int32_t (*plugins_json)(const struct cloister_host *host, struct cloister_sv *ret); /* array of loaded plugins */
    int32_t (*health_json)(const struct cloister_host *host,
                           struct cloister_sv *ret); /* {"status": "ok" | "degraded", ...} */
    /* Asks the daemon to end: drains, then exits with code. */
    void (*shutdown)(const struct cloister_host *host, uint32_t scope, int32_t code);
    /* Config values have no call here: a plugin's options come typed with create (plugin.h), and indirections in them
     * (file:, fw_cfg:, cmdline:) will be resolved before that, by a later issue. */
    /* 0 or -1 with err (DENIED, NO_EXECUTABLE, INVALID): nothing is called. Isolation only. To end it early: signal the
     * pidfd. Since 0.3. */
    int32_t (*helper_spawn)(const struct cloister_host *host, const struct cloister_helper_args *args,
                            struct cloister_error *err);
    /* <state>/<instance>/<leaf>: where durable things of an isolation instance may be; made, 0700, if it is not there.
     * 0 or -1 with err. Since 0.3. */
    int32_t (*state_path)(const struct cloister_host *host, const char *leaf, char *ret, uint64_t size,
                          struct cloister_error *err);
    /* Whether helper_spawn would start that program now: 0, or -1 with err (DENIED, NO_EXECUTABLE, INVALID). For a
     * caller that has much to do before it, and for one that has somebody else run it. Since 0.3. */
    int32_t (*helper_check)(const struct cloister_host *host, struct cloister_sv program, struct cloister_error *err);
    /* Later issues; NULL until then. */
    int32_t (*secret)(const struct cloister_host *host, struct cloister_sv name, struct cloister_sv *ret);
    int32_t (*sink_open)(const struct cloister_host *host, const struct cloister_sink_args *args, uint64_t *ret);
    int32_t (*sink_record)(const struct cloister_host *host, uint64_t sink, struct cloister_sv line);
    int32_t (*charge)(const struct cloister_host *host, struct cloister_sv object, uint32_t kind, int64_t amount);
};

struct cloister_host {
    uint32_t struct_size;
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t reserved;
    void *self; /* the host's own */
    const struct cloister_log_api *log;
    const struct cloister_value_api *value;
    const struct cloister_loop_api *loop;
    const struct cloister_stream_api *stream;
    const struct cloister_system_api *system;
    const struct cloister_transport_api *transport; /* transports only */
    const struct cloister_exchange_api *exchange;   /* personalities only */
    const struct cloister_engine_api *engine;       /* personalities only */
    const struct cloister_iso_api *iso;             /* isolation only */
    const struct cloister_store_api *store;         /* persistence only */
};

/* True when the host has this slot: CLOISTER_SLOT(host, engine, exec). */
#define CLOISTER_SLOT(host, table, slot) ((host)->table && CLOISTER_HAS((host)->table, slot) && (host)->table->slot)

/* Words an UNSUPPORTED error without any help of the host. */
static inline void cloister_error_unsupported(struct cloister_error *err, const char *feature)
{
    uint32_t i;
    if (!err)
        return;
    err->code = CLOISTER_UNSUPPORTED;
    err->os_errno = 0;
    for (i = 0; feature[i] && i + 1 < CLOISTER_SUBJECT_MAX; i++)
        err->subject[i] = err->chain[i] = feature[i];
    err->subject[i] = 0;
    for (const char *tail = ": not supported"; *tail; tail++)
        err->chain[i++] = *tail;
    err->chain[i] = 0;
    err->chain_size = i + 1;
}

#define cloister_log(host, level, ...) ((host)->log->log((host), (level), __VA_ARGS__))

/* One wrapper per operation of the engine: cloister_exec(host, &args, done, ctx, &err). */
#define CLOISTER_ENGINE_CALL(name)                                                                              \
    static inline cloister_op cloister_##name(const struct cloister_host *host,                                 \
                                              const struct cloister_##name##_args *args, cloister_done_fn done, \
                                              void *ctx, struct cloister_error *err)                            \
    {                                                                                                           \
        if (CLOISTER_SLOT(host, engine, name))                                                                  \
            return host->engine->name(host, args, done, ctx, err);                                              \
        cloister_error_unsupported(err, #name);                                                                 \
        return 0;                                                                                               \
    }

CLOISTER_ENGINE_CALL(sandbox_create)
CLOISTER_ENGINE_CALL(sandbox_commit)
CLOISTER_ENGINE_CALL(sandbox_start)
CLOISTER_ENGINE_CALL(sandbox_stop)
CLOISTER_ENGINE_CALL(sandbox_destroy)
CLOISTER_ENGINE_CALL(container_create)
CLOISTER_ENGINE_CALL(container_start)
CLOISTER_ENGINE_CALL(container_kill)
CLOISTER_ENGINE_CALL(container_stop)
CLOISTER_ENGINE_CALL(container_delete)
CLOISTER_ENGINE_CALL(file_put)
CLOISTER_ENGINE_CALL(exec)
CLOISTER_ENGINE_CALL(signal)
CLOISTER_ENGINE_CALL(resize)
CLOISTER_ENGINE_CALL(stdin)
CLOISTER_ENGINE_CALL(stdin_close)
CLOISTER_ENGINE_CALL(wait)
CLOISTER_ENGINE_CALL(attach)
CLOISTER_ENGINE_CALL(attach_policy)
CLOISTER_ENGINE_CALL(release)
CLOISTER_ENGINE_CALL(freeze)
CLOISTER_ENGINE_CALL(thaw)
CLOISTER_ENGINE_CALL(update)
CLOISTER_ENGINE_CALL(stats)
CLOISTER_ENGINE_CALL(procs)
CLOISTER_ENGINE_CALL(resource)
CLOISTER_ENGINE_CALL(read_file)
CLOISTER_ENGINE_CALL(files_in)
CLOISTER_ENGINE_CALL(files_out)
CLOISTER_ENGINE_CALL(channel)
CLOISTER_ENGINE_CALL(snapshot)
CLOISTER_ENGINE_CALL(describe)
CLOISTER_ENGINE_CALL(label_put)
CLOISTER_ENGINE_CALL(record_put)

/* Since 0.2. -EOPNOTSUPP: an older host. */
static inline int32_t cloister_stream_relay(const struct cloister_host *host, const struct cloister_relay_args *args,
                                            cloister_op *ret)
{
    return CLOISTER_SLOT(host, stream, relay) ? host->stream->relay(host, args, ret) : -95; /* EOPNOTSUPP */
}

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iso.h - an isolation plugin's instance with a recorder in the engine's place: operations are called and waited for,
 * upcalls are kept with a number that tells their order. One instance at a time, a new one for each case.
 */
#ifndef KIT_ISO_H
#define KIT_ISO_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host.h"

#define ISO_EVENTS_MAX 1024u
#define ISO_ROWS_MAX 64u
#define ISO_TEXT_MAX 128u
#define ISO_TAIL 64u /* bytes that a newer host's struct may have behind what is known */

/* What the command line says. */
struct iso_setting {
    const struct cloister_plugin *plugin;
    const struct kit_options *options;
    const char *rootfs;
    const char *directory; /* for run, state and what cases make */
    unsigned patience;     /* seconds for one operation or event */
};

/* What a completion brought, copied. */
struct iso_outcome {
    cloister_op op;
    unsigned order; /* 0: not completed */
    struct cloister_error err;
    struct cloister_result result; /* its pointers count only while done() runs, but for stream */
    char sentence[1024];
    char *text; /* json or data; never NULL once completed */
    size_t text_size;
    char home[ISO_TEXT_MAX];
    struct iso_stat {
        char key[ISO_TEXT_MAX];
        uint64_t value;
    } stats[ISO_ROWS_MAX];
    unsigned stat_count;
    struct cloister_proc procs[ISO_ROWS_MAX];
    char comms[ISO_ROWS_MAX][ISO_TEXT_MAX];
    unsigned proc_count;
    uint32_t fate;
    uint32_t frozen;
    struct cloister_inventory_container container;
    unsigned container_count;
    struct cloister_inventory_process processes[ISO_ROWS_MAX];
    char names[ISO_ROWS_MAX][ISO_TEXT_MAX];
    char tags[ISO_ROWS_MAX][ISO_TEXT_MAX];
    unsigned process_count;
};

struct iso_event {
    unsigned order;
    uint32_t kind;
    cloister_process process;
    struct cloister_status status;
    struct cloister_output_end outputs[3];
    unsigned output_count;
};

struct iso_orphan {
    char sandbox[ISO_TEXT_MAX];
    uint32_t removed;
};

struct iso {
    struct iso_setting setting;
    struct cloister_host host;
    struct cloister_isolation vtable; /* whole, what the plugin does not have is NULL */
    void *instance;
    uint64_t capabilities;
    struct cloister_iso_probe probe;
    uint64_t cookie;
    char run[ISO_TEXT_MAX];
    bool inside; /* a call of the plugin is under way */
    unsigned order;
    struct iso_event events[ISO_EVENTS_MAX];
    unsigned event_count;
    struct iso_orphan orphans[ISO_ROWS_MAX];
    unsigned orphan_count;
};

extern struct iso iso;

/* For each case; the first probes. False: no instance. iso_close destroys what the case has left behind, and is false
 * if that cannot be done or if the plugin broke a rule. */
bool iso_begin(const struct iso_setting *setting);
bool iso_open(void);
bool iso_close(void);
/* detach and destroy the instance, make another: what a restarted daemon does. */
void iso_renew(void);

/* What a case needs: else it is skipped, with this reason. */
void iso_skip(const char *format, ...) CLOISTER_PRINTF(1, 2);
void iso_need(uint64_t capability, const char *name);
#define ISO_NEED(bit) iso_need(CLOISTER_ISO_##bit, #bit)
#define ISO_NEED_SLOT(slot)             \
    do {                                \
        if (!iso.vtable.slot)           \
            iso_skip("no slot " #slot); \
    } while (0)

/* A program: OCI process with its stdio. */
struct iso_program {
    struct cloister_process_args args;
    unsigned char tail[ISO_TAIL];
    struct cloister_stdio stdio[3];
    struct cloister_extra_fd extra[1];
    struct cloister_resolve_args resolve;
    char oci[4096];
};

/* Words apart by blanks; behind '|' is one last word that may hold blanks. `more` is JSON members for the process
 * object
 * ("cwd" and "user" in it replace root's), or "". stdio is three times NULL. */
void iso_program(struct iso_program *program, const char *command, const char *more);
struct cloister_stdio iso_stdio(uint32_t kind, int fd);

struct iso_sandbox {
    struct iso_sandbox *next;
    bool made;     /* there may be something of it */
    bool may_lack; /* what the case asks for has no capability bit: UNSUPPORTED skips it */
    char id[CLOISTER_ENGINE_ID_SIZE + 1];
    char *blob;
    struct cloister_iso_sandbox which;
    struct iso_program init;
    struct cloister_container_args container;
    unsigned char container_tail[ISO_TAIL];
    struct cloister_sandbox_create_args create;
    struct cloister_iso_create_args args;
    struct iso_outcome *created;
};

/* Runs `command` as init of an ordinary container; edit it before iso_create. */
struct iso_sandbox *iso_prepare(const char *command);
bool iso_plan(struct iso_sandbox *s, struct cloister_error *ret);
struct iso_outcome *iso_create_begin(struct iso_sandbox *s);
/* ... and it succeeds. */
void iso_create(struct iso_sandbox *s);
struct iso_sandbox *iso_made(const char *command); /* prepare, create */
struct iso_outcome *iso_destroy(struct iso_sandbox *s);
/* The run directory is the host's, which takes it away when what the plugin made is gone from it. */
void iso_remove_run(struct iso_sandbox *s);
/* Destroys, and nothing is left of it. */
void iso_gone(struct iso_sandbox *s);
/* How many things the plugin finds that carry the cookie and do not belong to `known` (or NULL). Without sweep: 0. */
unsigned iso_orphans(const struct iso_sandbox *known, bool report_only);
struct iso_outcome *iso_adopt(struct iso_sandbox *s);

struct iso_exec {
    struct iso_exec *next;
    struct iso_program program;
    struct cloister_exec_args exec;
    unsigned char tail[ISO_TAIL];
    struct cloister_iso_exec_args args;
    struct iso_outcome *out;
};

struct iso_exec *iso_exec_prepare(struct iso_sandbox *s, const char *command);
void iso_exec_begin(struct iso_exec *e);
/* Begins and waits; the outcome is e->out. */
struct iso_exec *iso_exec_wait(struct iso_exec *e);
/* Prepared, run, and it has succeeded. */
struct iso_exec *iso_exec(struct iso_sandbox *s, const char *command);

struct iso_outcome *iso_signal(struct iso_sandbox *s, cloister_process process, uint32_t signal, uint32_t scope);
struct iso_outcome *iso_kill(struct iso_sandbox *s, uint32_t set, uint32_t signal);
struct iso_outcome *iso_freeze(struct iso_sandbox *s, const char *container, bool thaw);
struct iso_outcome *iso_release(struct iso_sandbox *s, cloister_process process);
struct iso_outcome *iso_attach(struct iso_sandbox *s, cloister_process process, uint32_t fd, uint32_t from,
                               uint64_t position);

/* A number for an operation and the place for its outcome. ISO_CALL calls a slot and waits; the macro's value is the
 * outcome. */
struct iso_outcome *iso_op(void);
void iso_wait(struct iso_outcome *out);
void iso_wait_for(struct iso_outcome *out, const char *what);
#define ISO_CALL(ret, slot, args)                       \
    do {                                                \
        (ret) = iso_op();                               \
        iso.inside = true;                              \
        iso.vtable.slot(iso.instance, (args), ret->op); \
        iso.inside = false;                             \
        iso_wait_for((ret), #slot);                     \
    } while (0)

/* Fails the case if the outcome is not this; iso_expect 0 is success. */
void iso_expect(const char *name, const struct iso_outcome *out, uint32_t code);

/* The exit of a process, waited for. iso_no_exit: it has none within `ms`. */
const struct iso_event *iso_exit(cloister_process process);
const struct iso_event *iso_event(uint32_t kind, cloister_process process);
bool iso_no_exit(cloister_process process, unsigned ms);
void iso_expect_status(const char *name, cloister_process process, uint32_t kind, uint32_t value);

/* Close-on-exec; read to the end or for `seconds`: static text. iso_ends: end of file came. */
void iso_pipe(int ends[2]);
const char *iso_read_all(int fd, size_t *ret_size, bool *ret_ended);
bool iso_lives(int32_t pid); /* of the host's pids */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adopt.c - takes over a sandbox of an earlier daemon: connect to its keeper's socket (a worker, which also compiles
 * what execs must know) -> HELLO -> LIST -> inventory (a worker) -> done. The keeper's own word decides: nothing that
 * was written down is taken for a process. Whatever is found, nothing is changed; until the inventory is told, nothing
 * that the keeper says is news.
 */
#include <errno.h>
#include <stdio.h>

#include "freezer.h"
#include "inventory.h"
#include "pids.h"
#include "sandbox.h"
#include "stranger.h"

#define PATIENCE_NS (10 * NS_SECOND) /* for a call without a deadline */
#define RETRY_NS (50 * NS_MS)
#define SETTLE_MAX 20u /* times that a list with something on its way is asked for again */

enum stage { CONNECTING = 1, GREETING = 2, LISTING = 3, READING = 4, RETRYING = 5, RELISTING = 6 };

/* What the record says of a container: all that later execs must know. */
struct recorded {
    const struct cloister_iso_container *args;
    struct ns_container *container; /* a reference */
    struct ns_compile compile;
    struct ns_filter *filter;
    struct cloister_error err;
};

struct adopt {
    struct ns_op base; /* first */
    const struct cloister_iso_adopt_args *args;
    struct ns_sandbox *sandbox; /* a reference */
    uint32_t stage;
    uint64_t limit; /* when it is given up */
    cloister_timer *timer;
    /* of one connection */
    int rc;
    int sock;
    int pidfd;
    int32_t pid;
    bool members; /* nobody listens, yet somebody lives in its groups */
    uint32_t version;
    /* compiled once, one for each container */
    bool compiled;
    struct recorded *recorded;
    uint32_t recorded_count;

    bool known;       /* by us, before: its connection is there, and stays when this ends */
    uint64_t listing; /* serial of the last LIST */
    uint32_t listed;
    struct ns_inventory inventory;
};

static void start_connect(struct adopt *adopt);

static void free_adopt(struct adopt *adopt)
{
    if (adopt->timer)
        adopt->base.instance->host->loop->timer_close(adopt->timer, NULL, NULL);
    if (adopt->sock >= 0)
        close(adopt->sock);
    if (adopt->pidfd >= 0)
        close(adopt->pidfd);
    for (uint32_t i = 0; i < adopt->recorded_count; i++) {
        ns_compile_clear(&adopt->recorded[i].compile);
        ns_filter_unref(adopt->recorded[i].filter);
        ns_container_unref(adopt->recorded[i].container);
    }
    free(adopt->recorded);
    ns_inventory_clear(&adopt->inventory);
    if (adopt->sandbox)
        ns_sandbox_unref(adopt->sandbox);
    free(adopt);
}

/* Not ours, or not now: what was made of it here goes, without a trace. One that was taken over before stays. */
static void finish_without(struct adopt *adopt, uint32_t fate)
{
    struct cloister_inventory told = {CLOISTER_INIT(struct cloister_inventory), .fate = fate};
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .inventory = &told};

    if (adopt->known)
        adopt->sandbox->state = NS_UP;
    else
        ns_sandbox_drop(adopt->sandbox);
    ns_op_done(&adopt->base, &result);
    free_adopt(adopt);
}

static void give_up(struct adopt *adopt, int os_errno, const char *why)
{
    const struct cloister_log_api *log = adopt->base.instance->host->log;

    if (adopt->base.cancelled)
        log->error_set(&adopt->base.err, CLOISTER_CANCELLED, 0, "", "cancel", "cancelled");
    else if (adopt->base.err.code == 0)
        log->error_set(&adopt->base.err, CLOISTER_NO_CONTACT, os_errno, adopt->sandbox->socket, "adopt",
                       "the keeper at '%s' %s", adopt->sandbox->socket, why);
    finish_without(adopt, 0);
}

/* --- inventory --- */

/* Its connection was there all the time, or is now: told first, then what comes after it. */
static void tell(struct adopt *adopt)
{
    struct ns_sandbox *sandbox = ns_sandbox_ref(adopt->sandbox);
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .inventory = &adopt->inventory.told};

    sandbox->state = NS_UP;
    sandbox->frozen = adopt->inventory.told.frozen != 0;
    ns_op_done(&adopt->base, &result);
    free_adopt(adopt);
    for (const struct ns_container *one = sandbox->containers; one && sandbox->state == NS_UP; one = one->next)
        if (one->number != 0 && one->down && one->outer_pid)
            ns_container_end_the_rest(sandbox, one);
    ns_sandbox_pause(sandbox, false);
    ns_sandbox_unref(sandbox);
}

static void retry_later(struct adopt *adopt, uint32_t stage, uint64_t after)
{
    const struct cloister_host *host = adopt->base.instance->host;
    uint64_t at = host->system->now_mono() + after;

    adopt->stage = stage;
    host->loop->timer_set(adopt->timer, at < adopt->limit ? at : adopt->limit, 0);
}

/* [worker] */
static void read_inventory(void *ctx)
{
    struct adopt *adopt = ctx;
    struct ns_instance *instance = adopt->base.instance;

    ns_halt_before(instance, NS_STEP_adopt_inventory);
    adopt->rc = ns_inventory_read(&adopt->inventory, adopt->sandbox);
    ns_halt_after(instance, NS_STEP_adopt_inventory);
}

static void inventory_read(void *ctx)
{
    struct adopt *adopt = ctx;

    if (adopt->base.cancelled || adopt->base.err.code != 0 || adopt->rc < 0) {
        ns_sandbox_pause(adopt->sandbox, false);
        give_up(adopt, -adopt->rc, "tells what cannot be understood");
        return;
    }
    /* What an earlier daemon asked for is still being made: what comes of it is not for long. */
    if (adopt->inventory.unsettled && adopt->listed < SETTLE_MAX) {
        ns_sandbox_pause(adopt->sandbox, false);
        retry_later(adopt, RELISTING, RETRY_NS);
        return;
    }
    tell(adopt);
}

static void listed(void *ctx, struct cl_packet *answer, int os_errno)
{
    struct adopt *adopt = ctx;
    struct ns_sandbox *sandbox = adopt->sandbox;

    if (adopt->stage != LISTING)
        return;
    ns_halt_after(adopt->base.instance, NS_STEP_adopt_list);
    if (answer == NULL) { /* it died: the next look will tell */
        adopt->known = false;
        ns_sandbox_leave_keeper(sandbox);
        retry_later(adopt, RETRYING, 0);
        return;
    }
    if (answer->u.answer.os_errno != 0 || ns_inventory_take(&adopt->inventory, answer, sandbox->conn.version) < 0) {
        give_up(adopt, answer->u.answer.os_errno, "does not list its processes");
        return;
    }
    adopt->stage = READING;
    ns_sandbox_pause(sandbox, true);
    ns_op_job(&adopt->base, read_inventory, inventory_read, adopt);
}

static void ask_list(struct adopt *adopt)
{
    struct ns_sandbox *sandbox = adopt->sandbox;
    const struct cloister_host *host = adopt->base.instance->host;
    struct cl_wire_simple message;

    adopt->stage = LISTING;
    adopt->listed++;
    cl_wire_init(&message, ns_conn_knows(&sandbox->conn, CL_WIRE_LIST) ? CL_WIRE_LIST : CL_WIRE_STATUS, 0);
    host->loop->timer_set(adopt->timer, adopt->limit, 0);
    ns_halt_before(adopt->base.instance, NS_STEP_adopt_list);
    adopt->listing = ns_conn_send(&sandbox->conn, &message, NULL, 0, -1, listed, adopt);
    if (adopt->listing == 0)
        listed(adopt, NULL, ENOMEM);
}

/* --- connection --- */

static void settle_one(struct adopt *adopt, struct recorded *recorded)
{
    const struct cloister_host *host = adopt->base.instance->host;
    struct ns_container *container = recorded->container;
    char sentence[1024];

    ns_container_settle(container, &recorded->compile, recorded->filter);
    if (recorded->err.code == 0 || container->no_exec != NULL)
        return;
    host->log->error_sentence(&recorded->err, sentence, sizeof(sentence));
    container->no_exec = ns_format("%s", sentence);
    cloister_log(host, CLOISTER_ERROR, "sandbox '%s': the recorded spec of container '%s' cannot be used for execs: %s",
                 adopt->sandbox->id, container->cid, sentence);
}

static void settle(struct adopt *adopt)
{
    for (uint32_t i = 0; i < adopt->recorded_count; i++)
        settle_one(adopt, &adopt->recorded[i]);
}

static bool is_ours(const struct adopt *adopt, const struct cl_wire_hello *hello)
{
    return hello->cookie == adopt->sandbox->cookie && strncmp(hello->id, adopt->sandbox->id, sizeof(hello->id)) == 0;
}

/* An old keeper closes the connection at a message of today's size: then it is asked again in its own words. Anything
 * else, like want of memory here, says nothing of it. */
static void unheard(struct adopt *adopt, int os_errno)
{
    bool closed = os_errno == EPIPE;

    ns_sandbox_leave_keeper(adopt->sandbox);
    if (closed)
        adopt->version = adopt->version == CL_WIRE_VERSION ? CL_WIRE_VERSION_MIN : CL_WIRE_VERSION;
    retry_later(adopt, RETRYING, closed && adopt->version != CL_WIRE_VERSION ? 0 : RETRY_NS);
}

static void other_version(struct adopt *adopt, uint32_t version)
{
    ns_sandbox_leave_keeper(adopt->sandbox);
    if (version == adopt->version || version < CL_WIRE_VERSION_MIN || version > CL_WIRE_VERSION) {
        cloister_log(adopt->base.instance->host, CLOISTER_ERROR,
                     "sandbox '%s': its keeper speaks version %u, this daemon %u to %u", adopt->sandbox->id, version,
                     CL_WIRE_VERSION_MIN, CL_WIRE_VERSION);
        give_up(adopt, EPROTO, "speaks another version");
        return;
    }
    adopt->version = version;
    start_connect(adopt);
}

static void greeted(void *ctx, struct cl_packet *answer, int os_errno)
{
    struct adopt *adopt = ctx;
    const struct cl_wire_hello *hello = answer ? &answer->u.hello : NULL;

    if (adopt->stage != GREETING)
        return;
    ns_halt_after(adopt->base.instance, NS_STEP_adopt_hello);
    if (hello == NULL) {
        unheard(adopt, os_errno);
    } else if (!is_ours(adopt, hello)) {
        cloister_log(adopt->base.instance->host, CLOISTER_ERROR,
                     "sandbox '%s': the keeper at '%s' is another instance's or another sandbox's: left alone",
                     adopt->sandbox->id, adopt->sandbox->socket);
        finish_without(adopt, CLOISTER_FATE_FOREIGN);
    } else if (hello->os_errno == EPROTO) {
        other_version(adopt, hello->version);
    } else if (hello->os_errno != 0) { /* EBUSY: an earlier daemon still is connected */
        ns_sandbox_leave_keeper(adopt->sandbox);
        retry_later(adopt, RETRYING, RETRY_NS);
    } else {
        adopt->sandbox->era = hello->era;
        settle(adopt);
        ask_list(adopt);
    }
}

static void greet(struct adopt *adopt)
{
    const struct cloister_host *host = adopt->base.instance->host;
    struct ns_sandbox *sandbox = adopt->sandbox;
    struct cl_wire_hello hello;
    int rc = ns_sandbox_take_keeper(sandbox, adopt->pid, ns_steal_fd(&adopt->pidfd), ns_steal_fd(&adopt->sock),
                                    adopt->version);

    if (rc < 0) {
        ns_sandbox_leave_keeper(sandbox);
        give_up(adopt, -rc, "cannot be watched");
        return;
    }
    adopt->stage = GREETING;
    ns_sandbox_hello(sandbox, &hello);
    host->loop->timer_set(adopt->timer, adopt->limit, 0);
    ns_halt_before(adopt->base.instance, NS_STEP_adopt_hello);
    if (ns_conn_send(&sandbox->conn, &hello, NULL, 0, -1, greeted, adopt) == 0)
        greeted(adopt, NULL, ENOMEM);
}

/* [worker] A spec that cannot be compiled does not keep a sandbox from being taken over: only from further execs. */
static void compile(struct adopt *adopt)
{
    struct ns_instance *instance = adopt->base.instance;

    if (adopt->compiled || adopt->recorded_count == 0)
        return;
    ns_halt_before(instance, NS_STEP_adopt_compile);
    adopt->compiled = true;
    for (uint32_t i = 0; i < adopt->recorded_count; i++) {
        struct recorded *one = &adopt->recorded[i];

        one->compile.id = ns_view(adopt->sandbox->id);
        one->compile.rootfs = one->args->rootfs;
        if (ns_compile_known(&one->compile, one->args->spec) == 0 && one->compile.seccomp)
            ns_filters_get(instance->filters, &one->compile.r, one->compile.seccomp, &one->filter);
    }
    ns_halt_after(instance, NS_STEP_adopt_compile);
}

/* [worker] Who was killed with the keeper, and is held back by a v1 freezer, is let go: that is all that it waits for.
 */
static bool find_members(const struct ns_cgroups *cgroups, const char *group)
{
    if (!ns_pids_any(cgroups, group))
        return false;
    ns_freezer_release(cgroups, group, NS_SECOND);
    return ns_pids_any(cgroups, group);
}

/* [worker] */
static void connect_work(void *ctx)
{
    struct adopt *adopt = ctx;
    struct ns_instance *instance = adopt->base.instance;
    struct ns_sandbox *sandbox = adopt->sandbox;
    struct ns_cgroups cgroups = ns_sandbox_cgroups(sandbox);

    compile(adopt);
    ns_halt_before(instance, NS_STEP_adopt_connect);
    adopt->rc = ns_stranger_connect(sandbox->socket, &adopt->sock, &adopt->pidfd);
    if (adopt->rc == 0)
        adopt->pid = ns_pid_of(adopt->pidfd);
    else if (adopt->rc == -ENOENT || adopt->rc == -ECONNREFUSED)
        adopt->members = find_members(&cgroups, sandbox->intent.group);
    ns_halt_after(instance, NS_STEP_adopt_connect);
}

static void connected(void *ctx)
{
    struct adopt *adopt = ctx;
    bool nobody = adopt->rc == -ENOENT || adopt->rc == -ECONNREFUSED;

    if (adopt->base.cancelled || adopt->base.err.code != 0)
        give_up(adopt, 0, "is not asked");
    else if (adopt->rc == 0)
        greet(adopt);
    else if (nobody && !adopt->members)
        finish_without(adopt, CLOISTER_FATE_OFF);
    else if (nobody || adopt->rc == -EAGAIN)
        retry_later(adopt, RETRYING, RETRY_NS);
    else
        give_up(adopt, -adopt->rc, "cannot be reached");
}

static void start_connect(struct adopt *adopt)
{
    adopt->stage = CONNECTING;
    ns_op_job(&adopt->base, connect_work, connected, adopt);
}

static void on_timer(void *ctx)
{
    struct adopt *adopt = ctx;
    const struct cloister_host *host = adopt->base.instance->host;

    if (adopt->stage == CONNECTING || adopt->stage == READING)
        return;
    if (adopt->base.cancelled || host->system->now_mono() >= adopt->limit) {
        adopt->stage = CONNECTING; /* an answer on its way is nobody's now */
        if (adopt->known)
            ns_conn_forget(&adopt->sandbox->conn, adopt->listing);
        else
            ns_sandbox_leave_keeper(adopt->sandbox);
        give_up(adopt, 0, "does not answer, or is not free yet");
    } else if (adopt->stage == RETRYING) {
        start_connect(adopt);
    } else {
        ask_list(adopt);
    }
}

/* A worker's result is waited for; all else ends by the timer, at once. */
static void cancel(struct ns_op *op)
{
    struct adopt *adopt = (struct adopt *)op;

    adopt->base.instance->host->loop->timer_set(adopt->timer, 0, 0);
}

/* --- beginning --- */

static const struct cloister_iso_container *recorded_container(const struct cloister_iso_adopt_args *args, uint64_t i)
{
    return (const void *)((const char *)args->containers + i * args->container_size);
}

static int set_container(struct adopt *adopt, const struct cloister_iso_container *args)
{
    struct ns_instance *instance = adopt->base.instance;
    struct recorded *recorded = &adopt->recorded[adopt->recorded_count];
    struct ns_container *container = ns_container_new(adopt->sandbox, args->cid.size ? args->cid : CLOISTER_SV("main"));
    struct ns_reader r;

    if (container == NULL)
        return -1;
    adopt->recorded_count++;
    container->incarnation = args->incarnation;
    container->init = args->init;
    container->no_new_privs = args->no_new_privs != 0;
    if (args->rootfs.size > 0)
        container->rootfs = ns_dup(args->rootfs);
    recorded->args = args;
    recorded->container = ns_container_ref(container);
    recorded->err = (struct cloister_error)CLOISTER_ERROR_INIT;
    r = ns_reader(instance, &recorded->err);
    ns_compile_init(&recorded->compile, &r, &instance->machine, CL_WIRE_PLAN_CONTAINER);
    return 0;
}

static int set_containers(struct adopt *adopt)
{
    uint64_t count = adopt->args->container_count;

    adopt->recorded = calloc(count + 1, sizeof(*adopt->recorded));
    for (uint64_t i = 0; i < count; i++)
        if (adopt->recorded == NULL || set_container(adopt, recorded_container(adopt->args, i)) < 0)
            return -1;
    return adopt->recorded ? 0 : -1;
}

/* Known already: an earlier call was answered, and is asked again. */
static int take_known(struct adopt *adopt, struct ns_sandbox *sandbox, const struct ns_reader *r)
{
    if (sandbox->state != NS_UP && sandbox->state != NS_LOST)
        return ns_refuse_at(r, CLOISTER_BUSY, "state", "another operation is at work on sandbox '%s'", sandbox->id);
    adopt->sandbox = ns_sandbox_ref(sandbox);
    adopt->known = true;
    return 0;
}

static int take_new(struct adopt *adopt, const struct ns_reader *r)
{
    struct ns_instance *instance = adopt->base.instance;
    const struct cloister_iso_adopt_args *args = adopt->args;
    struct ns_intent intent;
    struct ns_sandbox *sandbox;

    if (ns_intent_of(r, &args->sandbox, instance->cgroup_root, &intent) < 0)
        return -1;
    sandbox = ns_sandbox_new(instance, &args->sandbox);
    if (sandbox == NULL)
        return ns_no_memory(r);
    adopt->sandbox = ns_sandbox_ref(sandbox);
    sandbox->intent = intent;
    sandbox->state = NS_ADOPTING;
    sandbox->last_number = NS_CONTAINER_FIRST;
    if (set_containers(adopt) < 0)
        return ns_no_memory(r);
    ns_hold_range(instance, sandbox->id, &intent);
    return instance->host->system->run_path(instance->host, args->sandbox.id, "k", sandbox->socket,
                                            sizeof(sandbox->socket), r->err);
}

static int begin(struct adopt *adopt, const struct ns_reader *r)
{
    const struct cloister_host *host = adopt->base.instance->host;
    const struct cloister_iso_adopt_args *args = adopt->args;
    struct ns_sandbox *sandbox = ns_sandbox_find(adopt->base.instance, args->sandbox.id);
    uint64_t now = host->system->now_mono();
    int rc = sandbox ? take_known(adopt, sandbox, r) : take_new(adopt, r);

    if (rc == 0)
        rc = host->loop->timer_open(host, on_timer, adopt, &adopt->timer) < 0 ? ns_no_memory(r) : 0;
    adopt->limit = args->deadline ? args->deadline : now + PATIENCE_NS;
    if (rc < 0 && adopt->sandbox && !adopt->known)
        ns_sandbox_drop(adopt->sandbox);
    return rc;
}

static void finish_known(void *ctx)
{
    struct adopt *adopt = ctx;

    if (adopt->sandbox->state == NS_LOST) {
        struct cloister_inventory told = {CLOISTER_INIT(struct cloister_inventory), .fate = CLOISTER_FATE_OFF};
        struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .inventory = &told};

        ns_op_done(&adopt->base, &result);
        free_adopt(adopt);
        return;
    }
    adopt->sandbox->state = NS_ADOPTING;
    ask_list(adopt);
}

void ns_adopt(void *ctx, const struct cloister_iso_adopt_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    struct adopt *adopt = calloc(1, sizeof(*adopt));

    if (adopt == NULL) {
        ns_fail_memory(instance, number);
        return;
    }
    adopt->base.instance = instance;
    adopt->args = args;
    adopt->sock = adopt->pidfd = -1;
    adopt->version = CL_WIRE_VERSION;
    if (begin(adopt, &r) < 0) {
        free_adopt(adopt);
        ns_fail_now(instance, number, &err);
        return;
    }
    ns_op_begin(instance, &adopt->base, number, cancel);
    if (!adopt->known)
        start_connect(adopt);
    else if (instance->host->loop->post(instance->host, finish_known, adopt) < 0)
        finish_known(adopt);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of a daemon's life. Nothing outside the process changes before the whole configuration has been checked,
 * plugins included. Then, and the order is the point: the run directory is ours alone (another daemon's end may be
 * waited for, here and for its store's lease, while clients of sockets that were handed over wait in their backlog) and
 * says who we are; the zygote is forked while the
 * process is still small and single-threaded; the fork filter closes that door; only then do plugins get instances.
 * Sockets listen before recovery, so that a client that connects meanwhile waits instead of being refused, and accept
 * after it.
 */
#include "core/daemon/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "core/daemon/lock.h"
#include "core/daemon/privileges.h"
#include "core/daemon/state.h"
#include "core/error/error.h"
#include "core/inspect/check.h"
#include "core/log/log.h"
#include "core/util/mem.h"
#include "core/util/time.h"
#include "core/value/value.h"
#include "core/zygote/fork_filter.h"

/* Whoever started us may have left signals blocked or ignored; an ignored SIGCHLD would lose exit statuses (H2.1.4). */
static void reset_signals(void)
{
    sigset_t none;

    for (int signo = 1; signo < NSIG; signo++)
        (void)signal(signo, SIG_DFL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    umask(077);
}

/* Environments of containers pass through our memory: it is never written to a core, nor read by who is not root. */
static void keep_secrets(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
}

/* As many descriptors as we may have; behind the zygote, so that containers keep the limit we were given. */
static void take_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void on_signal(void *ctx, int signo)
{
    struct cl_daemon *daemon = ctx;
    bool again = ++daemon->signals > 1;

    if (again && daemon->phase == CL_PHASE_STOPPING) {
        cl_log(CL_LOG_INFO, "daemon", "signal %d again: the drain ends now", signo);
        cl_daemon_hurry(daemon);
        return;
    }
    /* What has not been recovered is not known well enough to be stopped. */
    daemon->stop_containers = daemon->config->on_sigterm == CL_ON_SIGTERM_STOP && daemon->phase == CL_PHASE_SERVING;
    cl_log(CL_LOG_INFO, "daemon", "signal %d: draining, containers %s", signo,
           daemon->stop_containers ? "are stopped then" : "run on");
    cl_daemon_stop(daemon, 0);
}

static void on_shutdown(void *ctx, uint32_t scope, int32_t code)
{
    (void)scope;
    cl_log(CL_LOG_INFO, "daemon", "shutdown was asked for: draining, containers run on");
    cl_daemon_stop(ctx, code);
}

static void on_zygote_died(void *ctx)
{
    cl_log(CL_LOG_ERROR, "daemon", "the zygote died: exiting with %d to be started again; containers run on",
           CL_EXIT_ZYGOTE);
    cl_daemon_stop(ctx, CL_EXIT_ZYGOTE);
}

static void add_health(void *ctx, cloister_value *object)
{
    struct cl_daemon *daemon = ctx;
    uint64_t connections = 0, in_flight = 0, refused = 0;

    cl_exchanges_counts(daemon->exchanges, &connections, &in_flight, &refused);
    (void)cl_value_set_cstr(object, "connections", cl_value_new_u64(connections));
    (void)cl_value_set_cstr(object, "in_flight", cl_value_new_u64(in_flight));
    (void)cl_value_set_cstr(object, "refused", cl_value_new_u64(refused));
    (void)cl_value_set_cstr(object, "log_dropped", cl_value_new_u64(cl_log_dropped()));
    cl_engine_health(daemon->engine, object);
}

static void fail(struct cl_daemon *daemon, const struct cloister_error *err)
{
    cl_log_error(CL_LOG_ERROR, "daemon", err, "start");
    cl_daemon_stop(daemon, CL_EXIT_FAILURE);
}

static void on_settled(void *ctx, const struct cloister_error *err)
{
    struct cl_daemon *daemon = ctx;
    struct cloister_error mine = CLOISTER_ERROR_INIT;

    if (daemon->phase != CL_PHASE_STARTING)
        return;
    if (err)
        fail(daemon, err);
    else if (cl_daemon_serve(daemon, &mine) < 0)
        fail(daemon, &mine);
    else {
        daemon->phase = CL_PHASE_SERVING;
        cl_log(CL_LOG_INFO, "daemon", "ready: instance '%s', version %s, cookie %016" PRIx64, daemon->config->instance,
               cl_version, daemon->rundir.cookie);
    }
}

static int recover(struct cl_daemon *daemon, struct cloister_error *err)
{
    bool changed;
    int r = cl_daemon_recall_stores(daemon, &changed, err);

    if (r == 0 && changed)
        cl_engine_stores_changed(daemon->engine);
    if (r == 0 && (r = cl_engine_recover(daemon->engine, on_settled, daemon)) < 0)
        return cl_error_set(err, CLOISTER_IO, -r, "engine", "recover", "recover sandboxes");
    return r;
}

void cl_daemon_opened(struct cl_daemon *daemon, const struct cloister_error *err)
{
    struct cloister_error mine = CLOISTER_ERROR_INIT;

    if (err)
        fail(daemon, err);
    else if (recover(daemon, &mine) < 0)
        fail(daemon, &mine);
}

static int make_rooms(struct cl_daemon *daemon, struct cloister_error *err)
{
    const struct cl_engine_args args = {
        .loop = daemon->loop,
        .events = daemon->events,
        .instance = daemon->config->instance,
        .run_dir = daemon->config->run_dir,
        .boot_id = daemon->rundir.boot_id,
        .cookie = daemon->rundir.cookie,
        .profile_paths = daemon->config->profile_path,
        .old_cookie = daemon->rundir.old_cookie,
        .orphans_report = daemon->config->orphans_report,
        .recover_ns = daemon->config->recover_ms * CL_NS_PER_MS,
    };

    int r = cl_engine_new(&args, &daemon->engine);
    if (r == 0)
        r = cl_exchanges_new(daemon->loop, &daemon->exchanges);
    if (r == 0 && !(daemon->stores = cl_calloc(daemon->config->persistence_count + 1, sizeof(*daemon->stores))))
        r = -ENOMEM;
    if (r < 0)
        return cl_error_set(err, CLOISTER_IO, -r, "daemon", "make rooms", "make the engine and the exchanges");
    return 0;
}

static int start_loop(struct cl_daemon *daemon, struct cloister_error *err)
{
    int r = cl_loop_new(&daemon->loop);

    if (r == 0)
        r = cl_events_new(&daemon->events);
    if (r == 0 && daemon->zygote)
        r = cl_zygote_attach(daemon->zygote, daemon->loop, on_zygote_died, daemon);
    if (r == 0)
        r = cl_loop_signal(daemon->loop, SIGTERM, on_signal, daemon);
    if (r == 0)
        r = cl_loop_signal(daemon->loop, SIGINT, on_signal, daemon);
    if (r < 0)
        return cl_error_set(err, CLOISTER_IO, -r, "loop", "start loop", "start the loop");
    return 0;
}

static void fill_host(struct cl_daemon *daemon)
{
    daemon->host.loop = daemon->loop;
    daemon->host.zygote = daemon->zygote;
    daemon->host.boot_id = daemon->rundir.boot_id;
    daemon->host.cookie = daemon->rundir.cookie;
}

static int start(struct cl_daemon *daemon, struct cloister_error *err)
{
    const struct cl_rundir_args args = {
        .run_dir = daemon->config->run_dir,
        .state_dir = daemon->config->state_dir,
        .boot_id_file = daemon->config->boot_id_file,
        .wait_until = daemon->wait_until,
    };
    int r = cl_rundir_open(&args, &daemon->rundir, err);

    if (r == 0 && daemon->config->isolation_count > 0)
        r = cl_zygote_start(daemon->config->keeper, &daemon->zygote, err);
    if (r == 0)
        r = cl_privileges_drop(err);
    if (r == 0)
        r = cl_fork_filter_install(err);
    take_descriptors();
    if (r == 0)
        r = start_loop(daemon, err);
    fill_host(daemon);
    if (r == 0)
        r = make_rooms(daemon, err);
    if (r == 0)
        r = cl_daemon_create(daemon, err);
    if (r == 0)
        r = cl_daemon_listen(daemon, err);
    if (r == 0)
        r = cl_daemon_open_stores(daemon, err);
    return r;
}

/* What can be known to be wrong before anything has been done. */
static int check(struct cl_daemon *daemon, struct cl_loader *loader, struct cloister_error *err)
{
    int r = cl_handed_take(&daemon->handed, err);

    if (r < 0)
        return r;
    if (cl_registry_new(loader, cl_host_fill, &daemon->host, &daemon->registry) < 0)
        return cl_error_set(err, CLOISTER_LIMIT, ENOMEM, NULL, "memory", "make the plugin registry");
    daemon->host.registry = daemon->registry;
    return cl_check_config(daemon->config, daemon->registry, err);
}

int cl_daemon_run(const struct cl_config *config, struct cl_loader *loader, uint64_t wait_ns)
{
    struct cl_daemon daemon = {.config = config, .rundir = {.dir_fd = -1, .lock_fd = -1}};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int r;

    daemon.host = (struct cl_host){
        .instance = config->instance,
        .run_dir = config->run_dir,
        .state_dir = config->state_dir,
        .helpers_beside = config->keeper,
        .helpers = config->helpers,
        .shutdown = on_shutdown,
        .health = add_health,
        .ctx = &daemon,
        .transport = &cl_exchange_transport_api,
        .exchange = &cl_exchange_api,
        .engine = &cl_engine_api,
        .iso = &cl_engine_iso_api,
        .store = &cl_store_api,
    };
    if (check(&daemon, loader, &err) < 0) {
        cl_log_error(CL_LOG_ERROR, "daemon", &err, "check config");
        daemon.registry = cl_registry_free(daemon.registry);
        cl_handed_free(&daemon.handed);
        return CL_EXIT_CONFIG;
    }
    daemon.wait_until = wait_ns == CL_WAIT_NOT || wait_ns == CL_WAIT_FOR_EVER ? wait_ns : cl_mono_ns() + wait_ns;
    reset_signals();
    keep_secrets();
    r = start(&daemon, &err);
    if (r == -ECANCELED) /* told to stop while it waited */
        cl_daemon_stop(&daemon, 0);
    else if (r < 0)
        fail(&daemon, &err);
    if (daemon.loop && daemon.phase != CL_PHASE_STOPPED)
        cl_loop_run(daemon.loop);
    cl_daemon_clear(&daemon);
    return daemon.exit_code;
}

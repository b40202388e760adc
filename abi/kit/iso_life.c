/* SPDX-License-Identifier: Apache-2.0 */
/* iso_life.c - probe, plan, create, start, destroy, sweep, cancel, and structs of other sizes. */
#include <dirent.h>
#include <signal.h>

#include "cases.h"
#include "loop.h"

static void test_probe(void **state)
{
    (void)state;
    const struct cloister_isolation *v = &iso.vtable;
    if (!v->sandbox_create || !v->sandbox_destroy || !v->plan || !v->cancel || !v->detach || !v->life.destroy)
        fail_msg("a mandatory slot is NULL");
    if (iso.capabilities & ~iso.setting.plugin->provides)
        fail_msg("probe finds capabilities 0x%llx that the descriptor does not promise",
                 (unsigned long long)(iso.capabilities & ~iso.setting.plugin->provides));
    for (uint64_t i = 0; i < iso.probe.feature_count; i++) {
        const struct cloister_feature *feature =
            (const void *)((const char *)iso.probe.features + i * iso.probe.feature_size);
        if (!feature->name || !*feature->name)
            fail_msg("feature %llu has no name", (unsigned long long)i);
        if (!feature->present && (!feature->reason || !*feature->reason))
            fail_msg("feature '%s' is not there, for no reason", feature->name);
    }
}

/* A capability without the operation that it is about helps nobody. */
static void test_capabilities(void **state)
{
    (void)state;
    const struct cloister_isolation *v = &iso.vtable;
    const struct {
        const char *name;
        uint64_t bits;
        bool there;
    } rows[] = {
        {"FREEZE: freeze, thaw", CLOISTER_ISO_FREEZE, v->freeze && v->thaw},
        {"TAPE: attach, attach_policy", CLOISTER_ISO_TAPE, v->attach && v->attach_policy},
        {"PTY: resize, stdin", CLOISTER_ISO_PTY, v->resize && v->stdin},
        {"ADOPT: adopt", CLOISTER_ISO_ADOPT, v->adopt},
        {"BLOCKED_INIT: container_start", CLOISTER_ISO_BLOCKED_INIT, v->container_start},
        {"PEAK_RESET, MACHINE_STATS: stats", CLOISTER_ISO_PEAK_RESET | CLOISTER_ISO_MACHINE_STATS, v->stats},
        {"NS_JOIN: container_create", CLOISTER_ISO_NS_JOIN, v->container_create},
        {"OWN_CGROUP, RESOLVE, EXTRA_FDS: exec",
         CLOISTER_ISO_OWN_CGROUP | CLOISTER_ISO_RESOLVE | CLOISTER_ISO_EXTRA_FDS, v->exec},
        {"container_create: container_delete", v->container_create ? ~0ull : 0, v->container_delete},
        {"stdin: stdin_close", v->stdin ? ~0ull : 0, v->stdin_close},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (iso.capabilities & rows[i].bits && !rows[i].there)
            fail_msg("%s: the slot is missing", rows[i].name);
}

static unsigned entries(const char *path)
{
    DIR *dir = opendir(path);
    unsigned count = 0;
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    (void)closedir(dir);
    return count;
}

static void test_plan(void **state)
{
    (void)state;
    struct iso_sandbox *s = iso_prepare("sleep 600"), *other = iso_prepare("sleep 600");
    struct cloister_error err;
    assert_true(iso_plan(s, &err));
    size_t size = s->which.plan.size;
    char *first = malloc(size + 1);
    assert_non_null(first);
    memcpy(first, s->blob, size);
    bool again = iso_plan(s, &err);
    bool same = again && s->which.plan.size == size && memcmp(first, s->blob, size) == 0;
    free(first);
    if (!same)
        fail_msg("a second plan of the same sandbox is another one");
    assert_true(iso_plan(other, &err));
    if (entries(iso.run) != 0 || iso_orphans(NULL, true) != 0)
        fail_msg("a plan left something behind");
}

static void test_plan_refuses(void **state)
{
    (void)state;
    static const char *const specs[] = {"{", "[]", "{\"linux\":7}", "{\"ociVersion\":\"1.1.0\",\"mounts\":{}}"};
    for (unsigned i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        struct iso_sandbox *s = iso_prepare("true");
        struct cloister_error err;
        s->container.spec = (struct cloister_sv){specs[i], strlen(specs[i])};
        if (iso_plan(s, &err))
            fail_msg("a plan of the spec %s is made", specs[i]);
        if (err.code != CLOISTER_INVALID && err.code != CLOISTER_UNSUPPORTED)
            fail_msg("spec %s: code %u: %s", specs[i], err.code, err.chain);
    }
}

static const struct {
    const char *command;
    uint32_t kind;
    uint32_t value;
} endings[] = {
    {"true", CLOISTER_STATUS_EXITED, 0},
    {"false", CLOISTER_STATUS_EXITED, 1},
    {"sh -c|exit 7", CLOISTER_STATUS_EXITED, 7},
    {"sh -c|exit 255", CLOISTER_STATUS_EXITED, 255},
};

static void check_order(const char *name, const struct iso_outcome *started, cloister_process process)
{
    const struct iso_event *event = iso_exit(process);
    if (event->order < started->order)
        fail_msg("%s: its exit was told before its start had completed", name);
}

static void test_create(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        struct iso_sandbox *s = iso_made(endings[i].command);
        if (s->created->result.container_state != CLOISTER_CONTAINER_RUNNING)
            fail_msg("%s: state %u, not running", endings[i].command, s->created->result.container_state);
        if (iso.capabilities & CLOISTER_ISO_REAL_PIDS && s->created->result.pid <= 0)
            fail_msg("%s: no pid", endings[i].command);
        iso_expect_status(endings[i].command, s->args.init, endings[i].kind, endings[i].value);
        check_order(endings[i].command, s->created, s->args.init);
        iso_gone(s);
    }
}

static void test_create_fails(void **state)
{
    (void)state;
    static const struct {
        const char *command;
        const char *more;
        uint32_t code;
    } rows[] = {
        {"/no/such/program", "", CLOISTER_NO_EXECUTABLE},
        {"/etc/passwd", "", CLOISTER_NOT_EXECUTABLE},
        {"true", "\"cwd\":\"/no/such/directory\"", CLOISTER_BAD_CWD},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct iso_sandbox *s = iso_prepare("true");
        iso_program(&s->init, rows[i].command, rows[i].more);
        iso_wait_for(iso_create_begin(s), "sandbox_create");
        iso_expect(rows[i].command, s->created, rows[i].code);
        if (!iso_no_exit(s->args.init, 50))
            fail_msg("%s: an exit of a process that never was", rows[i].command);
        iso_gone(s);
    }
}

static struct iso_outcome *start(struct iso_sandbox *s)
{
    const struct cloister_container_start_args what = {CLOISTER_INIT(struct cloister_container_start_args),
                                                       .stdio = s->init.stdio, .stdio_count = 3,
                                                       .stdio_size = sizeof(s->init.stdio[0])};
    const struct cloister_iso_start_args args = {CLOISTER_INIT(struct cloister_iso_start_args), 0, s->which, &what,
                                                 s->args.init};
    struct iso_outcome *out;
    ISO_CALL(out, container_start, &args);
    return out;
}

static void test_blocked(void **state)
{
    (void)state;
    ISO_NEED(BLOCKED_INIT);
    struct iso_sandbox *s = iso_prepare("sh -c|exit 7");
    s->container.start = CLOISTER_START_BLOCKED;
    iso_create(s);
    if (s->created->result.container_state != CLOISTER_CONTAINER_CREATED)
        fail_msg("state %u, not created", s->created->result.container_state);
    if (!iso_no_exit(s->args.init, 100))
        fail_msg("a blocked init has exited");
    struct iso_outcome *out = start(s);
    iso_expect("container_start", out, 0);
    iso_expect_status("init", s->args.init, CLOISTER_STATUS_EXITED, 7);
    check_order("init", out, s->args.init);
    iso_gone(s);
}

static void test_blocked_fails(void **state)
{
    (void)state;
    ISO_NEED(BLOCKED_INIT);
    struct iso_sandbox *s = iso_prepare("/no/such/program");
    s->container.start = CLOISTER_START_BLOCKED;
    iso_wait_for(iso_create_begin(s), "sandbox_create");
    /* A plugin may look before it starts. */
    struct iso_outcome *out = s->created->err.code ? s->created : start(s);
    iso_expect("a program that is not there", out, CLOISTER_NO_EXECUTABLE);
    iso_gone(s);
}

static void test_pause(void **state)
{
    (void)state;
    ISO_NEED(PAUSE_INIT);
    struct iso_sandbox *s = iso_prepare("true");
    s->container.init = CLOISTER_INIT_PAUSE;
    s->container.process = NULL;
    iso_create(s);
    iso_expect_status("true", iso_exec(s, "true")->args.process, CLOISTER_STATUS_EXITED, 0);
    if (!iso_no_exit(s->args.init, 50))
        fail_msg("the pause has ended");
    iso_gone(s);
}

/* Every exit is told before the destroy completes, and a second destroy finds nothing to do. */
static void test_destroy(void **state)
{
    (void)state;
    struct iso_sandbox *s = iso_made("sleep 600");
    cloister_process processes[4] = {s->args.init};
    for (unsigned i = 1; i < 4; i++)
        processes[i] = iso_exec(s, "sleep 600")->args.process;
    struct iso_outcome *out = iso_destroy(s);
    iso_expect("sandbox_destroy", out, 0);
    for (unsigned i = 0; i < 4; i++)
        if (iso_exit(processes[i])->order > out->order)
            fail_msg("the destroy completed before an exit was told");
    iso_gone(s);
    iso_gone(s);
}

static void test_destroy_unmade(void **state)
{
    (void)state;
    struct iso_sandbox *s = iso_prepare("true");
    struct cloister_error err;
    assert_true(iso_plan(s, &err));
    iso_gone(s);
}

/* Id, cookie and plan are all that a later daemon has. */
static void test_destroy_fresh(void **state)
{
    (void)state;
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *e = iso_exec(s, "sleep 600");
    const int32_t pids[2] = {s->created->result.pid, e->out->result.pid};
    iso_renew();
    if (iso.capabilities & CLOISTER_ISO_ADOPT && !iso_lives(pids[0]))
        fail_msg("detach ended the sandbox");
    iso_gone(s);
    for (unsigned i = 0; i < 2 && iso.capabilities & CLOISTER_ISO_REAL_PIDS; i++)
        if (iso_lives(pids[i]))
            fail_msg("process %d lives on", pids[i]);
}

static void check_orphans(const char *name, const struct iso_sandbox *of, bool removed)
{
    if (iso.orphan_count == 0)
        fail_msg("%s: nothing is reported", name);
    for (unsigned i = 0; i < iso.orphan_count; i++) {
        if (strcmp(iso.orphans[i].sandbox, of->id) != 0)
            fail_msg("%s: sandbox '%s' is reported, not '%s'", name, iso.orphans[i].sandbox, of->id);
        if (!iso.orphans[i].removed != !removed)
            fail_msg("%s: removed is %u", name, iso.orphans[i].removed);
    }
}

static void test_sweep(void **state)
{
    (void)state;
    ISO_NEED_SLOT(sweep);
    struct iso_sandbox *known = iso_made("sleep 600"), *orphan = iso_made("sleep 600");
    const int32_t pid = orphan->created->result.pid;
    iso_renew();
    (void)iso_orphans(known, true);
    check_orphans("report only", orphan, false);
    if (iso.capabilities & CLOISTER_ISO_REAL_PIDS && !iso_lives(pid))
        fail_msg("a sweep that only reports has ended a process");
    (void)iso_orphans(known, false);
    check_orphans("sweep", orphan, true);
    if (iso.capabilities & CLOISTER_ISO_REAL_PIDS && (iso_lives(pid) || !iso_lives(known->created->result.pid)))
        fail_msg("a sweep ends the orphan and nobody else");
    if (iso_orphans(known, true) != 0)
        fail_msg("a sweep left something behind");
    iso_expect("destroy of what was swept", iso_destroy(orphan), 0);
    iso_gone(known);
}

/* At various moments; whatever comes of it, it comes once, and CANCELLED leaves nothing. */
static void test_cancel(void **state)
{
    (void)state;
    unsigned cancelled = 0;
    for (unsigned turn = 0; turn < 8; turn++) {
        struct iso_sandbox *s = iso_prepare("sleep 600");
        struct iso_outcome *out = iso_create_begin(s);
        if (turn)
            kit_loop_turns(turn * turn / 2);
        iso.inside = true;
        iso.vtable.cancel(iso.instance, out->op);
        iso.inside = false;
        iso_wait_for(out, "a create that was cancelled");
        cancelled += out->err.code == CLOISTER_CANCELLED;
        if (out->err.code)
            iso_remove_run(s);
        if (out->err.code == CLOISTER_CANCELLED && iso_orphans(NULL, true) != 0)
            fail_msg("a create that was cancelled left something behind");
        if (out->err.code && out->err.code != CLOISTER_CANCELLED)
            fail_msg("a create that was cancelled: %s", out->sentence);
        iso_gone(s);
    }
    if (!cancelled)
        fail_msg("a create that is cancelled at once does not end CANCELLED");
    iso.vtable.cancel(iso.instance, 999999); /* unknown: nothing happens */
}

#define CUT(type, member) ((uint32_t)offsetof(type, member))

/* A caller of 0.2, if the plugin takes one: what follows is not there, and is no zero either. */
static void test_short_structs(void **state)
{
    (void)state;
    if (iso.setting.plugin->min_host_minor > 2)
        iso_skip("the plugin takes no host before %u.%u: nothing is ever shorter for it", iso.setting.plugin->abi_major,
                 iso.setting.plugin->min_host_minor);
    struct iso_sandbox *s = iso_prepare("sleep 600");
    s->container.struct_size = CUT(struct cloister_container_args, layers);
    memset(&s->container.layers, 0xa5, sizeof(s->container) - s->container.struct_size);
    s->init.args.struct_size = CUT(struct cloister_process_args, extra);
    memset(&s->init.args.extra, 0xa5, sizeof(s->init.args) - s->init.args.struct_size);
    s->create.struct_size = CUT(struct cloister_sandbox_create_args, cgroup_parent);
    memset(&s->create.cgroup_parent, 0xa5, sizeof(s->create) - s->create.struct_size);
    iso_create(s);
    struct iso_exec *e = iso_exec_prepare(s, "sh -c|exit 7");
    e->exec.struct_size = CUT(struct cloister_exec_args, resources);
    memset(&e->exec.resources, 0xa5, sizeof(e->exec.resources));
    e->program.args.struct_size = CUT(struct cloister_process_args, extra);
    memset(&e->program.args.extra, 0xa5, sizeof(e->program.args) - e->program.args.struct_size);
    iso_expect("exec", iso_exec_wait(e)->out, 0);
    iso_expect_status("exec", e->args.process, CLOISTER_STATUS_EXITED, 7);
    iso_gone(s);
}

/* A caller of a later one: there is more behind each, and the elements of arrays stand further apart. */
static void test_long_structs(void **state)
{
    (void)state;
    struct wide {
        struct cloister_stdio stdio;
        unsigned char more[24];
    } wide[3];
    struct iso_sandbox *s = iso_prepare("sleep 600");
    s->container.struct_size += ISO_TAIL;
    s->init.args.struct_size += ISO_TAIL;
    memset(wide, 0xa5, sizeof(wide));
    for (unsigned i = 0; i < 3; i++)
        wide[i].stdio = s->init.stdio[i];
    s->init.args.stdio = &wide[0].stdio;
    s->init.args.stdio_size = sizeof(wide[0]);
    iso_create(s);
    struct iso_exec *e = iso_exec_prepare(s, "sh -c|exit 7");
    e->exec.struct_size += ISO_TAIL;
    e->program.args.struct_size += ISO_TAIL;
    e->program.args.stdio = &wide[0].stdio;
    e->program.args.stdio_size = sizeof(wide[0]);
    iso_expect("exec", iso_exec_wait(e)->out, 0);
    iso_expect_status("exec", e->args.process, CLOISTER_STATUS_EXITED, 7);
    iso_gone(s);
}

static void test_describe(void **state)
{
    (void)state;
    ISO_NEED_SLOT(describe);
    struct iso_sandbox *s = iso_made("sleep 600");
    const struct cloister_iso_describe_args args = {CLOISTER_INIT(struct cloister_iso_describe_args), 0, s->which};
    struct iso_outcome *out;
    cloister_value *value = NULL;
    ISO_CALL(out, describe, &args);
    iso_expect("describe", out, 0);
    const struct cloister_value_api *v = iso.host.value;
    if (v->parse((struct cloister_sv){out->text, out->text_size}, 0, 0, &value, NULL) < 0 ||
        v->type(value) != CLOISTER_VALUE_OBJECT)
        fail_msg("describe: no JSON object: %s", out->text);
    v->free(value);
    iso_gone(s);
}

const struct CMUnitTest iso_life_cases[] = {
    ISO_CASE("probe", test_probe),
    ISO_CASE("capabilities", test_capabilities),
    ISO_CASE("plan", test_plan),
    ISO_CASE("plan-refuses", test_plan_refuses),
    ISO_CASE("create", test_create),
    ISO_CASE("create-fails", test_create_fails),
    ISO_CASE("blocked", test_blocked),
    ISO_CASE("blocked-fails", test_blocked_fails),
    ISO_CASE("pause", test_pause),
    ISO_CASE("describe", test_describe),
    ISO_CASE("destroy", test_destroy),
    ISO_CASE("destroy-unmade", test_destroy_unmade),
    ISO_CASE("destroy-fresh", test_destroy_fresh),
    ISO_CASE("sweep", test_sweep),
    ISO_CASE("cancel", test_cancel),
    ISO_CASE("short-structs", test_short_structs),
    ISO_CASE("long-structs", test_long_structs),
    ISO_CASES_END,
};

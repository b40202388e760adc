/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_halts.c - argv as test_backend's. The daemon is stopped before and after each step in the plugin's own table and
 * killed there; whatever was half done, the next one takes it away by id, cookie and plan, and nothing is left. A step
 * that no operation passes fails here. It runs itself as the daemon ("daemon" as the third argument).
 */
#include "house.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "isolation/namespaces/halt.h"

#define ROW(operation, step) {#operation, #step},
static const struct {
    char operation[16];
    char step[16];
} steps[] = {NS_HALT_ALL(ROW)};

/* --- the daemon --- */

static const struct cloister_stdio stdio[2] = {{.kind = CLOISTER_STDIO_NULL, .fd = -1},
                                               {.kind = CLOISTER_STDIO_PIPE, .fd = -1}};

static void start_init(struct bed_sandbox *s)
{
    struct cloister_container_start_args start = {CLOISTER_INIT(struct cloister_container_start_args), .stdio = stdio,
                                                  .stdio_count = 2, .stdio_size = sizeof(stdio[0])};
    struct cloister_iso_start_args args = {CLOISTER_INIT(struct cloister_iso_start_args), 0, s->which, &start,
                                           s->args.init};
    struct bed_outcome out;

    bed.iso->container_start(bed.instance, &args, bed_op(&out));
    bed_wait(&out);
    assert_int_equal(out.err.code, 0);
}

static void kill_init(struct bed_sandbox *s)
{
    struct cloister_container_kill_args kill = {CLOISTER_INIT(struct cloister_container_kill_args),
                                                .set = CLOISTER_KILL_INIT, .signal = SIGKILL};
    struct cloister_iso_kill_args args = {CLOISTER_INIT(struct cloister_iso_kill_args), 0, s->which, &kill};
    struct bed_outcome out;

    bed.iso->container_kill(bed.instance, &args, bed_op(&out));
    bed_wait(&out);
    assert_int_equal(out.err.code, 0);
}

/* Every operation there is, once. */
static void make_all(struct bed_sandbox *s)
{
    struct bed_outcome out;

    s->container.start = CLOISTER_START_BLOCKED;
    assert_int_equal(bed_plan(s, &out), 0);
    house_write_plan(s); /* before anything is made, as the engine does */
    house_create(s, &out);
    start_init(s);
    bed_attach(s, s->args.init, 1, CLOISTER_ATTACH_OLDEST, 0, CLOISTER_POLICY_DROP, &out);
    assert_int_equal(out.err.code, 0);
    bed_exec(s, 5001, "/bin/true", -1, &out);
    assert_int_equal(out.err.code, 0);
    bed_exit_of(5001);
    bed_release(s, 5001, &out);
    kill_init(s);
    bed_exit_of(s->args.init);
}

static int sweep(void)
{
    struct cloister_iso_sweep_args args = {CLOISTER_INIT(struct cloister_iso_sweep_args), .cookie = bed.cookie,
                                           .run_dir = {bed.run, strlen(bed.run)}};
    struct bed_outcome out;

    bed.iso->sweep(bed.instance, &args, bed_op(&out));
    bed_wait(&out);
    return 0;
}

static int be_daemon(const char *what)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 100");
    struct bed_inventory inventory;

    if (strcmp(what, "sweep") == 0)
        return sweep();
    if (strcmp(what, "make") == 0 || strcmp(what, "all") == 0)
        make_all(s);
    else
        house_read_plan(s);
    if (strcmp(what, "adopt") == 0) {
        house_adopt(s, &inventory);
        assert_int_equal(inventory.fate, CLOISTER_FATE_ALIVE);
        for (unsigned i = 0; i < inventory.count; i++) /* half made things are gone by now, or whole */
            assert_int_not_equal(inventory.processes[i].state, CLOISTER_PROCESS_STARTING);
    } else if (strcmp(what, "make") != 0) {
        house_destroy(s);
    }
    return 0;
}

/* --- who kills it --- */

static void run(const char *what, const char *where)
{
    int status;
    pid_t pid = house_daemon(what, "", -1, -1);

    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s: '%s' ended with status 0x%x", where, what, status);
}

static void stop_and_kill(const char *what, const char *where)
{
    int status;
    pid_t pid = house_daemon(what, where, -1, -1);

    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (!WIFSTOPPED(status))
        fail_msg("'%s' is not passed: status 0x%x", where, status);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* Keepers that were not yet told who they are end by themselves. */
static bool no_keepers(void)
{
    char path[128];

    snprintf(path, sizeof(path), "/sys/fs/cgroup/pids%s/keepers/cgroup.procs", bed.cgroup_root);
    for (unsigned i = 0; i < 300; i++) {
        FILE *file = fopen(path, "re");
        int first = file ? fgetc(file) : EOF;

        if (file)
            fclose(file);
        if (first == EOF)
            return true;
        bed_turns(10);
    }
    return false;
}

static void one(const char *operation, const char *step, const char *when)
{
    bool later = strcmp(operation, "adopt") == 0 || strcmp(operation, "sweep") == 0;
    char where[64];

    snprintf(where, sizeof(where), "%s:%s:%s", operation, step, when);
    if (later)
        run("make", where);
    stop_and_kill(later ? operation : "all", where);
    run("destroy", where);
    if (bed_group_count() != 0 || bed_run_count() != 0 || !no_keepers())
        fail_msg("%s: %u groups, %u run directories are left, or a keeper", where, bed_group_count(), bed_run_count());
}

static void test_every_step(void **state)
{
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        one(steps[i].operation, steps[i].step, "before");
        one(steps[i].operation, steps[i].step, "after");
    }
}

/* The daemon says that a process, or its keeper, stands at that step; then it is killed. */
static void halt_and_kill(const char *halt_at)
{
    char line[4096], wanted[96], *colon;
    int status, ends[2];
    FILE *log;
    pid_t pid;

    snprintf(wanted, sizeof(wanted), "halt: %s\n", halt_at);
    while ((colon = strchr(wanted + 6, ':')) != NULL)
        *colon = ' ';
    bed_pipe(ends);
    pid = house_daemon("all", halt_at, ends[1], STDERR_FILENO);
    close(ends[1]);
    log = fdopen(ends[0], "r");
    do {
        if (fgets(line, sizeof(line), log) == NULL)
            fail_msg("'%s' is not passed", halt_at);
    } while (strstr(line, wanted) == NULL);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    fclose(log);
}

/* Steps of the keeper's table: a create is undone; a sandbox in which an exec was half done is taken over without it.
 */
static void test_keeper_steps(void **state)
{
    static const struct {
        const char *halt_at;
        bool exec;
    } cases[] = {
        {"create:fork:before", false},   {"create:mount:after", false}, {"create:cwd:before", false},
        {"exec:fork:after", true},       {"exec:enter:before", true},   {"exec:join-cgroup:after", true},
        {"exec:own-pipes:before", true}, {"exec:exec:before", true},    {"exec:exec:after", true},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        halt_and_kill(cases[i].halt_at);
        if (cases[i].exec)
            run("adopt", cases[i].halt_at);
        run("destroy", cases[i].halt_at);
        assert_int_equal(bed_group_count(), 0);
        assert_int_equal(bed_run_count(), 0);
        assert_true(no_keepers());
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(test_every_step),
        HOUSE_TEST(test_keeper_steps),
    };

    return house_main(argc, argv, tests, sizeof(tests) / sizeof(*tests), be_daemon);
}

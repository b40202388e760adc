/* SPDX-License-Identifier: Apache-2.0 */
/* test_backend.c - argv: keeper, house_profiles directory, and perhaps a pattern of tests. Whole sandboxes through
 * the plugin's vtable; see bed.h. */
#include "house.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void test_exit_code(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sh -c|exit 7");
    struct bed_outcome out;
    struct cloister_status status;

    house_create(s, &out);
    assert_int_equal(out.result.container_state, CLOISTER_CONTAINER_RUNNING);
    assert_int_equal(out.result.process, s->args.init);
    status = bed_exit_of(s->args.init);
    assert_int_equal(status.kind, CLOISTER_STATUS_EXITED);
    assert_int_equal(status.value, 7);
    assert_true(status.mono_ns > 0 && status.real_ns > status.mono_ns);
    house_destroy(s);
}

static void test_output_and_ids(void **state)
{
    struct bed_sandbox *s =
        house_prepare(ID_A, "/bin/sh -c|id; cat /proc/self/uid_map; ls -ln /bin/busybox; ls /sys/fs/cgroup; echo $$");
    struct bed_outcome out;
    const char *text;
    int ends[2];

    bed_pipe(ends);
    s->stdio[0].kind = CLOISTER_STDIO_CLOSED;
    s->stdio[1] = (struct cloister_stdio){CLOISTER_STDIO_DESCRIPTOR, ends[1]};
    s->stdio[2] = (struct cloister_stdio){CLOISTER_STDIO_SAME_AS, 1};
    s->process.stdio_count = 3;
    house_create(s, &out);
    text = bed_drain(ends[0]);
    assert_non_null(strstr(text, "uid=0 gid=0"));
    assert_non_null(strstr(text, "2000000      65536"));
    assert_non_null(strstr(text, " 0        0 ")); /* the root is id-mapped */
    assert_non_null(strstr(text, "memory"));
    assert_non_null(strstr(text, "unified"));
    house_destroy(s);
}

static void test_exec(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 100");
    struct bed_outcome out;
    const char *text;
    int ends[2];

    house_create(s, &out);
    bed_pipe(ends);
    bed_exec(s, 5001, "/bin/sh -c|id", ends[1], &out);
    if (out.err.code)
        fail_msg("exec: %s", out.sentence);
    assert_true(out.result.pid > 1);
    assert_int_equal(out.result.uid, 3);
    assert_int_equal(out.result.gid, 4);
    text = bed_drain(ends[0]);
    assert_non_null(strstr(text, "uid=3 gid=4"));
    assert_int_equal(bed_exit_of(5001).value, 0);
    bed_exec(s, 5002, "nothing-like-it", -1, &out);
    assert_int_equal(out.err.code, CLOISTER_NO_EXECUTABLE);
    assert_string_equal(out.sentence, "find executable 'nothing-like-it': No such file or directory");
    bed_exec(s, 5003, "/etc", -1, &out);
    assert_int_equal(out.err.code, CLOISTER_NOT_EXECUTABLE);
    house_destroy(s);
    assert_int_equal(bed_exit_of(1003).kind, CLOISTER_STATUS_SIGNALED); /* init's, told before destroy completed */
}

/* What ends before anybody can look has a number too: init, each of 200, and a blocked init that is let go. */
static void test_pid_of_the_quick(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/true");
    struct cloister_container_start_args start = {CLOISTER_INIT(struct cloister_container_start_args)};
    struct cloister_iso_start_args args = {CLOISTER_INIT(struct cloister_iso_start_args), .start = &start};
    struct bed_outcome out;
    int32_t pid;

    house_create(s, &out);
    assert_true(out.result.pid > 1);
    house_destroy(s);

    s = house_prepare(ID_A, "/bin/sleep 100");
    house_create(s, &out);
    for (cloister_process i = 0; i < 200; i++) {
        bed_exec(s, 8000 + i, "/bin/true", -1, &out);
        if (out.err.code || out.result.pid <= 1)
            fail_msg("exec %u: %s, pid %d", (unsigned)i, out.sentence, out.result.pid);
        bed_exit_of(8000 + i);
        bed.exit_count = 0; /* the recorder holds only so many */
    }
    house_destroy(s);

    s = house_prepare(ID_B, "/bin/true");
    s->container.start = CLOISTER_START_BLOCKED;
    house_create(s, &out);
    pid = out.result.pid;
    args.sandbox = s->which;
    args.init = s->args.init;
    bed.iso->container_start(bed.instance, &args, bed_op(&out));
    bed_wait(&out);
    assert_int_equal(out.err.code, 0);
    assert_true(pid > 1);
    assert_int_equal(out.result.pid, pid);
    house_destroy(s);
}

static void call_kill(struct bed_sandbox *s, uint32_t set, uint32_t number, struct bed_outcome *out)
{
    struct cloister_container_kill_args kill = {CLOISTER_INIT(struct cloister_container_kill_args), .set = set,
                                                .signal = number};
    struct cloister_iso_kill_args args = {CLOISTER_INIT(struct cloister_iso_kill_args), 0, s->which, &kill};

    bed.iso->container_kill(bed.instance, &args, bed_op(out));
    bed_wait(out);
}

static void test_signals(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 100");
    struct bed_outcome out;
    struct cloister_signal_args signal = {CLOISTER_INIT(struct cloister_signal_args), .signal = SIGTERM,
                                          .process = 6001, .scope = CLOISTER_SIGNAL_PROCESS};
    struct cloister_iso_signal_args args = {CLOISTER_INIT(struct cloister_iso_signal_args), 0, {0}, &signal};
    struct cloister_iso_release_args release = {CLOISTER_INIT(struct cloister_iso_release_args), 0, {0}, 6001};

    house_create(s, &out);
    bed_exec(s, 6001, "/bin/sleep 100", -1, &out);
    assert_int_equal(out.err.code, 0);
    args.sandbox = release.sandbox = s->which;
    bed.iso->signal(bed.instance, &args, bed_op(&out));
    bed_wait(&out);
    assert_int_equal(out.err.code, 0);
    assert_int_equal(bed_exit_of(6001).value, SIGTERM);
    bed.iso->signal(bed.instance, &args, bed_op(&out));
    bed_wait(&out);
    assert_int_equal(out.err.code, CLOISTER_NO_ENTITY);
    bed.iso->release(bed.instance, &release, bed_op(&out));
    bed_wait(&out);
    assert_int_equal(out.err.code, 0);
    call_kill(s, CLOISTER_KILL_ALL, SIGKILL, &out);
    assert_int_equal(out.err.code, 0);
    assert_int_equal(out.result.survivors, 0);
    assert_int_equal(bed_exit_of(s->args.init).kind, CLOISTER_STATUS_SIGNALED);
    assert_int_equal(bed_exit_of(s->args.init).value, SIGKILL);
    bed_turns(50);
    bed_exec(s, 6002, "/bin/true", -1, &out);
    assert_int_equal(out.err.code, CLOISTER_INVALID_STATE);
    house_destroy(s);
}

/* Those inside see a process come, and stop it as soon as it is there, each time. */
#define STOPPER "/bin/sh -c|while :; do kill -STOP 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; done"

static void expect_deadline(struct bed_outcome *out)
{
    if (out->err.code != CLOISTER_DEADLINE || strstr(out->sentence, "within 3000 ms and was killed") == NULL)
        fail_msg("code %u, '%s'", out->err.code, out->sentence);
}

static void test_held_up_inside(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, STOPPER);
    struct cloister_container_start_args start = {CLOISTER_INIT(struct cloister_container_start_args)};
    struct cloister_iso_start_args args = {CLOISTER_INIT(struct cloister_iso_start_args), .start = &start};
    struct bed_outcome out;

    house_create(s, &out);
    bed_turns(100);
    /* A quick one may be through before it is stopped. */
    unsigned quick = 0;
    for (bed_exec(s, 9201, "/bin/true", -1, &out); out.err.code == 0 && quick < 50; quick++)
        bed_exec(s, 9202 + quick, "/bin/true", -1, &out);
    expect_deadline(&out);
    assert_true(bed.exit_count <= quick); /* it never was a process of anybody's */
    house_destroy(s);

    /* An init that waits for its start can be held up too: it comes first, and its deadline only with the start. */
    s = house_prepare(ID_B, "/bin/true");
    s->container.start = CLOISTER_START_BLOCKED;
    house_create(s, &out);
    assert_int_equal(kill(out.result.pid, SIGSTOP), 0);
    bed_turns(100);
    args.sandbox = s->which;
    args.init = s->args.init;
    bed.iso->container_start(bed.instance, &args, bed_op(&out));
    bed_wait(&out);
    expect_deadline(&out);
    house_destroy(s);
}

static void make_below(const char *group, unsigned depth, const char *text)
{
    int at = open(group, O_RDONLY | O_DIRECTORY | O_CLOEXEC), procs;

    for (unsigned i = 0; i < depth; i++) {
        int next;

        assert_int_equal(mkdirat(at, "d", 0755), 0);
        next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    procs = openat(at, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(procs, text, strlen(text)), strlen(text));
    close(procs);
    close(at);
}

/* What a container made below its group, deeper than anybody would, goes with it; what lives there too. */
static void test_nested_groups(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 100");
    struct bed_outcome out;
    char path[512], text[16];
    const char *group;
    pid_t child = fork();
    int status;

    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    house_create(s, &out);
    group = strstr(s->blob, "\"cl-");
    assert_non_null(group);
    snprintf(path, sizeof(path), "/sys/fs/cgroup/pids%s/%.*s", bed.cgroup_root, (int)strcspn(group + 1, "\""),
             group + 1);
    snprintf(text, sizeof(text), "%d", child);
    make_below(path, 100, text);
    house_destroy(s);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_pause_and_blocked(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/true");
    struct bed_outcome out;
    struct cloister_stdio stdio[3] = {
        {CLOISTER_STDIO_NULL, -1}, {CLOISTER_STDIO_DESCRIPTOR, -1}, {CLOISTER_STDIO_NULL, -1}};
    struct cloister_container_start_args start = {CLOISTER_INIT(struct cloister_container_start_args), .stdio = stdio,
                                                  .stdio_count = 3, .stdio_size = sizeof(*stdio)};
    struct cloister_iso_start_args args = {CLOISTER_INIT(struct cloister_iso_start_args), .start = &start};
    int ends[2];

    s->container.init = CLOISTER_INIT_PAUSE;
    s->container.process = NULL;
    house_create(s, &out);
    bed_exec(s, 7001, "/bin/true", -1, &out);
    assert_int_equal(out.err.code, 0);
    assert_int_equal(bed_exit_of(7001).value, 0);
    house_destroy(s);

    s = house_prepare(ID_B, "/bin/echo late");
    s->container.start = CLOISTER_START_BLOCKED;
    house_create(s, &out);
    assert_int_equal(out.result.container_state, CLOISTER_CONTAINER_CREATED);
    assert_true(out.result.pid > 1);
    bed_pipe(ends);
    stdio[1].fd = ends[1];
    args.sandbox = s->which;
    args.init = s->args.init;
    bed.iso->container_start(bed.instance, &args, bed_op(&out));
    bed_wait(&out);
    if (out.err.code)
        fail_msg("start: %s", out.sentence);
    assert_string_equal(bed_drain(ends[0]), "late\n");
    assert_int_equal(bed_exit_of(s->args.init).value, 0);
    house_destroy(s);
}

/* Debian's own runtimes' specs, with only terminal and args changed. */
/* The root is the call's; a tool writes "rootfs" there. */
#define NO_ROOT "sed -i -e 's#\"path\": \"rootfs\"#\"path\": \"\"#' config.json"

static void test_debian_specs(void **state)
{
    static const char *const tools[] = {"runc", "crun"};

    for (size_t i = 0; i < 2; i++) {
        struct bed_sandbox *s = malloc(sizeof(*s));
        struct bed_outcome out;
        char command[256], path[160];
        char *text;

        snprintf(command, sizeof(command), "cd %s && rm -f config.json && %s spec >/dev/null 2>&1 && " NO_ROOT, bed.dir,
                 tools[i]);
        if (system(command) != 0) {
            free(s);
            print_message("%s spec is not there\n", tools[i]);
            skip();
        }
        snprintf(path, sizeof(path), "%s/config.json", bed.dir);
        text = bed_read(path);
        bed.warning_count = 0;
        bed_prepare(s, ID_A, text, "/bin/sh -c|exit 9");
        s->container.rootfs_flags = 0;
        house_create(s, &out);
        assert_int_equal(bed_exit_of(s->args.init).value, 9);
        assert_true(bed.warning_count >= 1);
        assert_non_null(strstr(bed.warnings[0], "process.capabilities.ambient: CAP_KILL"));
        bed.exit_count = 0;
        free(text);
        house_destroy(s);
    }
}

static void test_keeper_killed(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 100");
    struct bed_outcome out, described;
    struct cloister_iso_describe_args describe = {CLOISTER_INIT(struct cloister_iso_describe_args)};
    const char *pid;

    house_create(s, &out);
    describe.sandbox = s->which;
    bed.iso->describe(bed.instance, &describe, bed_op(&described));
    bed_wait(&described);
    assert_int_equal(described.err.code, 0);
    assert_non_null(strstr(
        described.json, "\"namespaces\":[\"mount\",\"pid\",\"network\",\"ipc\",\"uts\",\"user\",\"cgroup\",\"time\"]"));
    pid = strstr(described.json, "\"keeper\":{\"pid\":");
    assert_non_null(pid);
    assert_int_equal(kill((pid_t)strtol(pid + 16, NULL, 10), SIGKILL), 0);
    assert_true(bed_until(&bed.downs));
    assert_int_equal(bed.downs, 1);
    assert_int_equal(bed.exit_count, 0); /* nobody saw an exit: none is made up */
    bed_exec(s, 8001, "/bin/true", -1, &out);
    assert_int_equal(out.err.code, CLOISTER_LOST);
    house_destroy(s);
}

/* Cancelled after 0, 1, 2, ... turns of the loop: completes once, as CANCELLED or as a success, and leaves nothing. */
static void test_cancel_anywhere(void **state)
{
    unsigned cancelled = 0;

    for (unsigned ms = 0; ms < 40; ms += 2) {
        struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 100");
        struct bed_outcome out;

        bed_start(s, &out);
        if (ms)
            bed_turns(ms);
        bed.iso->cancel(bed.instance, out.op);
        bed_wait(&out);
        if (out.err.code == 0) {
            house_destroy(s);
            continue;
        }
        assert_int_equal(out.err.code, CLOISTER_CANCELLED);
        cancelled++;
        assert_int_equal(bed_group_count(), 0);
        house_destroy(s); /* idempotent: of something that is not there */
    }
    assert_true(cancelled >= 2);
}

static void test_failures_leave_nothing(void **state)
{
    static const struct {
        const char *name;
        const char *change; /* sed on the profile */
        const char *command;
        uint32_t code;
        const char *sentence; /* beginning */
    } cases[] = {
        {"missing program", "", "/nothing", CLOISTER_NO_EXECUTABLE, "find executable '/nothing'"},
        {"missing bind source",
         "s#\"mounts\": \\[#\"mounts\": [{\"destination\":\"/x\",\"type\":\"bind\",\"source\":\"/no/such\"},#",
         "/bin/true", CLOISTER_NO_ENTITY, "mounts[0].source: open '/no/such': No such file"},
        {"limit refused by the kernel", "s#\"resources\": {#\"resources\": {\"cpu\":{\"cpus\":\"4000-4001\"},#",
         "/bin/true", CLOISTER_CGROUP_FAILED, "linux.resources.cpu.cpus: set /sys/fs/cgroup/cpuset"},
        {"bad working directory", "s#\"cwd\": \"/\"#\"cwd\": \"/none\"#", "/bin/true", CLOISTER_BAD_CWD,
         "enter working directory"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct bed_sandbox *s = malloc(sizeof(*s));
        struct bed_outcome out;
        char command[1024], path[160];
        char *text;

        snprintf(path, sizeof(path), "%s/edited.json", bed.dir);
        snprintf(command, sizeof(command), "sed -e '%s' %s/default.json > %s", cases[i].change, house_profiles, path);
        assert_int_equal(system(command), 0);
        text = bed_read(path);
        bed_prepare(s, ID_A, text, cases[i].command);
        bed_create(s, &out);
        if (out.err.code != cases[i].code || strncmp(out.sentence, cases[i].sentence, strlen(cases[i].sentence)) != 0)
            fail_msg("%s: code %u, '%s'", cases[i].name, out.err.code, out.sentence);
        if (bed_group_count() != 0)
            fail_msg("%s: groups are left", cases[i].name);
        free(text);
        house_destroy(s);
    }
}

static void test_limits_and_oom(void **state)
{
    char command[1024], path[160];
    struct bed_sandbox *s = malloc(sizeof(*s));
    struct cloister_iso_describe_args describe = {CLOISTER_INIT(struct cloister_iso_describe_args)};
    struct bed_outcome out;
    char *text;

    snprintf(path, sizeof(path), "%s/edited.json", bed.dir);
    snprintf(command, sizeof(command),
             "sed -e 's#\"resources\": {#\"resources\": "
             "{\"memory\":{\"limit\":16777216,\"swap\":16777216},\"cpu\":{\"shares\":512,"
             "\"period\":50000,\"quota\":25000},\"pids\":{\"limit\":20},#' %s/default.json > %s",
             house_profiles, path);
    assert_int_equal(system(command), 0);
    text = bed_read(path);
    bed_prepare(s, ID_A, text, "/bin/sleep 100");
    house_create(s, &out);
    describe.sandbox = s->which;
    bed.iso->describe(bed.instance, &describe, bed_op(&out));
    bed_wait(&out);
    assert_non_null(strstr(out.json, "\"memory.limit_in_bytes\":\"16777216\""));
    assert_non_null(strstr(out.json, "\"memory.memsw.limit_in_bytes\":\"16777216\""));
    assert_non_null(strstr(out.json, "\"cpu.shares\":\"512\""));
    assert_non_null(strstr(out.json, "\"cpu.cfs_quota_us\":\"25000\""));
    assert_non_null(strstr(out.json, "\"pids.max\":\"20\""));
    bed_exec(s, 9001, "/bin/sh -c|a=xxxxxxxxxxxxxxxx; while true; do a=$a$a; done", -1, &out);
    assert_int_equal(out.err.code, 0);
    assert_int_equal(bed_exit_of(9001).kind, CLOISTER_STATUS_SIGNALED);
    assert_int_equal(bed_exit_of(9001).value, SIGKILL);
    assert_true(bed_exit_of(9001).flags & CLOISTER_STATUS_OOM);
    free(text);
    house_destroy(s);
}

static pid_t parent_of(int pid)
{
    char path[64], *text;
    const char *at;
    pid_t parent;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    text = bed_read(path);
    at = strstr(text, "PPid:");
    parent = at ? (pid_t)strtol(at + 5, NULL, 10) : 0;
    free(text);
    assert_true(parent > 1);
    return parent;
}

static bool was_told(const char *orphan)
{
    for (unsigned i = 0; i < bed.orphan_count; i++)
        if (strcmp(bed.orphans[i], orphan) == 0)
            return true;
    return false;
}

/* A daemon that dies leaves a running sandbox; the next one finds it by its cookie, another's, or one that does
 * not say whose it is, it tells and never touches. */
static void test_sweep(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 100"), *t = house_prepare(ID_B, "/bin/sleep 100");
    struct cloister_iso_sweep_args sweep = {CLOISTER_INIT(struct cloister_iso_sweep_args)};
    struct cloister_sv known = {ID_B, 16};
    struct bed_outcome out;
    pid_t keeper;

    house_create(s, &out);
    keeper = parent_of(out.result.pid);
    house_create(t, &out);
    bed_restart();
    sweep.run_dir = (struct cloister_sv){bed.run, strlen(bed.run)};
    sweep.cookie = 0x1234567800000000ull;
    bed.iso->sweep(bed.instance, &sweep, bed_op(&out));
    bed_wait(&out);
    assert_int_equal(bed.orphan_count, 2);
    assert_true(was_told(ID_A " keeper 0") && was_told(ID_B " keeper 0"));
    assert_int_equal(bed_run_count(), 2);
    sweep.cookie = bed.cookie;
    sweep.known = &known;
    sweep.known_count = 1;
    bed.orphan_count = 0;
    assert_int_equal(kill(keeper, SIGSTOP), 0);
    bed.iso->sweep(bed.instance, &sweep, bed_op(&out));
    bed_wait(&out);
    assert_int_equal(bed.orphan_count, 1);
    assert_string_equal(bed.orphans[0], ID_A " keeper 0");
    assert_int_equal(bed_run_count(), 2);
    assert_int_equal(kill(keeper, SIGCONT), 0);
    bed.orphan_count = 0;
    bed.iso->sweep(bed.instance, &sweep, bed_op(&out));
    bed_wait(&out);
    assert_int_equal(out.err.code, 0);
    assert_int_equal(bed.orphan_count, 3);
    assert_string_equal(bed.orphans[0], ID_A " keeper 1");
    assert_string_equal(bed.orphans[1], ID_A " run-directory 1");
    assert_string_equal(bed.orphans[2], ID_A " cgroup 1");
    assert_int_equal(bed.downs, 0);
    assert_int_equal(bed_run_count(), 1);
    house_free(s);
    house_destroy(t); /* never seen by this instance: works from id, cookie and plan */
}

/* Without a pid namespace init's end does not end the rest by itself: we do. */
static void test_no_pid_namespace(void **state)
{
    struct bed_sandbox *s = malloc(sizeof(*s));
    struct bed_outcome out;
    char command[1024], path[160];
    char *text;

    snprintf(path, sizeof(path), "%s/edited.json", bed.dir);
    snprintf(command, sizeof(command), "sed -e 's#{\"type\": \"pid\"}, *##' %s/default.json > %s", house_profiles,
             path);
    assert_int_equal(system(command), 0);
    text = bed_read(path);
    bed_prepare(s, ID_A, text, "/bin/sh -c|sleep 100 & exit 3");
    house_create(s, &out);
    assert_int_equal(bed_exit_of(s->args.init).value, 3);
    bed_turns(300);
    bed_exec(s, 9101, "/bin/true", -1, &out);
    assert_int_equal(out.err.code, CLOISTER_INVALID_STATE); /* down: nothing of it lives */
    free(text);
    house_destroy(s);
}

/* Bundles of other shapes: each runs a script that must exit 9. */
static void test_variants(void **state)
{
    static const struct {
        const char *name;
        const char *file;   /* a house_profile, or "runc" for what `runc spec` writes */
        const char *change; /* sed */
        const char *script;
        uint32_t rootfs_flags;
    } cases[] = {
        {"privileged", "privileged", "", "test -c /dev/fuse && test $(cat /proc/self/uid_map | wc -l) = 1 && exit 9",
         CLOISTER_ROOTFS_WRITABLE},
        {"seccomp without no_new_privs", "default", "s#\"noNewPrivileges\": true#\"noNewPrivileges\": false#",
         "grep -q Seccomp:.*2 /proc/self/status && grep -q NoNewPrivs:.*0 /proc/self/status && exit 9",
         CLOISTER_ROOTFS_WRITABLE | CLOISTER_ROOTFS_IDMAP},
        {"literal user namespace", "runc",
         "s#\"namespaces\": \\[#\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}],"
         "\"gidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}],\"namespaces\": "
         "[{\"type\":\"user\"},#",
         "grep -q 100000 /proc/self/uid_map && test -e /sys/fs/cgroup/memory/cgroup.procs && exit 9", 0},
        {"read-only root, cgroups read-only", "default", "",
         "echo x >/etc/x && exit 1; echo $$ >/sys/fs/cgroup/memory/cgroup.procs && exit 2; exit 9",
         CLOISTER_ROOTFS_IDMAP},
        {"a bind, read-only", "default",
         "s#\"mounts\": \\[#\"mounts\": "
         "[{\"destination\":\"/mnt/tmp\",\"type\":\"bind\",\"source\":\"/etc\",\"options\":"
         "[\"rbind\",\"rro\"]},#",
         "test -e /mnt/tmp/passwd && grep -q '/mnt/tmp ro,' /proc/mounts || grep '/mnt/tmp [^ ]* ro' /proc/mounts && "
         "exit 9",
         CLOISTER_ROOTFS_WRITABLE | CLOISTER_ROOTFS_IDMAP},
        {"host network", "default", "s#{\"type\": \"network\"}, *##", "exit 9",
         CLOISTER_ROOTFS_WRITABLE | CLOISTER_ROOTFS_IDMAP},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct bed_sandbox *s = malloc(sizeof(*s));
        struct bed_outcome out;
        char command[1400], path[160], script[512];
        struct cloister_status status;
        char *text;

        snprintf(path, sizeof(path), "%s/edited.json", bed.dir);
        snprintf(command, sizeof(command),
                 "cd %s && rm -f config.json && cp %s/%s.json config.json 2>/dev/null || %s spec; " NO_ROOT
                 "; sed -e '%s' "
                 "config.json > %s",
                 bed.dir, house_profiles, cases[i].file, cases[i].file, cases[i].change, path);
        assert_int_equal(system(command), 0);
        text = bed_read(path);
        snprintf(script, sizeof(script), "/bin/sh -c|%s", cases[i].script);
        bed_prepare(s, ID_A, text, script);
        s->container.rootfs_flags = cases[i].rootfs_flags;
        bed_create(s, &out);
        if (out.err.code)
            fail_msg("%s: %s", cases[i].name, out.sentence);
        status = bed_exit_of(s->args.init);
        if (status.kind != CLOISTER_STATUS_EXITED || status.value != 9)
            fail_msg("%s: status %u %u", cases[i].name, status.kind, status.value);
        free(text);
        house_destroy(s);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(test_exit_code),        HOUSE_TEST(test_output_and_ids),  HOUSE_TEST(test_exec),
        HOUSE_TEST(test_pid_of_the_quick), HOUSE_TEST(test_signals),         HOUSE_TEST(test_pause_and_blocked),
        HOUSE_TEST(test_held_up_inside),   HOUSE_TEST(test_nested_groups),   HOUSE_TEST(test_debian_specs),
        HOUSE_TEST(test_keeper_killed),    HOUSE_TEST(test_cancel_anywhere), HOUSE_TEST(test_failures_leave_nothing),
        HOUSE_TEST(test_limits_and_oom),   HOUSE_TEST(test_sweep),           HOUSE_TEST(test_no_pid_namespace),
        HOUSE_TEST(test_variants),
    };

    return house_main(argc, argv, tests, sizeof(tests) / sizeof(*tests), NULL);
}

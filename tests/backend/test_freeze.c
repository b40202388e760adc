/* SPDX-License-Identifier: Apache-2.0 */
/* test_freeze.c - each row of ARCHITECTURE's "What is asked of a frozen sandbox" that the backend answers, by both
 * freezers. */
#include "house.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static const char *const freezers[] = {"", "[\"v2-freeze\"]"}; /* v2's, v1's */

#define COUNT "/bin/sh -c|while true; do :; done"

static int by_v2(void **state)
{
    return house_open(state);
}

/* The instance again, with v1's freezer. */
static int by_v1(void **state)
{
    int rc = house_open(state);

    snprintf(bed.forbid, sizeof(bed.forbid), "%s", freezers[1]);
    bed_restart();
    return rc;
}

#define BOTH(test)                                  \
    {#test " v2", test, by_v2, house_close, NULL},  \
    {                                               \
#test " v1", test, by_v1, house_close, NULL \
    }

static void freeze(struct bed_sandbox *s, const char *container, bool thaw, struct bed_outcome *out)
{
    struct cloister_iso_freeze_args args = {CLOISTER_INIT(struct cloister_iso_freeze_args), .sandbox = s->which};

    args.container = (struct cloister_sv){container, strlen(container)};
    if (thaw)
        bed.iso->thaw(bed.instance, &args, bed_op(out));
    else
        bed.iso->freeze(bed.instance, &args, bed_op(out));
    bed_wait(out);
}

static void freeze_now(struct bed_sandbox *s, const char *container, bool thaw)
{
    struct bed_outcome out;

    freeze(s, container, thaw, &out);
    if (out.err.code)
        fail_msg("%s: %s", thaw ? "thaw" : "freeze", out.sentence);
}

/* User and system ticks of a process so far. */
static unsigned long ticks(int32_t pid)
{
    char path[64], *text, *at;
    unsigned long user = 0, system_ = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    text = bed_read(path);
    at = strrchr(text, ')');
    assert_non_null(at);
    assert_int_equal(sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system_), 2);
    free(text);
    return user + system_;
}

static bool runs(int32_t pid)
{
    unsigned long before = ticks(pid);

    for (unsigned i = 0; i < 100; i++) {
        bed_turns(20);
        if (ticks(pid) > before)
            return true;
        if (i == 9 && ticks(pid) == before)
            return false;
    }
    return false;
}

static void kill_one(struct bed_sandbox *s, cloister_process process, uint32_t number, struct bed_outcome *out)
{
    struct cloister_signal_args signal = {CLOISTER_INIT(struct cloister_signal_args), .process = process,
                                          .signal = number, .scope = CLOISTER_SIGNAL_PROCESS};
    struct cloister_iso_signal_args args = {CLOISTER_INIT(struct cloister_iso_signal_args), .sandbox = s->which,
                                            .signal = &signal};

    bed.iso->signal(bed.instance, &args, bed_op(out));
    bed_wait(out);
}

static void test_stands_still(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, COUNT);
    struct bed_outcome out;
    int32_t pid;

    house_create(s, &out);
    pid = out.result.pid;
    assert_true(runs(pid));
    freeze_now(s, "", false);
    assert_false(runs(pid));
    freeze_now(s, "", false); /* again */
    assert_false(runs(pid));
    bed_exec(s, 77, "/bin/true", -1, &out);
    assert_int_equal(out.err.code, CLOISTER_FROZEN);
    freeze_now(s, "", true);
    assert_true(runs(pid));
    freeze_now(s, "", true);
    bed_exec(s, 78, "/bin/true", -1, &out);
    assert_int_equal(out.err.code, 0);
    house_destroy(s);
}

/* One thaw does not end the other's freeze, also where both are of one group. */
static void test_two_freezes(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, COUNT);
    struct bed_outcome out;
    int32_t pid;

    house_create(s, &out);
    pid = out.result.pid;
    freeze_now(s, "main", false);
    freeze_now(s, "", false);
    freeze(s, "main", true, &out); /* it would not run */
    assert_int_equal(out.err.code, CLOISTER_FROZEN);
    freeze_now(s, "", true);
    assert_false(runs(pid));
    bed_exec(s, 77, "/bin/true", -1, &out);
    assert_int_equal(out.err.code, CLOISTER_FROZEN);
    freeze_now(s, "main", true);
    assert_true(runs(pid));
    freeze(s, "other", false, &out);
    assert_int_equal(out.err.code, CLOISTER_NO_ENTITY);
    house_destroy(s);
}

static void test_read_back(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, COUNT);
    struct bed_inventory inventory;
    struct bed_outcome out;
    int32_t pid;

    house_create(s, &out);
    pid = out.result.pid;
    for (unsigned i = 0; i < 2; i++) {
        const char *which = i ? "main" : "";

        freeze_now(s, which, false);
        bed_restart();
        house_adopt(s, &inventory);
        assert_int_equal(inventory.frozen, i == 0);
        assert_int_equal(inventory.container.frozen, i == 1);
        assert_false(runs(pid));
        bed_exec(s, 77, "/bin/true", -1, &out);
        assert_int_equal(out.err.code, CLOISTER_FROZEN);
        freeze_now(s, which, true);
        assert_true(runs(pid));
    }
    bed_restart();
    house_adopt(s, &inventory);
    assert_int_equal(inventory.frozen + inventory.container.frozen, 0);
    house_destroy(s);
}

/* KILL takes effect at once and the neighbours stay; any signal that is listened to waits for the thaw. */
static void test_kill_one(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, COUNT);
    struct cloister_status status;
    struct bed_outcome out;
    int32_t pid;

    house_create(s, &out);
    pid = out.result.pid;
    bed_exec(s, 71, "/bin/sh -c|while true; do :; done", -1, &out);
    assert_int_equal(out.err.code, 0);
    bed_exec(s, 72, "/bin/sh -c|trap 'exit 5' TERM; while true; do :; done", -1, &out);
    assert_int_equal(out.err.code, 0);
    bed_turns(300); /* until it listens */
    freeze_now(s, "", false);
    kill_one(s, 72, SIGTERM, &out);
    assert_int_equal(out.err.code, 0);
    kill_one(s, 71, SIGKILL, &out);
    assert_int_equal(out.err.code, 0);
    status = bed_exit_of(71);
    assert_int_equal(status.kind, CLOISTER_STATUS_SIGNALED);
    assert_int_equal(status.value, SIGKILL);
    assert_false(runs(pid));
    assert_int_equal(bed.exit_count, 1);
    freeze_now(s, "", true);
    status = bed_exit_of(72);
    assert_int_equal(status.value, 5);
    assert_true(runs(pid));
    house_destroy(s);
}

static void test_kill_all(void **state)
{
    struct cloister_container_kill_args kill = {CLOISTER_INIT(struct cloister_container_kill_args),
                                                .set = CLOISTER_KILL_ALL, .signal = SIGKILL};
    struct bed_sandbox *s = house_prepare(ID_A, COUNT);
    struct cloister_iso_kill_args args = {CLOISTER_INIT(struct cloister_iso_kill_args), .kill = &kill};
    struct bed_outcome out;

    for (uint32_t set = CLOISTER_KILL_INIT; set <= CLOISTER_KILL_ALL; set++) {
        struct bed_sandbox *one = set == CLOISTER_KILL_INIT ? s : house_prepare(ID_A, COUNT);

        house_create(one, &out);
        bed_exec(one, 71, "/bin/sleep 1000", -1, &out);
        assert_int_equal(out.err.code, 0);
        freeze_now(one, "", false);
        kill.set = set;
        args.sandbox = one->which;
        bed.iso->container_kill(bed.instance, &args, bed_op(&out));
        bed_wait(&out);
        assert_int_equal(out.err.code, 0);
        assert_int_equal(bed_exit_of(one->args.init).value, SIGKILL);
        assert_int_equal(bed_exit_of(71).value, SIGKILL);
        house_destroy(one);
        bed.exit_count = 0;
    }
}

static uint64_t now_ms(void)
{
    return bed_host()->system->now_mono() / 1000000u;
}

static void test_destroy(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, COUNT), *t = house_prepare(ID_B, COUNT);
    struct bed_outcome out;
    uint64_t before;

    house_create(s, &out);
    bed_exec(s, 71, "/bin/sleep 1000", -1, &out);
    freeze_now(s, "", false);
    before = now_ms();
    house_destroy(s);
    assert_in_range(now_ms() - before, 0, 4000);
    assert_int_equal(bed_exit_of(71).value, SIGKILL); /* told, as ever */
    house_create(t, &out);
    freeze_now(t, "main", false);
    bed_restart();
    before = now_ms();
    house_destroy(t); /* by its plan alone */
    assert_in_range(now_ms() - before, 0, 4000);
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* As a container does it that may write to its v1 groups: the daemon has not been told, and looks. */
static void freeze_itself(const struct bed_sandbox *s, int32_t pid)
{
    char dir[256], path[300], text[16];

    snprintf(dir, sizeof(dir), "/sys/fs/cgroup/freezer%s/cl-%08x-%s/own", bed.cgroup_root, (unsigned)(bed.cookie >> 32),
             s->id);
    assert_int_equal(mkdir(dir, 0755) < 0 && errno != EEXIST, 0);
    snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
    snprintf(text, sizeof(text), "%d", pid);
    put(path, text);
    snprintf(path, sizeof(path), "%s/freezer.state", dir);
    put(path, "FROZEN");
}

static void test_froze_itself(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, COUNT);
    struct bed_outcome out;
    uint64_t before;

    house_create(s, &out);
    for (cloister_process process = 71; process <= 72; process++) {
        bed_exec(s, process, "/bin/sleep 1000", -1, &out);
        assert_int_equal(out.err.code, 0);
        freeze_itself(s, out.result.pid);
        before = now_ms();
        if (process == 71)
            kill_one(s, process, SIGKILL, &out);
        else
            house_destroy(s);
        assert_int_equal(bed_exit_of(process).value, SIGKILL);
        assert_in_range(now_ms() - before, 0, 4000);
    }
}

static pid_t parent_of(int32_t pid)
{
    char path[64], *text;
    int parent = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    text = bed_read(path);
    assert_int_equal(sscanf(strstr(text, "\nPPid:"), "\nPPid: %d", &parent), 1);
    free(text);
    return parent;
}

static bool is_gone(int pidfd)
{
    for (unsigned i = 0; i < 500; i++) {
        if (syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0u) < 0)
            return true;
        bed_turns(10);
    }
    return false;
}

static void test_keeper_dies(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, COUNT);
    struct bed_outcome out;
    int pidfd;

    house_create(s, &out);
    pidfd = (int)syscall(SYS_pidfd_open, out.result.pid, 0u);
    freeze_now(s, "", false);
    assert_int_equal(kill(parent_of(out.result.pid), SIGKILL), 0);
    assert_true(bed_until(&bed.downs));
    assert_true(is_gone(pidfd));
    close(pidfd);
    house_destroy(s);
}

/* With its daemon away: the next one finds nothing alive. */
static void test_keeper_dies_away(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, COUNT);
    struct bed_inventory inventory;
    struct bed_outcome out;
    pid_t keeper;
    int pidfd;

    house_create(s, &out);
    keeper = parent_of(out.result.pid);
    pidfd = (int)syscall(SYS_pidfd_open, out.result.pid, 0u);
    freeze_now(s, "", false);
    bed.iso->detach(bed.instance);
    assert_int_equal(kill(keeper, SIGKILL), 0);
    bed_restart();
    house_adopt(s, &inventory);
    assert_int_equal(inventory.fate, CLOISTER_FATE_OFF);
    assert_true(is_gone(pidfd));
    close(pidfd);
    house_destroy(s);
}

static void test_sweep(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, COUNT);
    struct cloister_iso_sweep_args sweep = {CLOISTER_INIT(struct cloister_iso_sweep_args)};
    struct bed_outcome out;
    uint64_t before = now_ms();

    house_create(s, &out);
    freeze_now(s, "", false);
    bed_restart();
    sweep.run_dir = (struct cloister_sv){bed.run, strlen(bed.run)};
    sweep.cookie = bed.cookie;
    bed.iso->sweep(bed.instance, &sweep, bed_op(&out));
    bed_wait(&out);
    assert_int_equal(bed.orphan_count, 3);
    assert_string_equal(bed.orphans[0], ID_A " keeper 1");
    assert_int_equal(bed_group_count(), 0);
    assert_in_range(now_ms() - before, 0, 6000);
    house_free(s);
}

/* A parent whose child by vfork has not come to exec cannot be frozen by v2 as long as that is stopped; v1 does. */
static void test_deadline(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, COUNT);
    struct cloister_iso_freeze_args args = {CLOISTER_INIT(struct cloister_iso_freeze_args)};
    struct bed_outcome out;
    int32_t pid;

    house_create(s, &out);
    pid = out.result.pid;
    args.sandbox = s->which;
    args.deadline = 1; /* long ago */
    bed.iso->freeze(bed.instance, &args, bed_op(&out));
    bed_wait(&out);
    if (out.err.code == 0) { /* it stood still at the first look */
        freeze_now(s, "", true);
    } else {
        assert_int_equal(out.err.code, CLOISTER_DEADLINE);
        assert_non_null(strstr(out.sentence, "standstill"));
    }
    assert_true(runs(pid)); /* thawed again */
    bed_exec(s, 77, "/bin/true", -1, &out);
    assert_int_equal(out.err.code, 0);
    house_destroy(s);
}

static void test_forbid(void **state)
{
    char line[64];

    for (uint32_t v2 = 0; v2 < 2; v2++) {
        struct bed_sandbox *s = house_prepare(ID_A, COUNT);
        struct bed_outcome out;
        char path[512], *text;

        snprintf(bed.forbid, sizeof(bed.forbid), "%s", freezers[!v2]);
        bed_restart();
        assert_true(bed.features & CLOISTER_ISO_FREEZE);
        house_create(s, &out);
        freeze_now(s, "", false);
        snprintf(line, sizeof(line), "cl-%08x-%s", (unsigned)(bed.cookie >> 32), s->id);
        snprintf(path, sizeof(path), "/sys/fs/cgroup/%s%s/%s/%s", v2 ? "unified" : "freezer", bed.cgroup_root, line,
                 v2 ? "cgroup.events" : "freezer.state");
        text = bed_read(path);
        assert_non_null(strstr(text, v2 ? "frozen 1" : "FROZEN"));
        free(text);
        house_destroy(s);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_stands_still),     BOTH(test_two_freezes), BOTH(test_read_back),    BOTH(test_kill_one),
        BOTH(test_kill_all),         BOTH(test_destroy),     BOTH(test_froze_itself), BOTH(test_keeper_dies),
        BOTH(test_keeper_dies_away), BOTH(test_sweep),       BOTH(test_deadline),     HOUSE_TEST(test_forbid),
    };

    return house_main(argc, argv, tests, sizeof(tests) / sizeof(*tests), NULL);
}

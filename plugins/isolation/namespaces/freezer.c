/* SPDX-License-Identifier: Apache-2.0 */
/* freezer.c - see freezer.h. */
#include "freezer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "cgroup_file.h"
#include "cgroup_walk.h"
#include "clock.h"

#define FIRST_LOOK_NS 20000u /* then twice that, and so on */
#define LONGEST_NS 10000000u /* between looks */
#define EARLY_NS 1000000u    /* v2: from here on its notice is waited for, which comes at most every 10 ms */
#define QUIET_ROUNDS 5u      /* without anybody to release */
#define ROUND_NS 2000000u

uint32_t ns_freezer_find(const struct ns_hierarchies *hierarchies, bool *ret_v2)
{
    uint32_t h = hierarchies->no_v2_freeze ? NS_NO_HIERARCHY : ns_hierarchy_find(hierarchies, "");

    *ret_v2 = h != NS_NO_HIERARCHY;
    return *ret_v2 ? h : ns_hierarchy_find(hierarchies, "freezer");
}

static const char *mark_of(uint32_t scope)
{
    return scope == NS_FREEZE_SANDBOX ? "trusted.cloister.sandbox" : "trusted.cloister.container";
}

static bool is_marked(const struct ns_cgroups *cgroups, uint32_t h, const char *name, uint32_t scope)
{
    NS_FREE char *path = ns_group_path(cgroups, h, name, NULL);
    char value[8];

    return path && getxattr(path, mark_of(scope), value, sizeof(value)) >= 0;
}

static bool any_mark(const struct ns_cgroups *cgroups, uint32_t h, const char *name)
{
    return is_marked(cgroups, h, name, NS_FREEZE_CONTAINER) || is_marked(cgroups, h, name, NS_FREEZE_SANDBOX);
}

static int set_mark(const struct ns_cgroups *cgroups, uint32_t h, const char *name, uint32_t scope, bool on)
{
    NS_FREE char *path = ns_group_path(cgroups, h, name, NULL);

    if (path == NULL)
        return -ENOMEM;
    if (on)
        return setxattr(path, mark_of(scope), "1", 1, 0) < 0 ? -errno : 0;
    return removexattr(path, mark_of(scope)) < 0 && errno != ENODATA ? -errno : 0;
}

/* --- one group --- */

static int set_state(const struct ns_cgroups *cgroups, uint32_t h, const char *name, bool frozen)
{
    bool v2 = cgroups->hierarchies->list[h].v2;
    NS_FREE char *path = ns_group_path(cgroups, h, name, v2 ? "cgroup.freeze" : "freezer.state");

    if (path == NULL)
        return -ENOMEM;
    return ns_file_write(path, v2 ? (frozen ? "1" : "0") : (frozen ? "FROZEN" : "THAWED"));
}

static bool file_says(const struct ns_cgroups *cgroups, uint32_t h, const char *name, const char *file,
                      const char *text)
{
    NS_FREE char *path = ns_group_path(cgroups, h, name, file), *content = NULL;

    return path && ns_read_file(path, 4096, &content) == 0 && strstr(content, text) != NULL;
}

/* Set on this very group, reached or not, whatever is above. */
static bool is_set(const struct ns_cgroups *cgroups, uint32_t h, const char *name)
{
    return cgroups->hierarchies->list[h].v2 ? file_says(cgroups, h, name, "cgroup.freeze", "1")
                                            : file_says(cgroups, h, name, "freezer.self_freezing", "1");
}

static bool is_reached(const struct ns_cgroups *cgroups, uint32_t h, const char *name)
{
    return cgroups->hierarchies->list[h].v2 ? file_says(cgroups, h, name, "cgroup.events", "frozen 1")
                                            : file_says(cgroups, h, name, "freezer.state", "FROZEN");
}

/* v2 tells a change through cgroup.events, not more often than every 10 ms: not worth waiting for at first. */
static void wait_a_little(const struct ns_cgroups *cgroups, uint32_t h, const char *name, uint64_t pause,
                          uint64_t deadline)
{
    NS_CLOSE int fd = -1;
    uint64_t now = ns_now();
    uint64_t left = deadline > now ? deadline - now : 0;

    if (cgroups->hierarchies->list[h].v2 && pause > EARLY_NS) {
        NS_FREE char *path = ns_group_path(cgroups, h, name, "cgroup.events");
        struct pollfd changed = {.events = POLLPRI};
        char text[256];

        fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        changed.fd = fd;
        /* What is read now is what a change is counted from. */
        if (fd >= 0 && read(fd, text, sizeof(text)) > 0 && !is_reached(cgroups, h, name)) {
            poll(&changed, 1, (int)(left / 1000000u < 1000u ? left / 1000000u + 1u : 1000u));
            return;
        }
    }
    ns_sleep(pause < left ? pause : left);
}

static bool is_there(const struct ns_cgroups *cgroups, uint32_t h, const char *name)
{
    NS_FREE char *path =
        ns_group_path(cgroups, h, name, cgroups->hierarchies->list[h].v2 ? "cgroup.freeze" : "freezer.state");

    return path == NULL || access(path, F_OK) == 0;
}

static int await(const struct ns_cgroups *cgroups, uint32_t h, const char *name, uint64_t deadline)
{
    for (uint64_t pause = FIRST_LOOK_NS;; pause = pause < LONGEST_NS ? pause * 2 : pause) {
        if (is_reached(cgroups, h, name))
            return 0;
        if (!is_there(cgroups, h, name))
            return -ENOENT;
        if (ns_now() >= deadline)
            return -ETIMEDOUT;
        wait_a_little(cgroups, h, name, pause, deadline);
    }
}

/* --- a container, or all of a sandbox --- */

struct names {
    const struct ns_cgroups *cgroups;
    uint32_t h;
    uint32_t scope;
    uint64_t deadline;
    int rc; /* the first that went wrong */
    void (*fn)(void *ctx, const char *name);
};

static void mark_and_set(void *ctx, const char *name)
{
    struct names *all = ctx;
    int rc = set_mark(all->cgroups, all->h, name, all->scope, true);

    if (rc == 0)
        rc = set_state(all->cgroups, all->h, name, true);
    all->rc = all->rc ? all->rc : rc;
}

static void await_one(void *ctx, const char *name)
{
    struct names *all = ctx;

    if (all->rc == 0)
        all->rc = await(all->cgroups, all->h, name, all->deadline);
}

/* A mark that cannot be taken off is as good as none once the group runs. */
static void unmark_and_thaw(void *ctx, const char *name)
{
    struct names *all = ctx;
    int rc = 0;

    set_mark(all->cgroups, all->h, name, all->scope, false);
    if (!any_mark(all->cgroups, all->h, name))
        rc = set_state(all->cgroups, all->h, name, false);
    all->rc = all->rc || rc == -ENOENT ? all->rc : rc;
}

/* Where the killed are moved to is nobody's to freeze (ns_freezer_release). Any other may be removed meanwhile, too:
 * who is gone stands still. */
static void each_beside(void *ctx, const char *name)
{
    struct names *all = ctx;
    int before = all->rc;

    if (ns_layout_is_thawed(name))
        return;
    all->fn(all, name);
    if (before == 0 && all->rc == -ENOENT)
        all->rc = 0;
}

static void each(struct names *all, const char *name, void (*fn)(void *ctx, const char *name))
{
    fn(all, name);
    all->fn = fn;
    if (all->scope == NS_FREEZE_SANDBOX)
        ns_group_beside(all->cgroups, all->h, name, each_beside, all);
}

struct stuck {
    bool v2;
    long first;
    long pid;
};

/* In a frozen v2 group one sleeps (S), or is stopped or traced; in a v1 one it is not to be woken (D). */
static bool find_stuck(void *ctx, long pid)
{
    struct stuck *stuck = ctx;
    NS_FREE char *path = ns_format("/proc/%ld/stat", pid), *text = NULL;
    const char *state;

    if (path == NULL || ns_read_file(path, 4096, &text) < 0 || (state = strrchr(text, ')')) == NULL)
        return false;
    stuck->first = stuck->first ? stuck->first : pid;
    if (strlen(state) > 2 && strchr(stuck->v2 ? "STtZ" : "DZ", state[2]) == NULL)
        stuck->pid = pid;
    return stuck->pid != 0;
}

static long name_stuck(const struct names *all, const char *name)
{
    struct stuck stuck = {.v2 = all->cgroups->hierarchies->list[all->h].v2};

    if (all->scope == NS_FREEZE_SANDBOX)
        ns_group_sandbox_members(all->cgroups, all->h, name, find_stuck, &stuck);
    else
        ns_group_members(all->cgroups, all->h, name, find_stuck, &stuck);
    return stuck.pid ? stuck.pid : stuck.first;
}

int ns_freezer_freeze(const struct ns_cgroups *cgroups, const char *name, uint32_t scope, uint64_t deadline,
                      long *ret_stuck)
{
    bool v2;
    struct names all = {cgroups, ns_freezer_find(cgroups->hierarchies, &v2), scope, deadline, 0, NULL};
    int rc;

    *ret_stuck = 0;
    if (all.h == NS_NO_HIERARCHY)
        return -EOPNOTSUPP;
    each(&all, name, mark_and_set);
    if (all.rc == 0)
        each(&all, name, await_one);
    rc = all.rc;
    if (rc == 0)
        return 0;
    if (rc == -ETIMEDOUT)
        *ret_stuck = name_stuck(&all, name);
    each(&all, name, unmark_and_thaw);
    return rc;
}

/* By both freezers: a daemon before this one may have used the other. */
int ns_freezer_thaw(const struct ns_cgroups *cgroups, const char *name, uint32_t scope)
{
    uint32_t both[] = {ns_hierarchy_find(cgroups->hierarchies, ""), ns_hierarchy_find(cgroups->hierarchies, "freezer")};
    int rc = 0;

    for (size_t i = 0; i < 2; i++) {
        struct names all = {.cgroups = cgroups, .h = both[i], .scope = scope};

        if (both[i] == NS_NO_HIERARCHY)
            continue;
        each(&all, name, unmark_and_thaw);
        rc = rc ? rc : all.rc;
    }
    return rc;
}

bool ns_freezer_is_frozen(const struct ns_cgroups *cgroups, const char *name, uint32_t scope)
{
    uint32_t both[] = {ns_hierarchy_find(cgroups->hierarchies, ""), ns_hierarchy_find(cgroups->hierarchies, "freezer")};

    for (size_t i = 0; i < 2; i++) {
        if (both[i] == NS_NO_HIERARCHY || !is_set(cgroups, both[i], name))
            continue;
        if (is_marked(cgroups, both[i], name, scope) ||
            (scope == NS_FREEZE_SANDBOX && !any_mark(cgroups, both[i], name)))
            return true;
    }
    return false;
}

/* --- those that v1 holds back from dying --- */

static uint32_t v1_freezer(const struct ns_cgroups *cgroups)
{
    return ns_hierarchy_find(cgroups->hierarchies, "freezer");
}

static void note_frozen(void *ctx, int fd)
{
    NS_CLOSE int file = openat(fd, "freezer.state", O_RDONLY | O_CLOEXEC);
    char text[16] = "";

    if (file >= 0 && read(file, text, sizeof(text) - 1) > 0 && strncmp(text, "THAWED", 6) != 0)
        *(bool *)ctx = true;
}

static void look_below(void *ctx, const char *name)
{
    struct names *all = ctx;
    NS_FREE char *path = ns_group_path(all->cgroups, all->h, name, NULL);
    bool frozen = false;
    const struct ns_visitor visitor = {.enter = note_frozen, .ctx = &frozen};

    if (path)
        ns_cgroup_walk(AT_FDCWD, path, &visitor);
    all->rc |= frozen;
}

static bool some_v1_frozen(const struct ns_cgroups *cgroups, const char *sandbox)
{
    struct names all = {.cgroups = cgroups, .h = v1_freezer(cgroups), .scope = NS_FREEZE_SANDBOX};

    if (all.h == NS_NO_HIERARCHY)
        return false;
    each(&all, sandbox, look_below);
    return all.rc != 0;
}

/* "SigPnd:" of a thread and "ShdPnd:" of the process are masks: signal 9 is bit 8. */
static bool has_kill_pending(long pid)
{
    NS_FREE char *path = ns_format("/proc/%ld/status", pid), *text = NULL;
    unsigned long long mask;

    if (path == NULL || ns_read_file(path, 65536, &text) < 0)
        return false;
    for (const char *line = strstr(text, "Pnd:"); line; line = strstr(line + 1, "Pnd:"))
        if (sscanf(line, "Pnd: %llx", &mask) == 1 && (mask & (1ull << (SIGKILL - 1))))
            return true;
    return false;
}

struct release {
    const struct ns_cgroups *cgroups;
    uint32_t h;
    const char *sandbox;
    const char *thawed; /* the group to move to */
    int procs;          /* its file; -1 = not made yet */
    unsigned moved;     /* in this round */
};

static bool make_thawed(struct release *release)
{
    NS_FREE char *dir = ns_group_path(release->cgroups, release->h, release->thawed, NULL);
    NS_FREE char *path = dir ? ns_format("%s/cgroup.procs", dir) : NULL;

    if (release->procs < 0 && path && (mkdir(dir, 0755) == 0 || errno == EEXIST))
        release->procs = open(path, O_WRONLY | O_CLOEXEC);
    return release->procs >= 0;
}

/* The group is written to by number, and a number read a moment ago may be somebody else's: it is looked at with the
 * pidfd open, and whoever that is must still live then. A frozen one cannot have ended. */
static bool move_one(void *ctx, long pid)
{
    struct release *release = ctx;
    NS_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0u);

    if (pidfd >= 0 && has_kill_pending(pid) && ns_group_has_process(release->cgroups, release->sandbox, pid) &&
        make_thawed(release) && syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0u) == 0 &&
        dprintf(release->procs, "%ld", pid) > 0)
        release->moved++;
    return false;
}

void ns_freezer_release(const struct ns_cgroups *cgroups, const char *sandbox, uint64_t patience)
{
    char thawed[NS_GROUP_PATH_MAX];
    struct release release = {cgroups, v1_freezer(cgroups), sandbox, thawed, -1, 0};
    uint64_t until = ns_now() + patience;

    if (!some_v1_frozen(cgroups, sandbox) || !ns_layout_thawed(sandbox, thawed))
        return;
    for (unsigned quiet = 0; quiet < QUIET_ROUNDS && ns_now() < until; ns_sleep(ROUND_NS)) {
        release.moved = 0;
        ns_group_sandbox_members(cgroups, release.h, sandbox, move_one, &release);
        quiet = release.moved ? 0 : quiet + 1;
    }
    if (release.procs < 0)
        return;
    close(release.procs);
    ns_group_remove(cgroups, thawed, patience, NULL);
}

static void thaw_in(void *ctx, int fd)
{
    NS_CLOSE int file = openat(fd, "freezer.state", O_WRONLY | O_CLOEXEC);

    if (file >= 0 && write(file, "THAWED", 6) < 0)
        *(int *)ctx = -errno;
}

static void end_one(void *ctx, const char *name)
{
    struct names *all = ctx;
    NS_FREE char *path = ns_group_path(all->cgroups, all->h, name, NULL);
    const struct ns_visitor visitor = {.enter = thaw_in, .ctx = &all->rc};

    ns_group_kill(all->cgroups, all->h, name);
    if (path)
        ns_cgroup_walk(AT_FDCWD, path, &visitor);
}

void ns_freezer_end(const struct ns_cgroups *cgroups, const char *sandbox)
{
    struct names all = {.cgroups = cgroups, .h = v1_freezer(cgroups), .scope = NS_FREEZE_SANDBOX};

    if (some_v1_frozen(cgroups, sandbox))
        each(&all, sandbox, end_one);
}

void ns_freezer_end_group(const struct ns_cgroups *cgroups, const char *name)
{
    struct names all = {.cgroups = cgroups, .h = v1_freezer(cgroups), .scope = NS_FREEZE_CONTAINER};

    if (all.h == NS_NO_HIERARCHY)
        return;
    look_below(&all, name);
    if (all.rc)
        end_one(&all, name);
}

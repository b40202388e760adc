/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/test_bed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "common/keeper/slip.h"

#define BUSYBOX "/bin/busybox"

static void copy_file(const char *from, int to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    struct stat st;

    assert_true(in >= 0);
    assert_int_equal(fstat(in, &st), 0);
    assert_int_equal(sendfile(to, in, NULL, (size_t)st.st_size), st.st_size);
    close(in);
}

static void make_root(struct bed *bed)
{
    static const char *const applets[] = {
        "sh",   "true",     "sleep", "cat",    "id",  "ls", "hostname", "mount", "stat", "env",  "kill", "echo", "dd",
        "test", "readlink", "ip",    "setsid", "cut", "wc", "touch",    "head",  "rm",   "grep", "yes",  "seq"};
    static const char *const directories[] = {"bin", "proc", "sys", "dev", "tmp", "etc", "data"};
    char path[128];
    char target[128];

    snprintf(bed->root, sizeof(bed->root), "/tmp/cl-keeper-root-XXXXXX");
    assert_non_null(mkdtemp(bed->root));
    chmod(bed->root, 0755);
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", bed->root, directories[i]);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    snprintf(path, sizeof(path), "%s/bin/busybox", bed->root);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

    assert_true(fd >= 0);
    copy_file(BUSYBOX, fd);
    close(fd);
    for (size_t i = 0; i < sizeof(applets) / sizeof(applets[0]); i++) {
        snprintf(target, sizeof(target), "%s/bin/%s", bed->root, applets[i]);
        assert_int_equal(symlink("busybox", target), 0);
    }
}

static void remove_tree(const char *path)
{
    pid_t pid = fork();

    if (pid == 0) {
        execl(BUSYBOX, "rm", "-rf", path, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

static void start_zygote(struct bed *bed, const char *program)
{
    struct cloister_zygote_hello hello;
    int pair[2];
    int memfd = memfd_create("cloister-keeper", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(memfd >= 0);
    copy_file(program, memfd);
    assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    bed->zygote = fork();
    if (bed->zygote == 0) {
        char *argv[] = {(char *)(uintptr_t) "cloister-keeper", (char *)(uintptr_t) "zygote", NULL};
        int high = fcntl(memfd, F_DUPFD_CLOEXEC, 10);

        dup2(pair[1], CLOISTER_ZYGOTE_FD);
        fcntl(CLOISTER_ZYGOTE_FD, F_SETFD, 0);
        fexecve(high, argv, environ);
        _exit(127);
    }
    close(pair[1]);
    close(memfd);
    bed->zygote_sock = pair[0];
    assert_int_equal(recv(pair[0], &hello, sizeof(hello), 0), sizeof(hello));
    assert_string_equal(hello.step, "ready");
    assert_int_equal(hello.os_errno, 0);
}

void bed_fork(struct bed *bed, int *ret_sock, int *ret_pidfd, pid_t *ret_pid)
{
    struct cloister_zygote_fork request = {CLOISTER_INIT(struct cloister_zygote_fork), .magic = CLOISTER_ZYGOTE_MAGIC,
                                           .serial = 7, .role = "sandbox"};
    struct cloister_zygote_forked forked;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = &request, .iov_len = sizeof(request)};
    struct msghdr msg = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &pair[1], sizeof(int));
    assert_int_equal(sendmsg(bed->zygote_sock, &msg, 0), sizeof(request));
    close(pair[1]);
    part = (struct iovec){.iov_base = &forked, .iov_len = sizeof(forked)};
    msg.msg_controllen = sizeof(control.bytes);
    assert_int_equal(recvmsg(bed->zygote_sock, &msg, MSG_CMSG_CLOEXEC), sizeof(forked));
    assert_int_equal(forked.os_errno, 0);
    assert_int_equal(forked.serial, 7);
    memcpy(ret_pidfd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
    *ret_sock = pair[0];
    *ret_pid = forked.pid;
}

static void say_hello(struct bed *bed)
{
    struct cl_wire_hello hello;
    struct cl_packet packet;

    cl_wire_init(&hello, CL_WIRE_HELLO, 1);
    hello.version = CL_WIRE_VERSION;
    hello.cookie = 0x1234567890abcdefu;
    memcpy(hello.id, "aaaabbbbccccdddd", 17);
    assert_int_equal(cl_wire_send(bed->sock, &hello, NULL, 0), 0);
    assert_int_equal(cl_wire_recv(bed->sock, &packet), 0);
    assert_int_equal(packet.u.head.type, CL_WIRE_HELLO);
    assert_int_equal(packet.u.hello.os_errno, 0);
    assert_string_equal(packet.u.hello.step, "ready");
    assert_int_equal(packet.u.hello.pid, 1);
    cl_packet_clear(&packet);
}

struct bed *bed_open(const char *program)
{
    struct bed *bed = calloc(1, sizeof(*bed));

    assert_non_null(bed);
    signal(SIGPIPE, SIG_IGN);
    make_root(bed);
    start_zygote(bed, program);
    bed_fork(bed, &bed->sock, &bed->pidfd, &bed->pid);
    bed->serial = 100;
    say_hello(bed);
    return bed;
}

void bed_close(struct bed *bed)
{
    struct pollfd gone = {.fd = bed->pidfd, .events = POLLIN};
    struct cl_wire_simple destroy;

    if (poll(&gone, 1, 0) == 0) {
        cl_wire_init(&destroy, CL_WIRE_DESTROY, 0);
        assert_int_equal(bed_call(bed, &destroy).os_errno, 0);
        assert_int_equal(poll(&gone, 1, 5000), 1);
    }
    close(bed->sock);
    close(bed->pidfd);
    close(bed->zygote_sock);
    waitpid(bed->zygote, NULL, 0);
    remove_tree(bed->root);
    free(bed);
}

uint32_t bed_plan_fd(struct bed_plan *plan, int fd)
{
    assert_true(fd >= 0);
    plan->fds[plan->fd_count] = fd;
    return plan->fd_count++;
}

void bed_plan_clear(struct bed_plan *plan)
{
    for (uint32_t i = 0; i < plan->fd_count; i++)
        close(plan->fds[i]);
    plan->fd_count = 0;
    cl_plan_clear(&plan->plan);
}

static void add_script(struct bed_plan *plan, const char *script)
{
    cl_plan_add_string(&plan->plan, CL_WIRE_ENV, "PATH=/bin", 9);
    if (script == NULL)
        return;
    cl_plan_add_string(&plan->plan, CL_WIRE_ARGV, "sh", 2);
    cl_plan_add_string(&plan->plan, CL_WIRE_ARGV, "-c", 2);
    cl_plan_add_string(&plan->plan, CL_WIRE_ARGV, script, strlen(script));
}

void bed_plan_process(struct bed_plan *plan, const char *script)
{
    memset(plan, 0, sizeof(*plan));
    cl_plan_init(&plan->plan, CL_WIRE_PLAN_PROCESS);
    add_script(plan, script);
}

void bed_plan_fs(struct bed_plan *plan, const char *type, const char *target, uint64_t attr)
{
    /* 0755: in a sticky directory that others can write, the kernel refuses O_CREAT on a device of another owner. */
    struct cl_wire_option mode = {
        .key = cl_plan_cstring(&plan->plan, "mode"), .value = cl_plan_cstring(&plan->plan, "755"), .has_value = 1};
    uint32_t option = cl_plan_add(&plan->plan, CL_WIRE_OPTIONS, &mode);
    struct cl_wire_mount mount = {
        .kind = CL_WIRE_MOUNT_FS,
        .option_first = option,
        .option_count = strcmp(type, "tmpfs") == 0,
        .type = cl_plan_cstring(&plan->plan, type),
        .source = cl_plan_cstring(&plan->plan, type),
        .target = cl_plan_cstring(&plan->plan, target),
        .fd = CL_WIRE_NO_FD,
        .attr_set = attr,
    };

    cl_plan_add(&plan->plan, CL_WIRE_MOUNTS, &mount);
}

static void add_device(struct bed_plan *plan, const char *path, uint32_t minor)
{
    struct cl_wire_device device = {.path = cl_plan_cstring(&plan->plan, path),
                                    .type = S_IFCHR,
                                    .major = 1,
                                    .minor = minor,
                                    .mode = 0666,
                                    .fd = CL_WIRE_NO_FD};

    cl_plan_add(&plan->plan, CL_WIRE_DEVICES, &device);
}

void bed_plan_container(struct bed *bed, struct bed_plan *plan, unsigned int flags, const char *script)
{
    struct cl_wire_map map = {.inside = 0, .outside = 300000, .count = 65536};
    struct cl_wire_plan *head = &plan->plan.head;
    uint64_t all = (UINT64_C(1) << 40) - 1;

    memset(plan, 0, sizeof(*plan));
    cl_plan_init(&plan->plan, CL_WIRE_PLAN_CONTAINER);
    head->ns_new = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    if (!(flags & BED_NO_PID_NAMESPACE))
        head->ns_new |= CLONE_NEWPID;
    head->flags = CL_WIRE_PLAN_LOOPBACK | CL_WIRE_PLAN_KEYRING | CL_WIRE_PLAN_NO_NEW_PRIVS;
    if (flags & BED_USER_NAMESPACE) {
        head->ns_new |= CLONE_NEWUSER;
        head->flags |= CL_WIRE_PLAN_ROOT_IDMAP;
        cl_plan_add(&plan->plan, CL_WIRE_UID_MAP, &map);
        cl_plan_add(&plan->plan, CL_WIRE_GID_MAP, &map);
    }
    head->root_fd = bed_plan_fd(plan, open_tree(AT_FDCWD, bed->root, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    head->hostname = cl_plan_cstring(&plan->plan, "nest");
    head->cap_bounding = head->cap_permitted = head->cap_effective = all & ~(UINT64_C(1) << 24); /* not SYS_RESOURCE */
    bed_plan_fs(plan, "proc", "/proc", 0);
    bed_plan_fs(plan, "tmpfs", "/dev", 0);
    add_device(plan, "/dev/null", 3);
    add_device(plan, "/dev/zero", 5);
    if (flags & BED_PAUSE) {
        head->flags |= CL_WIRE_PLAN_PAUSE;
        head->comm = cl_plan_cstring(&plan->plan, "test-pause");
    } else {
        add_script(plan, script);
    }
}

static void note(struct bed *bed, const struct cl_packet *packet)
{
    if (packet->u.head.type == CL_WIRE_EXIT && bed->exit_count < BED_EVENTS_MAX)
        bed->exits[bed->exit_count++] = packet->u.exit.record;
    else if (packet->u.head.type == CL_WIRE_DOWN && bed->down_count < BED_EVENTS_MAX)
        bed->downs[bed->down_count++] = packet->u.down.container;
    else if (packet->u.head.type == CL_WIRE_WARNING && bed->warning_count < BED_EVENTS_MAX)
        memcpy(bed->warnings[bed->warning_count++], packet->u.warning.detail, CL_WIRE_DETAIL_MAX);
    else if (packet->u.head.type == CL_WIRE_DRAINED && bed->drained_count < BED_EVENTS_MAX)
        bed->drained[bed->drained_count++] = packet->u.drained;
}

static void receive(struct bed *bed, struct cl_packet *packet)
{
    struct pollfd wait = {.fd = bed->sock, .events = POLLIN};

    assert_int_equal(poll(&wait, 1, 20000), 1);
    assert_int_equal(cl_wire_recv(bed->sock, packet), 0);
    note(bed, packet);
}

/* The answer's descriptors are left in the packet. */
static struct cl_wire_answer wait_answer(struct bed *bed, uint64_t serial, struct cl_packet *packet)
{
    for (;;) {
        receive(bed, packet);
        if (packet->u.head.type == CL_WIRE_ANSWER && packet->u.head.serial == serial)
            break;
        cl_packet_clear(packet);
    }
    bed->exits_at_answer = bed->exit_count;
    return packet->u.answer;
}

struct cl_wire_answer bed_wait_answer(struct bed *bed, uint64_t serial)
{
    struct cl_packet packet;
    struct cl_wire_answer answer = wait_answer(bed, serial, &packet);

    bed->slip_pid = packet.fd_count > 0 ? cl_slip_read(packet.fds[0]) : 0;
    cl_packet_clear(&packet);
    return answer;
}

struct cl_wire_answer bed_call(struct bed *bed, void *message)
{
    struct cl_wire_head *head = message;

    head->serial = ++bed->serial;
    assert_int_equal(cl_wire_send(bed->sock, message, NULL, 0), 0);
    return bed_wait_answer(bed, head->serial);
}

struct cl_wire_answer bed_call_fds(struct bed *bed, void *message)
{
    struct cl_wire_head *head = message;
    struct cl_packet packet;

    head->serial = ++bed->serial;
    assert_int_equal(cl_wire_send(bed->sock, message, NULL, 0), 0);
    struct cl_wire_answer answer = wait_answer(bed, head->serial, &packet);

    assert_true(packet.fd_count <= 3);
    bed->fd_count = packet.fd_count;
    memcpy(bed->fds, packet.fds, packet.fd_count * sizeof(int));
    return answer;
}

struct cl_wire_answer bed_release(struct bed *bed, uint64_t pseq)
{
    struct cl_wire_release message;

    cl_wire_init(&message, CL_WIRE_RELEASE, 0);
    message.pseq = pseq;
    return bed_call(bed, &message);
}

/* What the test wants instead of the usual; once. */
static void take_wishes(struct bed *bed, struct cl_wire_stdio *stdio, struct cl_wire_memo *memo)
{
    if (bed->stdio != NULL)
        memcpy(stdio, bed->stdio, 3 * sizeof(*stdio));
    if (bed->memo != NULL)
        *memo = *bed->memo;
    bed->stdio = NULL;
    bed->memo = NULL;
}

static uint64_t send_plan(struct bed *bed, struct bed_plan *plan, void *message, struct cl_wire_stdio *stdio,
                          struct cl_wire_memo *memo, int out, int use)
{
    struct cl_wire_head *head = message;
    const char *where = "";
    uint32_t sent = 0;
    int memfd = -1;

    for (int i = 0; i < 3; i++)
        stdio[i] = (struct cl_wire_stdio){.kind = CL_WIRE_STDIO_NULL, .fd = CL_WIRE_NO_FD};
    if (out >= 0 && use) {
        uint32_t index = bed_plan_fd(plan, dup(out));

        stdio[1] = stdio[2] = (struct cl_wire_stdio){.kind = CL_WIRE_STDIO_DESCRIPTOR, .fd = index};
    }
    take_wishes(bed, stdio, memo);
    int r = cl_plan_seal(&plan->plan, plan->fd_count, &memfd, &where);

    if (r < 0)
        fail_msg("plan: %s (%d)", where, r);
    head->serial = ++bed->serial;
    assert_int_equal(cl_wire_send_request(bed->sock, message, plan->fds, plan->fd_count, memfd, &sent), 0);
    close(memfd);
    bed_plan_clear(plan);
    return head->serial;
}

uint64_t bed_send_create(struct bed *bed, struct bed_plan *plan, uint64_t id, uint32_t flags, int out)
{
    struct cl_wire_create create;

    cl_wire_init(&create, CL_WIRE_CREATE, 0);
    create.container = id;
    create.pseq = id << 32;
    create.flags = flags;
    return send_plan(bed, plan, &create, create.stdio, &create.memo, out, !(flags & CL_WIRE_BLOCKED));
}

struct cl_wire_answer bed_create(struct bed *bed, struct bed_plan *plan, uint64_t id, uint32_t flags, int out)
{
    return bed_wait_answer(bed, bed_send_create(bed, plan, id, flags, out));
}

uint64_t bed_send_exec(struct bed *bed, struct bed_plan *plan, uint64_t id, uint64_t pseq, int out)
{
    struct cl_wire_exec exec;

    cl_wire_init(&exec, CL_WIRE_EXEC, 0);
    exec.container = id;
    exec.pseq = pseq;
    return send_plan(bed, plan, &exec, exec.stdio, &exec.memo, out, 1);
}

struct cl_wire_answer bed_exec(struct bed *bed, struct bed_plan *plan, uint64_t id, uint64_t pseq, int out)
{
    return bed_wait_answer(bed, bed_send_exec(bed, plan, id, pseq, out));
}

struct cl_wire_answer bed_start(struct bed *bed, uint64_t id, int out)
{
    struct cl_wire_start start;

    cl_wire_init(&start, CL_WIRE_START, ++bed->serial);
    start.container = id;
    start.stdio[0] = (struct cl_wire_stdio){.fd = CL_WIRE_NO_FD};
    for (int i = 1; i < 3; i++)
        start.stdio[i] = out >= 0 ? (struct cl_wire_stdio){.kind = CL_WIRE_STDIO_DESCRIPTOR, .fd = 0} : start.stdio[0];
    take_wishes(bed, start.stdio, &start.memo);
    assert_int_equal(cl_wire_send(bed->sock, &start, &out, out >= 0), 0);
    return bed_wait_answer(bed, bed->serial);
}

struct cl_wire_answer bed_signal(struct bed *bed, uint32_t scope, uint64_t target, int signal)
{
    struct cl_wire_signal message;

    cl_wire_init(&message, CL_WIRE_SIGNAL, 0);
    message.scope = scope;
    message.target = target;
    message.signal = signal;
    return bed_call(bed, &message);
}

int bed_has_exit(const struct bed *bed, uint64_t pseq)
{
    for (uint32_t i = 0; i < bed->exit_count; i++)
        if (bed->exits[i].pseq == pseq)
            return 1;
    return 0;
}

struct cl_wire_record bed_wait_exit(struct bed *bed, uint64_t pseq)
{
    struct cl_packet packet;

    while (!bed_has_exit(bed, pseq)) {
        receive(bed, &packet);
        cl_packet_clear(&packet);
    }
    for (uint32_t i = 0;; i++)
        if (bed->exits[i].pseq == pseq)
            return bed->exits[i];
}

static int has_down(const struct bed *bed, uint64_t container)
{
    for (uint32_t i = 0; i < bed->down_count; i++)
        if (bed->downs[i] == container)
            return 1;
    return 0;
}

void bed_wait_down(struct bed *bed, uint64_t container)
{
    struct cl_packet packet;

    while (!has_down(bed, container)) {
        receive(bed, &packet);
        cl_packet_clear(&packet);
    }
}

int bed_has_drained(const struct bed *bed, uint64_t pseq)
{
    for (uint32_t i = 0; i < bed->drained_count; i++)
        if (bed->drained[i].pseq == pseq)
            return 1;
    return 0;
}

struct cl_wire_drained bed_wait_drained(struct bed *bed, uint64_t pseq)
{
    struct cl_packet packet;

    while (!bed_has_drained(bed, pseq)) {
        receive(bed, &packet);
        cl_packet_clear(&packet);
    }
    for (uint32_t i = 0;; i++)
        if (bed->drained[i].pseq == pseq)
            return bed->drained[i];
}

int bed_has_warning(const struct bed *bed, const char *text)
{
    for (uint32_t i = 0; i < bed->warning_count; i++)
        if (strstr(bed->warnings[i], text) != NULL)
            return 1;
    return 0;
}

void bed_wait_warning(struct bed *bed, const char *text)
{
    struct cl_packet packet;

    while (!bed_has_warning(bed, text)) {
        receive(bed, &packet);
        cl_packet_clear(&packet);
    }
}

void bed_read_all(int fd, char *buffer, size_t size)
{
    size_t used = 0;
    ssize_t n;

    while (used < size - 1 && (n = read(fd, buffer + used, size - 1 - used)) > 0)
        used += (size_t)n;
    buffer[used] = '\0';
    close(fd);
}

struct cl_wire_record bed_run_plan(struct bed *bed, struct bed_plan *plan, char *output, size_t size)
{
    uint64_t id = ++bed->serial;
    int out[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    struct cl_wire_answer answer = bed_create(bed, plan, id, 0, out[1]);

    close(out[1]);
    if (answer.os_errno != 0)
        fail_msg("create: (%s, %d, %s)", answer.step, answer.os_errno, answer.detail);
    bed_read_all(out[0], output, size);
    return bed_wait_exit(bed, id << 32);
}

struct cl_wire_record bed_run(struct bed *bed, unsigned int flags, const char *script, char *output, size_t size)
{
    struct bed_plan plan;
    uint64_t id = ++bed->serial;
    struct cl_wire_release release;
    int out[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    bed_plan_container(bed, &plan, flags, script);
    struct cl_wire_answer answer = bed_create(bed, &plan, id, 0, out[1]);

    close(out[1]);
    if (answer.os_errno != 0)
        fail_msg("create: %s: %s: %s", answer.step, answer.detail, strerror(answer.os_errno));
    bed_read_all(out[0], output, size);
    struct cl_wire_record record = bed_wait_exit(bed, id << 32);

    bed_wait_down(bed, id);
    cl_wire_init(&release, CL_WIRE_RELEASE, 0);
    release.pseq = id << 32;
    assert_int_equal(bed_call(bed, &release).os_errno, 0);
    return record;
}

static int is_live(const char *pid)
{
    char path[64];
    char text[512] = "";

    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);

    close(fd);
    const char *state = n > 0 ? strrchr(text, ')') : NULL;

    return state != NULL && state[2] != 'Z' && state[2] != 'X';
}

/* Counted by descent: children of the keeper, and theirs. */
static int collect_children(pid_t parent, pid_t *pids, int room)
{
    char path[64];
    char text[4096];
    int count = 0;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    for (char *save = NULL, *word = strtok_r(text, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        if (is_live(word) && count < room)
            pids[count++] = atoi(word);
        count += collect_children(atoi(word), pids + count, room - count);
    }
    return count;
}

int bed_pids(const struct bed *bed, pid_t *pids, int room)
{
    return collect_children(bed->pid, pids, room);
}

int bed_processes(const struct bed *bed)
{
    pid_t pids[1024];

    return bed_pids(bed, pids, 1024);
}

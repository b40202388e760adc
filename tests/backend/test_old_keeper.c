/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_old_keeper.c - argv as test_backend's. Keepers of wire versions 2 and 3, played from what real ones once said
 * (plugins/common/keeper/fixtures): each is taken over in its own words, asked nothing it does not know, runs a process
 * by a plan that it can read, and is ended.
 */
#include "house.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/keeper/client.h"
#include "common/keeper/plan_old.h"
#include "common/keeper/slip.h"
#include "isolation/namespaces/conn.h"

#define ID "abcdefghij234567"
#define COOKIE 0x1122334455667788ull
#define INIT 0x100000001ull
#define EXITED 0x100000002ull
#define RUNNING 0x100000004ull /* in version 3's recording it has ended, too */
#define LATER 0x100000005ull   /* only there */

/* --- no memory for a HELLO, once: that says nothing of the keeper's version --- */

static unsigned hellos;

uint64_t __real_ns_conn_send(struct ns_conn *conn, void *message, const int *fds, uint32_t count, int plan_fd,
                             ns_answer_fn fn, void *ctx);
uint64_t __wrap_ns_conn_send(struct ns_conn *conn, void *message, const int *fds, uint32_t count, int plan_fd,
                             ns_answer_fn fn, void *ctx);

uint64_t __wrap_ns_conn_send(struct ns_conn *conn, void *message, const int *fds, uint32_t count, int plan_fd,
                             ns_answer_fn fn, void *ctx)
{
    const struct cl_wire_head *head = message;

    if (head->type == CL_WIRE_HELLO && hellos++ == 0)
        return 0;
    return __real_ns_conn_send(conn, message, fds, count, plan_fd, fn, ctx);
}

/* --- the keeper: nothing here fails a test but by its exit code --- */

/* What it says to what; NULL: it does not know that. */
static const struct words {
    uint32_t version;
    bool closes; /* at a HELLO of another version: its size is another */
    const char *refused;
    const char *hello;
    const char *status;
    const char *list;
    const char *entries; /* of either */
    const char *signal;
    const char *end[4]; /* two exits, down, the answer */
} languages[] = {
    {2,
     true,
     "02-hello-eproto",
     "15-hello-later",
     "10-answer-status",
     NULL,
     "11-status-records",
     "16-answer-signal",
     {"17-exit-killed", "18-exit-killed-init", "19-down", "20-answer-destroy"}},
    {3,
     false,
     "02-hello-eproto",
     "24-hello-later",
     NULL,
     "19-answer-list",
     "20-list-entries",
     "25-answer-signal",
     {"26-exit-killed", "27-exit-killed-init", "28-down", "29-answer-destroy"}},
};
static const struct words *words;

static size_t load(const char *name, unsigned char *bytes, size_t room)
{
    char path[512];
    size_t size = 0;
    unsigned byte;
    FILE *file;

    snprintf(path, sizeof(path), "%s/../../plugins/common/keeper/fixtures/%u/%s.hex", house_profiles, words->version,
             name);
    file = fopen(path, "re");
    while (file && size < room && fscanf(file, "%2x", &byte) == 1)
        bytes[size++] = (unsigned char)byte;
    if (file == NULL || size == 0)
        _exit(10);
    fclose(file);
    return size;
}

/* As it was recorded, but with the serial of what it answers. The descriptor, or -1, is closed. */
static void play(int sock, const char *name, uint64_t serial, int fd)
{
    union {
        struct cl_wire_head head;
        unsigned char bytes[CL_WIRE_MESSAGE_MAX];
    } message;

    if (name == NULL)
        _exit(13); /* it has never heard of it */
    load(name, message.bytes, sizeof(message.bytes));
    message.head.serial = serial;
    if (cl_wire_send(sock, &message, &fd, fd >= 0) < 0)
        _exit(11);
    if (fd >= 0)
        close(fd);
}

static int entries(void)
{
    unsigned char bytes[4096];
    size_t size = load(words->entries, bytes, sizeof(bytes));
    int fd = memfd_create("entries", MFD_CLOEXEC);

    if (write(fd, bytes, size) != (ssize_t)size)
        _exit(12);
    return fd;
}

static void end(int sock, uint64_t serial)
{
    for (int i = 0; i < 4; i++)
        play(sock, words->end[i], i < 3 ? 0 : serial, -1);
    _exit(0);
}

/* Such a plan as it knows, of "/bin/true". */
static void exec(int sock, const struct cl_packet *packet)
{
    const struct cl_plan_old *plan;
    const cl_wire_str *argv;
    int slip;
    off_t size = lseek(packet->fds[packet->fd_count - 1], 0, SEEK_END);

    plan = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, packet->fds[packet->fd_count - 1], 0);
    if (plan == MAP_FAILED || plan->magic != CL_WIRE_PLAN_MAGIC || plan->version != 1 || plan->size != size ||
        plan->kind != CL_WIRE_PLAN_PROCESS || plan->section[CL_WIRE_ARGV].count != 1 || plan->uid != 3)
        _exit(16);
    argv = (const void *)((const char *)plan + plan->section[CL_WIRE_ARGV].offset);
    if (strcmp((const char *)plan + plan->section[CL_WIRE_STRINGS].offset + argv[0], "/bin/true") != 0)
        _exit(17);
    if (cl_slip_make(getpid(), &slip) < 0)
        _exit(18);
    play(sock, "06-answer-exec", packet->u.head.serial, slip);
}

static void obey(int sock, const struct cl_packet *packet)
{
    const struct cl_wire_head *head = &packet->u.head;

    switch (head->type) {
    case CL_WIRE_HELLO:
        play(sock, packet->u.hello.version == words->version ? words->hello : words->refused, head->serial, -1);
        break;
    case CL_WIRE_STATUS:
        play(sock, words->status, head->serial, entries());
        break;
    case CL_WIRE_LIST:
        play(sock, words->list, head->serial, entries());
        break;
    case CL_WIRE_SIGNAL:
        play(sock, words->signal, head->serial, -1);
        break;
    case CL_WIRE_EXEC:
        exec(sock, packet);
        break;
    case CL_WIRE_DESTROY:
        end(sock, head->serial);
        break;
    default:
        _exit(13);
    }
}

/* One connection, to its end. A HELLO of a size that its version does not have gets no answer; the first one is of
 * today's version. */
static void serve(int sock)
{
    static bool asked;
    struct cl_packet packet;

    while (cl_wire_recv(sock, &packet) == 0) {
        if (!asked && packet.u.hello.version != CL_WIRE_VERSION)
            _exit(15);
        asked = true;
        if (packet.size != cl_wire_size_at(packet.u.head.type, words->version)) {
            if (!words->closes || packet.u.head.type != CL_WIRE_HELLO)
                _exit(19);
            return;
        }
        obey(sock, &packet);
        cl_packet_clear(&packet);
    }
}

static pid_t start_keeper(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), ready[2];
    char byte;
    pid_t pid;

    snprintf(address.sun_path, sizeof(address.sun_path), "%.70s/%s/k", bed.run, ID);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    bed_pipe(ready);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        listen(listener, 8); /* here, so that the other end finds us */
        if (write(ready[1], "x", 1) != 1)
            _exit(14);
        for (;;) {
            int sock = accept(listener, NULL, NULL);

            serve(sock);
            close(sock);
        }
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    close(listener);
    return pid;
}

/* --- the test --- */

static const struct cloister_inventory_process *find(const struct bed_inventory *inventory, cloister_process process)
{
    for (unsigned i = 0; i < inventory->count; i++)
        if (inventory->processes[i].process == process)
            return &inventory->processes[i];
    fail_msg("process %llx is not in the inventory", (unsigned long long)process);
    return NULL;
}

/* The sandbox's groups, as its daemon had made them; or what a failed test has left of them. */
static void for_groups(void (*act)(const char *root, const char *group))
{
    DIR *dir = opendir("/sys/fs/cgroup");
    struct dirent *entry;
    char root[512];
    char group[600];

    while (dir && (entry = readdir(dir))) {
        snprintf(root, sizeof(root), "/sys/fs/cgroup/%s%s", entry->d_name, bed.cgroup_root);
        snprintf(group, sizeof(group), "%s/cl-%08x-" ID, root, (unsigned)(COOKIE >> 32));
        if (entry->d_name[0] != '.')
            act(root, group); /* not every name there is a hierarchy's */
    }
    if (dir)
        closedir(dir);
}

static void make_group(const char *root, const char *group)
{
    mkdir(root, 0755);
    mkdir(group, 0755);
}

static void remove_group(const char *root, const char *group)
{
    rmdir(group);
    rmdir(root);
}

static int close_house(void **state)
{
    for_groups(remove_group);
    return house_close(state);
}

static struct bed_sandbox *take_over(unsigned expected_hellos, pid_t *ret_pid, struct bed_inventory *ret_inventory)
{
    struct bed_sandbox *s = house_prepare(ID, "/bin/true");
    struct bed_outcome out;
    char path[512];

    s->which.cookie = COOKIE;
    s->args.init = INIT;
    snprintf(path, sizeof(path), "%s/%s", bed.run, ID);
    assert_int_equal(mkdir(path, 0700), 0);
    for_groups(make_group);
    *ret_pid = start_keeper();
    bed_adopt(s, 5000, &out, ret_inventory);
    if (out.err.code)
        fail_msg("adopt: %s", out.sentence);
    assert_int_equal(hellos, expected_hellos);
    assert_int_equal(ret_inventory->fate, CLOISTER_FATE_ALIVE);
    assert_int_equal(ret_inventory->container.init, INIT);
    assert_int_equal(ret_inventory->container.state, CLOISTER_CONTAINER_RUNNING);
    assert_int_equal(find(ret_inventory, INIT)->state, CLOISTER_PROCESS_RUNNING);
    assert_int_equal(find(ret_inventory, EXITED)->state, CLOISTER_PROCESS_DRAINED);
    assert_int_equal(find(ret_inventory, EXITED)->status.value, 7);
    return s;
}

static void run_true(struct bed_sandbox *s, pid_t keeper)
{
    struct bed_outcome out;

    bed_exec(s, 5002, "/bin/true", -1, &out);
    if (out.err.code)
        fail_msg("exec: %s", out.sentence);
    assert_int_equal(out.result.pid, keeper); /* whose slip it is */
    assert_int_equal(out.result.uid, 3);
}

/* Nothing of it is said to the keeper, which would not understand. */
static void refuse_terminal(struct bed_sandbox *s)
{
    static const struct cloister_stdio pty[3] = {
        {.kind = CLOISTER_STDIO_PTY}, {.kind = CLOISTER_STDIO_PTY}, {.kind = CLOISTER_STDIO_PTY}};
    struct cloister_resize_args resize = {CLOISTER_INIT(struct cloister_resize_args), .rows = 1, .columns = 1,
                                          .process = INIT};
    struct cloister_iso_resize_args args = {CLOISTER_INIT(struct cloister_iso_resize_args), .sandbox = s->which,
                                            .resize = &resize};
    struct bed_outcome out;

    bed_exec_with(s, 5003, "/bin/true", pty, "", "", &out);
    assert_int_equal(out.err.code, CLOISTER_UNSUPPORTED);
    assert_non_null(strstr(out.sentence, "of an earlier daemon, does not know terminals"));
    bed.iso->resize(bed.instance, &args, bed_op(&out));
    bed_wait(&out);
    assert_int_equal(out.err.code, CLOISTER_UNSUPPORTED);
}

static void leave(struct bed_sandbox *s, pid_t pid, cloister_process running)
{
    int status;

    house_destroy(s);
    assert_int_equal(bed_exit_of(running).value, SIGKILL);
    assert_int_equal(bed_exit_of(INIT).kind, CLOISTER_STATUS_SIGNALED);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the keeper ended with status 0x%x", status);
}

static void test_version_2(void **state)
{
    static const struct cloister_stdio stdio[3] = {{.kind = CLOISTER_STDIO_PIPE, .fd = -1},
                                                   {.kind = CLOISTER_STDIO_NULL, .fd = -1},
                                                   {.kind = CLOISTER_STDIO_NULL, .fd = -1}};
    struct bed_inventory inventory;
    struct bed_sandbox *s;
    struct bed_outcome out;
    pid_t pid;

    words = &languages[0];
    hellos = 0;
    s = take_over(3, &pid, &inventory); /* none sent, today's size, version 2 */
    assert_int_equal(inventory.count, 3);
    assert_int_equal(find(&inventory, EXITED)->output_count, 0);
    assert_int_equal(find(&inventory, RUNNING)->state, CLOISTER_PROCESS_RUNNING);

    bed_attach(s, RUNNING, 1, CLOISTER_ATTACH_LIVE, 0, CLOISTER_POLICY_DROP, &out);
    assert_int_equal(out.err.code, CLOISTER_UNSUPPORTED);
    bed_stdin(s, RUNNING, false, &out);
    assert_int_equal(out.err.code, CLOISTER_UNSUPPORTED);
    bed_exec_with(s, 5001, "/bin/true", stdio, "", "", &out);
    assert_int_equal(out.err.code, CLOISTER_UNSUPPORTED);
    refuse_terminal(s);
    run_true(s, pid);
    leave(s, pid, RUNNING);
}

static void test_version_3(void **state)
{
    struct bed_inventory inventory;
    struct bed_sandbox *s;
    pid_t pid;

    words = &languages[1];
    hellos = 1;
    s = take_over(3, &pid, &inventory); /* today's version is refused; version 3 */
    assert_int_equal(inventory.count, 4);
    assert_int_equal(find(&inventory, RUNNING)->state, CLOISTER_PROCESS_DRAINED);
    assert_int_equal(find(&inventory, RUNNING)->output_count, 1);
    assert_int_equal(find(&inventory, LATER)->state, CLOISTER_PROCESS_RUNNING);
    refuse_terminal(s);
    run_true(s, pid);
    leave(s, pid, LATER);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_version_2, house_open, close_house),
        cmocka_unit_test_setup_teardown(test_version_3, house_open, close_house),
    };

    return house_main(argc, argv, tests, sizeof(tests) / sizeof(*tests), NULL);
}

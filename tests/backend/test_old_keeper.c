/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_old_keeper.c - argv as test_backend's. A keeper of wire version 2, played from what a real one once said
 * (plugins/common/keeper/fixtures/2): it is taken over in its own words, asked nothing it does not know, and ended.
 */
#include "house.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/keeper/client.h"
#include "isolation/namespaces/conn.h"

#define ID "abcdefghij234567"
#define COOKIE 0x1122334455667788ull
#define INIT 0x100000001ull
#define EXITED 0x100000002ull
#define RUNNING 0x100000004ull

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

static size_t load(const char *name, unsigned char *bytes, size_t room)
{
    char path[512];
    size_t size = 0;
    unsigned byte;
    FILE *file;

    snprintf(path, sizeof(path), "%s/../../plugins/common/keeper/fixtures/2/%s.hex", house_profiles, name);
    file = fopen(path, "re");
    while (file && size < room && fscanf(file, "%2x", &byte) == 1)
        bytes[size++] = (unsigned char)byte;
    if (file == NULL || size == 0)
        _exit(10);
    fclose(file);
    return size;
}

/* As it was recorded, but with the serial of what it answers. */
static void play(int sock, const char *name, uint64_t serial, int fd)
{
    unsigned char bytes[4096];
    size_t size = load(name, bytes, sizeof(bytes));
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    memcpy(bytes + offsetof(struct cl_wire_head, serial), &serial, sizeof(serial));
    if (fd >= 0) {
        struct cmsghdr *c;

        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    if (sendmsg(sock, &message, MSG_NOSIGNAL) < 0)
        _exit(11);
}

static int records(void)
{
    unsigned char bytes[4096];
    size_t size = load("11-status-records", bytes, sizeof(bytes));
    int fd = memfd_create("records", MFD_CLOEXEC);

    if (write(fd, bytes, size) != (ssize_t)size)
        _exit(12);
    return fd;
}

static void end(int sock, uint64_t serial)
{
    play(sock, "17-exit-killed", 0, -1);
    play(sock, "18-exit-killed-init", 0, -1);
    play(sock, "19-down", 0, -1);
    play(sock, "20-answer-destroy", serial, -1);
    _exit(0);
}

static void obey(int sock, const struct cl_wire_head *head)
{
    switch (head->type) {
    case CL_WIRE_STATUS:
        play(sock, "10-answer-status", head->serial, records());
        break;
    case CL_WIRE_SIGNAL:
        play(sock, "16-answer-signal", head->serial, -1);
        break;
    case CL_WIRE_DESTROY:
        end(sock, head->serial);
        break;
    default:
        _exit(13); /* it has never heard of it */
    }
}

/* One connection, to its end. A HELLO of a size that version 2 does not have gets no answer; the first one is such. */
static void serve(int sock)
{
    static bool asked;
    uint64_t bytes[512];
    const struct cl_wire_hello *hello = (const void *)bytes;
    ssize_t n;

    while ((n = recv(sock, bytes, sizeof(bytes), 0)) > 0) {
        if ((size_t)n != cl_wire_size_at(hello->head.type, 2)) {
            asked = true;
            return;
        }
        if (!asked)
            _exit(15);
        if (hello->head.type != CL_WIRE_HELLO)
            obey(sock, &hello->head);
        else if (hello->version == 2)
            play(sock, "15-hello-later", hello->head.serial, -1);
        else
            play(sock, "02-hello-eproto", hello->head.serial, -1);
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

static void test_version_2(void **state)
{
    static const struct cloister_stdio stdio[3] = {{.kind = CLOISTER_STDIO_PIPE, .fd = -1},
                                                   {.kind = CLOISTER_STDIO_NULL, .fd = -1},
                                                   {.kind = CLOISTER_STDIO_NULL, .fd = -1}};
    struct bed_sandbox *s = house_prepare(ID, "/bin/true");
    struct bed_inventory inventory;
    struct bed_outcome out;
    char path[512];
    int status;
    pid_t pid;

    s->which.cookie = COOKIE;
    s->args.init = INIT;
    snprintf(path, sizeof(path), "%s/%s", bed.run, ID);
    assert_int_equal(mkdir(path, 0700), 0);
    pid = start_keeper();

    bed_adopt(s, 5000, &out, &inventory);
    if (out.err.code)
        fail_msg("adopt: %s", out.sentence);
    assert_int_equal(hellos, 3); /* none sent, today's size, version 2 */
    assert_int_equal(inventory.fate, CLOISTER_FATE_ALIVE);
    assert_int_equal(inventory.count, 3);
    assert_int_equal(inventory.container.init, INIT);
    assert_int_equal(inventory.container.state, CLOISTER_CONTAINER_RUNNING);
    assert_int_equal(find(&inventory, INIT)->state, CLOISTER_PROCESS_RUNNING);
    assert_int_equal(find(&inventory, EXITED)->state, CLOISTER_PROCESS_DRAINED);
    assert_int_equal(find(&inventory, EXITED)->status.value, 7);
    assert_int_equal(find(&inventory, EXITED)->output_count, 0);
    assert_int_equal(find(&inventory, RUNNING)->state, CLOISTER_PROCESS_RUNNING);

    bed_attach(s, RUNNING, 1, CLOISTER_ATTACH_LIVE, 0, CLOISTER_POLICY_DROP, &out);
    assert_int_equal(out.err.code, CLOISTER_UNSUPPORTED);
    bed_stdin(s, RUNNING, false, &out);
    assert_int_equal(out.err.code, CLOISTER_UNSUPPORTED);
    bed_exec_with(s, 5001, "/bin/true", stdio, "", "", &out);
    assert_int_equal(out.err.code, CLOISTER_UNSUPPORTED);

    house_destroy(s);
    assert_int_equal(bed_exit_of(RUNNING).value, SIGKILL);
    assert_int_equal(bed_exit_of(INIT).kind, CLOISTER_STATUS_SIGNALED);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the keeper ended with status 0x%x", status);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(test_version_2),
    };

    return house_main(argc, argv, tests, sizeof(tests) / sizeof(*tests), NULL);
}

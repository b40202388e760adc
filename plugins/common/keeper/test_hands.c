/* SPDX-License-Identifier: Apache-2.0 */
/* test_hands.c - what many tests of the bed do: pause containers, scripts in them, a later daemon's connection. */
#include "common/keeper/test_bed.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

void bed_start_pause(struct bed *bed, uint64_t id, unsigned int flags)
{
    struct bed_plan plan;

    bed_plan_container(bed, &plan, flags | BED_PAUSE, NULL);
    struct cl_wire_answer answer = bed_create(bed, &plan, id, 0, -1);

    if (answer.os_errno != 0)
        fail_msg("pause: (%s, %d, %s)", answer.step, answer.os_errno, answer.detail);
}

void bed_start_exec(struct bed *bed, uint64_t id, uint64_t pseq, const char *script)
{
    struct bed_plan plan;

    bed_plan_process(&plan, script);
    struct cl_wire_answer answer = bed_exec(bed, &plan, id, pseq, -1);

    if (answer.os_errno != 0)
        fail_msg("exec '%s': (%s, %d, %s)", script, answer.step, answer.os_errno, answer.detail);
}

static void address_of(const struct bed *bed, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof(address->sun_path), "%s/k", bed->root);
}

void bed_listen(struct bed *bed)
{
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;
    struct cl_wire_hello hello;
    struct cl_packet packet;

    address_of(bed, &address);
    assert_true(listener >= 0);
    unlink(address.sun_path);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    kill(bed->pid, SIGKILL);
    close(bed->sock);
    close(bed->pidfd);
    bed_fork(bed, &bed->sock, &bed->pidfd, &bed->pid);
    cl_wire_init(&hello, CL_WIRE_HELLO, 1);
    hello.version = CL_WIRE_VERSION;
    hello.flags = CL_WIRE_HELLO_LISTENER;
    hello.cookie = 0xabcdef;
    memcpy(hello.id, "0123456789abcdef", 17);
    assert_int_equal(cl_wire_send(bed->sock, &hello, &listener, 1), 0);
    close(listener);
    assert_int_equal(cl_wire_recv(bed->sock, &packet), 0);
    assert_int_equal(packet.u.hello.os_errno, 0);
    assert_int_equal(packet.u.hello.era, 1);
}

struct bed *bed_open_listening(const char *program)
{
    struct bed *bed = bed_open(program);

    bed_listen(bed);
    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    return bed;
}

int bed_dial(const struct bed *bed)
{
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;

    address_of(bed, &address);
    assert_int_equal(connect(sock, (const struct sockaddr *)&address, sizeof(address)), 0);
    return sock;
}

void bed_say_hello(const struct bed *bed, int sock, uint32_t version, uint64_t resume_ns)
{
    struct cl_wire_hello hello;

    cl_wire_init_at(&hello, CL_WIRE_HELLO, 9, version);
    hello.version = version;
    hello.cookie = 0xabcdef;
    memcpy(hello.id, "0123456789abcdef", 17);
    hello.resume_ns = resume_ns;
    hello.tape_max = bed->tape_max;
    assert_int_equal(cl_wire_send(sock, &hello, NULL, 0), 0);
}

struct cl_wire_hello bed_hear_hello(int sock, uint32_t version)
{
    struct cl_packet packet;

    assert_int_equal(cl_wire_recv(sock, &packet), 0);
    assert_int_equal(packet.size, cl_wire_size_at(CL_WIRE_HELLO, version));
    assert_int_equal(packet.u.head.serial, 9);
    assert_int_equal(packet.u.hello.version, version);
    assert_int_equal(packet.u.hello.cookie, 0xabcdef);
    assert_string_equal(packet.u.hello.id, "0123456789abcdef");
    return packet.u.hello;
}

struct cl_wire_hello bed_connect(const struct bed *bed, uint32_t version, uint64_t resume_ns, int *ret_sock)
{
    *ret_sock = bed_dial(bed);
    bed_say_hello(bed, *ret_sock, version, resume_ns);
    return bed_hear_hello(*ret_sock, version);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the plugin's side of the keeper's socket: build a plan, seal it, send and receive packets with
 * descriptors.
 *
 * Nothing here waits and nothing here owns a loop: the socket is non-blocking and the plugin's. Building a plan copies
 * what it is given; errors of a builder are sticky and come out of cl_plan_seal, so that a compiler need not check each
 * call. Static library, [any] thread on distinct objects.
 */
#ifndef CL_KEEPER_CLIENT_H
#define CL_KEEPER_CLIENT_H

#include "common/keeper/wire.h"

/* --- plan builder --- */

struct cl_plan_bytes {
    char *data;
    size_t size;
    size_t capacity;
};

/* `head` is filled in directly by the caller (uid, ns_new, flags, ...); its magic, size and sections by cl_plan_seal.
 */
struct cl_plan {
    struct cl_wire_plan head;
    struct cl_plan_bytes section[CL_WIRE_SECTION_COUNT];
    int error; /* first failure, negative errno */
};

/* Everything zero, no descriptors (all indexes CL_WIRE_NO_FD), umask 0022, cwd "/". */
void cl_plan_init(struct cl_plan *plan, uint32_t kind);
void cl_plan_clear(struct cl_plan *plan); /* wipes strings (environments are secrets), frees; fit for a second clear */

/* Adds a string and gives its offset; 0 for an empty one. A NUL inside is -EINVAL. */
cl_wire_str cl_plan_string(struct cl_plan *plan, const char *data, size_t size);
cl_wire_str cl_plan_cstring(struct cl_plan *plan, const char *text);

/* Appends one item of cl_wire_section_item(section) bytes; gives its index. Not for STRINGS. */
uint32_t cl_plan_add(struct cl_plan *plan, uint32_t section, const void *item);

/* Appends a string section's item (ARGV, ENV, MASKED, READONLY, WORDS). */
void cl_plan_add_string(struct cl_plan *plan, uint32_t section, const char *data, size_t size);

/* Appends a BPF program and its SECCOMP entry. `filter` is `count` struct sock_filter. */
void cl_plan_add_seccomp(struct cl_plan *plan, const void *filter, uint32_t count, uint32_t flags);

/*
 * Checks the plan exactly as the keeper will and writes it into a sealed memfd (transferred to the caller). `fds` =
 * descriptors of the request, the plan's own not counted. -EBADMSG with *ret_where (may be NULL) naming the member;
 * -E2BIG; -ENOMEM.
 */
int cl_plan_seal(struct cl_plan *plan, uint32_t fds, int *ret_fd, const char **ret_where);

/* The same for a keeper of this wire version. -ENOTSUP: it is too old for the member that *ret_where names. */
int cl_plan_seal_at(struct cl_plan *plan, uint32_t fds, uint32_t version, int *ret_fd, const char **ret_where);

/* --- messages --- */

/* Zeroed message of a type: head filled in (size, type, serial). `message` has cl_wire_message_size(type) bytes. */
void cl_wire_init(void *message, uint32_t type, uint64_t serial);

/* The same in the size that a peer of `version` knows; the peer must know the type. */
void cl_wire_init_at(void *message, uint32_t type, uint64_t serial, uint32_t version);

/*
 * Sends one packet of head.size bytes; head.fds is set to n. 0, or -EAGAIN (try when writable), -EPIPE (keeper gone),
 * ... Descriptors stay the caller's.
 */
int cl_wire_send(int sock, void *message, const int *fds, uint32_t n);

/* A received packet. Take a descriptor by setting its slot to -1; cl_packet_clear closes the rest. */
struct cl_packet {
    union {
        struct cl_wire_head head;
        struct cl_wire_hello hello;
        struct cl_wire_create create;
        struct cl_wire_start start;
        struct cl_wire_exec exec;
        struct cl_wire_signal signal;
        struct cl_wire_release release;
        struct cl_wire_simple simple;
        struct cl_wire_cancel cancel;
        struct cl_wire_process process;
        struct cl_wire_policy policy;
        struct cl_wire_resize resize;
        struct cl_wire_file_put file_put;
        struct cl_wire_proceed proceed;
        struct cl_wire_answer answer;
        struct cl_wire_warning warning;
        struct cl_wire_exit exit;
        struct cl_wire_down down;
        struct cl_wire_drained drained;
        struct cl_wire_point point;
        uint8_t bytes[CL_WIRE_MESSAGE_MAX];
    } u;
    uint32_t size;
    uint32_t fd_count;
    int fds[CL_WIRE_FDS_MAX];
};

/*
 * 0 and a checked packet, zeros behind what an older peer left out; -EAGAIN; -EPIPE at the end; -EBADMSG for what is no
 * message (descriptors were closed; close the connection). MSG_CMSG_CLOEXEC throughout.
 */
int cl_wire_recv(int sock, struct cl_packet *ret_packet);
void cl_packet_clear(struct cl_packet *packet);

/*
 * Sends a request that may need more than CL_WIRE_FDS_MAX descriptors: FDS packets as needed, then the request with the
 * rest, `plan_fd` (or -1) last. All or nothing is not possible on a full socket: on -EAGAIN, *io_sent holds how many of
 * `fds` were staged; call again with the same arguments. Start with *io_sent = 0.
 */
int cl_wire_send_request(int sock, void *message, const int *fds, uint32_t n, int plan_fd, uint32_t *io_sent);

#endif

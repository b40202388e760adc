/* SPDX-License-Identifier: Apache-2.0 */
/* program.h - the few words that the mock takes for programs: true, false, sleep N, sh -c "exit N", sh -c "kill -N $$".
 */
#ifndef MOCK_PROGRAM_H
#define MOCK_PROGRAM_H

#include <cloister/host.h>

#define MOCK_FOREVER UINT64_MAX

struct mock_program {
    uint32_t uid;
    uint32_t gid;
    struct cloister_status status; /* how it ends: kind and value */
    uint64_t ns;                   /* after so long; MOCK_FOREVER */
};

/* Reads OCI process and what goes with it; descriptors in it are closed, whatever comes of it. 0, or -1 with err. */
int mock_program_read(const struct cloister_host *host, const struct cloister_process_args *args,
                      struct mock_program *ret, struct cloister_error *err);
/* The ones of a start. */
int mock_stdio_take(const struct cloister_host *host, const struct cloister_stdio *stdio, uint64_t count, uint64_t size,
                    struct cloister_error *err);
/* Only the spec's shape: the mock makes nothing of it. 0, or -1 with err. */
int mock_container_check(const struct cloister_host *host, const struct cloister_container_args *container,
                         struct cloister_error *err);

#endif

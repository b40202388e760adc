/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h - shared by the files that compile linux.resources, one for each group of members. [any, pure] */
#ifndef NS_LIMITS_H
#define NS_LIMITS_H

#include "compile.h"

struct ns_limits {
    struct ns_compile *c;
    const cloister_value *resources;
    const char *base; /* what errors call `resources`: "linux.resources" */
};

/* Where the controller is: v1 or v2 (its names differ), or NS_NO_HIERARCHY, refused at `where`. */
uint32_t ns_limits_hierarchy(const struct ns_limits *l, const char *v1, const char *v2, const char *where,
                             bool *ret_v2);

/* "<base>.<rest>" */
void ns_limits_path(const struct ns_limits *l, char ret[NS_PATH_MAX], const char *format, ...) CLOISTER_PRINTF(3, 4);

int ns_compile_block_io(const struct ns_limits *l);
int ns_compile_huge_pages(const struct ns_limits *l);
int ns_compile_network(const struct ns_limits *l);
int ns_compile_rdma(const struct ns_limits *l);
int ns_compile_unified(const struct ns_limits *l);
int ns_compile_device_rules(const struct ns_limits *l);

/* cpu.weight for cpu.shares, and the least shares that give a weight. */
uint32_t ns_weight_of_shares(uint64_t shares);
uint64_t ns_shares_of_weight(uint64_t weight);

/* io.weight (1 to 10000) for blkio's weight (10 to 1000), and back. */
uint32_t ns_io_weight_of(uint64_t weight);
uint64_t ns_blkio_weight_of(uint64_t io_weight);

#endif

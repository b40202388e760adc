/* SPDX-License-Identifier: Apache-2.0 */
/* test_spec.h - a container of which a test says only what it is about. */
#ifndef NS_TEST_SPEC_H
#define NS_TEST_SPEC_H

#include "test_host.h"

/* Members, each after a comma or NULL: ",\"hooks\":{}". */
struct ns_test_spec {
    const char *top;
    const char *namespaces; /* further elements: ",{\"type\":\"user\"}" */
    const char *kernel;     /* of linux */
    const char *process;
};

static inline int ns_test_compile(struct ns_compile *c, const struct ns_machine *machine,
                                  const struct ns_test_spec *spec, struct cloister_error *err)
{
    NS_FREE char *text = ns_format("{\"ociVersion\":\"1.1.0\",\"linux\":{\"namespaces\":[{\"type\":\"mount\"}%s]%s}%s}",
                                   spec->namespaces ? spec->namespaces : "", spec->kernel ? spec->kernel : "",
                                   spec->top ? spec->top : "");
    NS_FREE char *oci = ns_format("{\"cwd\":\"/\",\"args\":[\"/bin/true\"]%s}", spec->process ? spec->process : "");
    struct ns_reader r = ns_test_reader(err);
    struct cloister_process_args args = {CLOISTER_INIT(struct cloister_process_args), .oci = ns_view(oci)};
    struct cloister_container_args container = {CLOISTER_INIT(struct cloister_container_args),
                                                .init = CLOISTER_INIT_PROCESS,
                                                .start = CLOISTER_START_NOW,
                                                .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY,
                                                .rootfs = CLOISTER_SV("/root/fs"),
                                                .spec = ns_view(text),
                                                .process = &args};

    ns_compile_init(c, &r, machine, CL_WIRE_PLAN_CONTAINER);
    c->range = (struct ns_range){100000, 65536};
    return ns_compile_container(c, &container);
}

/* What is accepted must be what the keeper accepts. */
static inline void ns_test_seal(struct ns_compile *c, const char *name)
{
    const char *where = "";
    int fd = -1;

    if (cl_plan_seal(&c->plan, c->need_count, &fd, &where) < 0)
        fail_msg("%s: the keeper would refuse it at '%s'", name, where);
    close(fd);
}

static inline const void *ns_test_items(const struct ns_compile *c, uint32_t section, size_t size, size_t *ret_count)
{
    *ret_count = c->plan.section[section].size / size;
    return c->plan.section[section].data;
}

static inline const char *ns_test_string(const struct ns_compile *c, cl_wire_str offset)
{
    return c->plan.section[CL_WIRE_STRINGS].data + offset;
}

#endif

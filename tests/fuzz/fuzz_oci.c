/* SPDX-License-Identifier: Apache-2.0 */
/* An OCI config through the namespaces compiler: what it takes is a plan the keeper takes, what it refuses has a code
 * and names a place. */
#include "isolation/namespaces/compile.h"

#include "core/value/table.h"
#include "tests/fuzz/fuzz.h"

extern const struct cloister_log_api cl_host_log;

static const struct ns_machine *machine(void)
{
    static struct ns_machine one;

    if (one.hierarchies.count == 0) {
        FUZZ_CHECK(ns_hierarchies_parse(
                       "1 1 0:1 / /c/memory rw - cgroup cgroup rw,memory\n2 1 0:2 / /c/cpu rw - cgroup cgroup rw,cpu\n"
                       "3 1 0:3 / /c/devices rw - cgroup cgroup rw,devices\n4 1 0:4 / /c/u rw - cgroup2 cgroup2 rw\n",
                       &one.hierarchies) == 0);
        one.bounding = ~(1ull << 24);
    }
    return &one;
}

static void compile(const struct cloister_container_args *args)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = {&cl_host_log, &cl_value_table, &err};
    struct ns_compile c;
    const char *where = "";
    int fd = -1;

    ns_compile_init(&c, &r, machine(), CL_WIRE_PLAN_CONTAINER);
    c.range = (struct ns_range){100000, 65536};
    if (ns_compile_container(&c, args) < 0) {
        FUZZ_CHECK(err.code != CLOISTER_OK && err.chain_size > 1);
    } else {
        FUZZ_CHECK(cl_plan_seal(&c.plan, c.need_count, &fd, &where) == 0);
        close(fd);
    }
    ns_compile_clear(&c);
}

/* The process travels apart: it is taken out of the document, as a caller would. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cloister_value_api *v = &cl_value_table;
    struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args)};
    struct cloister_container_args args = {CLOISTER_INIT(struct cloister_container_args), .init = CLOISTER_INIT_PROCESS,
                                           .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY, .rootfs = CLOISTER_SV("/r"),
                                           .process = &process};
    struct cloister_sv spec = {NULL, 0}, oci = {NULL, 0};
    cloister_value *doc = NULL;

    if (v->parse((struct cloister_sv){(const char *)data, size}, 0, 0, &doc, NULL) < 0) {
        args.spec = (struct cloister_sv){(const char *)data, size};
        compile(&args);
    } else {
        const cloister_value *inside = v->get(doc, CLOISTER_SV("process"));

        FUZZ_CHECK(inside == NULL || v->print(inside, 0, &oci) == 0);
        v->remove(doc, CLOISTER_SV("process"));
        FUZZ_CHECK(v->print(doc, 0, &spec) == 0);
        args.spec = spec;
        process.oci = oci;
        if (inside == NULL || oci.size == 0)
            args.process = NULL;
        compile(&args);
        v->free_text(spec);
        if (oci.data)
            v->free_text(oci);
    }
    v->free(doc);
    return 0;
}

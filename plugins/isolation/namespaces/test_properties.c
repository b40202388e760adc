/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_properties.c - each property of the OCI spec, used, is carried out or refused by its path, as the table says.
 * argv[1]: this folder. With --list it prints what oci.tsv must hold.
 */
#include "test_host.h"

#include "properties.h"

/* A machine with every controller. */
static const char all_there_is[] =
    NS_TEST_MOUNTINFO("/sys/fs/cgroup") "42 31 0:40 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n"
                                        "43 31 0:41 / /sys/fs/cgroup/net rw - cgroup cgroup rw,net_cls,net_prio\n";

static struct ns_machine machine;
static const char *folder;

struct row {
    char *path;
    const char *where;
    const char *json;
};

static struct row rows[512];
static size_t row_count;
static char *text;

static int load(void)
{
    NS_FREE char *path = ns_format("%s/test_oci_properties.tsv", folder);
    char *line, *rest;

    if (path == NULL || ns_read_file(path, 1u << 20, &text) < 0)
        return -1;
    for (rest = text; (line = strsep(&rest, "\n")) != NULL;) {
        struct row *row = &rows[row_count];

        if (*line == '#' || *line == 0)
            continue;
        row->path = strsep(&line, "\t");
        row->where = strsep(&line, "\t");
        row->json = line;
        if (row->json == NULL || ++row_count == sizeof(rows) / sizeof(*rows))
            return -1;
        if (*row->where == '^')
            row->where = row[-1].where;
        if (*row->json == '^')
            row->json = row[-1].json;
    }
    return row_count > 300 ? 0 : -1;
}

static int compile(struct ns_compile *c, const struct row *row, struct cloister_error *err)
{
    static const char all[] = "{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},"
                              "{\"type\":\"uts\"},{\"type\":\"cgroup\"},{\"type\":\"time\"}";
    const char *comma = *row->json ? "," : "";
    bool top = strcmp(row->where, "spec") == 0, kernel = strcmp(row->where, "linux") == 0;
    bool user = strcmp(row->where, "user") == 0, process = strcmp(row->where, "process") == 0;
    NS_FREE char *spec = ns_format(
        "{\"ociVersion\":\"1.1.0\",\"linux\":{%s%s%s%s%s}%s%s}", user ? "" : "\"namespaces\":[", user ? "" : all,
        user ? "" : "]", kernel ? comma : "", kernel || user ? row->json : "", top ? comma : "", top ? row->json : "");
    NS_FREE char *oci =
        ns_format("{\"cwd\":\"/\",\"args\":[\"/bin/true\"]%s%s}", process ? comma : "", process ? row->json : "");
    struct ns_reader r = ns_test_reader(err);
    struct cloister_process_args args = {CLOISTER_INIT(struct cloister_process_args), .oci = ns_view(oci)};
    struct cloister_container_args container = {CLOISTER_INIT(struct cloister_container_args),
                                                .init = CLOISTER_INIT_PROCESS,
                                                .start = CLOISTER_START_NOW,
                                                .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY,
                                                .rootfs = CLOISTER_SV("/root/fs"),
                                                .spec = ns_view(spec),
                                                .process = &args};

    assert_true(top || kernel || user || process);
    ns_compile_init(c, &r, &machine, CL_WIRE_PLAN_CONTAINER);
    c->range = (struct ns_range){100000, 65536};
    return ns_compile_container(c, &container);
}

/* "a[].b" is the first element's "a[0].b"; a map's "*" is whatever the example has, so it is compared up to there. */
static bool same_path(const char *wanted, const char *got)
{
    while (*wanted && *wanted != '*') {
        if (strncmp(wanted, "[]", 2) == 0 && strncmp(got, "[0]", 3) == 0) {
            wanted += 2;
            got += 3;
        } else if (*wanted++ != *got++) {
            return false;
        }
    }
    return *wanted == '*' || *got == 0;
}

static void test_each_property(void **state)
{
    for (size_t i = 0; i < row_count; i++) {
        struct cloister_error err;
        struct ns_compile c;
        char at[NS_PATH_MAX];
        bool empty;
        const char *why = ns_property_refused(rows[i].path, &empty, at);
        int rc = compile(&c, &rows[i], &err), fd = -1;
        const char *where = "";

        if (why == NULL && rc < 0)
            fail_msg("%s: the table says done, but %s", rows[i].path, err.chain);
        if (why != NULL && (rc == 0 || err.code != CLOISTER_UNSUPPORTED || !same_path(at, err.subject)))
            fail_msg("%s: not refused at '%s' but: %s", rows[i].path, at, rc < 0 ? err.chain : "accepted");
        if (why != NULL && strstr(err.chain, why) == NULL)
            fail_msg("%s: refused without the table's reason: %s", rows[i].path, err.chain);
        if (rc == 0 && cl_plan_seal(&c.plan, c.need_count, &fd, &where) < 0)
            fail_msg("%s: the keeper would refuse it at '%s'", rows[i].path, where);
        if (fd >= 0)
            close(fd);
        ns_compile_clear(&c);
    }
}

static void find_row(void *ctx, const char *path)
{
    for (size_t i = 0; i < row_count; i++)
        if (strcmp(rows[i].path, path) == 0)
            return;
    fail_msg("%s: in properties.c, but not in test_oci_properties.tsv", path);
}

/* No property of ours goes untried. */
static void test_none_is_left_out(void **state)
{
    ns_properties_each(find_row, NULL);
}

static void test_unknown(void **state)
{
    static const struct row unknown[] = {
        {NULL, "spec", "\"frob\":1"},
        {NULL, "linux", "\"netDevices\":{}"}, /* of a later version */
        {NULL, "process", "\"execCPUAffinity\":{\"initial\":\"0\"}"},
        {NULL, "linux", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"frob\":1}"},
    };
    static const char *const paths[] = {"frob", "linux.netDevices", "process.execCPUAffinity", "linux.seccomp.frob"};

    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
        struct cloister_error err;
        struct ns_compile c;

        if (compile(&c, &unknown[i], &err) == 0 || err.code != CLOISTER_UNSUPPORTED ||
            strcmp(err.subject, paths[i]) != 0)
            fail_msg("%s: %s", paths[i], err.chain);
        ns_compile_clear(&c);
    }
}

static void print_list(FILE *file)
{
    fprintf(file, "# What becomes of each property of the OCI runtime spec 1.1 (Linux), from properties.c.\n"
                  "# Made by `test_properties FOLDER --list`.\n");
    for (size_t i = 0; i < row_count; i++) {
        char at[NS_PATH_MAX];
        bool empty;
        const char *why = ns_property_refused(rows[i].path, &empty, at);

        if (why == NULL)
            fprintf(file, "%s\tdone\n", rows[i].path);
        else
            fprintf(file, "%s\trefused%s: %s\n", rows[i].path, empty ? " unless empty" : "", why);
    }
}

static void test_list(void **state)
{
    NS_FREE char *path = ns_format("%s/oci.tsv", folder), *there = NULL, *wanted = NULL;
    size_t size = 0, i = 0, line = 1;
    FILE *file = open_memstream(&wanted, &size);

    assert_non_null(file);
    print_list(file);
    fclose(file);
    assert_int_equal(ns_read_file(path, 1u << 20, &there), 0);
    for (; wanted[i] && wanted[i] == there[i]; i++)
        line += wanted[i] == '\n';
    if (wanted[i] || there[i])
        fail_msg("oci.tsv differs from properties.c in line %zu: make it anew with `test_properties FOLDER --list`",
                 line);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_property),
        cmocka_unit_test(test_none_is_left_out),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_list),
    };
    int rc;

    folder = argc > 1 ? argv[1] : ".";
    if (load() < 0) {
        fprintf(stderr, "cannot read %s/test_oci_properties.tsv\n", folder);
        return 1;
    }
    if (argc > 2 && strcmp(argv[2], "--list") == 0) {
        print_list(stdout);
        return 0;
    }
    if (ns_hierarchies_parse(all_there_is, &machine.hierarchies) < 0)
        return 1;
    machine.hierarchies.list[ns_hierarchy_find(&machine.hierarchies, "")].controllers = strdup("hugetlb,rdma");
    machine.huge_count = 1;
    snprintf(machine.huge_pages[0], sizeof(machine.huge_pages[0]), "2MB");
    machine.io_weight = "blkio.bfq.weight";
    machine.io_weight_device = "blkio.bfq.weight_device";
    machine.bounding = ~0ull;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    ns_hierarchies_clear(&machine.hierarchies);
    free(text);
    return rc;
}

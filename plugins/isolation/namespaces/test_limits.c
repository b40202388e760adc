/* SPDX-License-Identifier: Apache-2.0 */
/* test_limits.c - one spec, two versions of cgroups: which file gets which text; and the program for devices, run. */
#include "test_tree.h"

#include <errno.h>
#include <linux/bpf.h>

#include "device_program.h"
#include "limits.h"

static const char *const v1_list[] = {"cpu",     "cpuset",  "memory",   "pids",    "blkio",
                                      "devices", "net_cls", "net_prio", "hugetlb", NULL};
static const char *const v2_list[] = {"=cpuset cpu io memory hugetlb pids rdma", NULL};

struct ask {
    const char *const *list;
    bool split_weight; /* the kernel's weights are bfq's */
    bool no_programs;
    bool no_v1_devices;
};

static struct ns_machine machine;

static int compile(const struct ask *ask, const char *resources, struct ns_compile *c, struct cloister_error *err)
{
    struct ns_reader r = ns_test_reader(err);

    machine = (struct ns_machine){.bounding = 0};
    tree_open(ask->list, &machine.hierarchies);
    machine.huge_count = 2;
    snprintf(machine.huge_pages[0], 16, "2MB");
    snprintf(machine.huge_pages[1], 16, "1GB");
    machine.io_weight = ask->list == v1_list ? "blkio.bfq.weight" : ask->split_weight ? "io.bfq.weight" : "io.weight";
    machine.io_weight_device = ask->list == v1_list ? "blkio.bfq.weight_device" : machine.io_weight;
    machine.device_programs = !ask->no_programs;
    machine.no_v1_devices = ask->no_v1_devices;
    ns_compile_init(c, &r, &machine, CL_WIRE_PLAN_CONTAINER);
    return ns_compile_resources(c, ns_view(resources), "resources");
}

static void done(struct ns_compile *c)
{
    ns_compile_clear(c);
    tree_close(&machine.hierarchies);
}

/* "file=text file=text": all that is written, in order. */
static char *writes_of(const struct ns_compile *c)
{
    char *text = strdup("");

    for (uint32_t i = 0; i < c->write_count; i++) {
        NS_FREE char *before = text;

        text = ns_format("%s%s%s=%s", before, i ? "; " : "", c->writes[i].file, c->writes[i].value);
    }
    return text;
}

static const struct {
    const char *name;
    const char *resources;
    const char *v1; /* writes; or with '!' the path of what is refused as UNSUPPORTED, with '?' as INVALID */
    const char *v2;
} rows[] = {
    {"nothing", "{}", "", ""},
    {"memory", "{\"memory\":{\"swap\":300,\"reservation\":50,\"limit\":100}}",
     "memory.limit_in_bytes=100; memory.memsw.limit_in_bytes=300; memory.soft_limit_in_bytes=50",
     "memory.max=100; memory.swap.max=200; memory.low=50"},
    {"no swap", "{\"memory\":{\"swap\":100,\"limit\":100}}",
     "memory.limit_in_bytes=100; memory.memsw.limit_in_bytes=100", "memory.max=100; memory.swap.max=0"},
    {"unlimited", "{\"memory\":{\"limit\":-1,\"swap\":-1}}", "memory.limit_in_bytes=-1; memory.memsw.limit_in_bytes=-1",
     "memory.max=max; memory.swap.max=max"},
    {"swap alone", "{\"memory\":{\"swap\":100}}", "?resources.memory.swap", "?resources.memory.swap"},
    {"swappiness", "{\"memory\":{\"swappiness\":10}}", "memory.swappiness=10", "!resources.memory.swappiness"},
    {"no killer", "{\"memory\":{\"disableOOMKiller\":true}}", "memory.oom_control=1",
     "!resources.memory.disableOOMKiller"},
    {"a killer", "{\"memory\":{\"disableOOMKiller\":false}}", "memory.oom_control=0", ""},
    {"flat", "{\"memory\":{\"useHierarchy\":false}}", "!resources.memory.useHierarchy",
     "!resources.memory.useHierarchy"},
    {"not flat", "{\"memory\":{\"useHierarchy\":true,\"checkBeforeUpdate\":true}}", "", ""},
    {"cpu", "{\"cpu\":{\"shares\":512,\"quota\":5000,\"period\":10000,\"burst\":1000,\"idle\":1}}",
     "cpu.shares=512; cpu.cfs_period_us=10000; cpu.cfs_quota_us=5000; cpu.cfs_burst_us=1000; cpu.idle=1",
     "cpu.weight=59; cpu.max=5000 10000; cpu.max.burst=1000; cpu.idle=1"},
    {"quota", "{\"cpu\":{\"quota\":-1}}", "cpu.cfs_quota_us=-1", "cpu.max=max 100000"},
    {"period", "{\"cpu\":{\"period\":20000}}", "cpu.cfs_period_us=20000", "cpu.max=max 20000"},
    {"real time", "{\"cpu\":{\"realtimeRuntime\":5,\"realtimePeriod\":10}}", "cpu.rt_period_us=10; cpu.rt_runtime_us=5",
     "!resources.cpu.realtimePeriod"},
    {"cpus", "{\"cpu\":{\"cpus\":\"0-1\",\"mems\":\"0\"}}", "cpuset.cpus=0-1; cpuset.mems=0",
     "cpuset.cpus=0-1; cpuset.mems=0"},
    {"pids", "{\"pids\":{\"limit\":7}}", "pids.max=7", "pids.max=7"},
    {"any pids", "{\"pids\":{\"limit\":-1}}", "pids.max=max", "pids.max=max"},
    {"block weight", "{\"blockIO\":{\"weight\":1000,\"weightDevice\":[{\"major\":8,\"minor\":16,\"weight\":10}]}}",
     "blkio.bfq.weight=1000; blkio.bfq.weight_device=8:16 10", "io.weight=10000; io.weight=8:16 1"},
    {"block weight out of range", "{\"blockIO\":{\"weight\":9}}", "?resources.blockIO.weight",
     "?resources.blockIO.weight"},
    {"block rates",
     "{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":100}],\"throttleWriteIOPSDevice\":[{"
     "\"major\":8,\"minor\":0,\"rate\":0}]}}",
     "blkio.throttle.read_bps_device=8:0 100; blkio.throttle.write_iops_device=8:0 0",
     "io.max=8:0 rbps=100; io.max=8:0 wiops=max"},
    {"huge pages", "{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":4194304},{\"pageSize\":\"1GB\",\"limit\":0}]}",
     "hugetlb.2MB.limit_in_bytes=4194304; hugetlb.1GB.limit_in_bytes=0", "hugetlb.2MB.max=4194304; hugetlb.1GB.max=0"},
    {"other huge pages", "{\"hugepageLimits\":[{\"pageSize\":\"../x\",\"limit\":1}]}",
     "!resources.hugepageLimits[0].pageSize", "!resources.hugepageLimits[0].pageSize"},
    {"class", "{\"network\":{\"classID\":1048577}}", "net_cls.classid=1048577", "!resources.network.classID"},
    {"priorities", "{\"network\":{\"priorities\":[{\"name\":\"lo\",\"priority\":3}]}}", "net_prio.ifpriomap=lo 3",
     "!resources.network.priorities[0]"},
    {"priority of two lines", "{\"network\":{\"priorities\":[{\"name\":\"lo 1\\nx\",\"priority\":3}]}}",
     "?resources.network.priorities[0].name", "?resources.network.priorities[0].name"},
    {"rdma", "{\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3}}}", "!resources.rdma.mlx5_1",
     "rdma.max=mlx5_1 hca_handle=3 hca_object=max"},
    {"rdma of two words", "{\"rdma\":{\"a b\":{\"hcaHandles\":3}}}", "?resources.rdma.a b", "?resources.rdma.a b"},
    {"unified", "{\"unified\":{\"memory.high\":\"4096\",\"pids.max\":\"3\"}}", "!resources.unified.memory.high",
     "memory.high=4096; pids.max=3"},
    {"unified elsewhere", "{\"unified\":{\"../memory.high\":\"4096\"}}", "!resources.unified.../memory.high",
     "!resources.unified.../memory.high"},
    {"unified below", "{\"unified\":{\"memory.x/../../y\":\"4096\"}}", "!resources.unified.memory.x/../../y",
     "!resources.unified.memory.x/../../y"},
    {"unified core", "{\"unified\":{\"cgroup.procs\":\"1\"}}", "!resources.unified.cgroup.procs",
     "!resources.unified.cgroup.procs"},
    {"unified of two lines", "{\"unified\":{\"memory.high\":\"1\\n2\"}}", "!resources.unified.memory.high",
     "?resources.unified.memory.high"},
};

static void expect(const char *name, const struct ask *ask, const char *resources, const char *wanted)
{
    struct cloister_error err;
    struct ns_compile c;
    int rc = compile(ask, resources, &c, &err);

    if (*wanted == '!' || *wanted == '?') {
        uint32_t code = *wanted == '!' ? CLOISTER_UNSUPPORTED : CLOISTER_INVALID;

        if (rc == 0 || err.code != code || strcmp(err.subject, wanted + 1) != 0)
            fail_msg("%s: %s", name, rc == 0 ? "accepted" : err.chain);
    } else {
        NS_FREE char *got = writes_of(&c);

        if (rc < 0)
            fail_msg("%s: %s", name, err.chain);
        if (strcmp(got, wanted) != 0)
            fail_msg("%s: writes '%s', not '%s'", name, got, wanted);
    }
    done(&c);
}

static void test_rows(void **state)
{
    static const struct ask v1 = {.list = v1_list}, v2 = {.list = v2_list};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        expect(rows[i].name, &v1, rows[i].resources, rows[i].v1);
        expect(rows[i].name, &v2, rows[i].resources, rows[i].v2);
    }
}

/* Each controller is where it is. */
static void test_hybrid(void **state)
{
    static const char *const list[] = {"memory", "=pids cpu", NULL};
    static const struct ask hybrid = {.list = list};

    expect("hybrid", &hybrid, "{\"memory\":{\"limit\":5},\"cpu\":{\"shares\":1024},\"pids\":{\"limit\":6}}",
           "memory.limit_in_bytes=5; cpu.weight=100; pids.max=6");
    expect("hybrid", &hybrid, "{\"cpu\":{\"cpus\":\"0\"}}", "!resources.cpu.cpus");
}

/* spec/garden.md 12.1 has these. */
static void test_weights(void **state)
{
    static const struct {
        uint64_t shares;
        uint32_t weight;
    } known[] = {{0, 1},    {2, 1},      {10, 4},     {50, 10},    {100, 17},       {280, 37},
                 {512, 59}, {1024, 100}, {1028, 101}, {2048, 174}, {262144, 10000}, {1ull << 40, 10000}};

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (ns_weight_of_shares(known[i].shares) != known[i].weight)
            fail_msg("%llu shares", (unsigned long long)known[i].shares);
    for (uint32_t weight = 1; weight <= 10000; weight += 7)
        if (ns_weight_of_shares(ns_shares_of_weight(weight)) < weight)
            fail_msg("weight %u", weight);
    for (uint32_t weight = 10; weight <= 1000; weight++)
        assert_int_equal(ns_blkio_weight_of(ns_io_weight_of(weight)), weight);
}

/* --- devices --- */

#define RULE(allow, rest) "{\"allow\":" #allow rest "}"
#define NULL_RW ",\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"rw\""
#define NULL_W ",\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"w\""
#define NULL_R ",\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"r\""
#define ALL_C ",\"type\":\"c\",\"access\":\"rwm\""
#define MAJOR_1 ",\"type\":\"c\",\"major\":1,\"access\":\"rwm\""

static const struct {
    const char *name;
    const char *rules;
    const char *v1;  /* as above */
    const char *can; /* "c1:3rw+ c1:3w-": accesses, allowed or not */
} devices[] = {
    {"none", "", "devices.deny=a", "c1:3r- b8:0m-"},
    {"one", RULE(true, NULL_RW), "devices.deny=a; devices.allow=c 1:3 rw", "c1:3r+ c1:3rw+ c1:3m- c1:5r- b1:3r-"},
    {"two halves", RULE(true, NULL_R) "," RULE(true, NULL_W),
     "devices.deny=a; devices.allow=c 1:3 r; devices.allow=c 1:3 w", "c1:3rw+ c1:3w+ c1:3m-"},
    {"all", RULE(true, ""), "devices.deny=a; devices.allow=a", "c1:3rwm+ b8:0rw+"},
    {"half back", RULE(true, NULL_RW) "," RULE(false, NULL_W),
     "devices.deny=a; devices.allow=c 1:3 rw; devices.deny=c 1:3 w", "c1:3r+ c1:3w- c1:3rw-"},
    {"part back", RULE(true, ALL_C) "," RULE(false, NULL_W), "!resources.devices[1]", "c1:3r+ c1:3w- c1:5w+ c1:3rw-"},
    {"part of a major back", RULE(true, MAJOR_1) "," RULE(false, NULL_W), "!resources.devices[1]", "c1:3w- c1:5w+"},
    {"from all", RULE(true, "") "," RULE(false, NULL_W), "devices.deny=a; devices.allow=a; devices.deny=c 1:3 w",
     "c1:3w- c1:3r+ b8:0w+"},
    {"part given again", RULE(true, "") "," RULE(false, MAJOR_1) "," RULE(true, NULL_W), "!resources.devices[2]",
     "c1:3w+ c1:5w- c1:3r- b1:3w+"},
    {"denied first", RULE(false, NULL_W) "," RULE(true, MAJOR_1),
     "devices.deny=a; devices.deny=c 1:3 w; devices.allow=c 1:* rwm", "c1:3w+ c1:9r+ c2:3r-"},
    {"any kind, some access", RULE(true, ",\"access\":\"r\""),
     "devices.deny=a; devices.allow=c *:* r; devices.allow=b *:* r", "c7:7r+ b7:7r+ b7:7w-"},
};

/* As much of a machine as the programs use. */
static bool run(const struct ns_compile *c, const struct bpf_cgroup_dev_ctx *context)
{
    uint32_t reg[11] = {0};

    for (uint32_t at = 0, steps = 0; at < c->device_count && steps < 100000; at++, steps++) {
        const struct bpf_insn *one = &c->device_code[at];
        uint32_t operand =
            (one->code & BPF_X) && BPF_CLASS(one->code) == BPF_ALU ? reg[one->src_reg] : (uint32_t)one->imm;

        switch (one->code) {
        case BPF_LDX | BPF_MEM | BPF_W:
            memcpy(&reg[one->dst_reg], (const char *)context + one->off, 4);
            break;
        case BPF_ALU | BPF_MOV | BPF_X:
        case BPF_ALU | BPF_MOV | BPF_K:
            reg[one->dst_reg] = operand;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            reg[one->dst_reg] &= operand;
            break;
        case BPF_ALU | BPF_RSH | BPF_K:
            reg[one->dst_reg] >>= operand;
            break;
        case BPF_JMP32 | BPF_JNE | BPF_K:
            at += reg[one->dst_reg] != operand ? (uint32_t)one->off : 0;
            break;
        case BPF_JMP32 | BPF_JEQ | BPF_K:
            at += reg[one->dst_reg] == operand ? (uint32_t)one->off : 0;
            break;
        case BPF_JMP | BPF_EXIT:
            return reg[0] != 0;
        default:
            fail_msg("instruction 0x%x", one->code);
        }
    }
    fail_msg("it does not end");
    return false;
}

static void try_accesses(const char *name, const struct ns_compile *c, const char *list)
{
    while (*list) {
        struct bpf_cgroup_dev_ctx context = {.access_type = *list == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR};
        const char *start = list;
        int used = 0;

        assert_int_equal(sscanf(list + 1, "%u:%u%n", &context.major, &context.minor, &used), 2);
        for (list += 1 + used; *list != '+' && *list != '-'; list++)
            context.access_type |= (*list == 'r'   ? BPF_DEVCG_ACC_READ
                                    : *list == 'w' ? BPF_DEVCG_ACC_WRITE
                                                   : BPF_DEVCG_ACC_MKNOD)
                                   << 16;
        if (run(c, &context) != (*list == '+'))
            fail_msg("%s: %.*s", name, (int)(list - start + 1), start);
        list += 1 + (list[1] == ' ');
    }
}

static void test_devices(void **state)
{
    static const struct ask v1 = {.list = v1_list}, programs = {.list = v1_list, .no_v1_devices = true},
                            neither = {.list = v2_list, .no_programs = true}, v2 = {.list = v2_list};

    for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
        NS_FREE char *resources = ns_format("{\"devices\":[%s]}", devices[i].rules);
        struct cloister_error err;
        struct ns_compile c;

        expect(devices[i].name, &v1, resources, devices[i].v1);
        expect(devices[i].name, &neither, resources, "!resources.devices");  /* never silently open (H1.3.8) */
        expect(devices[i].name, &programs, resources, "!resources.devices"); /* there is no v2 */
        if (compile(&v2, resources, &c, &err) < 0)
            fail_msg("%s: %s", devices[i].name, err.chain);
        assert_int_equal(c.write_count, 0);
        try_accesses(devices[i].name, &c, devices[i].can);
        done(&c);
    }
}

static bool try_programs(const struct ns_cgroups *cgroups, const char *group)
{
    uint32_t v2 = ns_hierarchy_find(cgroups->hierarchies, "");
    NS_FREE char *dir = v2 == NS_NO_HIERARCHY ? NULL : ns_group_path(cgroups, v2, group, NULL);
    int rc;

    assert_int_equal(ns_device_program_try(cgroups, group), -ENOENT); /* no such group, or no v2 */
    if (dir == NULL || mkdir(dir, 0755) < 0)
        return false;
    rc = ns_device_program_try(cgroups, group);
    rmdir(dir);
    return rc == 0;
}

/* Any program of ours must pass the kernel's verifier: here on the real v2 hierarchy, if there is one. */
static void test_attach(void **state)
{
    NS_FREE char *info = NULL;
    NS_FREE char *group = ns_format("cl-test-limits-%d", (int)getpid());
    static const struct ask v2 = {.list = v2_list};
    struct ns_hierarchies real;
    struct ns_cgroups cgroups = {&real, ""};
    struct cloister_error err;
    struct ns_compile c;

    assert_int_equal(ns_read_file("/proc/self/mountinfo", 16u << 20, &info), 0);
    assert_int_equal(ns_hierarchies_parse(info, &real), 0);
    if (geteuid() != 0 || !try_programs(&cgroups, group)) {
        ns_hierarchies_clear(&real);
        skip();
    }
    for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
        NS_FREE char *resources = ns_format("{\"devices\":[%s]}", devices[i].rules);
        NS_FREE char *dir = ns_group_path(&cgroups, ns_hierarchy_find(&real, ""), group, NULL);
        int rc;

        assert_int_equal(compile(&v2, resources, &c, &err), 0);
        assert_int_equal(mkdir(dir, 0755), 0);
        rc = ns_device_program_attach(&cgroups, group, &c);
        rmdir(dir);
        if (rc < 0)
            fail_msg("%s: %s", devices[i].name, err.chain);
        done(&c);
    }
    ns_hierarchies_clear(&real);
}

/* What a container may use beyond its rules depends on what it has on /dev. */
static void test_dev(void **state)
{
    static const struct {
        const char *name, *mount;
        bool null;
    } cases[] = {
        {"nothing mounted", "", false},
        {"its own", "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"}", true},
        {"bound", "{\"destination\":\"/dev/\",\"type\":\"bind\",\"source\":\"/dev\",\"options\":[\"bind\"]}", true},
        {"bound elsewhere", "{\"destination\":\"/d\",\"type\":\"bind\",\"source\":\"/dev\",\"options\":[\"bind\"]}",
         false},
    };
    static const struct ask v1 = {.list = v1_list};

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        NS_FREE char *writes = NULL;
        NS_FREE char *spec = ns_format("{\"ociVersion\":\"1.1.0\",\"mounts\":[%s],\"linux\":{\"namespaces\":[{\"type\":"
                                       "\"mount\"},{\"type\":\"pid\"}]}}",
                                       cases[i].mount);
        const struct cloister_container_args args = {
            CLOISTER_INIT(struct cloister_container_args), .init = CLOISTER_INIT_PAUSE,
            .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY, .rootfs = CLOISTER_SV("/root/fs"), .spec = {spec, strlen(spec)}};
        struct cloister_error err;
        struct ns_compile c;

        assert_int_equal(compile(&v1, "{}", &c, &err), 0);
        if (ns_compile_container(&c, &args) < 0)
            fail_msg("%s: %s", cases[i].name, err.chain);
        writes = writes_of(&c);
        if ((strstr(writes, "devices.allow=c 1:3 rwm") != NULL) != cases[i].null)
            fail_msg("%s: %s", cases[i].name, writes);
        done(&c);
    }
}

/* A container on a machine that is all v2: one group to join, kills counted there, a program for its devices. */
static void test_container_v2(void **state)
{
    static const char program[] = "{\"cwd\":\"/\",\"args\":[\"/bin/true\"]}";
    static const struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args),
                                                         .oci = {program, sizeof(program) - 1}};
    static const char spec[] = "{\"ociVersion\":\"1.1.0\",\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":"
                               "\"pid\"}],\"resources\":{\"memory\":{\"limit\":4096}}}}";
    const struct cloister_container_args args = {CLOISTER_INIT(struct cloister_container_args),
                                                 .init = CLOISTER_INIT_PROCESS,
                                                 .start = CLOISTER_START_NOW,
                                                 .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY,
                                                 .rootfs = CLOISTER_SV("/root/fs"),
                                                 .spec = {spec, sizeof(spec) - 1},
                                                 .process = &process};
    static const struct ask v2 = {.list = v2_list}, v1 = {.list = v1_list};

    for (unsigned i = 0; i < 2; i++) {
        NS_FREE char *writes = NULL;
        struct cloister_error err;
        struct ns_compile c;

        assert_int_equal(compile(i ? &v1 : &v2, "{}", &c, &err), 0);
        if (ns_compile_container(&c, &args) < 0)
            fail_msg("%s", err.chain);
        assert_int_equal(c.plan.head.oom_kind, i ? CL_WIRE_OOM_V1 : CL_WIRE_OOM_V2);
        assert_int_equal(c.needs[c.plan.head.oom_fd].kind, NS_NEED_OOM);
        assert_int_equal(c.device_code == NULL, i);
        writes = writes_of(&c);
        assert_string_equal(writes, i ? "devices.deny=a; memory.limit_in_bytes=4096" : "memory.max=4096");
        done(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),         cmocka_unit_test(test_hybrid), cmocka_unit_test(test_weights),
        cmocka_unit_test(test_devices),      cmocka_unit_test(test_dev),    cmocka_unit_test(test_attach),
        cmocka_unit_test(test_container_v2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

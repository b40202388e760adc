/* SPDX-License-Identifier: Apache-2.0 */
/* test_compile.c - OCI in, plan or refusal out. argv[1]: conf/profiles. */
#include "test_host.h"

#include <linux/mount.h>
#include <linux/sched.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "open.h"

static struct ns_machine machine;
static const char *profiles;

struct parts {
    const char *name;
    const char *top;     /* members of the spec: "\"hostname\":\"x\"," */
    const char *ns;      /* further namespaces: ",{\"type\":\"user\"}" */
    const char *kernel;  /* members of linux: ",\"devices\":[]" */
    const char *process; /* members of process, or the whole object; NULL = the usual */
    uint32_t code;       /* 0 = accepted */
    const char *path;    /* the error's subject */
};

#define USER ",{\"type\":\"user\"}"
#define NET ",{\"type\":\"network\"}"

static const char usual[] = ",\"args\":[\"/bin/true\"]";

static int compile(struct ns_compile *c, const struct parts *p, const char *env, struct cloister_error *err)
{
    static char spec[65536], process[8192];
    struct ns_reader r = ns_test_reader(err);
    struct cloister_sv variable = {env, env ? strlen(env) : 0};
    struct cloister_process_args args = {CLOISTER_INIT(struct cloister_process_args), .env = &variable,
                                         .env_count = env != NULL};
    struct cloister_container_args container = {CLOISTER_INIT(struct cloister_container_args),
                                                .init = CLOISTER_INIT_PROCESS,
                                                .start = CLOISTER_START_NOW,
                                                .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY,
                                                .rootfs_flags = CLOISTER_ROOTFS_IDMAP,
                                                .rootfs = CLOISTER_SV("/root/fs"),
                                                .process = &args};

    snprintf(spec, sizeof(spec),
             "{%s\"ociVersion\":\"1.0.2-dev\",\"linux\":{\"namespaces\":[{\"type\":\"mount\"}%s]%s}}",
             p->top ? p->top : "", p->ns ? p->ns : "", p->kernel ? p->kernel : "");
    if (p->process && p->process[0] == '{')
        snprintf(process, sizeof(process), "%s", p->process);
    else
        snprintf(process, sizeof(process), "{\"cwd\":\"/\"%s}", p->process ? p->process : usual);
    container.spec = ns_view(spec);
    args.oci = ns_view(process);
    ns_compile_init(c, &r, &machine, CL_WIRE_PLAN_CONTAINER);
    c->range = (struct ns_range){100000, 65536};
    return ns_compile_container(c, &container);
}

#define U CLOISTER_UNSUPPORTED
#define I CLOISTER_INVALID

static const struct parts cases[] = {
    {"least", NULL, NULL, NULL, NULL, 0, NULL},
    {"annotations", "\"annotations\":{\"a\":\"b\"},", NULL, NULL, NULL, 0, NULL},
    {"empty hooks", "\"hooks\":{\"prestart\":[]},", NULL, NULL, NULL, 0, NULL},
    {"unknown top", "\"vm\":{},", NULL, NULL, NULL, U, "vm"},
    {"process inside", "\"process\":{},", NULL, NULL, NULL, I, "process"},
    {"wrong type", "\"hostname\":1,", NULL, NULL, NULL, I, "hostname"},
    {"unknown linux", NULL, NULL, ",\"intelRdt\":{}", NULL, U, "linux.intelRdt"},
    {"kernel memory", NULL, NULL, ",\"resources\":{\"memory\":{\"kernel\":1}}", NULL, U,
     "linux.resources.memory.kernel"},
    {"cgroupsPath", NULL, NULL, ",\"cgroupsPath\":\"/x\"", NULL, U, "linux.cgroupsPath"},
    {"no namespaces", NULL, ",{\"type\":\"mount\"}", NULL, NULL, I, "linux.namespaces[1].type"},
    {"strange namespace", NULL, ",{\"type\":\"universe\"}", NULL, NULL, I, "linux.namespaces[1].type"},
    {"joined pid", NULL, ",{\"type\":\"pid\",\"path\":\"/proc/1/ns/pid\"}", NULL, NULL, U, "linux.namespaces[1].path"},
    {"joined network", NULL, ",{\"type\":\"network\",\"path\":\"/run/netns/x\"}", NULL, NULL, 0, NULL},
    {"all eight", NULL,
     NET USER ",{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"cgroup\"},{\"type\":\"time\"}",
     NULL, NULL, 0, NULL},
    {"hostname without uts", "\"hostname\":\"x\",", NULL, NULL, NULL, I, "hostname"},
    {"hostname with newline", "\"hostname\":\"x\\ny\",", ",{\"type\":\"uts\"}", NULL, NULL, I, "hostname"},
    {"mapping without user", NULL, NULL, ",\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1}]", NULL, I,
     "linux.uidMappings"},
    {"mapping alone", NULL, USER, ",\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1}]", NULL, I,
     "linux.gidMappings"},
    {"mapping too long", NULL, USER, ",\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":4294967295}]", NULL, I,
     "linux.uidMappings[0]"},
    {"mapping of minus one", NULL, USER, ",\"uidMappings\":[{\"containerID\":-1,\"hostID\":1,\"size\":1}]", NULL, I,
     "linux.uidMappings[0].containerID"},
    {"mappings overlap", NULL, USER,
     ",\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":10},{\"containerID\":9,\"hostID\":100,\"size\":1}]",
     NULL, I, "linux.uidMappings[1]"},
    {"time offset without time", NULL, NULL, ",\"timeOffsets\":{\"monotonic\":{\"secs\":1}}", NULL, I,
     "linux.timeOffsets"},
    {"sysctl of the machine", NULL, NET, ",\"sysctl\":{\"kernel.panic\":\"1\"}", NULL, CLOISTER_DENIED,
     "linux.sysctl.kernel.panic"},
    {"sysctl without network", NULL, NULL, ",\"sysctl\":{\"net.ipv4.ip_forward\":\"1\"}", NULL, I,
     "linux.sysctl.net.ipv4.ip_forward"},
    {"sysctl upwards", NULL, NET, ",\"sysctl\":{\"net/../kernel/panic\":\"1\"}", NULL, I,
     "linux.sysctl.net/../kernel/panic"},
    {"sysctl with newline", NULL, NET, ",\"sysctl\":{\"net.ipv4.ip_forward\":\"1\\n2\"}", NULL, I,
     "linux.sysctl.net.ipv4.ip_forward"},
    {"mount of unknown type", "\"mounts\":[{\"destination\":\"/x\",\"type\":\"ext4\",\"source\":\"/dev/sda\"}],", NULL,
     NULL, NULL, U, "mounts[0].type"},
    {"mount over the root", "\"mounts\":[{\"destination\":\"/./\",\"type\":\"tmpfs\"}],", NULL, NULL, NULL, I,
     "mounts[0].destination"},
    {"mount over the root, longer", "\"mounts\":[{\"destination\":\"//.//./\",\"type\":\"tmpfs\"}],", NULL, NULL, NULL,
     I, "mounts[0].destination"},
    {"mount upwards", "\"mounts\":[{\"destination\":\"/a/../../b\",\"type\":\"tmpfs\"}],", NULL, NULL, NULL, I,
     "mounts[0].destination"},
    {"relative mount", "\"mounts\":[{\"destination\":\"a\",\"type\":\"tmpfs\"}],", NULL, NULL, NULL, I,
     "mounts[0].destination"},
    {"relative source", "\"mounts\":[{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"b\"}],", NULL, NULL, NULL,
     I, "mounts[0].source"},
    {"unknown option", "\"mounts\":[{\"destination\":\"/a\",\"type\":\"tmpfs\",\"options\":[\"ro\",\"tmpcopyup\"]}],",
     NULL, NULL, NULL, U, "mounts[0].options[1]"},
    {"data on a bind",
     "\"mounts\":[{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"/b\",\"options\":[\"size=1\"]}],", NULL, NULL,
     NULL, U, "mounts[0].options[0]"},
    {"newline in data", "\"mounts\":[{\"destination\":\"/a\",\"type\":\"tmpfs\",\"options\":[\"size=1\\n2\"]}],", NULL,
     NULL, NULL, I, "mounts[0].options[0]"},
    {"mqueue in a user namespace", "\"mounts\":[{\"destination\":\"/a\",\"type\":\"mqueue\"}],", USER, NULL, NULL, U,
     "mounts[0].type"},
    {"writable cgroup", "\"mounts\":[{\"destination\":\"/a\",\"type\":\"cgroup\"}],", NULL, NULL, NULL, U,
     "mounts[0].options"},
    {"writable cgroup, namespace of its own", "\"mounts\":[{\"destination\":\"/a\",\"type\":\"cgroup\"}],",
     ",{\"type\":\"cgroup\"}", NULL, NULL, 0, NULL},
    {"writable cgroup, joined namespace", "\"mounts\":[{\"destination\":\"/a\",\"type\":\"cgroup\"}],",
     ",{\"type\":\"cgroup\",\"path\":\"/proc/1/ns/cgroup\"}", NULL, NULL, U, "mounts[0].options"},
    {"device without numbers", NULL, NULL, ",\"devices\":[{\"type\":\"c\",\"path\":\"/dev/x\"}]", NULL, I,
     "linux.devices[0]"},
    {"device of no type", NULL, NULL, ",\"devices\":[{\"type\":\"x\",\"path\":\"/dev/x\",\"major\":1,\"minor\":1}]",
     NULL, I, "linux.devices[0].type"},
    {"device rule", NULL, NULL, ",\"resources\":{\"devices\":[{\"allow\":true,\"access\":\"rx\"}]}", NULL, I,
     "linux.resources.devices[0].access"},
    {"device rule type", NULL, NULL, ",\"resources\":{\"devices\":[{\"allow\":true,\"type\":\"z\"}]}", NULL, I,
     "linux.resources.devices[0].type"},
    {"swap below memory", NULL, NULL, ",\"resources\":{\"memory\":{\"limit\":10,\"swap\":9}}", NULL, I,
     "linux.resources.memory.swap"},
    {"fractional limit", NULL, NULL, ",\"resources\":{\"memory\":{\"limit\":1.5}}", NULL, I,
     "linux.resources.memory.limit"},
    {"no pids", NULL, NULL, ",\"resources\":{\"pids\":{\"limit\":0}}", NULL, I, "linux.resources.pids.limit"},
    {"quota too small", NULL, NULL, ",\"resources\":{\"cpu\":{\"quota\":10}}", NULL, I, "linux.resources.cpu.quota"},
    {"cpus with a plus", NULL, NULL, ",\"resources\":{\"cpu\":{\"cpus\":\"0+1\"}}", NULL, I,
     "linux.resources.cpu.cpus"},
    {"masked upwards", NULL, NULL, ",\"maskedPaths\":[\"/a/..\"]", NULL, I, "linux.maskedPaths[0]"},
    {"seccomp notify", NULL, NULL, ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", NULL, U,
     "linux.seccomp.defaultAction"},
    {"seccomp unknown name denied", NULL, NULL,
     ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":"
     "[\"future\"],\"action\":\"SCMP_ACT_ALLOW\"}]}",
     NULL, 0, NULL},
    {"seccomp unknown name allowed", NULL, NULL,
     ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":"
     "[\"future\"],\"action\":\"SCMP_ACT_ERRNO\"}]}",
     NULL, I, "linux.seccomp.syscalls[0].names[0]"},
    {"seccomp arch", NULL, NULL,
     ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_Z80\"]}", NULL, U,
     "linux.seccomp.architectures[0]"},
    {"seccomp argument", NULL, NULL,
     ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
     "\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":6,\"value\":0,\"op\":\"SCMP_CMP_EQ\"}]}]}",
     NULL, I, "linux.seccomp.syscalls[0].args[0].index"},
    {"seccomp listener", NULL, NULL, ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\"}",
     NULL, U, "linux.seccomp.listenerPath"},
    {"terminal", NULL, NULL, NULL, ",\"args\":[\"x\"],\"terminal\":true,\"consoleSize\":{\"height\":50,\"width\":132}",
     0, NULL},
    {"terminal too high", NULL, NULL, NULL,
     ",\"args\":[\"x\"],\"terminal\":true,\"consoleSize\":{\"height\":65536,\"width\":1}", I,
     "process.consoleSize.height"},
    {"terminal without width", NULL, NULL, NULL,
     ",\"args\":[\"x\"],\"terminal\":true,\"consoleSize\":{\"height\":5,\"width\":0}", I, "process.consoleSize"},
    {"size of no terminal", NULL, NULL, NULL, ",\"args\":[\"x\"],\"consoleSize\":{\"height\":5,\"width\":0}", 0, NULL},
    {"no args", NULL, NULL, NULL, "", I, "process.args"},
    {"env inside", NULL, NULL, NULL, ",\"args\":[\"x\"],\"env\":[\"A=b\"]", U, "process.env"},
    {"user name", NULL, NULL, NULL, ",\"args\":[\"x\"],\"user\":{\"username\":\"x\"}", U, "process.user.username"},
    {"uid of minus one", NULL, NULL, NULL, ",\"args\":[\"x\"],\"user\":{\"uid\":4294967295}", I, "process.user.uid"},
    {"uid too big", NULL, NULL, NULL, ",\"args\":[\"x\"],\"user\":{\"uid\":4294967296}", I, "process.user.uid"},
    {"uid not mapped", NULL, USER, NULL, ",\"args\":[\"x\"],\"user\":{\"uid\":65536}", I, "process.user.uid"},
    {"group not mapped", NULL, USER, NULL, ",\"args\":[\"x\"],\"user\":{\"additionalGids\":[1,70000]}", I,
     "process.user.additionalGids[1]"},
    {"relative cwd", NULL, NULL, NULL, "{\"args\":[\"x\"],\"cwd\":\"x\"}", I, "process.cwd"},
    {"no cwd", NULL, NULL, NULL, "{\"args\":[\"x\"]}", I, "process.cwd"},
    {"duplicate key", NULL, NULL, NULL, ",\"args\":[\"x\"],\"cwd\":\"x\"", I, "cwd"},
    {"no such rlimit", NULL, NULL, NULL,
     ",\"args\":[\"x\"],\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]", I, "process.rlimits[0]"},
    {"rlimit twice", NULL, NULL, NULL,
     ",\"args\":[\"x\"],\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":1,\"hard\":1},{\"type\":"
     "\"RLIMIT_CORE\",\"soft\":1,\"hard\":1}]",
     I, "process.rlimits[1]"},
    {"soft above hard", NULL, NULL, NULL,
     ",\"args\":[\"x\"],\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":2,\"hard\":1}]", I, "process.rlimits[0]"},
    {"no capability", NULL, NULL, NULL, ",\"args\":[\"x\"],\"capabilities\":{\"bounding\":[\"CAP_X\"]}", I,
     "process.capabilities.bounding[0]"},
    {"effective, not permitted", NULL, NULL, NULL, ",\"args\":[\"x\"],\"capabilities\":{\"effective\":[\"CAP_KILL\"]}",
     I, "process.capabilities.effective"},
    {"apparmor", NULL, NULL, NULL, ",\"args\":[\"x\"],\"apparmorProfile\":\"x\"", U, "process.apparmorProfile"},
    {"no apparmor", NULL, NULL, NULL, ",\"args\":[\"x\"],\"apparmorProfile\":\"\"", 0, NULL},
    {"oom score", NULL, NULL, NULL, ",\"args\":[\"x\"],\"oomScoreAdj\":1001", I, "process.oomScoreAdj"},
};

static void test_cases(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct cloister_error err;
        struct ns_compile c;
        int rc = compile(&c, &cases[i], NULL, &err);
        int fd = -1;
        const char *where = "";

        if ((rc < 0) != (cases[i].code != 0) || (rc < 0 && err.code != cases[i].code))
            fail_msg("%s: result %d, code %u (%s), subject '%s'", cases[i].name, rc, err.code, err.chain, err.subject);
        if (rc < 0 && strcmp(err.subject, cases[i].path) != 0)
            fail_msg("%s: subject '%s', not '%s'", cases[i].name, err.subject, cases[i].path);
        /* What is accepted is what the keeper will accept. */
        if (rc == 0 && cl_plan_seal(&c.plan, c.need_count, &fd, &where) < 0)
            fail_msg("%s: the keeper would refuse it at '%s'", cases[i].name, where);
        if (fd >= 0)
            close(fd);
        ns_compile_clear(&c);
    }
}

/* A path is the subject of what is wrong with it, or stands before a sentence of its own. */
static void test_sentences(void **state)
{
    static const struct {
        struct parts parts;
        const char *sentence;
    } refused[] = {
        {{"predicate", "\"vm\":{},"}, "'vm' is not supported: containers share the host's kernel"},
        {{"required", NULL, NULL, ",\"devices\":[{\"type\":\"c\",\"path\":\"/dev/x\"}]"},
         "'linux.devices[0]' needs major and minor"},
        {{"clause", NULL, ",{\"type\":\"universe\"}"}, "linux.namespaces[1].type: 'universe' is no namespace"},
    };

    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        struct cloister_error err;
        struct ns_compile c;

        if (compile(&c, &refused[i].parts, NULL, &err) == 0 || strcmp(err.chain, refused[i].sentence) != 0)
            fail_msg("%s: '%s', not '%s'", refused[i].parts.name, err.chain, refused[i].sentence);
        ns_compile_clear(&c);
    }
}

static const struct cl_wire_mount *mounts(const struct ns_compile *c, size_t *ret_count)
{
    *ret_count = c->plan.section[CL_WIRE_MOUNTS].size / sizeof(struct cl_wire_mount);
    return (const void *)c->plan.section[CL_WIRE_MOUNTS].data;
}

static const char *string(const struct ns_compile *c, cl_wire_str offset)
{
    return c->plan.section[CL_WIRE_STRINGS].data + offset;
}

static void test_mount_options(void **state)
{
    static const struct parts p = {
        "options",
        "\"mounts\":[{\"destination\":\"/a\",\"type\":\"tmpfs\",\"options\":[\"ro\",\"nosuid\",\"rw\",\"strictatime\","
        "\"mode=755\",\"size=1,2\",\"rslave\"]},{\"destination\":\"/b\",\"source\":\"/"
        "src\",\"options\":[\"rbind\",\"ro\",\"nodev\"]}],",
        NULL,
        NULL,
        NULL,
        0,
        NULL};
    struct cloister_error err;
    struct ns_compile c;
    const struct cl_wire_option *options;
    const struct cl_wire_mount *list;
    size_t count;

    assert_int_equal(compile(&c, &p, NULL, &err), 0);
    list = mounts(&c, &count);
    options = (const void *)c.plan.section[CL_WIRE_OPTIONS].data;
    assert_int_equal(count, 2);
    assert_int_equal(list[0].attr_set, MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME);
    assert_int_equal(list[0].attr_clr, MOUNT_ATTR__ATIME);
    assert_int_equal(list[0].option_count, 2);
    assert_string_equal(string(&c, options[1].key), "size");
    assert_string_equal(string(&c, options[1].value), "1,2"); /* a comma is data (H1.1.18) */
    assert_int_equal(list[1].kind, CL_WIRE_MOUNT_BIND);
    assert_int_equal(list[1].attr_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
    assert_int_equal(c.needs[list[1].fd].kind, NS_NEED_BIND);
    assert_int_equal(c.needs[list[1].fd].recursive, 1);
    assert_string_equal(c.needs[list[1].fd].path, "/src");
    ns_compile_clear(&c);
}

/* However /dev is spelt: what is mounted there gets the default nodes. */
static void test_spellings_of_dev(void **state)
{
    static const char *const spellings[] = {"/dev", "/dev/", "//dev", "/./dev", "/dev/.", "/.//dev/./", "/dev/x/"};

    for (size_t i = 0; i < sizeof(spellings) / sizeof(*spellings); i++) {
        NS_FREE char *top = ns_format("\"mounts\":[{\"destination\":\"%s\",\"type\":\"tmpfs\"}],", spellings[i]);
        struct parts p = {.name = spellings[i], .top = top};
        bool dev = strchr(spellings[i], 'x') == NULL;
        struct cloister_error err;
        struct ns_compile c;
        size_t count;

        assert_int_equal(compile(&c, &p, NULL, &err), 0);
        assert_string_equal(string(&c, mounts(&c, &count)->target), dev ? "/dev" : "/dev/x");
        if (c.plan.section[CL_WIRE_DEVICES].size != (dev ? 6 : 0) * sizeof(struct cl_wire_device))
            fail_msg("%s: default nodes", spellings[i]);
        ns_compile_clear(&c);
    }
}

static void put_maps(FILE *file, const char *key, unsigned count, unsigned first)
{
    fprintf(file, ",\"%s\":[", key);
    for (unsigned i = 0; i < count; i++)
        fprintf(file, "%s{\"containerID\":%u,\"hostID\":%u,\"size\":1}", i ? "," : "", i, first + i);
    fputc(']', file);
}

static void put_names(FILE *file, unsigned count)
{
    fputs(",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"action\":\"SCMP_ACT_ALLOW\",\"names\":[",
          file);
    for (unsigned i = 0; i < count; i++)
        fprintf(file, "%s\"read\"", i ? "," : "");
    fputs("]}]}", file);
}

/* Lists up to their bound, and one item beyond it. */
static void test_bounds(void **state)
{
    static const struct {
        const char *name;
        unsigned maps;
        unsigned first; /* host id */
        unsigned names;
        uint32_t code;
        const char *path;
    } bounds[] = {
        {"340 maps", 340, 1, 0, 0, NULL},
        {"341 maps", 341, 1, 0, I, "linux.uidMappings[340]"},
        {"a page of maps", 247, 2000000000, 0, 0, NULL},
        {"more than a page of maps", 248, 2000000000, 0, I, "linux.uidMappings[247]"},
        {"4096 names", 0, 0, 4096, 0, NULL},
        {"4097 names", 0, 0, 4097, CLOISTER_LIMIT, "linux.seccomp.syscalls[0].names[4096]"},
    };
    static char kernel[65536];

    for (size_t i = 0; i < sizeof(bounds) / sizeof(*bounds); i++) {
        struct parts p = {.name = bounds[i].name, .ns = USER, .kernel = kernel};
        FILE *file = fmemopen(kernel, sizeof(kernel), "w");
        struct cloister_error err;
        struct ns_compile c;
        int rc;

        assert_non_null(file);
        put_maps(file, "uidMappings", bounds[i].maps, bounds[i].first);
        put_maps(file, "gidMappings", bounds[i].maps, bounds[i].first);
        put_names(file, bounds[i].names ? bounds[i].names : 1);
        fclose(file);
        rc = compile(&c, &p, NULL, &err);
        if ((rc < 0) != (bounds[i].code != 0) ||
            (rc < 0 && (err.code != bounds[i].code || strcmp(err.subject, bounds[i].path) != 0)))
            fail_msg("%s: result %d, code %u, subject '%s'", bounds[i].name, rc, err.code, err.subject);
        ns_compile_clear(&c);
    }
}

static struct ns_need namespace_need(char *path, uint32_t type)
{
    return (struct ns_need){.kind = NS_NEED_NAMESPACE, .type = type, .path = path, .where = "linux.namespaces[0].path"};
}

/* What is named as a namespace and is none is not opened, not even to look at it. */
static void test_open_namespace(void **state)
{
    char dir[] = "/tmp/cl-namespace-XXXXXX";
    NS_FREE char *fifo = mkdtemp(dir) ? ns_format("%s/fifo", dir) : NULL;
    int opens = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    struct inotify_event event;
    struct cloister_error err;
    struct ns_compile c = {.r = ns_test_reader(&err)};
    struct ns_need needs[] = {namespace_need((char[]){"/proc/self/ns/net"}, CLONE_NEWNET),
                              namespace_need((char[]){"/proc/self/ns/net"}, CLONE_NEWUTS), namespace_need(fifo, 0)};
    int fd;

    assert_non_null(fifo);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_true(inotify_add_watch(opens, fifo, IN_OPEN) >= 0);
    c.needs = needs;
    fd = ns_open_need(&c, 0, NULL, NULL);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(ns_open_need(&c, 1, NULL, NULL), -1);
    assert_int_equal(err.code, CLOISTER_INVALID);
    assert_int_equal(ns_open_need(&c, 2, NULL, NULL), -1);
    assert_int_equal(err.code, CLOISTER_INVALID);
    assert_int_equal(read(opens, &event, sizeof(event)), -1);
    close(opens);
    unlink(fifo);
    rmdir(dir);
}

static void test_cgroup_mounts(void **state)
{
    static const struct parts spec[] = {
        {"binds", "\"mounts\":[{\"destination\":\"/g\",\"type\":\"cgroup\",\"options\":[\"ro\"]}],", NULL, NULL, NULL,
         0, NULL},
        {"mounts", "\"mounts\":[{\"destination\":\"/g\",\"type\":\"cgroup\",\"options\":[\"ro\"]}],",
         ",{\"type\":\"cgroup\"}", NULL, NULL, 0, NULL},
    };

    for (int i = 0; i < 2; i++) {
        struct cloister_error err;
        struct ns_compile c;
        const struct cl_wire_mount *list;
        size_t count;

        assert_int_equal(compile(&c, &spec[i], NULL, &err), 0);
        list = mounts(&c, &count);
        assert_int_equal(count, 1 + machine.hierarchies.count);
        assert_string_equal(string(&c, list[0].type), "tmpfs");
        for (size_t k = 1; k < count; k++) {
            assert_int_equal(list[k].kind, i ? CL_WIRE_MOUNT_FS : CL_WIRE_MOUNT_BIND);
            assert_int_equal(list[k].attr_set, MOUNT_ATTR_RDONLY);
            if (!i)
                assert_int_equal(c.needs[list[k].fd].kind, NS_NEED_GROUP_TREE);
        }
        ns_compile_clear(&c);
    }
}

static const struct ns_write *find_write(const struct ns_compile *c, const char *file, unsigned number)
{
    for (uint32_t i = 0; i < c->write_count; i++)
        if (strcmp(c->writes[i].file, file) == 0 && number-- == 0)
            return &c->writes[i];
    return NULL;
}

static void test_writes(void **state)
{
    static const struct parts p = {"writes",
                                   "\"mounts\":[{\"destination\":\"/dev\",\"type\":\"tmpfs\"}],",
                                   NULL,
                                   ",\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},{\"allow\":true,"
                                   "\"access\":\"r\"},{\"allow\":true,\"type\":"
                                   "\"c\",\"major\":10,\"minor\":229}],\"memory\":{\"swap\":200,\"limit\":100,"
                                   "\"reservation\":50},\"cpu\":{\"quota\":5000,"
                                   "\"period\":10000,\"shares\":2},\"pids\":{\"limit\":-1}}",
                                   NULL,
                                   0,
                                   NULL};
    static const char *const order[] = {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "cpu.shares",
                                        "cpu.cfs_period_us", "cpu.cfs_quota_us"};
    struct cloister_error err;
    struct ns_compile c;

    assert_int_equal(compile(&c, &p, NULL, &err), 0);
    assert_string_equal(c.writes[0].file, "devices.deny"); /* everything, before any rule (H1.3.8) */
    assert_string_equal(c.writes[0].value, "a");
    assert_string_equal(find_write(&c, "devices.allow", 0)->value, "c *:* r");
    assert_string_equal(find_write(&c, "devices.allow", 1)->value, "b *:* r");
    assert_string_equal(find_write(&c, "devices.allow", 2)->value, "c 10:229 rwm");
    assert_string_equal(find_write(&c, "devices.allow", 5)->value, "c 1:3 rwm");
    assert_string_equal(find_write(&c, "pids.max", 0)->value, "max");
    for (size_t i = 0; i + 1 < sizeof(order) / sizeof(*order); i++)
        assert_true(find_write(&c, order[i], 0) < find_write(&c, order[i + 1], 0));
    ns_compile_clear(&c);
}

static void test_capabilities(void **state)
{
    static const struct parts p = {
        "caps",
        NULL,
        NULL,
        NULL,
        ",\"args\":[\"x\"],\"capabilities\":{\"bounding\":[\"CAP_KILL\",\"CAP_SYS_RESOURCE\"],\"permitted\":[\"CAP_"
        "KILL\",\"CAP_CHOWN\"],"
        "\"effective\":[\"CAP_KILL\"],\"inheritable\":[\"CAP_CHOWN\"],\"ambient\":[\"CAP_KILL\",\"CAP_CHOWN\"]}",
        0,
        NULL};
    struct cloister_error err;
    struct ns_compile c;

    assert_int_equal(compile(&c, &p, NULL, &err), 0);
    assert_int_equal(c.plan.head.cap_bounding, 1u << 5);
    assert_int_equal(c.plan.head.cap_permitted, 1u << 5 | 1u);
    assert_int_equal(c.plan.head.cap_effective, 1u << 5);
    assert_int_equal(c.plan.head.cap_inheritable, 1u);
    assert_int_equal(c.plan.head.cap_ambient, 1u);
    assert_int_equal(c.warning_count, 2);
    assert_string_equal(c.warnings[0].where, "process.capabilities");
    assert_string_equal(c.warnings[0].text, "CAP_SYS_RESOURCE cannot be given: not in this machine's bounding set");
    assert_string_equal(c.warnings[1].where, "process.capabilities.ambient");
    assert_string_equal(c.warnings[1].text, "CAP_KILL left out: an ambient capability must be inheritable too");
    ns_compile_clear(&c);
}

static void test_ids_and_flags(void **state)
{
    static const struct parts own = {"own", NULL, USER NET, NULL, NULL, 0, NULL};
    static const struct parts literal = {
        "literal",
        NULL,
        USER,
        ",\"uidMappings\":[{\"containerID\":0,\"hostID\":7,\"size\":2}],\"gidMappings\":[{\"containerID\":0,"
        "\"hostID\":8,\"size\":2}]",
        NULL,
        0,
        NULL};
    struct cloister_error err;
    struct ns_compile c;
    const struct cl_wire_map *map;

    assert_int_equal(compile(&c, &own, NULL, &err), 0);
    map = (const void *)c.plan.section[CL_WIRE_UID_MAP].data;
    assert_int_equal(map->outside, 100000);
    assert_int_equal(map->count, 65536);
    assert_int_equal(c.plan.head.flags & (CL_WIRE_PLAN_ROOT_IDMAP | CL_WIRE_PLAN_ROOT_READONLY | CL_WIRE_PLAN_LOOPBACK |
                                          CL_WIRE_PLAN_KEYRING | CL_WIRE_PLAN_NO_NEW_PRIVS),
                     CL_WIRE_PLAN_ROOT_IDMAP | CL_WIRE_PLAN_ROOT_READONLY | CL_WIRE_PLAN_LOOPBACK |
                         CL_WIRE_PLAN_KEYRING);
    ns_compile_clear(&c);
    assert_int_equal(compile(&c, &literal, NULL, &err), 0);
    map = (const void *)c.plan.section[CL_WIRE_GID_MAP].data;
    assert_int_equal(map->outside, 8);
    ns_compile_clear(&c);
}

/* The value of a variable is in no error (H1.2.8). */
static void test_environment(void **state)
{
    static const char *const bad[] = {"SECRET-without-equals", "=SECRET"};
    struct cloister_error err;
    struct ns_compile c;

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(compile(&c, &cases[0], bad[i], &err), -1);
        assert_string_equal(err.subject, "process.env[0]");
        assert_null(memmem(err.chain, sizeof(err.chain), "SECRET", 6));
        ns_compile_clear(&c);
    }
    assert_int_equal(compile(&c, &cases[0], "A=b\nc", &err), 0);
    ns_compile_clear(&c);
}

/* The installed profiles, as callers use them, are accepted whole. */
static void test_profiles(void **state)
{
    static const char *const names[] = {"default", "privileged"};

    for (size_t i = 0; i < 2; i++) {
        NS_FREE char *path = ns_format("%s/%s.json", profiles, names[i]), *text = NULL;
        struct cloister_container_args args = {CLOISTER_INIT(struct cloister_container_args),
                                               .init = CLOISTER_INIT_PAUSE, .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY,
                                               .rootfs = CLOISTER_SV("/r")};
        struct cloister_error err;
        struct ns_reader r = ns_test_reader(&err);
        struct cloister_sv printed;
        cloister_value *doc;
        struct ns_compile c;

        assert_int_equal(ns_read_file(path, 65536, &text), 0);
        assert_int_equal(ns_parse(&r, ns_view(text), "profile", &doc), 0);
        assert_int_equal(ns_check_process(&r, ns_get(&r, doc, "process")), 0);
        assert_int_equal(r.value->remove(doc, CLOISTER_SV("process")), 1);
        assert_int_equal(r.value->print(doc, 0, &printed), 0);
        args.spec = printed;
        ns_compile_init(&c, &r, &machine, CL_WIRE_PLAN_CONTAINER);
        c.range = (struct ns_range){100000, 65536};
        if (ns_compile_container(&c, &args) < 0)
            fail_msg("%s: %s", names[i], err.chain);
        assert_int_equal(c.plan.head.flags & CL_WIRE_PLAN_PAUSE, CL_WIRE_PLAN_PAUSE);
        assert_int_equal(c.seccomp != NULL, i == 0);
        ns_compile_clear(&c);
        r.value->free_text(printed);
        r.value->free(doc);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),         cmocka_unit_test(test_mount_options),
        cmocka_unit_test(test_cgroup_mounts), cmocka_unit_test(test_writes),
        cmocka_unit_test(test_capabilities),  cmocka_unit_test(test_ids_and_flags),
        cmocka_unit_test(test_environment),   cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_sentences),     cmocka_unit_test(test_spellings_of_dev),
        cmocka_unit_test(test_bounds),        cmocka_unit_test(test_open_namespace),
    };
    int rc;

    if (argc != 2 || ns_hierarchies_parse(NS_TEST_MOUNTINFO("/sys/fs/cgroup"), &machine.hierarchies) < 0)
        return 1;
    profiles = argv[1];
    machine.bounding = ~(1ull << 24); /* without CAP_SYS_RESOURCE */
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    ns_hierarchies_clear(&machine.hierarchies);
    return rc;
}

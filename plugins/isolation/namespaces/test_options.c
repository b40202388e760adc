/* SPDX-License-Identifier: Apache-2.0 */
/* test_options.c - every mount option of the OCI's list, alone and in company, on each kind of mount. */
#include "test_spec.h"

#include <linux/mount.h>
#include <sys/mount.h>

static struct ns_machine machine;

#define RO MOUNT_ATTR_RDONLY
#define NOSUID MOUNT_ATTR_NOSUID
#define NODEV MOUNT_ATTR_NODEV
#define NOEXEC MOUNT_ATTR_NOEXEC
#define NOLINK MOUNT_ATTR_NOSYMFOLLOW
#define NODIR MOUNT_ATTR_NODIRATIME
#define ATIME MOUNT_ATTR__ATIME
#define NOA MOUNT_ATTR_NOATIME
#define STRICT MOUNT_ATTR_STRICTATIME
#define REC CL_WIRE_MOUNT_RECURSIVE

/* What one entry of the plan must be. */
struct wanted {
    uint32_t kind;
    uint32_t flags;
    uint64_t set;
    uint64_t clear;
    uint32_t propagation;
    const char *data; /* keys in order, each followed by a space */
};

struct words {
    const char *words; /* separated by spaces */
    const char *type;  /* "bind": with a source */
    int refused;       /* index of the refused word, or -1 */
    struct wanted wanted[2];
};

#define FS(...)                               \
    {                                         \
        .kind = CL_WIRE_MOUNT_FS, __VA_ARGS__ \
    }
#define BIND(...)                               \
    {                                           \
        .kind = CL_WIRE_MOUNT_BIND, __VA_ARGS__ \
    }
#define CHANGE(...)                               \
    {                                             \
        .kind = CL_WIRE_MOUNT_CHANGE, __VA_ARGS__ \
    }

static const struct words cases[] = {
    /* the OCI's list, in its order */
    {"async", "tmpfs", -1, {FS()}},
    {"atime", "tmpfs", -1, {FS()}},
    {"bind", "tmpfs", -1, {BIND()}},
    {"defaults", "tmpfs", -1, {FS()}},
    {"dev", "tmpfs", -1, {FS()}},
    {"diratime", "tmpfs", -1, {FS()}},
    {"dirsync", "tmpfs", -1, {FS(.data = "dirsync ")}},
    {"exec", "tmpfs", -1, {FS()}},
    {"iversion", "tmpfs", 0},
    {"lazytime", "tmpfs", -1, {FS(.data = "lazytime ")}},
    {"loud", "tmpfs", -1, {FS()}},
    {"mand", "tmpfs", 0},
    {"noatime", "tmpfs", -1, {FS(.set = NOA, .clear = ATIME)}},
    {"nodev", "tmpfs", -1, {FS(.set = NODEV)}},
    {"nodiratime", "tmpfs", -1, {FS(.set = NODIR)}},
    {"noexec", "tmpfs", -1, {FS(.set = NOEXEC)}},
    {"noiversion", "tmpfs", -1, {FS()}},
    {"nolazytime", "tmpfs", -1, {FS()}},
    {"nomand", "tmpfs", -1, {FS()}},
    {"norelatime", "tmpfs", -1, {FS()}},
    {"nostrictatime", "tmpfs", -1, {FS()}},
    {"nosuid", "tmpfs", -1, {FS(.set = NOSUID)}},
    {"nosymfollow", "tmpfs", -1, {FS(.set = NOLINK)}},
    {"private", "bind", -1, {BIND(.propagation = MS_PRIVATE)}},
    {"ratime", "bind", -1, {BIND()}},
    {"rbind", "tmpfs", -1, {BIND()}},
    {"rdev", "bind", -1, {BIND()}},
    {"rdiratime", "bind", -1, {BIND()}},
    {"relatime", "tmpfs", -1, {FS(.clear = ATIME)}},
    {"remount", "tmpfs", -1, {CHANGE()}},
    {"rexec", "bind", -1, {BIND()}},
    {"rbind rnoatime", "bind", -1, {BIND(.flags = REC, .set = NOA, .clear = ATIME)}},
    {"rbind rnodiratime", "bind", -1, {BIND(.flags = REC, .set = NODIR)}},
    {"rbind rnoexec", "bind", -1, {BIND(.flags = REC, .set = NOEXEC)}},
    {"rbind rnorelatime", "bind", -1, {BIND(.flags = REC)}},
    {"rbind rnostrictatime", "bind", -1, {BIND(.flags = REC)}},
    {"rbind rnosuid", "bind", -1, {BIND(.flags = REC, .set = NOSUID)}},
    {"rbind rnodev", "bind", -1, {BIND(.flags = REC, .set = NODEV)}},
    {"rbind rnosymfollow", "bind", -1, {BIND(.flags = REC, .set = NOLINK)}},
    {"ro", "tmpfs", -1, {FS(.set = RO)}},
    {"rprivate", "bind", -1, {BIND(.propagation = MS_PRIVATE | MS_REC)}},
    {"rbind rrelatime", "bind", -1, {BIND(.flags = REC, .clear = ATIME)}},
    {"rbind rro", "bind", -1, {BIND(.flags = REC, .set = RO)}},
    {"rbind rrw", "bind", -1, {BIND(.flags = REC)}},
    {"rshared", "bind", -1, {BIND(.propagation = MS_SHARED | MS_REC)}},
    {"rslave", "bind", -1, {BIND(.propagation = MS_SLAVE | MS_REC)}},
    {"rbind rstrictatime", "bind", -1, {BIND(.flags = REC, .set = STRICT, .clear = ATIME)}},
    {"rbind rsuid", "bind", -1, {BIND(.flags = REC)}},
    {"rbind rsymfollow", "bind", -1, {BIND(.flags = REC)}},
    {"runbindable", "bind", -1, {BIND(.propagation = MS_UNBINDABLE | MS_REC)}},
    {"rw", "tmpfs", -1, {FS()}},
    {"shared", "bind", -1, {BIND(.propagation = MS_SHARED)}},
    {"silent", "tmpfs", -1, {FS()}},
    {"slave", "bind", -1, {BIND(.propagation = MS_SLAVE)}},
    {"strictatime", "tmpfs", -1, {FS(.set = STRICT, .clear = ATIME)}},
    {"suid", "tmpfs", -1, {FS()}},
    {"symfollow", "tmpfs", -1, {FS()}},
    {"sync", "tmpfs", -1, {FS(.data = "sync ")}},
    {"tmpcopyup", "tmpfs", 0},
    {"unbindable", "bind", -1, {BIND(.propagation = MS_UNBINDABLE)}},
    /* in company */
    {"ro nosuid rw", "tmpfs", -1, {FS(.set = NOSUID)}},
    {"noatime strictatime", "tmpfs", -1, {FS(.set = STRICT, .clear = ATIME)}},
    {"noatime atime", "tmpfs", -1, {FS()}},
    {"noatime nostrictatime", "tmpfs", -1, {FS(.set = NOA, .clear = ATIME)}},
    {"sync dirsync async", "tmpfs", -1, {FS(.data = "dirsync ")}},
    {"lazytime size=1 nolazytime", "tmpfs", -1, {FS(.data = "size ")}},
    {"rro", "tmpfs", -1, {FS(.set = RO)}}, /* a mount that is alone is its whole tree */
    {"bind rro nosuid", "bind", -1, {BIND(.set = RO | NOSUID)}},
    {"rbind rro nosuid",
     "bind",
     -1,
     {BIND(.flags = REC, .set = RO), CHANGE(.set = NOSUID)}}, /* both kinds: two calls */
    {"nosuid rbind rnoatime strictatime",
     "bind",
     -1,
     {BIND(.flags = REC, .set = NOA, .clear = ATIME), CHANGE(.set = NOSUID | STRICT, .clear = ATIME)}},
    {"remount rw nosuid", "tmpfs", -1, {CHANGE(.set = NOSUID, .clear = RO)}}, /* only a remount clears */
    {"remount bind ro", "bind", -1, {CHANGE(.set = RO)}},
    {"remount atime", "bind", -1, {CHANGE(.clear = ATIME)}},
    {"remount rro exec rslave",
     "bind",
     -1,
     {CHANGE(.flags = REC, .set = RO), CHANGE(.clear = NOEXEC, .propagation = MS_SLAVE | MS_REC)}},
    {"remount shared rro", "bind", -1, {CHANGE(.flags = REC, .set = RO, .propagation = MS_SHARED)}},
    /* refused */
    {"ro frob", "tmpfs", 1},
    {"bind sync", "tmpfs", 1},
    {"dirsync", "bind", 0},
    {"remount lazytime", "tmpfs", 1},
    {"remount size=1", "tmpfs", 1},
    {"rremount", "tmpfs", 0},
    {"rbind rrro", "bind", 1},
    {"size=1", "bind", 0},
    {"r", "tmpfs", 0},
    {"", "tmpfs", 0},
    {"sync", "cgroup", 0},
};

static int compile(struct ns_compile *c, const struct words *one, struct cloister_error *err)
{
    char top[1024], *at = top;
    const char *word = one->words;
    struct ns_test_spec spec = {.top = top, .namespaces = ",{\"type\":\"cgroup\"}"};

    at += sprintf(at, ",\"mounts\":[{\"destination\":\"/a\",\"type\":\"%s\",\"source\":\"/src\",\"options\":[",
                  one->type);
    do {
        size_t length = strcspn(word, " ");

        at += sprintf(at, "%s\"%.*s\"", word == one->words ? "" : ",", (int)length, word);
        word += length;
    } while (*word++);
    sprintf(at, "]}]");
    return ns_test_compile(c, &machine, &spec, err);
}

static void check_data(const struct ns_compile *c, const struct cl_wire_mount *mount, const struct words *one,
                       const char *wanted)
{
    size_t count;
    const struct cl_wire_option *option = ns_test_items(c, CL_WIRE_OPTIONS, sizeof(*option), &count);
    char keys[256] = "";

    for (uint32_t i = 0; i < mount->option_count; i++) {
        strcat(keys, ns_test_string(c, option[mount->option_first + i].key));
        strcat(keys, " ");
    }
    if (strcmp(keys, wanted ? wanted : "") != 0)
        fail_msg("'%s': file system options '%s', not '%s'", one->words, keys, wanted ? wanted : "");
}

static void check_plan(const struct ns_compile *c, const struct words *one)
{
    size_t count, wanted = one->wanted[1].kind ? 2 : 1;
    const struct cl_wire_mount *mount = ns_test_items(c, CL_WIRE_MOUNTS, sizeof(*mount), &count);

    if (count != wanted)
        fail_msg("'%s': %zu entries in the plan, not %zu", one->words, count, wanted);
    for (size_t i = 0; i < count; i++) {
        const struct wanted *w = &one->wanted[i];

        if (mount[i].kind != w->kind || mount[i].flags != w->flags || mount[i].propagation != w->propagation)
            fail_msg("'%s', entry %zu: kind %u, flags %u, propagation %#x", one->words, i, mount[i].kind,
                     mount[i].flags, mount[i].propagation);
        if (mount[i].attr_set != w->set || mount[i].attr_clr != w->clear)
            fail_msg("'%s', entry %zu: sets %#llx, clears %#llx", one->words, i, (unsigned long long)mount[i].attr_set,
                     (unsigned long long)mount[i].attr_clr);
        check_data(c, &mount[i], one, w->data);
    }
}

static void test_words(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct words *one = &cases[i];
        struct cloister_error err;
        struct ns_compile c;
        char path[64];
        int rc = compile(&c, one, &err);

        snprintf(path, sizeof(path), "mounts[0].options[%d]", one->refused);
        if (one->refused >= 0 && (rc == 0 || err.code != CLOISTER_UNSUPPORTED || strcmp(err.subject, path) != 0))
            fail_msg("'%s': not refused at '%s' but: %s", one->words, path, rc < 0 ? err.chain : "accepted");
        if (one->refused < 0 && rc < 0)
            fail_msg("'%s': %s", one->words, err.chain);
        if (rc == 0) {
            check_plan(&c, one);
            ns_test_seal(&c, one->words);
        }
        ns_compile_clear(&c);
    }
}

/* The tree that is opened is the whole one for rbind only. */
static void test_whole_trees(void **state)
{
    static const struct words kinds[] = {{"bind", "none"}, {"rbind", "none"}};

    for (uint32_t i = 0; i < 2; i++) {
        struct cloister_error err;
        struct ns_compile c;

        assert_int_equal(compile(&c, &kinds[i], &err), 0);
        assert_int_equal(c.needs[c.plan.head.root_fd].kind, NS_NEED_ROOT);
        for (uint32_t n = 0; n < c.need_count; n++)
            if (c.needs[n].kind == NS_NEED_BIND)
                assert_int_equal(c.needs[n].recursive, i);
        ns_compile_clear(&c);
    }
}

static void test_root_propagation(void **state)
{
    static const struct {
        const char *word;
        uint32_t flags;
    } words[] = {{"private", MS_PRIVATE},
                 {"rprivate", MS_PRIVATE | MS_REC},
                 {"slave", MS_SLAVE},
                 {"rslave", MS_SLAVE | MS_REC},
                 {"shared", MS_SHARED},
                 {"rshared", MS_SHARED | MS_REC},
                 {"unbindable", MS_UNBINDABLE},
                 {"runbindable", MS_UNBINDABLE | MS_REC},
                 {"bind", 0}};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        NS_FREE char *kernel = ns_format(",\"rootfsPropagation\":\"%s\"", words[i].word);
        struct ns_test_spec spec = {.kernel = kernel};
        struct cloister_error err;
        struct ns_compile c;
        int rc = ns_test_compile(&c, &machine, &spec, &err);

        if ((rc < 0) != (words[i].flags == 0) || c.plan.head.root_propagation != words[i].flags)
            fail_msg("%s: result %d, %#x", words[i].word, rc, c.plan.head.root_propagation);
        if (rc < 0)
            assert_string_equal(err.subject, "linux.rootfsPropagation");
        ns_compile_clear(&c);
    }
}

#define UIDS \
    "\"uidMappings\":[{\"containerID\":0,\"hostID\":7,\"size\":2},{\"containerID\":5,\"hostID\":10,\"size\":1}]"
#define GIDS "\"gidMappings\":[{\"containerID\":1,\"hostID\":9,\"size\":3}]"

static void test_mappings(void **state)
{
    static const struct {
        const char *name;
        const char *members; /* of the mount, after its destination */
        const char *namespaces;
        uint32_t code;
        const char *path; /* or what the flags are */
        uint32_t flags;
        bool own;
    } mapped[] = {
        {"maps", "\"type\":\"bind\",\"source\":\"/b\"," UIDS "," GIDS, NULL, 0, NULL, CL_WIRE_MOUNT_IDMAP, true},
        {"maps of a tree", "\"options\":[\"rbind\",\"ridmap\"],\"source\":\"/b\"," UIDS "," GIDS, NULL, 0, NULL,
         CL_WIRE_MOUNT_IDMAP | CL_WIRE_MOUNT_IDMAP_WHOLE, true},
        {"the container's", "\"options\":[\"bind\",\"idmap\"],\"source\":\"/b\"", ",{\"type\":\"user\"}", 0, NULL,
         CL_WIRE_MOUNT_IDMAP, false},
        {"none to take", "\"options\":[\"bind\",\"idmap\"],\"source\":\"/b\"", NULL, CLOISTER_INVALID,
         "mounts[0].options[1]"},
        {"one list alone", "\"type\":\"bind\",\"source\":\"/b\"," UIDS, NULL, CLOISTER_INVALID,
         "mounts[0].gidMappings"},
        {"the other alone", "\"type\":\"bind\",\"source\":\"/b\"," GIDS, NULL, CLOISTER_INVALID,
         "mounts[0].uidMappings"},
        {"of a fresh file system", "\"type\":\"tmpfs\"," UIDS "," GIDS, NULL, CLOISTER_UNSUPPORTED,
         "mounts[0].uidMappings"},
        {"idmap of a fresh one", "\"type\":\"tmpfs\",\"options\":[\"ro\",\"idmap\"]", NULL, CLOISTER_UNSUPPORTED,
         "mounts[0].options[1]"},
        {"of a remount", "\"options\":[\"remount\",\"bind\"]," UIDS "," GIDS, NULL, CLOISTER_UNSUPPORTED,
         "mounts[0].uidMappings"},
        {"overlap",
         "\"type\":\"bind\",\"source\":\"/b\",\"uidMappings\":[{\"containerID\":0,\"hostID\":7,\"size\":2},"
         "{\"containerID\":1,\"hostID\":10,\"size\":1}]," GIDS,
         NULL, CLOISTER_INVALID, "mounts[0].uidMappings[1]"},
    };

    for (size_t i = 0; i < sizeof(mapped) / sizeof(*mapped); i++) {
        NS_FREE char *top = ns_format(",\"mounts\":[{\"destination\":\"/a\",%s}]", mapped[i].members);
        struct ns_test_spec spec = {.top = top, .namespaces = mapped[i].namespaces};
        const struct cl_wire_mount_map *item;
        const struct cl_wire_mount *mount;
        struct cloister_error err;
        struct ns_compile c;
        size_t count, mounts;
        int rc = ns_test_compile(&c, &machine, &spec, &err);

        if ((rc < 0) != (mapped[i].code != 0) ||
            (rc < 0 && (err.code != mapped[i].code || strcmp(err.subject, mapped[i].path) != 0)))
            fail_msg("%s: %s", mapped[i].name, rc < 0 ? err.chain : "accepted");
        if (rc == 0) {
            mount = ns_test_items(&c, CL_WIRE_MOUNTS, sizeof(*mount), &mounts);
            item = ns_test_items(&c, CL_WIRE_MOUNT_MAPS, sizeof(*item), &count);
            if (mount->flags != mapped[i].flags || count != mapped[i].own)
                fail_msg("%s: flags %u, %zu maps", mapped[i].name, mount->flags, count);
            if (count && (item->uid_count != 2 || item->gid_first != 2 || item->gid_count != 1))
                fail_msg("%s: spans", mapped[i].name);
            ns_test_seal(&c, mapped[i].name);
        }
        ns_compile_clear(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_whole_trees),
        cmocka_unit_test(test_root_propagation),
        cmocka_unit_test(test_mappings),
    };
    int rc;

    if (ns_hierarchies_parse(NS_TEST_MOUNTINFO("/sys/fs/cgroup"), &machine.hierarchies) < 0)
        return 1;
    machine.bounding = ~0ull;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    ns_hierarchies_clear(&machine.hierarchies);
    return rc;
}

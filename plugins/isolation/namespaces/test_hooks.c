/* SPDX-License-Identifier: Apache-2.0 */
/* test_hooks.c - hooks of the spec: which go to the keeper, which are kept, what they are told. */
#include "test_spec.h"

static struct ns_machine machine;

#define PID ",{\"type\":\"pid\"}"
#define ONE(point, members) .top = ",\"hooks\":{\"" point "\":[{" members "}]}"

static const struct {
    const char *name;
    struct ns_test_spec spec;
    uint32_t code;
    const char *path;
    uint32_t kept;    /* NS_HOOK_*, of the first */
    uint32_t planned; /* the keeper's point, of the first */
    bool point;
    uint32_t timeout_ms; /* of the first that is kept */
} cases[] = {
    {"none", {.top = ",\"hooks\":{}"}},
    {"prestart", {ONE("prestart", "\"path\":\"/h\"")}, 0, NULL, NS_HOOK_PRESTART, 0, true},
    {"createRuntime", {ONE("createRuntime", "\"path\":\"/h\"")}, 0, NULL, NS_HOOK_CREATE_RUNTIME, 0, true},
    {"createContainer",
     {ONE("createContainer", "\"path\":\"/h\""), .namespaces = PID},
     0,
     NULL,
     NS_HOOK_CREATE_CONTAINER,
     CL_WIRE_HOOK_CREATE_CONTAINER},
    {"createContainer beside others",
     {ONE("createContainer", "\"path\":\"/h\"")},
     CLOISTER_UNSUPPORTED,
     "hooks.createContainer[0]"},
    {"startContainer", {ONE("startContainer", "\"path\":\"/h\"")}, 0, NULL, 0, CL_WIRE_HOOK_START_CONTAINER},
    {"poststart", {ONE("poststart", "\"path\":\"/h\"")}, 0, NULL, NS_HOOK_POSTSTART},
    {"poststop", {ONE("poststop", "\"path\":\"/h\"")}, 0, NULL, NS_HOOK_POSTSTOP, .timeout_ms = 30000},
    {"poststop of 90 s",
     {ONE("poststop", "\"path\":\"/h\",\"timeout\":90")},
     0,
     NULL,
     NS_HOOK_POSTSTOP,
     .timeout_ms = 90000},
    {"relative", {ONE("poststop", "\"path\":\"h\"")}, CLOISTER_INVALID, "hooks.poststop[0].path"},
    {"upwards", {ONE("poststop", "\"path\":\"/a/../h\"")}, CLOISTER_INVALID, "hooks.poststop[0].path"},
    {"no path", {ONE("prestart", "\"args\":[]")}, CLOISTER_INVALID, "hooks.prestart[0].path"},
    {"no time", {ONE("prestart", "\"path\":\"/h\",\"timeout\":0")}, CLOISTER_INVALID, "hooks.prestart[0].timeout"},
    {"no variable",
     {ONE("prestart", "\"path\":\"/h\",\"env\":[\"A=b\",\"C\"]")},
     CLOISTER_INVALID,
     "hooks.prestart[0].env[1]"},
    {"nameless variable",
     {ONE("prestart", "\"path\":\"/h\",\"env\":[\"=b\"]")},
     CLOISTER_INVALID,
     "hooks.prestart[0].env[0]"},
    {"unknown member", {ONE("prestart", "\"path\":\"/h\",\"frob\":1")}, CLOISTER_UNSUPPORTED, "hooks.prestart[0].frob"},
};

static void check(const struct ns_compile *c, size_t i)
{
    size_t count;
    const struct cl_wire_hook *planned = ns_test_items(c, CL_WIRE_HOOKS, sizeof(*planned), &count);

    if ((c->hooks && c->hooks->count ? c->hooks->item[0].when : 0) != cases[i].kept)
        fail_msg("%s: kept", cases[i].name);
    if ((c->hooks && c->hooks->count ? c->hooks->item[0].timeout_ms : 0) != cases[i].timeout_ms)
        fail_msg("%s: timeout", cases[i].name);
    if ((count ? planned->point : 0) != cases[i].planned)
        fail_msg("%s: planned", cases[i].name);
    if (((c->plan.head.flags & CL_WIRE_PLAN_POINT) != 0) != cases[i].point)
        fail_msg("%s: point", cases[i].name);
}

static void test_cases(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct cloister_error err;
        struct ns_compile c;
        int rc = ns_test_compile(&c, &machine, &cases[i].spec, &err);

        if ((rc < 0) != (cases[i].code != 0) ||
            (rc < 0 && (err.code != cases[i].code || strcmp(err.subject, cases[i].path) != 0)))
            fail_msg("%s: %s", cases[i].name, rc < 0 ? err.chain : "accepted");
        if (rc == 0) {
            check(&c, i);
            ns_test_seal(&c, cases[i].name);
        }
        ns_compile_clear(&c);
    }
}

/* Arguments and variables are the spec's and no others; argv[0] is the path where there is none. */
static void test_words(void **state)
{
    static const struct ns_test_spec spec = {
        .namespaces = PID,
        .top =
            ",\"hooks\":{\"createContainer\":[{\"path\":\"/h\",\"args\":[\"x\",\"y\"],\"env\":[\"A=b\"],\"timeout\":3},"
            "{\"path\":\"/i\"}],\"startContainer\":[{\"path\":\"/"
            "j\",\"args\":[\"j\"]}]},\"annotations\":{\"k\":\"v\\\"\"}"};
    static const char head[] =
        "{\"ociVersion\":\"1.1.0\",\"id\":\"\",\"bundle\":\"/root\",\"annotations\":{\"k\":\"v\\\"\"},"
        "\"status\":\"creating\",\"pid\":";
    struct cloister_error err;
    struct ns_compile c;
    const struct cl_wire_hook *hook;
    const cl_wire_str *word;
    size_t count;

    assert_int_equal(ns_test_compile(&c, &machine, &spec, &err), 0);
    hook = ns_test_items(&c, CL_WIRE_HOOKS, sizeof(*hook), &count);
    word = (const void *)c.plan.section[CL_WIRE_WORDS].data;
    assert_int_equal(count, 3);
    assert_int_equal(hook[0].arg_count, 2);
    assert_string_equal(ns_test_string(&c, word[hook[0].arg_first + 1]), "y");
    assert_int_equal(hook[0].env_count, 1);
    assert_string_equal(ns_test_string(&c, word[hook[0].env_first]), "A=b");
    assert_int_equal(hook[0].timeout_ms, 3000);
    assert_string_equal(ns_test_string(&c, hook[0].state_head), head);
    assert_string_equal(ns_test_string(&c, hook[0].root), "/root/fs");
    assert_int_equal(hook[1].fd, hook[0].fd); /* one clone of the host's tree for all */
    assert_string_equal(ns_test_string(&c, word[hook[1].arg_first]), "/i");
    assert_int_equal(hook[1].env_count, 0);
    assert_int_equal(hook[2].fd, CL_WIRE_NO_FD);
    assert_int_equal(c.needs[hook[0].fd].recursive, 1);
    assert_string_equal(c.needs[hook[0].fd].path, "/");
    ns_compile_clear(&c);
}

/* What a later daemon makes of a running container's spec: the hooks that are still to come. */
static void test_known(void **state)
{
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);
    struct ns_compile c;
    NS_FREE char *running = NULL, *stopped = NULL;

    ns_compile_init(&c, &r, &machine, CL_WIRE_PLAN_CONTAINER);
    c.id = CLOISTER_SV("abc");
    c.rootfs = CLOISTER_SV("/b/rootfs/");
    assert_int_equal(
        ns_compile_known(&c, CLOISTER_SV("{\"ociVersion\":\"1.0.2\",\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{"
                                         "\"type\":\"pid\"}]},\"hooks\":{\"createContainer\":[{\"path\":\"/c\"}],"
                                         "\"poststop\":[{\"path\":\"/h\"}]}}")),
        0);
    assert_true(ns_hooks_have(c.hooks, NS_HOOK_POSTSTOP));
    assert_int_equal(c.need_count, 0);
    running = ns_hooks_state(c.hooks, "running", 7);
    stopped = ns_hooks_state(c.hooks, "stopped", 0);
    assert_string_equal(running,
                        "{\"ociVersion\":\"1.0.2\",\"id\":\"abc\",\"bundle\":\"/b\",\"status\":\"running\",\"pid\":7}");
    assert_string_equal(stopped, "{\"ociVersion\":\"1.0.2\",\"id\":\"abc\",\"bundle\":\"/b\",\"status\":\"stopped\"}");
    ns_compile_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_known),
    };
    int rc;

    if (ns_hierarchies_parse(NS_TEST_MOUNTINFO("/sys/fs/cgroup"), &machine.hierarchies) < 0)
        return 1;
    machine.bounding = ~0ull;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    ns_hierarchies_clear(&machine.hierarchies);
    return rc;
}

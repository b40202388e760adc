/* SPDX-License-Identifier: Apache-2.0 */
/* What comes from across the boundary since SDK 0.3: refused with a sentence, or copied as deep as it goes. */
#include "core/engine/test_world.h"

#include "core/engine/api.h"
#include "core/engine/room.h"

static char long_name[600];

/* What an exec is asked with; a case changes it. */
struct asked {
    struct cloister_exec_args exec;
    struct cloister_process_args process;
    struct cloister_resolve_args resolve;
};

static struct asked *plain(const char *id)
{
    static struct asked asked;
    asked = (struct asked){
        .exec = {CLOISTER_INIT(struct cloister_exec_args), .sandbox = cl_sv_cstr(id), .process = &asked.process},
        .process = {CLOISTER_INIT(struct cloister_process_args), .oci = CLOISTER_SV("{\"args\":[\"true\"]}")},
        .resolve = {CLOISTER_INIT(struct cloister_resolve_args)}};
    return &asked;
}

struct exec_case {
    const char *what;
    int32_t nice;
    uint32_t reserved, flags, resolve_flags;
    bool resolve;
    struct cloister_sv search, user, capabilities, resources;
    const char *sentence; /* NULL: it is fine */
    uint64_t lacks;
};

#define SV(text)                 \
    {                            \
        (text), sizeof(text) - 1 \
    }
#define OWN CLOISTER_EXEC_OWN_CGROUP

static const struct exec_case exec_cases[] = {
    {.what = "plain"},
    {.what = "nicest", .nice = 19},
    {.what = "least nice", .nice = -20},
    {.what = "too nice", .nice = 20, .sentence = "nice 20 is not in -20..19"},
    {.what = "not nice", .nice = -21, .sentence = "nice -21 is not in -20..19"},
    {.what = "reserved", .reserved = 1, .sentence = "reserved is not 0"},
    {.what = "search", .search = SV("/opt/bin:/bin")},
    {.what = "search with NUL", .search = SV("/bin\0/x"), .sentence = "search holds a NUL"},
    {.what = "search of nothing", .search = {NULL, 4}, .sentence = "search has a length but no bytes"},
    {.what = "resolve", .resolve = true, .user = SV("joe:staff"), .resolve_flags = 7, .capabilities = SV("{}")},
    {.what = "resolve nobody named", .resolve = true},
    {.what = "resolve flags", .resolve = true, .resolve_flags = 8, .sentence = "resolve.flags has an unknown bit"},
    {.what = "resolve NUL", .resolve = true, .user = SV("a\0b"), .sentence = "resolve.user holds a NUL"},
    {.what = "resolve a long name",
     .resolve = true,
     .user = {long_name, 513},
     .sentence = "resolve.user has 513 bytes, at most 512 are allowed"},
    {.what = "resolve capabilities",
     .resolve = true,
     .capabilities = SV("[]"),
     .sentence = "resolve.nonroot_capabilities is not an object"},
    {.what = "resolve, not here",
     .resolve = true,
     .lacks = CLOISTER_ISO_RESOLVE,
     .sentence = "RESOLVE is not supported here"},
    {.what = "own group", .flags = OWN},
    {.what = "own group with limits", .flags = OWN, .resources = SV("{\"pids\":{\"limit\":5}}")},
    {.what = "own group with a list", .flags = OWN, .resources = SV("[]"), .sentence = "resources is not an object"},
    {.what = "limits without a group", .resources = SV("{}"), .sentence = "resources need a group of its own"},
    {.what = "own group, not here",
     .flags = OWN,
     .lacks = CLOISTER_ISO_OWN_CGROUP,
     .sentence = "OWN_CGROUP is not supported here"},
    {.what = "flags", .flags = 4, .sentence = "flags has an unknown bit"},
};

static struct asked *asked_of(const struct exec_case *one, const char *id)
{
    struct asked *asked = plain(id);
    asked->process.nice = one->nice;
    asked->process.reserved = one->reserved;
    asked->process.search = one->search;
    asked->process.resolve = one->resolve ? &asked->resolve : NULL;
    asked->resolve.flags = one->resolve_flags;
    asked->resolve.user = one->user;
    asked->resolve.nonroot_capabilities = one->capabilities;
    asked->exec.flags = one->flags;
    asked->exec.resources = one->resources;
    return asked;
}

static void test_exec(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    struct cl_backend *backend = cl_backend_of(&world->isolation);
    const uint64_t all = backend->capabilities;
    for (size_t i = 0; i < CL_COUNT(exec_cases); i++) {
        const struct exec_case *one = &exec_cases[i];
        print_message("  %s\n", one->what);
        backend->capabilities = all & ~one->lacks;
        ask_exec_with(world, &asked_of(one, id)->exec);
        turn(world);
        const char *told = trace(world);
        if (!one->sentence) {
            assert_string_equal(told, "exec:ok");
            continue;
        }
        assert_string_equal(told, one->lacks ? "exec!unsupported" : "exec!invalid");
        char want[160];
        snprintf(want, sizeof(want), "exec in 'web': %s", one->sentence);
        assert_string_equal(world->sentence, want);
    }
}

/* Nothing of it is the caller's any more. */
static void test_exec_is_copied(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    char texts[4][24] = {"/opt/bin", "joe:staff", "{\"bounding\":[]}", "{\"pids\":{\"limit\":5}}"};
    struct asked *asked = plain(id);
    asked->process.nice = -5;
    asked->process.search = cl_sv_cstr(texts[0]);
    asked->process.resolve = &asked->resolve;
    asked->resolve.flags = CLOISTER_RESOLVE_ENV;
    asked->resolve.user = cl_sv_cstr(texts[1]);
    asked->resolve.nonroot_capabilities = cl_sv_cstr(texts[2]);
    asked->exec.flags = OWN | CLOISTER_EXEC_ENV_FROM_CONTAINER;
    asked->exec.resources = cl_sv_cstr(texts[3]);
    world->hold[SLOT_EXEC] = true;
    ask_exec_with(world, &asked->exec);
    memset(texts, 'x', sizeof(texts));
    (void)plain("");
    turn(world);
    const struct cloister_exec_args *seen =
        ((const struct cloister_iso_exec_args *)world->calls[last_call(world, SLOT_EXEC)].args)->exec;
    assert_int_equal(seen->flags, OWN); /* the environment is in it by now */
    assert_true(cl_sv_is(seen->resources, "{\"pids\":{\"limit\":5}}"));
    assert_int_equal(seen->process->nice, -5);
    assert_true(cl_sv_is(seen->process->search, "/opt/bin"));
    assert_int_equal(seen->process->resolve->struct_size, sizeof(struct cloister_resolve_args));
    assert_int_equal(seen->process->resolve->flags, CLOISTER_RESOLVE_ENV);
    assert_true(cl_sv_is(seen->process->resolve->user, "joe:staff"));
    assert_true(cl_sv_is(seen->process->resolve->nonroot_capabilities, "{\"bounding\":[]}"));
    complete(world, last_call(world, SLOT_EXEC), 0);
    turn(world);
    assert_string_equal(trace(world), "exec:ok");
}

/* A plugin of SDK 0.2 has asked: what it could not say is as if it were not there. */
static void test_exec_of_an_older_caller(void **state)
{
    struct world *world = *state;
    struct asked *asked = plain(running(world, "web"));
    asked->process.struct_size = offsetof(struct cloister_process_args, extra);
    asked->process.nice = 99;
    asked->exec.struct_size = offsetof(struct cloister_exec_args, resources);
    asked->exec.resources = CLOISTER_SV("?");
    ask_exec_with(world, &asked->exec);
    turn(world);
    assert_string_equal(trace(world), "exec:ok");
}

static const struct {
    const char *what;
    struct cloister_sv parent, resources;
    const char *sentence;
} create_cases[] = {
    {"none", {NULL, 0}, {NULL, 0}, NULL},
    {"parent", SV("garden"), {NULL, 0}, NULL},
    {"deep parent", SV("garden/good..x/.y"), {NULL, 0}, NULL},
    {"absolute", SV("/garden"), {NULL, 0}, "cgroup_parent has an empty part, '.' or '..'"},
    {"slash at the end", SV("garden/"), {NULL, 0}, "cgroup_parent has an empty part, '.' or '..'"},
    {"empty part", SV("garden//good"), {NULL, 0}, "cgroup_parent has an empty part, '.' or '..'"},
    {"up", SV(".."), {NULL, 0}, "cgroup_parent has an empty part, '.' or '..'"},
    {"up and away", SV("a/../../b"), {NULL, 0}, "cgroup_parent has an empty part, '.' or '..'"},
    {"nowhere", SV("a/."), {NULL, 0}, "cgroup_parent has an empty part, '.' or '..'"},
    {"NUL", SV("a\0b"), {NULL, 0}, "cgroup_parent holds a NUL"},
    {"long part", {long_name, 256}, {NULL, 0}, "cgroup_parent has a part of more than 255 bytes"},
    {"resources", {NULL, 0}, SV("{\"memory\":{\"limit\":1}}"), NULL},
    {"resources of another kind", {NULL, 0}, SV("1"), "resources is not an object"},
    {"broken resources", {NULL, 0}, SV("{"), "resources: "},
};

static void test_create(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < CL_COUNT(create_cases); i++) {
        print_message("  %s\n", create_cases[i].what);
        struct cloister_sandbox_create_args args = {CLOISTER_INIT(struct cloister_sandbox_create_args),
                                                    .cgroup_parent = create_cases[i].parent,
                                                    .resources = create_cases[i].resources};
        if (ask_create_with(world, &args)) { /* planned in the call, of a copy */
            assert_true(cl_sv_eq(world->planned.cgroup_parent, create_cases[i].parent));
            assert_true(cl_sv_eq(world->planned.resources, create_cases[i].resources));
            assert_true(!args.resources.size || world->planned.resources.data != args.resources.data);
        }
        turn(world);
        char want[160];
        snprintf(want, sizeof(want), "create sandbox: %s", create_cases[i].sentence ? create_cases[i].sentence : "");
        if (!create_cases[i].sentence) {
            assert_string_equal(trace(world), "create:ok sandbox=4");
        } else {
            assert_string_equal(trace(world), "create!invalid");
            assert_int_equal(strncmp(world->sentence, want, strlen(want)), 0);
        }
    }
}

static int setup(void **state)
{
    memset(long_name, 'n', sizeof(long_name));
    return world_setup(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_exec), CASE(test_exec_is_copied), CASE(test_exec_of_an_older_caller),
                                       CASE(test_create)};
    return cmocka_run_group_tests_name("core/engine args", tests, NULL, NULL);
}

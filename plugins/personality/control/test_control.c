/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, how they are read, and their answers. */
#include <unistd.h>

#include "test_bed.h"

static const struct {
    const char *name, *op, *params, *story;
} cases[] = {
    {"list", "list", "{}",
     "0:200 "
     "{\"sandboxes\":[{\"id\":\"known\",\"name\":\"n?\",\"service\":\"s\",\"state\":\"up\",\"cause\":\"none\","
     "\"flags\":"
     "[\"dirty\"],\"isolation\":\"main\",\"created_ms\":1,\"failure\":null,\"processes\":2,\"containers\":[{\"cid\":"
     "\"main\",\"state\":"
     "\"stopped\",\"pid\":0,\"init\":1,\"status\":{\"kind\":\"signaled\",\"signal\":9,\"oom\":true,\"core\":false,"
     "\"real_ns\":5},\"rootfs\":\"/r\",\"incarnation\":1,\"frozen\":true,\"limits\":{\"pids\":{\"limit\":5}}}]}]}\n"},
    {"list takes no params", "list", "{\"all\":true}", INVALID("unknown key 'all'")},
    {"health", "health", "{}", "0:200 {\"status\":\"ok\"}\n"},
    {"plugins", "plugins", "{}", "0:200 {\"plugins\":[{\"name\":\"p\"}]}\n"},
    {"hello", "hello", "{\"protocol\":1,\"client\":\"t\"}",
     "0:200 {\"protocol\":1,\"server\":\"cloister/0.1.0\",\"max_message\":4321,\"profiles\":[\"control\"]}\n"},
    {"hello, another protocol", "hello", "{\"protocol\":2}", INVALID("key 'protocol': only version 1 is spoken here")},
    {"hello, another profile", "hello", "{\"profile\":\"lmi\"}", INVALID("key 'profile': expected one of control")},
    {"create", "create",
     "{\"name\":\"n\",\"spec\":{\"ociVersion\":\"1\",\"process\":{\"args\":[\"a\"],\"env\":[\"K=v\"]}},\"rootfs\":{"
     "\"directory\":"
     "\"/r\",\"writable\":true},\"labels\":{\"a\":\"b\"}}",
     "create name=n spec={\"ociVersion\":\"1\"} rootfs=/r flags=1 init=1 start=1 labels=1 a=b/0 "
     "process={\"args\":[\"a\"]} "
     "env=K=v\n"},
    {"create, pause", "create", "{\"spec\":{},\"rootfs\":{\"directory\":\"/r\",\"idmap\":true},\"init\":\"pause\"}",
     "create name= spec={} rootfs=/r flags=2 init=2 start=1 labels=0\n"},
    {"create, pause with a process", "create",
     "{\"spec\":{\"process\":{}},\"rootfs\":{\"directory\":\"/r\"},\"init\":\"pause\"}",
     INVALID("key 'spec.process': an init of kind 'pause' runs no program")},
    {"create without process", "create", "{\"spec\":{},\"rootfs\":{\"directory\":\"/r\"}}",
     INVALID("key 'spec.process': expected an object")},
    {"create without rootfs", "create", "{\"spec\":{\"process\":{}}}", INVALID("key 'rootfs': missing")},
    {"create, rootfs without directory", "create", "{\"spec\":{\"process\":{}},\"rootfs\":{}}",
     INVALID("key 'rootfs.directory': missing")},
    {"create, bad env", "create", "{\"spec\":{\"process\":{\"env\":[\"x\"]}},\"rootfs\":{\"directory\":\"/r\"}}",
     INVALID("key 'spec.process': env: expected strings of the form KEY=value")},
    {"create, bad label", "create",
     "{\"spec\":{\"process\":{}},\"rootfs\":{\"directory\":\"/r\"},\"labels\":{\"a\":1}}",
     INVALID("key 'labels': expected strings")},
    {"create, bad start", "create", "{\"spec\":{\"process\":{}},\"rootfs\":{\"directory\":\"/r\"},\"start\":\"soon\"}",
     INVALID("key 'start': expected one of now, blocked")},
    {"exec", "exec",
     "{\"id\":\"known\",\"container\":\"c\",\"process_name\":\"p\",\"process\":{\"cwd\":\"/\"},\"session\":\"inherit\","
     "\"deadline_ms\":5}",
     "exec known/c name=p session=2 deadline=5 process={\"cwd\":\"/\"}\n"},
    {"exec, refused at once", "exec", "{\"name\":\"known\",\"process_name\":\"busy\",\"process\":{}}",
     "exec known/ name=busy session=0 deadline=0 process={}\n"
     "0:409 " ERROR_OF("invalid_state", "process 'busy': name in use", "name_in_use") "}\n"},
    {"exec, unknown sandbox", "exec", "{\"name\":\"nobody\",\"process\":{}}",
     "0:404 " ERROR_OF("no_such_entity", "no sandbox 'nobody'", "no_entity") "}\n"},
    {"exec, id and name", "exec", "{\"id\":\"known\",\"name\":\"x\",\"process\":{}}",
     INVALID("key 'id': stands beside 'name'; one of them is wanted")},
    {"stop", "stop", "{\"id\":\"known\"}", "stop known/ signal=15 grace=10000\n"},
    {"stop in another way", "stop", "{\"id\":\"known\",\"signal\":\"INT\",\"grace_ms\":5}",
     "stop known/ signal=2 grace=5\n"},
    {"stop for a year", "stop", "{\"id\":\"known\",\"grace_ms\":31536000000}",
     INVALID("key 'grace_ms': expected at most a day")},
    {"signal by name", "signal", "{\"id\":\"known\",\"signal\":\"SIGTERM\"}", "kill known/ set=1 signal=15\n"},
    {"signal to all", "signal", "{\"id\":\"known\",\"signal\":9,\"set\":\"all\"}", "kill known/ set=2 signal=9\n"},
    {"signal to a process", "signal", "{\"id\":\"known\",\"signal\":\"KILL\",\"process\":2}",
     "signal known process=2 signal=9\n"},
    {"signal to both", "signal", "{\"id\":\"known\",\"signal\":9,\"process\":2,\"set\":\"all\"}",
     INVALID("key 'process': stands beside 'container' or 'set'; one of them is wanted")},
    {"signal 0", "signal", "{\"id\":\"known\",\"signal\":0}",
     INVALID("key 'signal': expected a number from 1 to 64 or a name like TERM")},
    {"signal 65", "signal", "{\"id\":\"known\",\"signal\":65}",
     INVALID("key 'signal': expected a number from 1 to 64 or a name like TERM")},
    {"no signal", "signal", "{\"id\":\"known\"}", INVALID("key 'signal': missing")},
    {"destroy", "destroy", "{\"id\":\"known\"}", "destroy known flags=0\n"},
    {"destroy, by force", "destroy", "{\"id\":\"known\",\"force\":true}", "destroy known flags=4\n"},
    {"destroy, not by force", "destroy", "{\"id\":\"known\",\"force\":false}", "destroy known flags=2\n"},
    {"unsupported by the engine", "start", "{\"id\":\"known\"}",
     "0:500 " ERROR_OF("failure", "container_start: not supported", "unsupported") "}\n"},
    {"deadline out of range", "wait", "{\"id\":\"known\",\"deadline_ms\":18446744073709551615}",
     INVALID("key 'deadline_ms': expected milliseconds from now, at most 2^40")},
    {"inspect without describe", "inspect", "{\"id\":\"known\"}",
     "0:200 "
     "{\"id\":\"known\",\"name\":\"n?\",\"service\":\"s\",\"state\":\"up\",\"cause\":\"none\",\"flags\":[\"dirty\"],"
     "\"isolation\":\"main\",\"created_ms\":1,\"failure\":null,\"containers\":[{\"cid\":\"main\",\"state\":\"stopped\","
     "\"pid\":0,"
     "\"init\":1,\"status\":{\"kind\":\"signaled\",\"signal\":9,\"oom\":true,\"core\":false,\"real_ns\":5},\"rootfs\":"
     "\"/r\","
     "\"incarnation\":1,\"frozen\":true,\"limits\":{\"pids\":{\"limit\":5}}}],\"labels\":{\"k\":\"v\"},\"secret_"
     "labels\":[\"token\"],\"processes\":["
     "{\"process\":1,\"pid\":100,\"state\":\"running\",\"is_init\":true,\"container\":\"main\",\"name\":\"\",\"tag\":"
     "\"\",\"captured\":false,\"status\":null,\"started_ms\":0},"
     "{\"process\":2,\"pid\":100,\"state\":\"running\",\"is_init\":false,\"container\":\"main\",\"name\":\"\",\"tag\":"
     "\"\",\"captured\":false,\"status\":null,\"started_ms\":0},"
     "{\"process\":3,\"pid\":100,\"state\":\"running\",\"is_init\":false,\"container\":\"main\",\"name\":\"\",\"tag\":"
     "\"\",\"captured\":true,\"status\":null,\"started_ms\":0}],"
     "\"backend\":null}\n"},
    {"create with captured output", "create",
     "{\"spec\":{\"process\":{}},\"rootfs\":{\"directory\":\"/r\"},\"stdio\":[\"closed\",{\"kind\":\"pipe\",\"window\":"
     "4096,\"policy\":\"drop\"},{\"kind\":\"same_as\",\"fd\":\"stdout\"}],\"drain_idle_ms\":5,\"drain_max_ms\":6,"
     "\"tag\":"
     "\"t\"}",
     "create name= spec={} rootfs=/r flags=0 init=1 start=1 labels=0 process={} stdio=6 stdio=4:4096:1 stdio=7:1 "
     "drain=5/6 tag=t\n"},
    {"create with secrets, provisional", "create",
     "{\"spec\":{\"process\":{}},\"rootfs\":{\"directory\":\"/"
     "r\"},\"labels\":{\"a\":\"b\"},\"secret_labels\":{\"c\":\"d\"},"
     "\"provisional\":true}",
     "create name= spec={} rootfs=/r flags=0 init=1 start=1 labels=2 a=b/0 c=d/1 sandbox=1 process={}\n"},
    {"stdio of a pause", "create", "{\"spec\":{},\"rootfs\":{\"directory\":\"/r\"},\"init\":\"pause\",\"stdio\":[]}",
     INVALID("key 'stdio': an init of kind 'pause' runs no program")},
    {"stdio, four", "exec", "{\"id\":\"known\",\"process\":{},\"stdio\":[\"null\",\"null\",\"null\",\"null\"]}",
     INVALID("key 'stdio': expected an array of at most three entries: stdin, stdout, stderr")},
    {"stdio of another kind", "exec", "{\"id\":\"known\",\"process\":{},\"stdio\":[\"tty\"]}",
     INVALID("key 'stdio[0].kind': expected one of null, closed, descriptor, pipe, same_as, pty")},
    {"stdio without kind", "exec", "{\"id\":\"known\",\"process\":{},\"stdio\":[{}]}",
     INVALID("key 'stdio[0].kind': missing")},
    {"stdio, a number", "exec", "{\"id\":\"known\",\"process\":{},\"stdio\":[1]}",
     INVALID("key 'stdio[0]': expected an object with 'kind', or the kind alone")},
    {"stdio, a key of another kind", "exec",
     "{\"id\":\"known\",\"process\":{},\"stdio\":[{\"kind\":\"null\",\"window\":1}]}",
     INVALID("unknown key 'stdio[0].window'; the nearest known one is 'stdio[0].kind'")},
    {"stdio, a descriptor that did not come", "exec",
     "{\"id\":\"known\",\"process\":{},\"stdio\":[\"null\",\"descriptor\"]}",
     INVALID("key 'stdio[1].kind': no descriptor of this role came with the request")},
    {"stdio, the same as itself", "exec",
     "{\"id\":\"known\",\"process\":{},\"stdio\":[\"null\",{\"kind\":\"same_as\",\"fd\":\"stdout\"}]}",
     INVALID("key 'stdio[1].fd': expected a descriptor that stands before this one")},
    {"stdio, the same as nothing", "exec",
     "{\"id\":\"known\",\"process\":{},\"stdio\":[\"null\",{\"kind\":\"same_as\"}]}",
     INVALID("key 'stdio[1].fd': expected a descriptor that stands before this one")},
    {"stdio, a window of stdin", "exec",
     "{\"id\":\"known\",\"process\":{},\"stdio\":[{\"kind\":\"pipe\",\"window\":1}]}",
     INVALID("key 'stdio[0].kind': only captured output has a window and a policy")},
    {"exec with the container's environment", "exec",
     "{\"id\":\"known\",\"process\":{},\"env_from_container\":true,\"stdio\":[{\"kind\":\"pipe\"},\"null\"]}",
     "exec +env known/ name= session=0 deadline=0 process={} stdio=4:0:0 stdio=1 stdio=1\n"},
    {"exec, a drain of nothing", "exec", "{\"id\":\"known\",\"process\":{},\"drain_idle_ms\":0}",
     INVALID("key 'drain_idle_ms': expected milliseconds, 1 to 2^40")},
    {"wait until drained", "wait", "{\"id\":\"known\",\"until\":\"drained\"}", "wait known process=0 until=2\n"},
    {"release", "release", "{\"id\":\"known\",\"process\":2}", "release 2\n"},
    {"release of nobody", "release", "{\"id\":\"known\"}", INVALID("key 'process': missing")},
    {"commit", "commit", "{\"id\":\"known\"}", "commit known\n"},
    {"attach_policy", "attach_policy", "{\"id\":\"known\",\"fd\":2,\"policy\":\"discard\",\"window\":7}",
     "attach_policy known/ process=0 fd=2 policy=2 window=7\n"},
    {"attach_policy without one", "attach_policy", "{\"id\":\"known\"}", INVALID("key 'policy': missing")},
    {"stdin_close", "stdin_close", "{\"id\":\"known\",\"process\":4}", "stdin_close known/ process=4\n"},
    {"label, nothing", "label", "{\"id\":\"known\"}", "0:200 {}\n"},
    {"label, refused", "label", "{\"id\":\"known\",\"set\":{\"a longer one\":\"b\"}}",
     "0:500 " ERROR_OF("failure", "too long", "too_big") "}\n"},
    {"label, no strings", "label", "{\"id\":\"known\",\"set\":{\"a\":1}}", INVALID("key 'set': expected strings")},
    {"label, no array", "label", "{\"id\":\"known\",\"remove\":{\"a\":\"b\"}}",
     INVALID("key 'remove': expected an array of strings")},
    {"events by id", "events", "{\"sandbox\":\"known\"}", "0:open 200 {}\n"},
    {"events by name", "events", "{\"name\":\"known\"}", "0:open 200 {}\n"},
    {"events by both", "events", "{\"name\":\"known\",\"sandbox\":\"known\"}",
     INVALID("key 'sandbox': stands beside 'name'; one of them is wanted")},
    {"events of nobody by name", "events", "{\"name\":\"nobody\"}",
     "0:404 " ERROR_OF("no_such_entity", "no sandbox 'nobody'", "no_entity") "}\n"},
    {"events of nobody", "events", "{\"sandbox\":\"nobody\"}",
     "0:404 " ERROR_OF("no_such_entity", "no sandbox 'nobody'", "no_entity") "}\n"},
};

static void test_cases(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(set_up(state), 0);
        request(0, cases[i].op, cases[i].params);
        if (strcmp(story, cases[i].story) != 0)
            fail_msg("case '%s':\n%s, not\n%s", cases[i].name, story, cases[i].story);
        assert_int_equal(tear_down(state), 0);
    }
}

static void test_completions(void **state)
{
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result),
                                     .uid = 1,
                                     .gid = 2,
                                     .pid = 3,
                                     .process = 18446744073709551615u,
                                     .sandbox = CLOISTER_SV("known"),
                                     .container_state = CLOISTER_CONTAINER_RUNNING};
    (void)state;
    request(0, "exec", "{\"id\":\"known\",\"process\":{}}");
    story[0] = 0;
    complete(0, &result);
    assert_string_equal(story, "0:200 {\"pid\":3,\"process\":18446744073709551615,\"uid\":1,\"gid\":2}\n");
    result.home = CLOISTER_SV("/home/u");
    request(0, "exec", "{\"id\":\"known\",\"process\":{},\"user\":\"u\"}");
    story[0] = 0;
    complete(0, &result);
    assert_string_equal(story, "0:200 {\"pid\":3,\"process\":18446744073709551615,\"uid\":1,\"gid\":2,\"home\":"
                               "\"/home/u\"}\n");
    request(0, "create", "{\"spec\":{\"process\":{}},\"rootfs\":{\"directory\":\"/r\"}}");
    story[0] = 0;
    complete(0, &result);
    assert_string_equal(story,
                        "0:200 {\"id\":\"known\",\"pid\":3,\"process\":18446744073709551615,\"state\":\"running\","
                        "\"name\":\"n?\"}\n");
    request(0, "exec", "{\"id\":\"known\",\"process\":{}}");
    story[0] = 0;
    complete(CLOISTER_NO_EXECUTABLE, NULL);
    assert_string_equal(story, "0:500 " ERROR_OF("failure", "exec 'x': No such file or directory",
                                                 "no_executable") ",\"errno\":2,\"step\":\"exec\"}\n");
}

static void test_descriptors(void **state)
{
    (void)state;
    int fd = dup(2);
    request_with(0, "create", "{\"spec\":{\"process\":{}},\"rootfs\":{\"directory\":\"/r\"}}", "stdout", fd);
    assert_true(strstr(story, "stdio=1 stdio=2 stdio=1"));
    assert_int_equal(exchanges[0].fd, -1);
}

static void test_wait_releases(void **state)
{
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .process = 2,
                                     .status = {CLOISTER_STATUS_EXITED, 7, 0, 0, 5, 6}};
    (void)state;
    request(0, "wait", "{\"id\":\"known\",\"process\":2}");
    complete(0, &result);
    assert_string_equal(
        story,
        "wait known process=2 until=1\n0:200 {\"process\":2,\"status\":{\"kind\":\"exited\",\"code\":7,\"oom\":false,"
        "\"core\":false,\"real_ns\":5},\"outputs\":[]}\nrelease 2\n");
    story[0] = 0;
    result.process = 1;
    request(0, "wait", "{\"id\":\"known\"}");
    complete(0, &result);
    assert_null(strstr(story, "release")); /* the init's record stays with its container */
    story[0] = 0;
    const struct cloister_output_end outputs[] = {
        {.fd = 1, .position = 9, .lost = 2, .flags = CLOISTER_OUTPUT_BY_DEADLINE}, {.fd = 2}};
    result.process = 3;
    result.outputs = outputs;
    result.output_count = 2;
    result.output_size = sizeof(outputs[0]);
    request(0, "wait", "{\"id\":\"known\",\"process\":3,\"until\":\"drained\"}");
    complete(0, &result);
    assert_non_null(strstr(story, "\"outputs\":[{\"fd\":1,\"position\":9,\"lost\":2,\"by_deadline\":true},{\"fd\":2,"
                                  "\"position\":0,\"lost\":0,\"by_deadline\":false}]}"));
    assert_null(strstr(story, "release")); /* its output would be gone */
}

/* One after the other, each in the store before the next; the first that fails is the answer. */
static void test_labels(void **state)
{
    static const char params[] =
        "{\"id\":\"known\",\"remove\":[\"r\"],\"set\":{\"a\":\"1\",\"b\":\"\"},\"set_secret\":{"
        "\"s\":\"x\"}}";
    (void)state;
    request(0, "label", params);
    assert_string_equal(story, "label a=1 flags=0\n");
    complete(0, NULL);
    complete(0, NULL);
    complete(0, NULL);
    assert_string_equal(story, "label a=1 flags=0\nlabel b= flags=0\nlabel s=x flags=1\nlabel r=(none) flags=0\n");
    story[0] = 0;
    complete(0, NULL);
    assert_string_equal(story, "0:200 {}\n");
    request(0, "label", params);
    complete(0, NULL);
    story[0] = 0;
    complete(CLOISTER_LIMIT, NULL);
    assert_int_equal(strncmp(story, "0:500 ", 6), 0);
    assert_false(is_pending());
}

static void test_long_tag(void **state)
{
    char tag[1026], params[2048];
    (void)state;
    memset(tag, 't', sizeof(tag) - 1);
    for (size_t size = 1024; size <= 1025; size++) {
        tag[size] = 0;
        (void)snprintf(params, sizeof(params), "{\"id\":\"known\",\"process\":{},\"tag\":\"%s\"}", tag);
        tag[size] = 't';
        story[0] = 0;
        request(0, "exec", params);
        if (size == 1024)
            complete(CLOISTER_CANCELLED, NULL);
        else
            assert_string_equal(story, INVALID("key 'tag': longer than 1024 bytes"));
    }
}

static void test_recovered(void **state)
{
    const struct cloister_sandbox_info info = {CLOISTER_INIT(struct cloister_sandbox_info)};
    (void)state;
    personality->recovered(instance, &info, 31);
    assert_string_equal(story, "recovered 31\n");
}

static void test_client_goes(void **state)
{
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .process = 2};
    (void)state;
    request(0, "wait", "{\"id\":\"known\",\"process\":2}");
    story[0] = 0;
    go(0);
    assert_string_equal(story, "cancel 7\n");
    complete(CLOISTER_CANCELLED, NULL);
    assert_string_equal(story, "cancel 7\n"); /* nobody to tell, nothing released */
    request(1, "exec", "{\"id\":\"known\",\"process\":{}}");
    story[0] = 0;
    go(1);
    complete(0, &result);
    assert_string_equal(story, ""); /* what was started goes on */
}

static const struct {
    const char *name;
    uint32_t kind;
    const char *text, *op, *want;
} fault_cases[] = {
    {"denied", CLOISTER_FAULT_DENIED, "", "",
     "0:403 " ERROR_OF("failure", "permission denied", "permission_denied") "}\n"},
    {"malformed", CLOISTER_FAULT_MALFORMED, "offset 1: expected a string key", "",
     "0:400 " ERROR_OF("serde", "offset 1: expected a string key", "malformed") "}\n"},
    {"unknown method, near", CLOISTER_FAULT_UNKNOWN_OP, "", "creat",
     "0:404 " ERROR_OF("serde", "unknown method 'creat'; the nearest known one is 'create'", "unknown_method") "}\n"},
    {"unknown method, far", CLOISTER_FAULT_UNKNOWN_OP, "", "zzzzzz",
     "0:404 " ERROR_OF("serde", "unknown method 'zzzzzz'", "unknown_method") "}\n"},
    {"too large", CLOISTER_FAULT_TOO_LARGE, "", "",
     "0:413 " ERROR_OF("serde", "the request is too large", "too_large") "}\n"},
    {"draining", CLOISTER_FAULT_DRAINING, "", "",
     "0:503 " ERROR_OF("failure", "the daemon is about to end", "draining") "}\n"},
};

static void test_faults(void **state)
{
    for (size_t i = 0; i < COUNT(fault_cases); i++) {
        assert_int_equal(set_up(state), 0);
        struct cloister_fault fault = {CLOISTER_INIT(struct cloister_fault), .kind = fault_cases[i].kind,
                                       .text = {fault_cases[i].text, strlen(fault_cases[i].text)},
                                       .op = {fault_cases[i].op, strlen(fault_cases[i].op)}};
        personality->exchange_fault(instance, &exchanges[0], &fault);
        if (strcmp(story, fault_cases[i].want) != 0)
            fail_msg("case '%s': %s, not %s", fault_cases[i].name, story, fault_cases[i].want);
        assert_int_equal(tear_down(state), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases), CASE(test_completions), CASE(test_descriptors),
        CASE(test_wait_releases),     CASE(test_labels),      CASE(test_recovered),
        CASE(test_long_tag),          CASE(test_client_goes), cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

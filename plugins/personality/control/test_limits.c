/* SPDX-License-Identifier: Apache-2.0 */
/* Standing still, limits, counters, terminals. */
#include "test_bed.h"

static const struct {
    const char *name, *op, *params, *story;
} cases[] = {
    {"freeze", "freeze", "{\"name\":\"known\"}", "freeze known/ deadline=0\n"},
    {"freeze one", "freeze", "{\"id\":\"known\",\"container\":\"c\",\"deadline_ms\":7}", "freeze known/c deadline=7\n"},
    {"freeze nothing", "freeze", "{}", INVALID("key 'id': missing; so is 'name'")},
    {"freeze, no cid", "freeze", "{\"id\":\"known\",\"container\":\"\"}",
     INVALID("key 'container': expected the cid of a container")},
    {"freeze, a number", "freeze", "{\"id\":\"known\",\"container\":1}", INVALID("key 'container': expected a string")},
    {"freeze, unknown key", "freeze", "{\"id\":\"known\",\"contaner\":\"c\"}",
     INVALID("unknown key 'contaner'; the nearest known one is 'container'")},
    {"thaw", "thaw", "{\"id\":\"known\",\"container\":\"c\"}", "thaw known/c deadline=0\n"},
    {"thaw, unknown key", "thaw", "{\"id\":\"known\",\"force\":true}", INVALID("unknown key 'force'")},
    {"update", "update", "{\"id\":\"known\",\"resources\":{\"pids\":{\"limit\":3}},\"deadline_ms\":5}",
     "update scope=3 known/ resources={\"pids\":{\"limit\":3}} deadline=5\n"},
    {"update one", "update", "{\"id\":\"known\",\"container\":\"c\",\"scope\":\"container\",\"resources\":{}}",
     "update scope=3 known/c resources={} deadline=0\n"},
    {"update the sandbox", "update", "{\"id\":\"known\",\"scope\":\"sandbox\",\"resources\":{}}",
     "update scope=2 known/ resources={} deadline=0\n"},
    {"update both", "update", "{\"id\":\"known\",\"container\":\"c\",\"scope\":\"sandbox\",\"resources\":{}}",
     INVALID("key 'container': the scope is the sandbox")},
    {"update to nothing", "update", "{\"id\":\"known\"}", INVALID("key 'resources': missing")},
    {"update to a list", "update", "{\"id\":\"known\",\"resources\":[]}",
     INVALID("key 'resources': expected an object")},
    {"update the machine", "update", "{\"id\":\"known\",\"scope\":\"machine\",\"resources\":{}}",
     INVALID("key 'scope': expected one of container, sandbox")},
    {"stats of the machine", "stats", "{\"scope\":\"machine\"}", "stats scope=1 / process=0 flags=0\n"},
    {"stats of a sandbox", "stats", "{\"id\":\"known\",\"reset_peak\":true}",
     "stats scope=2 known/ process=0 flags=1\n"},
    {"stats of a container", "stats", "{\"id\":\"known\",\"container\":\"c\",\"raw\":true}",
     "stats scope=3 known/c process=0 flags=2\n"},
    {"stats of main", "stats", "{\"id\":\"known\",\"scope\":\"container\"}",
     "stats scope=3 known/ process=0 flags=0\n"},
    {"stats of a process", "stats", "{\"id\":\"known\",\"container\":\"c\",\"process\":4}",
     "stats scope=4 known/c process=4 flags=0\n"},
    {"stats of the machine and a sandbox", "stats", "{\"scope\":\"machine\",\"name\":\"known\"}",
     INVALID("key 'name': has no meaning in this scope")},
    {"stats of a sandbox and a container", "stats", "{\"id\":\"known\",\"scope\":\"sandbox\",\"container\":\"c\"}",
     INVALID("key 'container': has no meaning in this scope")},
    {"stats of a container and a process", "stats", "{\"id\":\"known\",\"scope\":\"container\",\"process\":4}",
     INVALID("key 'process': has no meaning in this scope")},
    {"stats of no process", "stats", "{\"id\":\"known\",\"scope\":\"process\"}", INVALID("key 'process': missing")},
    {"stats of nobody", "stats", "{}", INVALID("key 'id': missing; so is 'name'")},
    {"stats of everything", "stats", "{\"scope\":\"all\"}",
     INVALID("key 'scope': expected one of machine, sandbox, container, process")},
    {"stats, raw is a number", "stats", "{\"id\":\"known\",\"raw\":1}", INVALID("key 'raw': expected true or false")},
    {"procs", "procs", "{\"id\":\"known\"}", "procs scope=2 known/ process=0\n"},
    {"procs of a container", "procs", "{\"id\":\"known\",\"container\":\"c\"}", "procs scope=3 known/c process=0\n"},
    {"procs of a process", "procs", "{\"id\":\"known\",\"process\":4}", "procs scope=4 known/ process=4\n"},
    {"procs of process 0", "procs", "{\"id\":\"known\",\"process\":0}",
     INVALID("key 'process': expected the number of a process, not 0")},
    {"procs, a scope", "procs", "{\"id\":\"known\",\"scope\":\"sandbox\"}", INVALID("unknown key 'scope'")},
    {"resize", "resize", "{\"id\":\"known\",\"container\":\"c\",\"process\":4,\"rows\":40,\"columns\":65535}",
     "resize known/c process=4 40x65535\n"},
    {"resize, no rows", "resize", "{\"id\":\"known\",\"columns\":80}", INVALID("key 'rows': missing")},
    {"resize, no columns", "resize", "{\"id\":\"known\",\"rows\":80}", INVALID("key 'columns': missing")},
    {"resize to 0", "resize", "{\"id\":\"known\",\"rows\":0,\"columns\":80}",
     INVALID("key 'rows': expected an integer from 1 to 65535")},
    {"resize too far", "resize", "{\"id\":\"known\",\"rows\":24,\"columns\":65536}",
     INVALID("key 'columns': expected an integer from 1 to 65535")},
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

/* What the engine answers, in the words of this protocol. */
static void test_errors(void **state)
{
    static const struct {
        const char *op, *params;
        uint32_t code;
        const char *story;
    } errors[] = {
        {"freeze", "{\"id\":\"known\"}", CLOISTER_DEADLINE,
         "0:504 " ERROR_OF("failure", "exec 'x'", "deadline") ",\"step\":\"exec\"}\n"},
        {"update", "{\"id\":\"known\",\"resources\":{}}", CLOISTER_BUSY,
         "0:409 " ERROR_OF("invalid_state", "exec 'x'", "busy") ",\"step\":\"exec\"}\n"},
        {"exec", "{\"id\":\"known\",\"process\":{}}", CLOISTER_FROZEN,
         "0:409 " ERROR_OF("invalid_state", "exec 'x'", "frozen") ",\"step\":\"exec\"}\n"},
        {"resize", "{\"id\":\"known\",\"rows\":1,\"columns\":1}", CLOISTER_NOT_TTY,
         "0:409 " ERROR_OF("invalid_state", "exec 'x'", "not_tty") ",\"step\":\"exec\"}\n"},
        {"stats", "{\"id\":\"known\"}", CLOISTER_NO_CONTACT,
         "0:500 " ERROR_OF("failure", "exec 'x'", "no_contact") ",\"step\":\"exec\"}\n"},
    };
    for (size_t i = 0; i < COUNT(errors); i++) {
        assert_int_equal(set_up(state), 0);
        request(0, errors[i].op, errors[i].params);
        story[0] = 0;
        complete(errors[i].code, NULL);
        if (strcmp(story, errors[i].story) != 0)
            fail_msg("%s:\n%s, not\n%s", errors[i].op, story, errors[i].story);
        assert_int_equal(tear_down(state), 0);
    }
}

static void test_answers(void **state)
{
    static const struct cloister_stat stats[] = {{CLOISTER_SV("cpu_ns"), 18446744073709551615u, {0}},
                                                 {CLOISTER_SV("pids"), 2, {0}}};
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result),
                                     .json = CLOISTER_SV("{\"pids\":{\"limit\":3}}"),
                                     .stats = stats,
                                     .stat_count = 2,
                                     .stat_size = sizeof(stats[0]),
                                     .sampled_mono_ns = 77};
    (void)state;
    request(0, "update", "{\"id\":\"known\",\"resources\":{}}");
    story[0] = 0;
    complete(0, &result);
    assert_string_equal(story, "0:200 {\"limits\":{\"pids\":{\"limit\":3}}}\n");
    request(0, "stats", "{\"id\":\"known\"}");
    story[0] = 0;
    complete(0, &result);
    assert_string_equal(story,
                        "0:200 {\"stats\":{\"cpu_ns\":18446744073709551615,\"pids\":2},\"sampled_mono_ns\":77}\n");
    request(0, "thaw", "{\"id\":\"known\"}");
    story[0] = 0;
    complete(0, &result);
    assert_string_equal(story, "0:200 {}\n");
}

static void test_observer(void **state)
{
    (void)state;
    conn_access = CLOISTER_ACCESS_OBSERVE;
    request(0, "stats", "{\"id\":\"known\",\"reset_peak\":false}");
    assert_string_equal(story, "stats scope=2 known/ process=0 flags=0\n");
    complete(CLOISTER_CANCELLED, NULL);
    story[0] = 0;
    request(0, "stats", "{\"id\":\"known\",\"reset_peak\":true}");
    assert_string_equal(story,
                        "0:403 " ERROR_OF("failure", "key 'reset_peak': permission denied to who may only observe",
                                          "denied") ",\"step\":\"params\"}\n");
}

/* An engine of tomorrow may give longer elements, one of yesterday shorter ones; a name is what a container calls
 * itself. */
static void test_procs(void **state)
{
    struct longer {
        struct cloister_proc proc;
        uint64_t more;
    };
    const uint64_t now = host.system->now_boot(), real = host.system->now_real();
    const struct longer procs[] = {{{.pid = 9, .process = 4, .started_boot_ns = now, .comm = CLOISTER_SV("a\xff")}, 1},
                                   {{.pid = 10, .started_boot_ns = now, .comm = CLOISTER_SV("b")}, 1}};
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .procs = &procs[0].proc, .proc_count = 2,
                                     .proc_size = sizeof(procs[0])};
    char want[512];
    (void)state;
    (void)snprintf(want, sizeof(want),
                   "0:200 {\"procs\":[{\"pid\":9,\"process\":4,\"comm\":\"a?\",\"started_ms\":%llu},"
                   "{\"pid\":10,\"process\":0,\"comm\":\"b\",\"started_ms\":%llu}]}\n",
                   (unsigned long long)real / 1000000, (unsigned long long)real / 1000000);
    request(0, "procs", "{\"id\":\"known\"}");
    story[0] = 0;
    complete(0, &result);
    assert_string_equal(story, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_errors), CASE(test_answers),
                                       CASE(test_procs), CASE(test_observer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/exchange/access.h"
#include "core/exchange/route.h"
#include "core/util/check.h"
#include "core/util/sv.h"

static const struct cloister_route routes[] = {
    {.op = "list", .id = 1},
    {.number = 0x10100101, .id = 2},
    {.verb = "GET", .path = "/containers", .op = "containers", .id = 3},
    {.verb = "POST", .path = "/containers", .id = 4},
    {.verb = "GET", .path = "/containers/:handle/files/:file", .id = 5},
    {.verb = "GET", .path = "/containers/info", .id = 6},
    {.verb = "GET", .path = "/containers/:handle", .id = 7},
    {.op = "both", .number = 9, .id = 8},
};

static const struct {
    const char *name, *op, *verb, *target;
    uint32_t number;
    uint32_t id, fault;
    const char *allow, *handle, *file;
} route_cases[] = {
    {"by word", "list", NULL, NULL, 0, 1, 0, "", "", ""},
    {"unknown word", "lst", NULL, NULL, 0, 0, CLOISTER_FAULT_UNKNOWN_OP, "", "", ""},
    {"word is case-sensitive", "List", NULL, NULL, 0, 0, CLOISTER_FAULT_UNKNOWN_OP, "", "", ""},
    {"by number", NULL, NULL, NULL, 0x10100101, 2, 0, "", "", ""},
    {"unknown number", NULL, NULL, NULL, 1, 0, CLOISTER_FAULT_UNKNOWN_OP, "", "", ""},
    {"one handler by word", "both", NULL, NULL, 0, 8, 0, "", "", ""},
    {"one handler by number", NULL, NULL, NULL, 9, 8, 0, "", "", ""},
    {"path", NULL, "GET", "/containers", 0, 3, 0, "", "", ""},
    {"path with query", NULL, "POST", "/containers?a=b/c", 0, 4, 0, "", "", ""},
    {"wrong verb", NULL, "PUT", "/containers", 0, 0, CLOISTER_FAULT_WRONG_VERB, "GET, POST", "", ""},
    {"no path", NULL, "GET", "/nothing", 0, 0, CLOISTER_FAULT_NO_ROUTE, "", "", ""},
    {"trailing slash", NULL, "GET", "/containers/", 0, 0, CLOISTER_FAULT_NO_ROUTE, "", "", ""},
    {"one segment more", NULL, "GET", "/containers/a/b", 0, 0, CLOISTER_FAULT_NO_ROUTE, "", "", ""},
    {"parameters", NULL, "GET", "/containers/a%20/files/x?y", 0, 5, 0, "", "a%20", "x"},
    {"literal before parameter", NULL, "GET", "/containers/info", 0, 6, 0, "", "", ""},
    {"one parameter", NULL, "GET", "/containers/abc", 0, 7, 0, "", "abc", ""},
    {"empty target", NULL, "GET", "", 0, 0, CLOISTER_FAULT_NO_ROUTE, "", "", ""},
};

static struct cloister_sv parameter(const struct cl_route_match *match, const char *name)
{
    for (uint32_t i = 0; i < match->parameter_count; i++) {
        if (cl_sv_is(match->parameters[i].name, name))
            return match->parameters[i].value;
    }
    return cl_sv(NULL, 0);
}

static void test_routes(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(route_cases); i++) {
        const char *name = route_cases[i].name;
        struct cloister_head head = {.op = cl_sv_cstr(route_cases[i].op),
                                     .verb = cl_sv_cstr(route_cases[i].verb),
                                     .target = cl_sv_cstr(route_cases[i].target),
                                     .number = route_cases[i].number,
                                     .has_number = route_cases[i].number != 0};
        struct cl_route_match match;
        cl_route_find(routes, CL_COUNT(routes), &head, &match);
        CL_CHECK_INT(name, match.route ? match.route->id : 0, route_cases[i].id);
        CL_CHECK_INT(name, match.fault, route_cases[i].fault);
        CL_CHECK_STR(name, match.allow, route_cases[i].allow);
        CL_CHECK(name, cl_sv_is(parameter(&match, "handle"), route_cases[i].handle));
        CL_CHECK(name, cl_sv_is(parameter(&match, "file"), route_cases[i].file));
    }
}

static const struct {
    const char *name, *target, *key, *want;
} query_cases[] = {
    {"first", "/a?x=1&y=2", "x", "1"},
    {"last", "/a?x=1&y=2", "y", "2"},
    {"absent", "/a?x=1", "z", ""},
    {"no query", "/a", "x", ""},
    {"without value", "/a?x", "x", ""},
    {"equals inside", "/a?x=1=2", "x", "1=2"},
    {"raw, not decoded", "/a?x=%41", "x", "%41"},
};

static void test_query(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(query_cases); i++) {
        struct cloister_sv got = cl_target_query(cl_sv_cstr(query_cases[i].target), cl_sv_cstr(query_cases[i].key));
        CL_CHECK(query_cases[i].name, cl_sv_is(got, query_cases[i].want));
    }
}

static const struct cl_access_rule rules[] = {
    {CLOISTER_ACCESS_OBSERVE, 1, 50}, {CLOISTER_ACCESS_CONTROL, 0, 1000}, {CLOISTER_ACCESS_OBSERVE, 0, 1000}};
static const struct cl_access_rule nobody_listed[] = {{CLOISTER_ACCESS_OBSERVE, 0, 65534}};

static const struct {
    const char *name;
    struct cl_peer peer;
    const struct cl_access_rule *rules;
    size_t rule_count;
    uint32_t want;
} access_cases[] = {
    {"root", {.uid = 0, .pid = 5}, rules, 3, CLOISTER_ACCESS_ADMIN},
    {"the daemon's own uid", {.uid = 77, .pid = 5}, rules, 3, CLOISTER_ACCESS_ADMIN},
    {"nobody in particular", {.uid = 2000, .gid = 2000, .pid = 5}, rules, 3, CLOISTER_ACCESS_NONE},
    {"highest of two rules", {.uid = 1000, .gid = 1, .pid = 5}, rules, 3, CLOISTER_ACCESS_CONTROL},
    {"primary group", {.uid = 2, .gid = 50, .pid = 5}, rules, 3, CLOISTER_ACCESS_OBSERVE},
    {"further group",
     {.uid = 2, .gid = 2, .pid = 5, .groups = {7, 50}, .group_count = 2},
     rules,
     3,
     CLOISTER_ACCESS_OBSERVE},
    {"uid equal to a group's number", {.uid = 50, .gid = 2, .pid = 5}, rules, 3, CLOISTER_ACCESS_NONE},
    {"unmapped, in a listed group", {.uid = 65534, .gid = 50, .pid = 0}, rules, 3, CLOISTER_ACCESS_NONE},
    {"unmapped, listed", {.uid = 65534, .gid = 65534, .pid = 0}, nobody_listed, 1, CLOISTER_ACCESS_OBSERVE},
    {"nobody with a pid, in a listed group", {.uid = 65534, .gid = 50, .pid = 9}, rules, 3, CLOISTER_ACCESS_OBSERVE},
};

static void test_access(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(access_cases); i++)
        CL_CHECK_INT(access_cases[i].name,
                     cl_access_of(&access_cases[i].peer, 77, access_cases[i].rules, access_cases[i].rule_count),
                     access_cases[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_routes), cmocka_unit_test(test_query),
                                       cmocka_unit_test(test_access)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a container, of its program and of who that runs as. */
#include "test_bed.h"

#define PAUSE "\"init\":\"pause\",\"spec\":{}"
#define ROOT "\"rootfs\":{\"directory\":\"/r\"}"
#define CREATED "create name= spec={} rootfs=/r flags=0 init=2 start=1 labels=0"
#define MADE "container_create known/c spec={} rootfs=/r init=2 start=1"

static const struct {
    const char *name, *op, *params, *story;
} cases[] = {
    {"layers", "create", "{" PAUSE ",\"rootfs\":{\"layers\":[\"/a\",\"/b\"],\"writable\":true}}",
     "create name= spec={} rootfs= flags=1 init=2 start=1 labels=0 layer=/a layer=/b rootfs_kind=2\n"},
    {"layers and a directory", "create", "{" PAUSE ",\"rootfs\":{\"layers\":[\"/a\"],\"directory\":\"/b\"}}",
     INVALID("key 'rootfs.directory': stands beside 'layers'; one of them is wanted")},
    {"no layer", "create", "{" PAUSE ",\"rootfs\":{\"layers\":[]}}",
     INVALID("key 'rootfs.layers': expected 1 to 100 directories")},
    {"a layer is a number", "create", "{" PAUSE ",\"rootfs\":{\"layers\":[\"/a\",1]}}",
     INVALID("key 'rootfs.layers': expected strings")},
    {"layers, a text", "create", "{" PAUSE ",\"rootfs\":{\"layers\":\"/a\"}}",
     INVALID("key 'rootfs.layers': expected an array")},
    {"files", "create",
     "{" PAUSE "," ROOT ",\"files\":[{\"path\":\"/f\",\"text\":\"t\"},{\"path\":\"/g\",\"mode\":384,\"uid\":1,"
     "\"gid\":2,\"data\":\"Zm8=\"},{\"path\":\"/h\",\"share\":{\"container\":\"main\"}},{\"path\":\"/i\",\"share\":{"
     "\"container\":\"main\",\"path\":\"/j\"}}]}",
     CREATED " file=/f:0:0:0:t file=/g:600:1:2:fo file=/h:0:0:0::main/h file=/i:0:0:0::main/j\n"},
    {"a file of no content", "create", "{" PAUSE "," ROOT ",\"files\":[{\"path\":\"/f\"}]}",
     INVALID("key 'files[0].text': missing; so is 'data'")},
    {"a file of two contents", "create",
     "{" PAUSE "," ROOT ",\"files\":[{\"path\":\"/e\",\"text\":\"\"},{\"path\":\"/f\",\"text\":\"\",\"share\":{}}]}",
     INVALID("key 'files[1].share': stands beside a content of its own")},
    {"a share of nobody's", "create", "{" PAUSE "," ROOT ",\"files\":[{\"path\":\"/f\",\"share\":{}}]}",
     INVALID("key 'files[0].share.container': missing")},
    {"a file without a name", "create", "{" PAUSE "," ROOT ",\"files\":[{\"text\":\"\"}]}",
     INVALID("key 'files[0].path': missing")},
    {"a file is a text", "create", "{" PAUSE "," ROOT ",\"files\":[\"/f\"]}",
     INVALID("key 'files[0].path': missing: expected an object")},
    {"a file's mode", "create", "{" PAUSE "," ROOT ",\"files\":[{\"path\":\"/f\",\"text\":\"\",\"mode\":4096}]}",
     INVALID("key 'files[0].mode': expected an integer from 1 to 4095")},
    {"a file's base64", "create", "{" PAUSE "," ROOT ",\"files\":[{\"path\":\"/f\",\"data\":\"?\"}]}",
     INVALID("key 'files[0].data': expected base64, padded and without line breaks")},
    {"a file's odd key", "create", "{" PAUSE "," ROOT ",\"files\":[{\"path\":\"/f\",\"txt\":\"\"}]}",
     INVALID("unknown key 'files[0].txt'; the nearest known one is 'files[0].text'")},
    {"files is an object", "create", "{" PAUSE "," ROOT ",\"files\":{}}", INVALID("key 'files': expected an array")},
    {"a group and limits", "create",
     "{" PAUSE "," ROOT ",\"cgroup_parent\":\"a/b\",\"resources\":{\"pids\":{\"limit\":9}}}",
     "create name= spec={} rootfs=/r flags=0 init=2 start=1 labels=0 parent=a/b resources={\"pids\":{\"limit\":9}}\n"},
    {"limits are a number", "create", "{" PAUSE "," ROOT ",\"resources\":9}",
     INVALID("key 'resources': expected an object")},
    {"a pause has no user", "create", "{" PAUSE "," ROOT ",\"user\":\"u\"}",
     INVALID("key 'user': an init of kind 'pause' runs no program")},
    {"a terminal", "create",
     "{\"spec\":{\"process\":{}}," ROOT ",\"stdio\":[{\"kind\":\"pty\",\"rows\":40,\"columns\":100},{\"kind\":\"pty\","
     "\"window\":5,\"policy\":\"drop\"},\"pty\"]}",
     "create name= spec={} rootfs=/r flags=0 init=1 start=1 labels=0 process={} stdio=5:40x100:0:0 stdio=5:0x0:5:1 "
     "stdio=5:0x0:0:0\n"},
    {"its size in another place", "exec",
     "{\"id\":\"known\",\"process\":{},\"stdio\":[\"pty\",{\"kind\":\"pty\",\"rows\":1},\"pty\"]}",
     INVALID("key 'stdio[1].rows': of a terminal, entry 0 says it")},
    {"its policy in another place", "exec",
     "{\"id\":\"known\",\"process\":{},\"stdio\":[{\"kind\":\"pty\",\"policy\":\"drop\"}]}",
     INVALID("key 'stdio[0].policy': of a terminal, entry 1 says it")},
    {"a terminal too high", "exec", "{\"id\":\"known\",\"process\":{},\"stdio\":[{\"kind\":\"pty\",\"rows\":65536}]}",
     INVALID("key 'stdio[0].rows': expected an integer from 1 to 65535")},
    {"a user", "exec", "{\"id\":\"known\",\"process\":{},\"user\":\"u:g\",\"search\":\"/x\",\"nice\":-20}",
     "exec known/ name= session=0 deadline=0 process={} user=u:g resolve=0 caps= search=/x nice=-20\n"},
    {"a user, all of it", "exec",
     "{\"id\":\"known\",\"process\":{},\"user\":\"u\",\"resolve\":{\"groups\":true,\"env\":true,\"cwd\":true,"
     "\"nonroot_capabilities\":{\"bounding\":[]}}}",
     "exec known/ name= session=0 deadline=0 process={} user=u resolve=7 caps={\"bounding\":[]}\n"},
    {"nobody to resolve", "exec", "{\"id\":\"known\",\"process\":{},\"resolve\":{}}",
     INVALID("key 'resolve': stands without 'user'")},
    {"resolve something else", "exec", "{\"id\":\"known\",\"process\":{},\"user\":\"u\",\"resolve\":{\"home\":true}}",
     INVALID("unknown key 'resolve.home'")},
    {"resolve, a number", "exec", "{\"id\":\"known\",\"process\":{},\"user\":\"u\",\"resolve\":{\"env\":1}}",
     INVALID("key 'resolve.env': expected true or false")},
    {"too nice", "exec", "{\"id\":\"known\",\"process\":{},\"nice\":20}",
     INVALID("key 'nice': expected an integer from -20 to 19")},
    {"a group of its own", "exec",
     "{\"id\":\"known\",\"process\":{},\"own_cgroup\":true,\"resources\":{\"pids\":{\"limit\":3}}}",
     "exec +group known/ name= session=0 deadline=0 resources={\"pids\":{\"limit\":3}} process={}\n"},
    {"limits of no group", "exec", "{\"id\":\"known\",\"process\":{},\"resources\":{}}",
     INVALID("key 'resources': only with 'own_cgroup'")},
    {"a further container", "container_create",
     "{\"id\":\"known\",\"container\":\"c\"," PAUSE "," ROOT ",\"deadline_ms\":4}",
     MADE " join=:0 parent=0 deadline=4\n"},
    {"with a program", "container_create",
     "{\"id\":\"known\",\"container\":\"c\",\"spec\":{\"process\":{\"args\":[\"a\"]}}," ROOT
     ",\"start\":\"blocked\",\"user\":\"u\"}",
     "container_create known/c spec={} rootfs=/r init=1 start=2 join=:0 parent=0 deadline=0 "
     "process={\"args\":[\"a\"]} user=u resolve=0 caps=\n"},
    {"joined", "container_create",
     "{\"id\":\"known\",\"container\":\"c\"," PAUSE "," ROOT ",\"join\":{\"container\":\"main\",\"namespaces\":["
     "\"net\",\"ipc\",\"uts\",\"user\",\"pid\",\"cgroup\",\"time\"]},\"cgroup_parent\":\"container\"}",
     MADE " join=main:7f parent=1 deadline=0\n"},
    {"joined in part", "container_create",
     "{\"id\":\"known\",\"container\":\"c\"," PAUSE "," ROOT
     ",\"join\":{\"container\":\"main\",\"namespaces\":[\"net\"]}}",
     MADE " join=main:4 parent=0 deadline=0\n"},
    {"joined to nobody", "container_create",
     "{\"id\":\"known\",\"container\":\"c\"," PAUSE "," ROOT ",\"join\":{\"namespaces\":[]}}",
     INVALID("key 'join.container': missing")},
    {"joined for nothing", "container_create",
     "{\"id\":\"known\",\"container\":\"c\"," PAUSE "," ROOT ",\"join\":{\"container\":\"main\"}}",
     INVALID("key 'join.namespaces': missing")},
    {"joined in its mounts", "container_create",
     "{\"id\":\"known\",\"container\":\"c\"," PAUSE "," ROOT
     ",\"join\":{\"container\":\"main\",\"namespaces\":[\"mount\"]}}",
     INVALID("key 'join.namespaces': expected words of net, ipc, uts, user, pid, cgroup, time")},
    {"held by nobody", "container_create",
     "{\"id\":\"known\",\"container\":\"c\"," PAUSE "," ROOT ",\"cgroup_parent\":\"container\"}",
     INVALID("key 'cgroup_parent': there is no container to 'join'")},
    {"a further one without a name", "container_create", "{\"id\":\"known\"," PAUSE "," ROOT "}",
     INVALID("key 'container': missing")},
    {"a further one with labels", "container_create",
     "{\"id\":\"known\",\"container\":\"c\"," PAUSE "," ROOT ",\"labels\":{}}", INVALID("unknown key 'labels'")},
    {"delete", "container_delete", "{\"id\":\"known\",\"container\":\"c\"}",
     "container_delete known/c flags=0 deadline=0\n"},
    {"delete by force", "container_delete", "{\"id\":\"known\",\"container\":\"c\",\"force\":true,\"deadline_ms\":2}",
     "container_delete known/c flags=1 deadline=2\n"},
    {"delete nothing", "container_delete", "{\"id\":\"known\"}", INVALID("key 'container': missing")},
    {"delete, a word", "container_delete", "{\"id\":\"known\",\"container\":\"c\",\"force\":\"yes\"}",
     INVALID("key 'force': expected true or false")},
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

static void test_made(void **state)
{
    const struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .pid = 3, .process = 5,
                                           .container_state = CLOISTER_CONTAINER_CREATED};
    (void)state;
    request(0, "container_create", "{\"id\":\"known\",\"container\":\"c\"," PAUSE "," ROOT "}");
    story[0] = 0;
    complete(0, &result);
    assert_string_equal(story, "0:200 {\"pid\":3,\"process\":5,\"state\":\"created\"}\n");
    request(0, "container_delete", "{\"id\":\"known\",\"container\":\"c\"}");
    story[0] = 0;
    complete(0, NULL);
    assert_string_equal(story, "0:200 {}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), CASE(test_made)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

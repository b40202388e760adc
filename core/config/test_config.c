/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config/config.h"

#include <errno.h>
#include <string.h>

#include <cloister/personality.h>

#include "core/error/error.h"
#include "core/util/check.h"
#include "core/util/mem.h"
#include "core/util/str.h"

/* Line 1 to 4 of most cases; the services follow on line 5. */
#define HEAD                                                                                             \
    "{\n"                                                                                                \
    "  \"persistence\": { \"main\": { \"plugin\": \"memory\" } },\n"                                     \
    "  \"isolation\": { \"main\": { \"plugin\": \"namespaces\" }, \"other\": { \"plugin\": \"x\" } },\n" \
    "  \"services\": [\n"
#define SERVICE \
    "\"name\": \"a\", \"personality\": { \"plugin\": \"p\" }, \"isolation\": \"main\", \"persistence\": \"main\""
#define LISTEN(text) HEAD "{ " SERVICE ",\n\"listen\": [ " text " ] } ] }"

static const struct {
    const char *name, *text, *sentence;
    uint32_t code;
} bad[] = {
    {"not JSON", "{ oops }", "f:1:3: expected a string key", CLOISTER_INVALID},
    {"empty", "", "f:1:1: expected a value", CLOISTER_INVALID},
    {"not an object", "// c\n []", "f:2:2: expected an object, not an array", CLOISTER_INVALID},
    {"open comment", "{}\n/* x", "f:2:1: expected a */ to end this comment", CLOISTER_INVALID},
    {"key twice", "{ \"instance\": \"a\",\n \"instance\": \"b\" }",
     "f:2:2: key 'instance': expected each key once, but 'instance' comes again", CLOISTER_INVALID},
    {"unknown key", "{\n  \"servces\": [] }", "f:2:3: key 'servces': unknown key; did you mean 'services'?",
     CLOISTER_INVALID},
    {"unknown key far from all", "{ \"zzz\": 1 }", "f:1:3: key 'zzz': unknown key", CLOISTER_INVALID},
    {"instance of the wrong type", "{ \"instance\": 7 }",
     "f:1:15: key 'instance': expected a name of 1 to 32 characters a-z, 0-9 and -, not a number", CLOISTER_INVALID},
    {"bad instance", "{ \"instance\": \"a/../b\" }",
     "f:1:15: key 'instance': expected a name of 1 to 32 characters a-z, 0-9 and -", CLOISTER_INVALID},
    {"long instance", "{ \"instance\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" }",
     "f:1:15: key 'instance': expected a name of 1 to 32 characters a-z, 0-9 and -", CLOISTER_INVALID},
    {"relative directory", "{ \"state_dir\": \"lib\" }", "f:1:16: key 'state_dir': expected an absolute path",
     CLOISTER_INVALID},
    {"long run directory",
     "{ \"run_dir\": \"/run/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" }",
     "f:1:14: key 'run_dir': expected a path of at most 80 bytes, because sockets live below it", CLOISTER_INVALID},
    {"plugin path is no list", "{ \"plugin_path\": \"/x\" }",
     "f:1:18: key 'plugin_path': expected an array, not a string", CLOISTER_INVALID},
    {"relative plugin path", "{ \"plugin_path\": [ \"/x\",\n\"y\" ] }",
     "f:2:1: key 'plugin_path[1]': expected an absolute path", CLOISTER_INVALID},
    {"log is no object", "{ \"log\": null }", "f:1:10: key 'log': expected an object, not null", CLOISTER_INVALID},
    {"unknown level", "{ \"log\": { \"level\": \"inof\" } }",
     "f:1:21: key 'log.level': expected error, warn, info or debug; did you mean 'info'?", CLOISTER_INVALID},
    {"unknown key in log", "{ \"log\": { \"levl\": \"info\" } }",
     "f:1:12: key 'log.levl': unknown key; did you mean 'level'?", CLOISTER_INVALID},
    {"timestamps of the wrong type", "{ \"log\": { \"timestamps\": 1 } }",
     "f:1:26: key 'log.timestamps': expected true or false, not a number", CLOISTER_INVALID},
    {"entry without plugin", "{ \"isolation\": { \"main\":\n { \"ids\": 1 } } }",
     "f:2:2: key 'isolation.main': the required key 'plugin' is missing", CLOISTER_INVALID},
    {"entry is a name", "{ \"isolation\": { \"main\": \"namespaces\" } }",
     "f:1:26: key 'isolation.main': expected an object, not a string", CLOISTER_INVALID},
    {"bad plugin name", "{ \"isolation\": { \"main\": { \"plugin\": \"../x\" } } }",
     "f:1:38: key 'isolation.main.plugin': expected a plugin's name (a-z, 0-9 and -) or an absolute path",
     CLOISTER_INVALID},
    {"bad entry name", "{ \"isolation\": { \"M\": { \"plugin\": \"x\" } } }",
     "f:1:18: key 'isolation.M': expected a name of 1 to 32 characters a-z, 0-9 and -", CLOISTER_INVALID},
    {"optional of the wrong type", "{ \"persistence\": { \"m\": { \"plugin\": \"x\", \"optional\": \"yes\" } } }",
     "f:1:54: key 'persistence.m.optional': expected true or false, not a string", CLOISTER_INVALID},
    {"wrap is no list", "{ \"persistence\": { \"m\": { \"plugin\": \"x\", \"wrap\": \"delay\" } } }",
     "f:1:50: key 'persistence.m.wrap': expected an array, not a string", CLOISTER_INVALID},
    {"wrapper without plugin", "{ \"persistence\": { \"m\": { \"plugin\": \"x\", \"wrap\": [ \"delay\", {} ] } } }",
     "f:1:61: key 'persistence.m.wrap[1]': the required key 'plugin' is missing", CLOISTER_INVALID},
    {"wrapper of a wrapper",
     "{ \"isolation\": { \"m\": { \"plugin\": \"x\", \"wrap\": [ { \"plugin\": \"y\", \"wrap\": [] } ] } } }",
     "f:1:75: key 'isolation.m.wrap[0].wrap': only entries of isolation and persistence can be wrapped",
     CLOISTER_INVALID},
    {"services is no list", "{ \"services\": {} }", "f:1:15: key 'services': expected an array, not an object",
     CLOISTER_INVALID},
    {"service without name", HEAD "{ } ] }", "f:5:1: key 'services[0]': the required key 'name' is missing",
     CLOISTER_INVALID},
    {"service without personality", HEAD "{ \"name\": \"a\" } ] }",
     "f:5:1: key 'services[0]': the required key 'personality' is missing", CLOISTER_INVALID},
    {"service without isolation", HEAD "{ \"name\": \"a\", \"personality\": { \"plugin\": \"p\" } } ] }",
     "f:5:1: key 'services[0]': the required key 'isolation' is missing", CLOISTER_INVALID},
    {"unknown key in a service", HEAD "{ " SERVICE ",\n \"lisen\": [] } ] }",
     "f:6:2: key 'services[0].lisen': unknown key; did you mean 'listen'?", CLOISTER_INVALID},
    {"two services of one name", HEAD "{ " SERVICE " },\n { " SERVICE " } ] }",
     "f:6:12: key 'services[1].name': another service is named 'a' already", CLOISTER_INVALID},
    {"undefined isolation",
     HEAD "{ \"name\": \"a\", \"personality\": { \"plugin\": \"p\" },\n\"isolation\": \"mian\", \"persistence\": "
          "\"main\" } ] }",
     "f:6:14: key 'services[0].isolation': no entry of this name is defined; did you mean 'main'?", CLOISTER_INVALID},
    {"undefined persistence",
     HEAD "{ \"name\": \"a\", \"personality\": { \"plugin\": \"p\" },\n\"isolation\": \"main\", \"persistence\": "
          "\"zzzzz\" } ] }",
     "f:6:37: key 'services[0].persistence': no entry of this name is defined", CLOISTER_INVALID},
    {"wrapped personality", HEAD "{ \"name\": \"a\", \"personality\":\n{ \"plugin\": \"p\", \"wrap\": [] } } ] }",
     "f:6:26: key 'services[0].personality.wrap': only entries of isolation and persistence can be wrapped",
     CLOISTER_INVALID},
    {"dial", HEAD "{ " SERVICE ",\n \"dial\": [] } ] }",
     "f:6:10: key 'services[0].dial': dialling out is not supported by this version; use 'listen'",
     CLOISTER_UNSUPPORTED},
    {"machine", HEAD "{ " SERVICE ",\n \"machine\": [ \"mount\" ] } ] }",
     "f:6:15: key 'services[0].machine[0]': this version knows nothing of the machine's by this name",
     CLOISTER_INVALID},
    {"machine, nearly", HEAD "{ " SERVICE ",\n \"machine\": [ \"stats\", \"stat\" ] } ] }",
     "f:6:24: key 'services[0].machine[1]': this version knows nothing of the machine's by this name; did you mean "
     "'stats'?",
     CLOISTER_INVALID},
    {"machine of the wrong type", HEAD "{ " SERVICE ",\n \"machine\": true } ] }",
     "f:6:13: key 'services[0].machine': expected an array, not true or false", CLOISTER_INVALID},
    {"grant to nobody", HEAD "{ " SERVICE ",\n \"grant\": { \"see\": [ \"*\", \"b\" ] } } ] }",
     "f:6:27: key 'services[0].grant.see[1]': no service has this name", CLOISTER_INVALID},
    {"grant of the wrong type", HEAD "{ " SERVICE ",\n \"grant\": { \"act\": [ 7 ] } } ] }",
     "f:6:22: key 'services[0].grant.act[0]': expected a string that is not empty, not a number", CLOISTER_INVALID},
    {"unknown key in grant", HEAD "{ " SERVICE ",\n \"grant\": { \"sea\": [] } } ] }",
     "f:6:13: key 'services[0].grant.sea': unknown key; did you mean 'see'?", CLOISTER_INVALID},
    {"no transport", LISTEN("{ \"transports\": [], \"address\": \"unix:/a\" }"),
     "f:6:29: key 'services[0].listen[0].transports': expected at least one transport", CLOISTER_INVALID},
    {"transport is a number", LISTEN("{ \"transports\": [ 1 ], \"address\": \"unix:/a\" }"),
     "f:6:31: key 'services[0].listen[0].transports[0]': expected a plugin's name or an object, not a number",
     CLOISTER_INVALID},
    {"no address", LISTEN("{ \"transports\": [ \"t\" ] }"),
     "f:6:13: key 'services[0].listen[0]': the required key 'address' is missing", CLOISTER_INVALID},
    {"tcp", LISTEN("{ \"transports\": [ \"t\" ],\n\"address\": \"tcp:127.0.0.1:80\" }"),
     "f:7:12: key 'services[0].listen[0].address': tcp: addresses are not supported by this version; use unix: or fd:",
     CLOISTER_UNSUPPORTED},
    {"no scheme", LISTEN("{ \"transports\": [ \"t\" ],\n\"address\": \"/a\" }"),
     "f:7:12: key 'services[0].listen[0].address': expected an address: unix:/path, fd:NAME or fd:NUMBER",
     CLOISTER_INVALID},
    {"relative socket", LISTEN("{ \"transports\": [ \"t\" ],\n\"address\": \"unix:a\" }"),
     "f:7:12: key 'services[0].listen[0].address': expected the absolute path of a socket after unix:",
     CLOISTER_INVALID},
    {"socket is a directory", LISTEN("{ \"transports\": [ \"t\" ],\n\"address\": \"unix:/a/\" }"),
     "f:7:12: key 'services[0].listen[0].address': expected the absolute path of a socket after unix:",
     CLOISTER_INVALID},
    {"long socket",
     LISTEN("{ \"transports\": [ \"t\" ],\n\"address\": \"unix:/"
            "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
            "1234567\" }"),
     "f:7:12: key 'services[0].listen[0].address': the path has 108 bytes, a socket's may have 107", CLOISTER_INVALID},
    {"a handed-over socket without a name", LISTEN("{ \"transports\": [ \"t\" ],\n\"address\": \"fd:\" }"),
     "f:7:12: key 'services[0].listen[0].address': expected a name of 1 to 255 visible characters without a colon, or "
     "a "
     "descriptor's number, after fd:",
     CLOISTER_INVALID},
    {"two names", LISTEN("{ \"transports\": [ \"t\" ],\n\"address\": \"fd:a:b\" }"),
     "f:7:12: key 'services[0].listen[0].address': expected a name of 1 to 255 visible characters without a colon, or "
     "a "
     "descriptor's number, after fd:",
     CLOISTER_INVALID},
    {"a standard descriptor", LISTEN("{ \"transports\": [ \"t\" ],\n\"address\": \"fd:2\" }"),
     "f:7:12: key 'services[0].listen[0].address': expected a descriptor from 3 to 1023 after fd:", CLOISTER_INVALID},
    {"a descriptor beyond all", LISTEN("{ \"transports\": [ \"t\" ],\n\"address\": \"fd:18446744073709551619\" }"),
     "f:7:12: key 'services[0].listen[0].address': expected a descriptor from 3 to 1023 after fd:", CLOISTER_INVALID},
    {"a descriptor spelt otherwise", LISTEN("{ \"transports\": [ \"t\" ],\n\"address\": \"fd:03\" }"),
     "f:7:12: key 'services[0].listen[0].address': expected a descriptor from 3 to 1023 after fd:", CLOISTER_INVALID},
    {"mode of a handed-over socket",
     LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"fd:x\",\n\"mode\": \"0660\" }"),
     "f:7:9: key 'services[0].listen[0].mode': has no effect on a socket that is handed over; whoever makes it says "
     "who "
     "may connect",
     CLOISTER_INVALID},
    {"group of a handed-over socket", LISTEN("{ \"transports\": [ \"t\" ],\n \"group\": 0, \"address\": \"fd:3\" }"),
     "f:7:11: key 'services[0].listen[0].group': has no effect on a socket that is handed over; whoever makes it says "
     "who may connect",
     CLOISTER_INVALID},
    {"one handed-over socket twice",
     LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"fd:x\" },\n{ \"transports\": [ \"t\" ], \"address\": "
            "\"fd:x\" }"),
     "f:7:37: key 'services[0].listen[1].address': this address is listened on already", CLOISTER_INVALID},
    {"unknown policy at the end", "{ \"on_sigterm\": \"stpo\" }",
     "f:1:17: key 'on_sigterm': expected leave or stop; did you mean 'stop'?", CLOISTER_INVALID},
    {"policy at the end of the wrong type", "{ \"on_sigterm\": 15 }",
     "f:1:17: key 'on_sigterm': expected leave or stop, not a number", CLOISTER_INVALID},
    {"no grace", "{\n \"stop_grace_ms\": 0 }",
     "f:2:19: key 'stop_grace_ms': expected a whole number of milliseconds from 1 to 86400000", CLOISTER_INVALID},
    {"drain for longer than a day", "{ \"drain_ms\": 86400001 }",
     "f:1:15: key 'drain_ms': expected a whole number of milliseconds from 1 to 86400000", CLOISTER_INVALID},
    {"drain in words", "{ \"drain_ms\": \"1s\" }",
     "f:1:15: key 'drain_ms': expected a whole number of milliseconds from 1 to 86400000, not a string",
     CLOISTER_INVALID},
    {"half a millisecond", "{ \"recover_ms\": 0.5 }",
     "f:1:17: key 'recover_ms': expected a whole number of milliseconds from 1 to 86400000", CLOISTER_INVALID},
    {"unknown key near a new one", "{ \"recovery_ms\": 1 }",
     "f:1:3: key 'recovery_ms': unknown key; did you mean 'recover_ms'?", CLOISTER_INVALID},
    {"unknown policy for orphans", "{ \"orphans\": \"reprot\" }",
     "f:1:14: key 'orphans': expected remove or report; did you mean 'report'?", CLOISTER_INVALID},
    {"relative boot id", "{ \"boot_id_file\": \"boot_id\" }", "f:1:19: key 'boot_id_file': expected an absolute path",
     CLOISTER_INVALID},
    {"one address twice",
     LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"unix:/a\" },\n{ \"transports\": [ \"t\" ], \"address\": "
            "\"unix:/a\" }"),
     "f:7:37: key 'services[0].listen[1].address': this address is listened on already", CLOISTER_INVALID},
    {"mode is a number", LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"unix:/a\",\n\"mode\": 660 }"),
     "f:7:9: key 'services[0].listen[0].mode': expected a mode of four octal digits, such as \"0660\", not a number",
     CLOISTER_INVALID},
    {"mode not octal", LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"unix:/a\",\n\"mode\": \"0668\" }"),
     "f:7:9: key 'services[0].listen[0].mode': expected a mode of four octal digits, such as \"0660\"",
     CLOISTER_INVALID},
    {"setuid mode", LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"unix:/a\",\n\"mode\": \"4660\" }"),
     "f:7:9: key 'services[0].listen[0].mode': expected a mode of four octal digits, such as \"0660\"",
     CLOISTER_INVALID},
    {"unknown group", LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"unix:/a\",\n\"group\": \"no-such-group\" }"),
     "f:7:10: key 'services[0].listen[0].group': this machine has no group 'no-such-group'", CLOISTER_GROUP_UNKNOWN},
    {"group -1", LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"unix:/a\",\n\"group\": 4294967295 }"),
     "f:7:10: key 'services[0].listen[0].group': expected an id from 0 to 4294967294", CLOISTER_INVALID},
    {"no connections", LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"unix:/a\",\n\"connections\": 0 }"),
     "f:7:16: key 'services[0].listen[0].connections': expected a whole number from 1 to 1000000", CLOISTER_INVALID},
    {"broken number", LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"unix:/a\",\n\"in_flight\": 1.5 }"),
     "f:7:14: key 'services[0].listen[0].in_flight': expected a whole number from 1 to 1000000", CLOISTER_INVALID},
    {"unknown class",
     LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"unix:/a\",\n\"access\": [ { \"uid\": 1, \"class\": \"amdin\" "
            "} ] }"),
     "f:7:34: key 'services[0].listen[0].access[0].class': expected observe, control or admin; did you mean 'admin'?",
     CLOISTER_INVALID},
    {"uid and group",
     LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"unix:/a\",\n"
            "\"access\": [ { \"uid\": 1, \"group\": 1, \"class\": \"admin\" } ] }"),
     "f:7:13: key 'services[0].listen[0].access[0]': expected either 'uid' or 'group'", CLOISTER_INVALID},
    {"access for nobody",
     LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"unix:/a\",\n\"access\": [ { \"class\": \"admin\" } ] }"),
     "f:7:13: key 'services[0].listen[0].access[0]': expected either 'uid' or 'group'", CLOISTER_INVALID},
};

static void bad_configs_are_refused(void **state)
{
    for (size_t i = 0; i < CL_COUNT(bad); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct cl_config *config = NULL;
        char sentence[1024];
        CL_CHECK(bad[i].name, cl_config_parse("f", cl_sv_cstr(bad[i].text), &config, &err) < 0);
        CL_CHECK(bad[i].name, config == NULL);
        (void)cl_error_sentence(&err, sentence, sizeof(sentence));
        CL_CHECK_STR(bad[i].name, sentence, bad[i].sentence);
        CL_CHECK_INT(bad[i].name, err.code, bad[i].code);
        unsigned line = 0, column = 0;
        CL_CHECK_INT(bad[i].name, sscanf(sentence, "f:%u:%u:", &line, &column), 2);
        CL_CHECK_INT(bad[i].name, err.line, line);
        CL_CHECK_INT(bad[i].name, err.column, column);
        CL_CHECK(bad[i].name, cl_config_parse("f", cl_sv_cstr(bad[i].text), &config, NULL) < 0);
    }
}

static void subject_is_the_path(void **state)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cl_config *config;
    assert_int_equal(cl_config_parse("f", CLOISTER_SV("{ \"log\": { \"level\": 1 } }"), &config, &err), -EINVAL);
    assert_string_equal(err.subject, "log.level");
}

static void defaults(void **state)
{
    CL_CONFIG_CLEANUP struct cl_config *config = NULL;
    assert_int_equal(cl_config_parse("f", CLOISTER_SV("{}"), &config, NULL), 0);
    assert_string_equal(config->instance, "default");
    assert_string_equal(config->run_dir, "/run/cloister/default");
    assert_string_equal(config->state_dir, "/var/lib/cloister/default");
    assert_int_equal(config->keeper[0], '/');
    assert_int_equal(config->plugin_path[0][0], '/');
    assert_null(config->plugin_path[1]);
    assert_int_equal(config->profile_path[0][0], '/');
    assert_null(config->profile_path[1]);
    assert_null(config->helpers[0]);
    assert_int_equal(config->log_level, CL_LOG_INFO);
    assert_false(config->log_timestamps);
    assert_int_equal(config->on_sigterm, CL_ON_SIGTERM_LEAVE);
    assert_int_equal(config->stop_grace_ms, 10000);
    assert_int_equal(config->drain_ms, 60000);
    assert_int_equal(config->recover_ms, 5000);
    assert_false(config->orphans_report);
    assert_string_equal(config->boot_id_file, "/proc/sys/kernel/random/boot_id");
    assert_int_equal(config->service_count + config->isolation_count + config->persistence_count, 0);
}

static const char full[] =
    "{ // a comment\n"
    "  \"instance\": \"test-1\", \"keeper\": \"/k\", \"plugin_path\": [\"/a\", \"/b\"], \"profile_path\": [],\n"
    "  \"helpers\": [\"/usr/bin/hook\"],\n"
    "  \"log\": { \"level\": \"debug\", \"timestamps\": true }, \"on_sigterm\": \"stop\", \"stop_grace_ms\": 1,\n"
    "  \"drain_ms\": 86400000, \"recover_ms\": 7, \"orphans\": \"report\", \"boot_id_file\": \"/b\",\n"
    "  \"persistence\": { \"main\": { \"plugin\": \"memory\", \"size\": 7 } },\n"
    "  \"isolation\": { \"main\": { \"plugin\": \"namespaces\", \"wrap\": [ \"fault\", { \"plugin\": \"/p/delay.so\", "
    "\"ms\": 5 } ] },\n"
    "                 \"vm\": { \"plugin\": \"microvm\", \"optional\": true } },\n"
    "  \"services\": [\n"
    "    { \"name\": \"control\", \"personality\": { \"plugin\": \"control\", \"k\": \"v\" },\n"
    "      \"listen\": [ { \"transports\": [ \"unix-json\", { \"plugin\": \"http\", \"max\": 1 } ], \"address\": "
    "\"unix:/r/c.sock\",\n"
    "                    \"mode\": \"0600\", \"group\": 5, \"connections\": 10, \"connections_per_uid\": 4, "
    "\"in_flight\": 3,\n"
    "                    \"access\": [ { \"uid\": 1000, \"class\": \"control\" }, { \"group\": \"root\", \"class\": "
    "\"observe\" } ] } ],\n"
    "      \"isolation\": \"vm\", \"persistence\": \"main\", \"machine\": [\"stats\"], \"grant\": { \"see\": [ \"*\" "
    "], "
    "\"act\": [ \"other\" ] } },\n"
    "    { \"name\": \"other\", \"personality\": { \"plugin\": \"p\" }, \"isolation\": \"main\", \"persistence\": "
    "\"main\" } ] }\n";

static void check_entries(const struct cl_config *config)
{
    const struct cl_config_entry *isolation = &config->isolation[0];
    assert_int_equal(config->isolation_count, 2);
    assert_string_equal(isolation->name, "main");
    assert_string_equal(isolation->path, "isolation.main");
    assert_string_equal(isolation->plugin, "namespaces");
    assert_false(isolation->optional);
    assert_int_equal(isolation->wrap_count, 2);
    assert_string_equal(isolation->wrap[0].plugin, "fault");
    assert_string_equal(isolation->wrap[0].name, "main");
    assert_string_equal(isolation->wrap[1].plugin, "/p/delay.so");
    assert_string_equal(isolation->wrap[1].path, "isolation.main.wrap[1]");
    assert_true(config->isolation[1].optional);
    assert_int_equal(config->persistence_count, 1);
    assert_string_equal(config->persistence[0].plugin, "memory");
}

static void check_listen(const struct cl_config_listen *listen)
{
    assert_int_equal(listen->transport_count, 2);
    assert_string_equal(listen->transports[0].plugin, "unix-json");
    assert_string_equal(listen->transports[0].name, "control");
    assert_string_equal(listen->transports[1].plugin, "http");
    assert_string_equal(listen->address, "unix:/r/c.sock");
    assert_int_equal(listen->mode, 0600);
    assert_int_equal(listen->group, 5);
    assert_int_equal(listen->connections, 10);
    assert_int_equal(listen->connections_per_uid, 4);
    assert_int_equal(listen->in_flight, 3);
    assert_int_equal(listen->access_count, 2);
    assert_int_equal(listen->access[0].id, 1000);
    assert_int_equal(listen->access[0].access, CLOISTER_ACCESS_CONTROL);
    assert_false(listen->access[0].is_group);
    assert_int_equal(listen->access[1].id, 0);
    assert_int_equal(listen->access[1].access, CLOISTER_ACCESS_OBSERVE);
    assert_true(listen->access[1].is_group);
}

static void a_full_config(void **state)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    CL_CONFIG_CLEANUP struct cl_config *config = NULL;
    int r = cl_config_parse("f", cl_sv_cstr(full), &config, &err);
    CL_CHECK_STR("no error", err.chain, "");
    assert_int_equal(r, 0);
    assert_string_equal(config->run_dir, "/run/cloister/test-1");
    assert_string_equal(config->plugin_path[1], "/b");
    assert_null(config->profile_path[0]);
    assert_string_equal(config->helpers[0], "/usr/bin/hook");
    assert_null(config->helpers[1]);
    assert_int_equal(config->log_level, CL_LOG_DEBUG);
    assert_true(config->log_timestamps);
    assert_int_equal(config->on_sigterm, CL_ON_SIGTERM_STOP);
    assert_int_equal(config->stop_grace_ms, 1);
    assert_int_equal(config->drain_ms, 86400000);
    assert_int_equal(config->recover_ms, 7);
    assert_true(config->orphans_report);
    assert_string_equal(config->boot_id_file, "/b");
    check_entries(config);
    assert_int_equal(config->service_count, 2);
    const struct cl_config_service *service = &config->services[0];
    assert_string_equal(service->name, "control");
    assert_string_equal(service->personality.plugin, "control");
    assert_string_equal(service->personality.path, "services[0].personality");
    assert_string_equal(service->personality.name, "control");
    assert_ptr_equal(service->isolation, &config->isolation[1]);
    assert_ptr_equal(service->persistence, &config->persistence[0]);
    assert_string_equal(service->see[0], "*");
    assert_null(service->see[1]);
    assert_string_equal(service->act[0], "other");
    assert_true(service->machine_stats);
    assert_false(config->services[1].machine_stats);
    assert_int_equal(service->listen_count, 1);
    check_listen(service->listen);
    assert_int_equal(config->services[1].listen_count, 0);
    assert_null(config->services[1].see[0]);
}

static void endpoint_defaults(void **state)
{
    CL_CONFIG_CLEANUP struct cl_config *config = NULL;
    static const char text[] = LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"unix:/a\" }");
    assert_int_equal(cl_config_parse("f", cl_sv_cstr(text), &config, NULL), 0);
    const struct cl_config_listen *listen = &config->services[0].listen[0];
    assert_int_equal(listen->mode, 0660);
    assert_true(listen->group == (gid_t)-1);
    assert_int_equal(listen->connections, 256);
    assert_int_equal(listen->connections_per_uid, 64);
    assert_int_equal(listen->in_flight, 64);
    assert_int_equal(listen->access_count, 0);
}

static void a_handed_over_socket_has_no_mode(void **state)
{
    static const char *const addresses[] = {"fd:x", "fd:3", "fd:1023", "fd:a-name.with_3~signs"};
    for (size_t i = 0; i < CL_COUNT(addresses); i++) {
        CL_CONFIG_CLEANUP struct cl_config *config = NULL;
        struct cl_str text CL_STR_CLEANUP = CL_STR_INIT(4096);
        cl_str_printf(&text, LISTEN("{ \"transports\": [ \"t\" ], \"address\": \"%s\" }"), addresses[i]);
        CL_CHECK_INT(addresses[i], cl_config_parse("f", cl_str_view(&text), &config, NULL), 0);
        const struct cl_config_listen *listen = &config->services[0].listen[0];
        CL_CHECK_STR(addresses[i], listen->address, addresses[i]);
        CL_CHECK_INT(addresses[i], listen->mode, 0);
        CL_CHECK(addresses[i], listen->group == (gid_t)-1);
    }
}

/* Each allocation fails in turn; what was made until then is freed (the sanitizer build looks). */
static void no_memory_at_any_point(void **state)
{
    for (uint64_t nth = 1;; nth++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct cl_config *config = NULL;
        cl_mem_fail_nth(nth);
        int r = cl_config_parse("f", cl_sv_cstr(full), &config, &err);
        cl_mem_fail_nth(0);
        config = cl_config_free(config);
        if (r == 0) {
            assert_true(nth > 200);
            return;
        }
        assert_int_equal(r, -ENOMEM);
        assert_int_equal(err.code, CLOISTER_LIMIT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_configs_are_refused),
        cmocka_unit_test(subject_is_the_path),
        cmocka_unit_test(defaults),
        cmocka_unit_test(a_full_config),
        cmocka_unit_test(endpoint_defaults),
        cmocka_unit_test(a_handed_over_socket_has_no_mode),
        cmocka_unit_test(no_memory_at_any_point),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}

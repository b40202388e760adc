/* SPDX-License-Identifier: Apache-2.0 */
/* test_complain.c - what a person reads who typed the wrong thing, and what a program reads. No daemon is there. */
#include "core/error/error.h"
#include "core/util/check.h"
#include "ctl.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORDS 8
#define NO_SOCKET "/nonexistent/control.sock"
#define NOBODY "connect to '" NO_SOCKET "': No such file or directory"

/* Runs a command with its stderr in `said`; the exit code. */
static int run(const struct ctl_command *command, bool json, const char *const *words, char *said, size_t size)
{
    struct ctl_context context = {.socket = NO_SOCKET, .json = json};
    char copies[WORDS][64], *argv[WORDS + 1] = {NULL};
    int argc = 0, kept = dup(2);
    FILE *file = tmpfile();

    assert_non_null(file);
    for (; argc < WORDS && words[argc]; argc++) {
        (void)snprintf(copies[argc], sizeof(copies[argc]), "%s", words[argc]);
        argv[argc] = copies[argc];
    }
    assert_true(dup2(fileno(file), 2) == 2);
    opterr = 0;
    optind = 0;
    int code = command->run(&context, argc, argv);
    (void)dup2(kept, 2);
    (void)close(kept);
    rewind(file);
    said[fread(said, 1, size - 1, file)] = 0;
    (void)fclose(file);
    return code;
}

struct complaint {
    const struct ctl_command *command;
    const char *words[WORDS];
    int code;
    const char *said; /* the beginning, without "cloisterctl: " */
};

static void check(const struct complaint *complaints, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char said[2048], name[256] = "", start[512];
        for (size_t k = 0; complaints[i].words[k]; k++)
            (void)snprintf(name + strlen(name), sizeof(name) - strlen(name), "%s ", complaints[i].words[k]);
        CL_CHECK_INT(name, run(complaints[i].command, false, complaints[i].words, said, sizeof(said)),
                     complaints[i].code);
        (void)snprintf(start, sizeof(start), "cloisterctl: %s", complaints[i].said);
        said[strnlen(said, strlen(start))] = 0;
        CL_CHECK_STR(name, said, start);
    }
}

#define RUN &ctl_command_run
#define EXEC &ctl_command_exec
#define KILL &ctl_command_kill
#define TTY "our input is not a terminal"

static void test_wrong_words(void **state)
{
    static const struct complaint complaints[] = {
        {RUN, {"run", "-it", "--rootfs", "/", "sh"}, 125, "run: " TTY},
        {RUN, {"run", "-t", "--rootfs", "/", "sh"}, 125, "run: " TTY},
        {RUN, {"run", "--tty", "--rootfs", "/", "sh"}, 125, "run: " TTY},
        {EXEC, {"exec", "-it", "web", "sh"}, 125, "exec: " TTY},
        {RUN, {"run", "-ix", "--rootfs", "/", "sh"}, 125, "run: there is no option '-x'"},
        {RUN, {"run", "--detach", "-xu"}, 125, "run: there is no option '-x'"},
        {RUN, {"run", "--memroy=5", "sh"}, 125, "run: there is no option '--memroy'"},
        {RUN, {"run", "--detach=5", "sh"}, 125, "run: option '--detach' takes no value"},
        {RUN, {"run", "--rm=5", "sh"}, 125, "run: option '--rm' takes no value"},
        {RUN, {"run", "--memory"}, 125, "run: option '--memory' needs a value"},
        {RUN, {"run", "-dm"}, 125, "run: option '-m' needs a value"},
        {RUN, {"run", "-j"}, 125, "run: there is no option '-j'"},
        {EXEC, {"exec", "-it", "web", "sh"}, 125, "exec: " TTY},
        {EXEC, {"exec", "-dt", "web", "sh"}, 125, "exec: --tty needs somebody"},
        {RUN, {"run", "--layer", "/", "--rootfs", "/", "sh"}, 125, "run: give either --rootfs DIR or --layer DIR"},
        {RUN, {"run", "--layer", "/nonexistent", "sh"}, 125, "run: --layer '/nonexistent'"},
        {RUN, {"run", "--env-file", "/nonexistent", "--rootfs", "/", "sh"}, 125, "run: read '/nonexistent'"},
        {RUN, {"run", "--layer", "/", "--bundle", "/"}, 125, "run: give either --rootfs DIR or --layer DIR"},
        {EXEC, {"exec", "-di", "web", "sh"}, 125, "exec: --interactive needs somebody"},
        {RUN,
         {"run", "--log-policy", "drop", "--rootfs", "/", "sh"},
         125,
         "run: --log-policy and --log-window go with"},
        {RUN, {"run", "-d", "--log-policy", "keep", "--rootfs", "/", "sh"}, 125, "run: 'keep' is no policy"},
        {RUN, {"run", "-d", "--log-window", "big", "--rootfs", "/", "sh"}, 125, "run: 'big' is not a size"},
        {&ctl_command_logs, {"logs"}, 2, "logs: give one container"},
        {&ctl_command_logs, {"logs", "a", "b"}, 2, "logs: give one container"},
        {&ctl_command_attach, {"attach"}, 125, "attach: give one container"},
        {&ctl_command_attach, {"attach", "--from", "resume", "a"}, 125, "attach: --from is live or oldest"},
        {&ctl_command_wait, {"wait", "a", "b"}, 125, "wait: give one container"},
        {&ctl_command_label, {"label"}, 2, "label: give a container"},
        {&ctl_command_label, {"label", "a", "=x"}, 1, "label: '=x' is not KEY=VALUE"},
        {&ctl_command_label, {"label", "a", "--secret", "k=/nonexistent"}, 1, "label: read '/nonexistent'"},
        {RUN, {"run", "-v", "data:/x", "--rootfs", "/", "sh"}, 125, "run: 'data:/x' is not a volume"},
        {RUN, {"run", "--mount", "type=x", "--rootfs", "/", "sh"}, 125, "run: mount 'type=x'"},
        {RUN, {"run", "-v", "/a:/b", "--bundle", "/"}, 125, "run: a bundle is taken literally"},
        {RUN, {"run", "-h", "web", "--bundle", "/"}, 125, "run: a bundle is taken literally"},
        {RUN, {"run", "-m", "1g", "--bundle", "/"}, 125, "run: a bundle is taken literally"},
        {EXEC, {"exec", "web", "--"}, 125, "exec: give the container's name, then -- and the program"},
        {KILL, {"kill", "web", "-x"}, 2, "kill: there is no option '-x'"},
        {KILL, {"kill", "-9"}, 2, "kill: give a container"},
        {KILL, {"kill", "-s", "BOGUS", "web"}, 2, "kill: 'BOGUS' is not a signal"},
        {KILL, {"kill", "-BOGUS", "web"}, 2, "kill: there is no option '-B'"},
        {&ctl_command_rm, {"rm"}, 2, "rm: give a container"},
        {&ctl_command_pause, {"pause"}, 2, "pause: give a container"},
        {&ctl_command_resume, {"resume", "-f", "web"}, 2, "resume: there is no option '-f'"},
        {&ctl_command_update, {"update", "web"}, 2, "update: say which limit"},
        {&ctl_command_update, {"update", "-m", "1g"}, 2, "update: give one container"},
        {&ctl_command_update, {"update", "-m", "big", "web"}, 1, "update: 'big' is not a size"},
        {&ctl_command_update, {"update", "--resources", "/nonexistent", "web"}, 1, "update: read '/nonexistent'"},
        {&ctl_command_update,
         {"update", "--sandbox", "--container", "c", "-m", "1g", "web"},
         2,
         "update: either --sandbox or"},
        {&ctl_command_stats, {"stats", "-a"}, 2, "stats: there is no option '-a'"},
        {&ctl_command_top, {"top"}, 2, "top: give one container"},
        {&ctl_command_cp, {"cp", "web:/x"}, 2, "cp: give what is copied"},
        {&ctl_command_cp, {"cp", "web:/x", "db:/x"}, 2, "cp: one of the two is in a container"},
        {&ctl_command_cp, {"cp", "/x", "./web:/x"}, 2, "cp: one of the two is in a container"},
        {&ctl_command_cp, {"cp", "web:", "/x"}, 1, "cp: 'web:' is neither"},
        {&ctl_command_ps, {"ps", "-x"}, 2, "ps: there is no option '-x'"},
        {&ctl_command_inspect, {"inspect", "web", "-a"}, 2, "inspect: there is no option '-a'"},
    };
    check(complaints, CL_COUNT(complaints));
}

/* Right words get as far as the socket. */
static void test_right_words(void **state)
{
    static const struct complaint complaints[] = {
        {EXEC, {"exec", "-i", "web", "--", "sh"}, 125, "exec: no daemon answers there"},
        {EXEC, {"exec", "--interactive", "web", "sh", "-t"}, 125, "exec: no daemon answers there"},
        {KILL, {"kill", "-9", "web"}, 1, "kill: no daemon answers there"},
        {KILL, {"kill", "-sigterm", "-a", "web"}, 1, "kill: no daemon answers there"},
        {&ctl_command_ps, {"ps", "-aq"}, 1, "ps: no daemon answers there"},
        {&ctl_command_pause, {"pause", "web", "db"}, 1, "pause: no daemon answers there"},
        {&ctl_command_resume, {"resume", "web"}, 1, "resume: no daemon answers there"},
        {&ctl_command_update, {"update", "--memory", "max", "--pids=5", "web"}, 1, "update: no daemon answers there"},
        {&ctl_command_stats, {"stats", "--no-stream"}, 1, "stats: no daemon answers there"},
        {&ctl_command_top, {"top", "web"}, 1, "top: no daemon answers there"},
        {&ctl_command_cp, {"cp", "-a", "-u", "web", "web:/x", "-"}, 1, "cp: no daemon answers there"},
        {&ctl_command_logs, {"logs", "-f", "--stdout", "web"}, 1, "logs: no daemon answers there"},
        {&ctl_command_attach, {"attach", "--no-stdin", "web"}, 125, "attach: no daemon answers there"},
        {&ctl_command_wait, {"wait", "web"}, 125, "wait: no daemon answers there"},
        {&ctl_command_label, {"label", "web", "k=v", "-r", "x"}, 1, "label: no daemon answers there"},
    };
    check(complaints, CL_COUNT(complaints));
}

static void test_json(void **state)
{
    static const char no_daemon[] = "\"message\":\"no daemon answers there (is cloisterd running? --socket and "
                                    "--instance choose another): " NOBODY "\",\"code\":\"no_entity\",\"subject\":\"" //
        NO_SOCKET "\",\"errno\":2}}\n";
    static const struct {
        const struct ctl_command *command;
        bool before; /* cloisterctl --json COMMAND */
        const char *words[WORDS];
        int code;
        const char *command_name, *rest;
    } cases[] = {
        {RUN,
         true,
         {"run"},
         125,
         "run",
         "\"message\":\"give either --rootfs DIR or --layer DIR (once or more) or --bundle "
         "DIR\",\"code\":\"invalid\"}}\n"},
        {RUN,
         false,
         {"run", "--json"},
         125,
         "run",
         "\"message\":\"give either --rootfs DIR or --layer DIR (once or more) or --bundle "
         "DIR\",\"code\":\"invalid\"}}\n"},
        {EXEC, false, {"exec", "--json", "web", "sh"}, 125, "exec", no_daemon},
        {KILL, true, {"kill", "-9", "web"}, 1, "kill", no_daemon},
        {KILL, false, {"kill", "web", "--json"}, 1, "kill", no_daemon},
        {KILL, false, {"kill", "--json", "-KILL", "web"}, 1, "kill", no_daemon},
        {&ctl_command_rm, true, {"rm", "web"}, 1, "rm", no_daemon},
        {&ctl_command_rm, false, {"rm", "--json", "web"}, 1, "rm", no_daemon},
        {&ctl_command_ps, false, {"ps", "--json"}, 1, "ps", no_daemon},
        {&ctl_command_ps,
         true,
         {"ps", "-q"},
         2,
         "ps",
         "\"message\":\"either --quiet or --json\",\"code\":\"invalid\"}}\n"},
        {&ctl_command_inspect, false, {"inspect", "--json", "web"}, 1, "inspect", no_daemon},
        {&ctl_command_events, false, {"events", "--json"}, 1, "events", no_daemon},
        {&ctl_command_plugins, false, {"plugins", "--json"}, 1, "plugins", no_daemon},
        {&ctl_command_version, true, {"version"}, 1, "version", no_daemon},
        {KILL,
         true,
         {"kill", "--\xff\n"},
         2,
         "kill",
         "\"message\":\"there is no option '--?\?'\",\"code\":\"invalid\"}}\n"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        char said[2048], want[1024];
        (void)snprintf(want, sizeof(want), "{\"error\":{\"command\":\"%s\",%s", cases[i].command_name, cases[i].rest);
        CL_CHECK_INT(cases[i].command_name, run(cases[i].command, cases[i].before, cases[i].words, said, sizeof(said)),
                     cases[i].code);
        CL_CHECK_STR(cases[i].command_name, said, want);
    }
}

int main(void)
{
    if (!freopen("/dev/null", "r", stdin)) /* no terminal, whoever runs this */
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_words),
        cmocka_unit_test(test_right_words),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kit.c - cloister-kit: tries a plugin against what the SDK's contract demands of its kind. It loads the file as a
 * daemon does and stands on the installed headers alone, so it is also the first plugin host that is not the daemon.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drive.h"
#include "edit.h"
#include "helper.h"
#include "iso.h"
#include "loop.h"
#include "suites.h"

static const char usage[] =
    "usage: cloister-kit persistence FILE.so [-s DIR] [-o KEY=VALUE]... [-v]\n"
    "       cloister-kit isolation FILE.so --rootfs DIR [-s DIR] [-k FILE] [-h DIR] [-c CASE] [-p SECONDS] [-o "
    "KEY=VALUE]... "
    "[-v]\n"
    "       cloister-kit drive FILE.so -s DIR [-o KEY=VALUE]... [-v] -- WORD...\n"
    "       cloister-kit edit FILE.so -s DIR [-o KEY=VALUE]... [-v] SANDBOX KIND MEMBER NUMBER\n"
    "persistence, isolation: runs the conformance suite; isolation wants root. drive: opens a store and does what the "
    "words say, a line of answer "
    "each:\n"
    "  put:ID:SIZE[:w] get:ID destroy:ID list verify stat report\n"
    "edit: puts NUMBER in the place of a top-level number of a JSON record, with the rest of it as it was\n"
    "  -s, --state-dir DIR   where the store lies (persistence: an empty directory; default: a temporary one)\n"
    "  -o, --option KEY=VALUE\n"
    "                        an option of the plugin; the store's entry in a daemon's configuration is taken to be\n"
    "                        'main', which for 'file' means -o directory=store/main\n"
    "  -r, --rootfs DIR      isolation: a root file system with busybox's programs, as of tools/mkrootfs; it is "
    "written to\n"
    "  -k, --keeper FILE     isolation: the keeper program (default: the installed one)\n"
    "  -h, --helpers DIR     isolation: where helper programs lie (default: the installed ones)\n"
    "  -c, --case NAME       isolation: only this case; * and ? stand for other letters\n"
    "  -p, --patience SECONDS\n"
    "                        isolation: how long an operation may take (default: 30)\n"
    "  -v, --verbose         print what the plugin logs\n";

#define SETTINGS_MAX 64u

struct arguments {
    const char *command;
    const char *file;
    const char *state_dir;
    const char *rootfs;
    const char *keeper;
    const char *helpers;
    const char *pattern;
    unsigned patience;
    char *settings[SETTINGS_MAX];
    unsigned setting_count;
    char **words;
    unsigned word_count;
};

static bool parse_isolation(int c, struct arguments *ret)
{
    if (c == 'r')
        ret->rootfs = optarg;
    else if (c == 'k')
        ret->keeper = optarg;
    else if (c == 'h')
        ret->helpers = optarg;
    else if (c == 'c')
        ret->pattern = optarg;
    else if (c == 'p')
        ret->patience = (unsigned)strtoul(optarg, NULL, 10);
    else
        return false;
    return ret->patience > 0;
}

static bool parse(int argc, char **argv, struct arguments *ret)
{
    static const struct option longs[] = {{"state-dir", required_argument, NULL, 's'},
                                          {"option", required_argument, NULL, 'o'},
                                          {"verbose", no_argument, NULL, 'v'},
                                          {"rootfs", required_argument, NULL, 'r'},
                                          {"keeper", required_argument, NULL, 'k'},
                                          {"case", required_argument, NULL, 'c'},
                                          {"helpers", required_argument, NULL, 'h'},
                                          {"patience", required_argument, NULL, 'p'},
                                          {NULL, 0, NULL, 0}};
    if (argc < 3)
        return false;
    ret->command = argv[1];
    ret->file = argv[2];
    optind = 3;
    for (int c; (c = getopt_long(argc, argv, "+s:o:vr:k:h:c:p:", longs, NULL)) != -1;) {
        if (c == 's')
            ret->state_dir = optarg;
        else if (c == 'o' && ret->setting_count < SETTINGS_MAX)
            ret->settings[ret->setting_count++] = optarg;
        else if (c == 'v')
            kit_verbose = true;
        else if (!parse_isolation(c, ret))
            return false;
    }
    ret->words = argv + optind;
    ret->word_count = (unsigned)(argc - optind);
    return true;
}

static bool remove_tree(const char *path)
{
    char command[512];
    (void)snprintf(command, sizeof(command), "rm -rf -- '%s'", path);
    return system(command) == 0;
}

static int run_isolation(const struct cloister_plugin *plugin, const struct arguments *arguments, const char *directory,
                         const struct kit_options *options)
{
    const struct iso_setting setting = {plugin, options, arguments->rootfs, directory, arguments->patience};
    const char *keeper = arguments->keeper ? arguments->keeper : CL_KEEPER_PATH;
    /* A plugin that needs no keeper is tried without one. */
    if (!arguments->keeper && access(keeper, X_OK) < 0)
        keeper = NULL;
    kit_helper_directory(arguments->helpers);
    return kit_suite_isolation(&setting, keeper, arguments->pattern);
}

static int run_suite(const struct cloister_plugin *plugin, const struct arguments *arguments,
                     const struct kit_options *options)
{
    char temporary[] = "/tmp/cloister-kit.XXXXXX";
    const char *state_dir = arguments->state_dir ? arguments->state_dir : mkdtemp(temporary);
    if (!state_dir) {
        (void)fprintf(stderr, "make a temporary directory: %s\n", strerror(errno));
        return 1;
    }
    int failed = plugin->kind == CLOISTER_KIND_ISOLATION ? run_isolation(plugin, arguments, state_dir, options)
                                                         : kit_suite_persistence(plugin, state_dir, options);
    if (!arguments->state_dir && !remove_tree(state_dir))
        (void)fprintf(stderr, "remove '%s': failed\n", state_dir);
    return failed ? 1 : 0;
}

/* The words that this command takes, and whether it needs to be told where the store lies. */
static bool fits(const struct arguments *arguments)
{
    if (strcmp(arguments->command, "drive") == 0)
        return arguments->state_dir != NULL;
    if (strcmp(arguments->command, "edit") == 0)
        return arguments->state_dir && arguments->word_count == 4;
    if (strcmp(arguments->command, "isolation") == 0)
        return arguments->rootfs && *arguments->rootfs == '/' && arguments->word_count == 0;
    return strcmp(arguments->command, "persistence") == 0 && arguments->word_count == 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.command = NULL, .patience = 30, .pattern = "*", .helpers = CL_HELPER_DIR};
    struct kit_options options;
    if (!parse(argc, argv, &arguments) || !fits(&arguments)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    bool isolation = strcmp(arguments.command, "isolation") == 0;
    if (isolation && geteuid() != 0) {
        (void)fputs("cloister-kit isolation wants root\n", stderr);
        return 77; /* a skip, where a test suite asks */
    }
    (void)signal(SIGPIPE, SIG_IGN);
    const struct cloister_plugin *plugin =
        kit_load(arguments.file, isolation ? CLOISTER_KIND_ISOLATION : CLOISTER_KIND_PERSISTENCE);
    if (!plugin || !kit_loop_begin() ||
        !kit_options_fill(plugin, arguments.settings, arguments.setting_count, &options))
        return 1;
    if (strcmp(arguments.command, "drive") == 0)
        return kit_drive(plugin, arguments.state_dir, &options, arguments.words, arguments.word_count);
    if (strcmp(arguments.command, "edit") == 0)
        return kit_edit(plugin, arguments.state_dir, &options, arguments.words);
    return run_suite(plugin, &arguments, &options);
}

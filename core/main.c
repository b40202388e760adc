/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - what the daemon was asked to do: serve, or answer one question about its configuration and plugins and
 * leave.
 *
 * There is no other mode: what is served, by which plugins, is the configuration's business. The offline answers have
 * no side effect at all: they read files and write to standard output. Exit codes: 0 done, 1 it failed, 2 the command
 * line or the configuration is wrong, and those of core/daemon.
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/config/config.h"
#include "core/daemon/daemon.h"
#include "core/daemon/lock.h"
#include "core/error/error.h"
#include "core/host/host.h"
#include "core/inspect/check.h"
#include "core/inspect/view.h"
#include "core/loader/loader.h"
#include "core/log/log.h"

enum action { SERVE, CHECK_CONFIG, DUMP_CONFIG, LIST_PLUGINS, DUMP_PLUGIN, VERSION, HELP };

struct request {
    enum action action;
    const char *config; /* NULL = CL_CONFIG_PATH */
    const char *plugin; /* DUMP_PLUGIN */
    uint64_t wait_ns;   /* SERVE */
};

static const char help[] =
    "usage: cloisterd [--config FILE] [--wait-store[=SECONDS]]\n"
    "       cloisterd [--config FILE] --check-config | --dump-config | --list-plugins | --dump-plugin NAME\n"
    "       cloisterd --version | --help\n"
    "\n"
    "Without an action, cloisterd serves what its configuration says, in the foreground.\n"
    "\n"
    "  --config FILE       read FILE and FILE.d/*.conf instead of " CL_CONFIG_PATH "\n"
    "  --wait-store        where another daemon has the run directory or a store, wait until it has ended (at most\n"
    "                      SECONDS) instead of refusing to start\n"
    "  --check-config      check the configuration, its plugins and their options; change nothing\n"
    "  --dump-config       print the configuration in force as key=value lines, each with its origin\n"
    "  --list-plugins      print one line for each plugin file of the search path\n"
    "  --dump-plugin NAME  print what one plugin (a name, or an absolute path) is and takes\n"
    "  --version           print the version and the plugin ABI\n"
    "  --help              print this\n";

/* Errors of the command line and the configuration stop here. */
static int fail(int code, const struct cloister_error *err)
{
    char sentence[CL_ERROR_SENTENCE_MAX];
    cl_error_sentence(err, sentence, sizeof(sentence));
    fprintf(stderr, "cloisterd: %s\n", sentence);
    return code;
}

static int usage(const char *sentence, const char *what)
{
    fprintf(stderr, "cloisterd: %s%s; --help lists the options\n", sentence, what);
    return CL_EXIT_CONFIG;
}

static int parse_options(int argc, char **argv, struct request *ret)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"wait-store", optional_argument, NULL, 'w'},
        {"check-config", no_argument, NULL, CHECK_CONFIG},
        {"dump-config", no_argument, NULL, DUMP_CONFIG},
        {"list-plugins", no_argument, NULL, LIST_PLUGINS},
        {"dump-plugin", required_argument, NULL, DUMP_PLUGIN},
        {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    struct request request = {.action = SERVE};
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (option == '?')
            return usage("unknown option ", argv[optind - 1]);
        if (option == ':')
            return usage("a value is missing after ", argv[optind - 1]);
        if (option == 'w' && cl_wait_parse(optarg, &request.wait_ns) < 0)
            return usage("--wait-store expects whole seconds up to 1000000, not ", optarg);
        if (option == 'c')
            request.config = optarg;
        if (option == 'c' || option == 'w')
            continue;
        if (request.action != SERVE)
            return usage("only one action at a time, so not also ", argv[optind - 1]);
        request.action = (enum action)option;
        request.plugin = optarg;
    }
    if (optind < argc)
        return usage("unexpected argument ", argv[optind]);
    if (request.wait_ns != CL_WAIT_NOT && request.action != SERVE)
        return usage("--wait-store is for serving", "");
    *ret = request;
    return 0;
}

/* Looking at plugins needs a search path only; without any configuration it is the built-in one. */
static int load_config(const struct request *request, bool may_lack, struct cl_config **ret, struct cloister_error *err)
{
    const char *path = request->config ? request->config : CL_CONFIG_PATH;
    int r = cl_config_load(path, ret, err);
    return r == -ENOENT && may_lack && !request->config ? 0 : r;
}

/* Nothing is created offline, so no host table is ever filled. */
static void fill_nothing(void *ctx, struct cl_instance *instance)
{
    (void)ctx;
    (void)instance;
}

static int check(const struct cl_config *config, struct cl_loader *loader, struct cloister_error *err)
{
    struct cl_registry *registry;
    int r = cl_registry_new(loader, fill_nothing, NULL, &registry);
    if (r < 0)
        return cl_error_set(err, CLOISTER_LIMIT, r, NULL, "memory", "make the plugin registry");
    r = cl_check_config(config, registry, err);
    cl_registry_free(registry);
    return r;
}

/* The check marks which options are secret; what is wrong otherwise is a warning here, the dump is for finding out. */
static int dump_config(const struct cl_config *config, struct cl_loader *loader, struct cloister_error *err)
{
    if (check(config, loader, err) < 0)
        (void)fail(0, err);
    int r = cl_config_dump(config, stdout);
    return r < 0 ? cl_error_set(err, CLOISTER_IO, r, NULL, "write", "write the configuration") : 0;
}

static int act(const struct request *request, const struct cl_config *config, struct cl_loader *loader)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    switch (request->action) {
    case CHECK_CONFIG:
        return check(config, loader, &err) < 0 ? fail(CL_EXIT_CONFIG, &err) : 0;
    case DUMP_CONFIG:
        return dump_config(config, loader, &err) < 0 ? fail(CL_EXIT_FAILURE, &err) : 0;
    case LIST_PLUGINS: {
        int r = cl_view_list(loader, stdout);
        if (r < 0)
            cl_error_set(&err, CLOISTER_IO, r, NULL, "write", "list the plugins");
        return r < 0 ? fail(CL_EXIT_FAILURE, &err) : 0;
    }
    case DUMP_PLUGIN:
        return cl_view_plugin(loader, request->plugin, stdout, &err) < 0 ? fail(CL_EXIT_FAILURE, &err) : 0;
    default:
        assert(config); /* only looking at plugins does without one */
        cl_log_set_level(config->log_level);
        cl_log_set_timestamps(config->log_timestamps);
        return cl_daemon_run(config, loader, request->wait_ns);
    }
}

int main(int argc, char **argv)
{
    static const char *const built_in_path[] = {CL_PLUGIN_DIR, NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cl_config *config CL_CONFIG_CLEANUP = NULL;
    struct cl_loader *loader;
    struct request request;
    int r = parse_options(argc, argv, &request);
    if (r != 0)
        return r;
    if (request.action == HELP)
        return fputs(help, stdout) < 0;
    if (request.action == VERSION)
        return printf("cloisterd %s (plugin ABI %u.%u)\n", cl_version, CLOISTER_ABI_MAJOR, CLOISTER_ABI_MINOR) < 0;
    if (request.action != SERVE)
        cl_log_set_level(CL_LOG_WARN); /* which file was chosen is in the answer */
    r = load_config(&request, request.action == LIST_PLUGINS || request.action == DUMP_PLUGIN, &config, &err);
    if (r < 0)
        return fail(CL_EXIT_CONFIG, &err);
    r = cl_loader_new(config ? config->plugin_path : built_in_path, &loader);
    if (r < 0) {
        cl_error_set(&err, CLOISTER_LIMIT, r, NULL, "memory", "make the plugin loader");
        return fail(CL_EXIT_FAILURE, &err);
    }
    r = act(&request, config, loader);
    cl_loader_free(loader);
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.c - composes the OCI specification a container is made from.
 *
 * The daemon adds no default of its own: what is asked for is complete. So `run --rootfs` reads an installed profile
 * (namespaces, mounts, masks, capabilities, seccomp) and edits what the flags say, and `run --bundle` takes the
 * bundle's config.json word for word, without its `root`, which travels beside it. The process part without arguments
 * and environment is kept as a label, so that a later `exec` runs with the same capabilities and limits as the
 * container's init.
 */
#include "spec.h"
#include "core/error/error.h"
#include "core/util/io.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "ctl.h"
#include "parse.h"
#include "reach.h"
#include "terminal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPEC_MAX (1024u * 1024) /* the daemon takes no longer message */
#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define DEFAULT_HOSTNAME "cloister"

int ctl_spec_read_json(const char *path, cloister_value **ret_value, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *value = NULL;
    CL_FREE char *text = NULL;
    size_t size;
    int failed = strcmp(path, "-") == 0 ? cl_read_fd(STDIN_FILENO, SPEC_MAX, &text, &size)
                                        : cl_read_file(AT_FDCWD, path, SPEC_MAX, &text, &size);

    if (failed < 0)
        return cl_error_set(err, cl_error_code_of(-failed), failed, path, NULL, "read '%s'", path);
    failed = cl_value_parse(cl_sv(text, size), NULL, &value, NULL, err);
    if (failed < 0) {
        if (err)
            cl_error_wrap(err, "%s:%u:%u", path, err->line, err->column);
        return failed;
    }
    if (cl_value_type(value) != CLOISTER_VALUE_OBJECT)
        return cl_error_set(err, CLOISTER_INVALID, 0, path, NULL, "'%s' is not a JSON object", path);
    *ret_value = cl_steal_ptr(&value);
    return 0;
}

int ctl_profile_read(const char *name, cloister_value **ret_spec, struct cloister_error *err)
{
    CL_FREE char *path = strchr(name, '/') ? cl_strdup(name) : cl_asprintf("%s/%s.json", CL_PROFILE_DIR, name);
    if (!path)
        return ctl_no_memory(err);
    int failed = ctl_spec_read_json(path, ret_spec, err);
    if (failed < 0)
        cl_error_wrap(err, "profile '%s'", name);
    return failed;
}

/* The member object `key`, made if it is absent. NULL: no memory or no object. */
static cloister_value *need_object(cloister_value *parent, const char *key)
{
    cloister_value *member = cl_value_get_cstr(parent, key);

    if (!member && cl_value_set_cstr(parent, key, cl_value_new_object()) == 0)
        member = cl_value_get_cstr(parent, key);
    return cl_value_type(member) == CLOISTER_VALUE_OBJECT ? member : NULL;
}

static cloister_value *need_array(cloister_value *parent, const char *key)
{
    cloister_value *member = cl_value_get_cstr(parent, key);

    if (!member && cl_value_set_cstr(parent, key, cl_value_new_array()) == 0)
        member = cl_value_get_cstr(parent, key);
    return cl_value_type(member) == CLOISTER_VALUE_ARRAY ? member : NULL;
}

static int set_args(cloister_value *process, char *const *command, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *args = cl_value_new_array();

    for (uint32_t i = 0; command[i]; i++)
        if (cl_value_append(args, cl_value_new_cstr(command[i])) < 0)
            return cl_error_set(err, CLOISTER_INVALID, 0, "args", NULL, "argument %u is not UTF-8 text", i);
    if (cl_value_set_cstr(process, "args", cl_steal_ptr(&args)) < 0)
        return ctl_no_memory(err);
    return 0;
}

/* *ret_named: no numbers then, they are found out inside. */
static int set_user(cloister_value *process, const char *text, bool *ret_named, struct cloister_error *err)
{
    uint32_t uid = 0, gid = 0;
    int failed = ctl_parse_user(text, ret_named, &uid, &gid, err);

    if (failed < 0)
        return failed;
    CL_VALUE_CLEANUP cloister_value *user = cl_value_new_object();
    if (!*ret_named && (cl_value_set_cstr(user, "uid", cl_value_new_u64(uid)) < 0 ||
                        cl_value_set_cstr(user, "gid", cl_value_new_u64(gid)) < 0))
        return ctl_no_memory(err);
    if (cl_value_set_cstr(process, "user", cl_steal_ptr(&user)) < 0)
        return ctl_no_memory(err);
    return 0;
}

int ctl_spec_who(cloister_value *params, const char *user, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *resolve = cl_value_new_object();
    bool named = false;
    uint32_t uid, gid;
    int failed = user ? ctl_parse_user(user, &named, &uid, &gid, err) : 0;

    if (failed < 0 || !named)
        return failed;
    if (cl_value_set_cstr(resolve, "groups", cl_value_new_bool(true)) < 0 ||
        cl_value_set_cstr(resolve, "env", cl_value_new_bool(true)) < 0 ||
        cl_value_set_cstr(params, "user", cl_value_new_cstr(user)) < 0 ||
        cl_value_set_cstr(params, "resolve", cl_steal_ptr(&resolve)) < 0)
        return ctl_no_memory(err);
    return 0;
}

/* Replaces or appends "K=V". */
static int env_put(cloister_value *env, const char *entry, struct cloister_error *err)
{
    size_t key_size = strcspn(entry, "=");

    if (key_size == 0 || !entry[key_size])
        return cl_error_set(err, CLOISTER_INVALID, 0, "env", NULL, "'%s' is not NAME=VALUE", entry);
    for (cloister_value *old = cl_value_first(env), *next; old; old = next) {
        const char *text = cl_value_cstr(old);
        next = cl_value_next(old);
        if (text && strncmp(text, entry, key_size + 1) == 0)
            cl_value_free(cl_value_detach(env, old));
    }
    if (cl_value_append(env, cl_value_new_cstr(entry)) < 0)
        return cl_error_set(err, CLOISTER_INVALID, 0, "env", NULL, "the value of '%.*s' is not UTF-8 text",
                            (int)key_size, entry);
    return 0;
}

static int env_put_option(cloister_value *env, const char *option, struct cloister_error *err)
{
    if (strchr(option, '='))
        return env_put(env, option, err);
    const char *value = getenv(option);
    if (!value)
        return 0; /* as docker: a name that is not set here is not set there */
    CL_FREE char *entry = cl_asprintf("%s=%s", option, value);
    return entry ? env_put(env, entry, err) : ctl_no_memory(err);
}

/* What it can do is what ours can, where nothing else is said. */
static int set_term(cloister_value *env, struct cloister_error *err)
{
    const char *ours = getenv("TERM");
    CL_FREE char *entry = cl_asprintf("TERM=%s", ours && *ours ? ours : "xterm");

    return entry ? env_put(env, entry, err) : ctl_no_memory(err);
}

static int set_env(cloister_value *process, const struct ctl_process_options *options, bool named,
                   struct cloister_error *err)
{
    bool fresh = !options->inherit && !cl_value_get_cstr(process, "env");
    cloister_value *env = need_array(process, "env");
    uint64_t uid = 0;
    int failed = env ? 0 : ctl_no_memory(err);

    (void)cl_value_u64(cl_value_get_cstr(cl_value_get_cstr(process, "user"), "uid"), &uid);
    if (failed == 0 && fresh)
        failed = env_put(env, DEFAULT_PATH, err);
    /* Its home is not the container's; that of a user with a name is found out inside. */
    if (failed == 0 && (fresh || (options->inherit && options->user)) && !named)
        failed = env_put(env, uid == 0 ? "HOME=/root" : "HOME=/", err);
    if (failed == 0 && options->terminal)
        failed = set_term(env, err);
    for (uint32_t i = 0; failed == 0 && i < options->env_count; i++)
        failed = env_put_option(env, options->env[i], err);
    return failed;
}

/* Said only where there is one: a container's process, kept as exec's default, may have had its own. */
static int set_terminal(cloister_value *process, bool terminal, struct cloister_error *err)
{
    (void)cl_value_remove(process, CLOISTER_SV("terminal"));
    (void)cl_value_remove(process, CLOISTER_SV("consoleSize"));
    if (terminal && cl_value_set_cstr(process, "terminal", cl_value_new_bool(true)) < 0)
        return ctl_no_memory(err);
    return 0;
}

int ctl_process_edit(cloister_value *process, const struct ctl_process_options *options, struct cloister_error *err)
{
    bool named = false;
    int failed = set_terminal(process, options->terminal, err);

    if (failed == 0 && options->command)
        failed = set_args(process, options->command, err);
    if (failed == 0 && options->user)
        failed = set_user(process, options->user, &named, err);
    if (failed == 0 && options->workdir && options->workdir[0] != '/')
        failed = cl_error_set(err, CLOISTER_INVALID, 0, "cwd", NULL, "--workdir '%s' is not an absolute path",
                              options->workdir);
    if (failed == 0 && options->workdir && cl_value_set_cstr(process, "cwd", cl_value_new_cstr(options->workdir)) < 0)
        failed =
            cl_error_set(err, CLOISTER_INVALID, 0, "cwd", NULL, "--workdir '%s' is not UTF-8 text", options->workdir);
    if (failed == 0 && !cl_value_get_cstr(process, "cwd") &&
        cl_value_set_cstr(process, "cwd", cl_value_new_cstr("/")) < 0)
        failed = ctl_no_memory(err);
    return failed < 0 ? failed : set_env(process, options, named, err);
}

static int set_limits(cloister_value *spec, const struct ctl_run_options *options, struct cloister_error *err)
{
    if (!ctl_resources_any(&options->resources))
        return 0;
    cloister_value *resources = need_object(need_object(spec, "linux"), "resources");
    if (!resources)
        return cl_error_set(err, CLOISTER_INVALID, 0, "linux.resources", NULL,
                            "the profile's linux.resources is no object");
    return ctl_resources_edit(resources, &options->resources, err);
}

static int add_mounts(cloister_value *spec, const struct ctl_run_options *options, struct cloister_error *err)
{
    for (const cloister_value *mount = cl_value_first(options->mounts); mount; mount = cl_value_next(mount))
        if (cl_value_append(need_array(spec, "mounts"), cl_value_copy(mount)) < 0)
            return cl_error_set(err, CLOISTER_INVALID, 0, "mounts", NULL, "the profile's mounts is no array");
    return 0;
}

static int set_hostname(cloister_value *spec, const struct ctl_run_options *options, struct cloister_error *err)
{
    const char *hostname = options->hostname;

    if (!hostname && cl_value_get_cstr(spec, "hostname"))
        return 0;
    if (!hostname && options->name && strlen(options->name) <= 63)
        hostname = options->name;
    if (cl_value_set_cstr(spec, "hostname", cl_value_new_cstr(hostname ? hostname : DEFAULT_HOSTNAME)) < 0)
        return cl_error_set(err, CLOISTER_INVALID, 0, "hostname", NULL, "the host name is not UTF-8 text");
    return 0;
}

static bool has_user_namespace(const cloister_value *spec)
{
    const cloister_value *list = cl_value_get_cstr(cl_value_get_cstr(spec, "linux"), "namespaces");

    for (const cloister_value *entry = cl_value_first(list); entry; entry = cl_value_next(entry)) {
        const char *type = cl_value_cstr(cl_value_get_cstr(entry, "type"));
        if (type && strcmp(type, "user") == 0)
            return true;
    }
    return false;
}

/* source: the directory, or an array of layers; taken. */
static int set_rootfs(cloister_value *params, cloister_value *source, bool writable, bool idmap)
{
    CL_VALUE_CLEANUP cloister_value *rootfs = cl_value_new_object();
    const char *key = cl_value_type(source) == CLOISTER_VALUE_ARRAY ? "layers" : "directory";

    if (cl_value_set_cstr(rootfs, key, source) < 0 ||
        cl_value_set_cstr(rootfs, "writable", cl_value_new_bool(writable)) < 0 ||
        cl_value_set_cstr(rootfs, "idmap", cl_value_new_bool(idmap)) < 0)
        return -ENOMEM;
    return cl_value_set_cstr(params, "rootfs", cl_steal_ptr(&rootfs));
}

/* user NULL: numbers, which are in the process. */
static int set_labels(cloister_value *params, const cloister_value *process, const char *user)
{
    CL_VALUE_CLEANUP cloister_value *labels = cl_value_new_object();
    CL_VALUE_CLEANUP cloister_value *kept = cl_value_copy(process);
    CL_FREE char *text = NULL;
    size_t size;

    if (!kept)
        return -ENOMEM;
    (void)cl_value_remove(kept, CLOISTER_SV("args"));
    (void)cl_value_remove(kept, CLOISTER_SV("env"));
    if (cl_value_print(kept, false, &text, &size) < 0 ||
        cl_value_set_cstr(labels, CTL_LABEL_PROCESS, cl_value_new_string(cl_sv(text, size))) < 0 ||
        (user && cl_value_set_cstr(labels, CTL_LABEL_USER, cl_value_new_cstr(user)) < 0))
        return -ENOMEM;
    return cl_value_set_cstr(params, "labels", cl_steal_ptr(&labels));
}

static int resolve_layers(const struct ctl_run_options *options, cloister_value **ret_source,
                          struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *layers = cl_value_new_array();

    for (uint32_t i = 0; i < options->layer_count; i++) {
        CL_FREE char *directory = realpath(options->layers[i], NULL);
        if (!directory)
            return cl_error_set(err, cl_error_code_of(errno), errno, options->layers[i], NULL, "--layer '%s'",
                                options->layers[i]);
        if (cl_value_append(layers, cl_value_new_cstr(directory)) < 0)
            return cl_error_set(err, CLOISTER_INVALID, 0, "layers", NULL, "a layer's name is not UTF-8 text");
    }
    *ret_source = cl_steal_ptr(&layers);
    return 0;
}

/* The directory or the layers, as they are called without symbolic links. What is written above layers never reaches
 * them: only a directory has to be out of everybody's reach. */
static int resolve_root(const struct ctl_run_options *options, cloister_value **ret_source, struct cloister_error *err)
{
    if (options->layer_count > 0)
        return resolve_layers(options, ret_source, err);
    CL_FREE char *directory = realpath(options->rootfs, NULL);
    if (!directory)
        return cl_error_set(err, cl_error_code_of(errno), errno, options->rootfs, NULL, "--rootfs '%s'",
                            options->rootfs);
    int failed = options->writable ? ctl_reach_check(directory, err) : 0;
    if (failed < 0)
        return failed;
    *ret_source = cl_value_new_cstr(directory);
    return *ret_source ? 0 : cl_error_set(err, CLOISTER_INVALID, 0, "rootfs", NULL, "--rootfs is not UTF-8 text");
}

static int edit_spec(cloister_value *spec, const struct ctl_run_options *options, struct cloister_error *err)
{
    cloister_value *process = need_object(spec, "process");

    (void)cl_value_remove(spec, CLOISTER_SV("root"));
    int failed = process ? ctl_process_edit(process, &options->process, err) : ctl_no_memory(err);
    if (failed == 0)
        failed = set_limits(spec, options, err);
    if (failed == 0)
        failed = add_mounts(spec, options, err);
    return failed < 0 ? failed : set_hostname(spec, options, err);
}

static int from_profile(cloister_value *params, const struct ctl_run_options *options, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *spec = NULL;
    CL_VALUE_CLEANUP cloister_value *source = NULL;
    int failed = resolve_root(options, &source, err);

    if (failed == 0)
        failed = ctl_profile_read(options->profile ? options->profile : "default", &spec, err);
    if (failed == 0)
        failed = edit_spec(spec, options, err);
    if (failed == 0)
        failed = ctl_spec_who(params, options->process.user, err);
    if (failed < 0)
        return failed;
    const char *named = cl_value_cstr(cl_value_get_cstr(params, "user"));
    if (set_rootfs(params, cl_steal_ptr(&source), options->writable, has_user_namespace(spec)) < 0 ||
        set_labels(params, cl_value_get_cstr(spec, "process"), named) < 0 ||
        cl_value_set_cstr(params, "spec", cl_steal_ptr(&spec)) < 0)
        return ctl_no_memory(err);
    return 0;
}

/* root.path of a bundle, absolute and resolved; *ret_writable from root.readonly. Takes `root` out of the spec. */
static int bundle_root(const char *bundle, cloister_value *spec, char **ret_directory, bool *ret_writable,
                       struct cloister_error *err)
{
    cloister_value *root = cl_value_get_cstr(spec, "root");
    const char *path = cl_value_cstr(cl_value_get_cstr(root, "path"));
    const cloister_value *flag = cl_value_get_cstr(root, "readonly");
    bool read_only = false;

    if (!path || !*path)
        return cl_error_set(err, CLOISTER_INVALID, 0, "root.path", NULL, "config.json has no root.path");
    if (flag && cl_value_bool(flag, &read_only) < 0)
        return cl_error_set(err, CLOISTER_INVALID, 0, "root.readonly", NULL,
                            "config.json: root.readonly is no boolean");
    for (const cloister_value *member = cl_value_first(root); member; member = cl_value_next(member)) {
        struct cloister_sv key = cl_value_key(member);
        if (!cl_sv_is(key, "path") && !cl_sv_is(key, "readonly"))
            return cl_error_set(err, CLOISTER_UNSUPPORTED, 0, "root", NULL, "config.json: root.%.*s is not supported",
                                CL_SV_ARG(key));
    }
    CL_FREE char *joined = path[0] == '/' ? cl_strdup(path) : cl_asprintf("%s/%s", bundle, path);
    if (!joined)
        return ctl_no_memory(err);
    CL_FREE char *directory = realpath(joined, NULL);
    if (!directory)
        return cl_error_set(err, cl_error_code_of(errno), errno, joined, NULL, "root.path '%s'", joined);
    *ret_directory = cl_steal_ptr(&directory);
    *ret_writable = !read_only;
    (void)cl_value_remove(spec, CLOISTER_SV("root"));
    return 0;
}

static int from_bundle(cloister_value *params, const struct ctl_run_options *options, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *spec = NULL;
    CL_FREE char *path = cl_asprintf("%s/config.json", options->bundle);
    CL_FREE char *directory = NULL;
    bool writable = false;
    int failed = path ? ctl_spec_read_json(path, &spec, err) : ctl_no_memory(err);

    if (failed == 0)
        failed = bundle_root(options->bundle, spec, &directory, &writable, err);
    if (failed < 0) {
        cl_error_wrap(err, "bundle '%s'", options->bundle);
        return failed;
    }
    cloister_value *process = cl_value_get_cstr(spec, "process");
    if (cl_value_type(process) != CLOISTER_VALUE_OBJECT)
        return cl_error_set(err, CLOISTER_INVALID, 0, "process", NULL, "bundle '%s': config.json has no process",
                            options->bundle);
    if (options->process.command)
        failed = set_args(process, options->process.command, err);
    if (failed == 0 &&
        (set_rootfs(params, cl_value_new_cstr(directory), writable, false) < 0 ||
         set_labels(params, process, NULL) < 0 || cl_value_set_cstr(params, "spec", cl_steal_ptr(&spec)) < 0))
        failed = ctl_no_memory(err);
    return failed;
}

static cloister_value *stdio_entry(const char *kind)
{
    CL_VALUE_CLEANUP cloister_value *entry = cl_value_new_object();

    return cl_value_set_cstr(entry, "kind", cl_value_new_cstr(kind)) < 0 ? NULL : cl_steal_ptr(&entry);
}

static cloister_value *output_entry(const char *kind, const char *policy, uint64_t window)
{
    CL_VALUE_CLEANUP cloister_value *entry = stdio_entry(kind);

    if (cl_value_set_cstr(entry, "policy", cl_value_new_cstr(policy)) < 0 ||
        (window && cl_value_set_cstr(entry, "window", cl_value_new_u64(window)) < 0))
        return NULL;
    return cl_steal_ptr(&entry);
}

static int set_size(cloister_value *entry)
{
    uint32_t rows, columns;

    ctl_terminal_size(&rows, &columns);
    if (rows == 0 || columns == 0)
        return entry ? 0 : -ENOMEM;
    return cl_value_set_cstr(entry, "rows", cl_value_new_u64(rows)) < 0
               ? -ENOMEM
               : cl_value_set_cstr(entry, "columns", cl_value_new_u64(columns));
}

int ctl_spec_terminal(cloister_value *params, const char *policy, uint64_t window, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *stdio = cl_value_new_array();
    CL_VALUE_CLEANUP cloister_value *input = stdio_entry("pty");

    if (set_size(input) < 0 || cl_value_append(stdio, cl_steal_ptr(&input)) < 0 ||
        cl_value_append(stdio, output_entry("pty", policy ? policy : "block", window)) < 0 ||
        cl_value_append(stdio, stdio_entry("pty")) < 0 || cl_value_set_cstr(params, "stdio", cl_steal_ptr(&stdio)) < 0)
        return ctl_no_memory(err);
    return 0;
}

static int set_stdio(cloister_value *params, const struct ctl_run_options *options, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *stdio = cl_value_new_array();
    const char *policy = options->log_policy ? options->log_policy : "drop";
    uint64_t window = 0;
    int failed = options->log_window ? ctl_parse_size(options->log_window, &window, err) : 0;

    if (failed < 0)
        return failed;
    if (strcmp(policy, "drop") != 0 && strcmp(policy, "block") != 0 && strcmp(policy, "discard") != 0)
        return cl_error_set(err, CLOISTER_INVALID, 0, policy, NULL,
                            "'%s' is no policy for output: drop, block or discard", policy);
    if (options->process.terminal)
        return ctl_spec_terminal(params, options->captured ? policy : options->log_policy, window, err);
    if (cl_value_append(stdio, stdio_entry(options->fed ? "pipe" : "null")) < 0 ||
        cl_value_append(stdio, output_entry("pipe", policy, window)) < 0 ||
        cl_value_append(stdio, output_entry("pipe", policy, window)) < 0 ||
        cl_value_set_cstr(params, "stdio", cl_steal_ptr(&stdio)) < 0)
        return ctl_no_memory(err);
    return 0;
}

int ctl_spec_create_params(const struct ctl_run_options *options, cloister_value **ret_params,
                           struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();
    int failed = params ? 0 : ctl_no_memory(err);

    if (failed == 0 && options->name && cl_value_set_cstr(params, "name", cl_value_new_cstr(options->name)) < 0)
        failed = cl_error_set(err, CLOISTER_INVALID, 0, "name", NULL, "--name is not UTF-8 text");
    if (failed == 0 && options->cgroup_parent &&
        cl_value_set_cstr(params, "cgroup_parent", cl_value_new_cstr(options->cgroup_parent)) < 0)
        failed = cl_error_set(err, CLOISTER_INVALID, 0, "cgroup_parent", NULL, "--cgroup-parent is not UTF-8 text");
    if (failed == 0 && (options->captured || options->process.terminal))
        failed = set_stdio(params, options, err);
    if (failed == 0)
        failed = options->bundle ? from_bundle(params, options, err) : from_profile(params, options, err);
    if (failed == 0)
        *ret_params = cl_steal_ptr(&params);
    return failed;
}

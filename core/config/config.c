/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config turns what an operator wrote into structs that the rest of the daemon can trust, or into one sentence that
 * says where and what is wrong. The files are read strictly and merged as trees (source.c), so that a drop-in can
 * change one key; each value remembers its file, line and column through the merge. Tables of fields (parser.c,
 * service.c) then say which keys exist, what they hold and what they default to; defaults are put into the tree first,
 * so that they are checked and dumped like everything else. What lies in a plugin's entry beyond our own keys is the
 * plugin's: it is checked later, against its option table (options.c). Nothing here creates, opens for writing or
 * connects anything: a bad config costs a sentence.
 */
#include "core/config/config.h"

#include <errno.h>
#include <stdio.h>

#include "core/config/parser.h"
#include "core/util/mem.h"

/* Below it come "/<16 characters>/k" and "/control.sock", and a socket's name ends at 107 bytes. */
#define RUN_DIR_MAX 80u
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

static int parse_level(struct cl_parser *p, cloister_value *value, void *member)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    size_t index;
    int r = cl_parse_word(p, value, names, sizeof(names) / sizeof(names[0]), &index);
    return r < 0 ? r : cl_log_level_parse(names[index], member);
}

static int parse_on_sigterm(struct cl_parser *p, cloister_value *value, void *member)
{
    static const char *const words[] = {"leave", "stop"};
    static const enum cl_on_sigterm meanings[] = {CL_ON_SIGTERM_LEAVE, CL_ON_SIGTERM_STOP};
    size_t index;
    int r = cl_parse_word(p, value, words, sizeof(words) / sizeof(words[0]), &index);
    if (r == 0)
        *(enum cl_on_sigterm *)member = meanings[index];
    return r;
}

static int parse_orphans(struct cl_parser *p, cloister_value *value, void *member)
{
    static const char *const words[] = {"remove", "report"};
    size_t index;
    int r = cl_parse_word(p, value, words, sizeof(words) / sizeof(words[0]), &index);
    if (r == 0)
        *(bool *)member = index == 1;
    return r;
}

static int parse_log(struct cl_parser *p, cloister_value *value, void *member)
{
    static const struct cl_field fields[] = {
        {"level", offsetof(struct cl_config, log_level), parse_level, "\"info\"", false},
        {"timestamps", offsetof(struct cl_config, log_timestamps), cl_parse_bool, "false", false},
    };
    return cl_parse_object(p, value, fields, sizeof(fields) / sizeof(fields[0]), member);
}

static int parse_run_dir(struct cl_parser *p, cloister_value *value, void *member)
{
    int r = cl_parse_path(p, value, member);
    if (r == 0 && strlen(cl_value_cstr(value)) > RUN_DIR_MAX)
        return cl_parser_fail(p, CLOISTER_INVALID, value,
                              "expected a path of at most %u bytes, because sockets live below it", RUN_DIR_MAX);
    return r;
}

/* `{ NAME: entry, ... }` */
static int parse_entries(struct cl_parser *p, cloister_value *value, const struct cl_config_entry **ret_entries,
                         size_t *ret_count)
{
    if (cl_value_type(value) != CLOISTER_VALUE_OBJECT)
        return cl_parser_expected(p, value, CLOISTER_VALUE_OBJECT, "an object of named entries");
    struct cl_config_entry *entries = cl_room_own(p->room, cl_calloc(cl_value_count(value) + 1, sizeof(*entries)));
    if (!entries)
        return cl_parser_no_memory(p);
    size_t count = 0;
    for (cloister_value *member = cl_value_first(value); member; member = cl_value_next(member)) {
        struct cloister_sv name = cl_value_key(member);
        size_t up = cl_parser_down(p, name.data);
        if (!cl_is_name(name))
            return cl_parser_fail_key(p, member, "expected a name of 1 to 32 characters a-z, 0-9 and -");
        int r = cl_parse_entry(p, member, name.data, false, true, &entries[count++]);
        if (r < 0)
            return r;
        cl_parser_up(p, up);
    }
    *ret_entries = entries;
    *ret_count = count;
    return 0;
}

static int parse_persistence(struct cl_parser *p, cloister_value *value, void *member)
{
    struct cl_config *config = member;
    return parse_entries(p, value, &config->persistence, &config->persistence_count);
}

static int parse_isolation(struct cl_parser *p, cloister_value *value, void *member)
{
    struct cl_config *config = member;
    return parse_entries(p, value, &config->isolation, &config->isolation_count);
}

/* Services come last: they refer to the entries above. */
static const struct cl_field root_fields[] = {
    {"instance", offsetof(struct cl_config, instance), cl_parse_name, "\"default\"", false},
    {"run_dir", offsetof(struct cl_config, run_dir), parse_run_dir, NULL, true},
    {"state_dir", offsetof(struct cl_config, state_dir), cl_parse_path, NULL, true},
    {"keeper", offsetof(struct cl_config, keeper), cl_parse_path, "\"" CL_KEEPER_PATH "\"", false},
    {"helpers", offsetof(struct cl_config, helpers), cl_parse_paths, "[]", false},
    {"plugin_path", offsetof(struct cl_config, plugin_path), cl_parse_paths, "[\"" CL_PLUGIN_DIR "\"]", false},
    {"profile_path", offsetof(struct cl_config, profile_path), cl_parse_paths, "[\"" CL_PROFILE_DIR "\"]", false},
    {"boot_id_file", offsetof(struct cl_config, boot_id_file), cl_parse_path, "\"" BOOT_ID_FILE "\"", false},
    {"log", 0, parse_log, "{}", false},
    {"on_sigterm", offsetof(struct cl_config, on_sigterm), parse_on_sigterm, "\"leave\"", false},
    {"stop_grace_ms", offsetof(struct cl_config, stop_grace_ms), cl_parse_ms, "10000", false},
    {"drain_ms", offsetof(struct cl_config, drain_ms), cl_parse_ms, "60000", false},
    {"recover_ms", offsetof(struct cl_config, recover_ms), cl_parse_ms, "5000", false},
    {"orphans", offsetof(struct cl_config, orphans_report), parse_orphans, "\"remove\"", false},
    {"persistence", 0, parse_persistence, "{}", false},
    {"isolation", 0, parse_isolation, "{}", false},
    {"services", 0, cl_parse_services, "[]", false},
};

/* The directories' defaults hold the instance's name, so no table can. A bad name is reported when its turn comes. */
static int put_directory(cloister_value *root, const char *key, const char *parent)
{
    if (cl_value_get_cstr(root, key))
        return 0;
    const char *instance = cl_value_cstr(cl_value_get_cstr(root, "instance"));
    CL_FREE char *path = cl_asprintf("%s/%s", parent, instance ? instance : "default");
    if (!path)
        return -ENOMEM;
    return cl_value_set_cstr(root, key, cl_value_new_cstr(path));
}

static int parse_root(struct cl_config *config, struct cloister_error *err)
{
    struct cl_parser p = {.room = config->room, .config = config, .err = err};
    cloister_value *root = config->room->root;
    if (put_directory(root, "run_dir", "/run/cloister") < 0 ||
        put_directory(root, "state_dir", "/var/lib/cloister") < 0)
        return cl_parser_no_memory(&p);
    int r = cl_parse_object(&p, root, root_fields, sizeof(root_fields) / sizeof(root_fields[0]), config);
    return r < 0 ? r : cl_check_grants(&p);
}

static struct cl_config *new_config(struct cloister_error *err)
{
    CL_CONFIG_CLEANUP struct cl_config *config = cl_new(struct cl_config);
    struct cl_parser p = {.err = err};
    if (config)
        config->room = cl_new(struct cl_config_room);
    if (!config || !config->room) {
        (void)cl_parser_no_memory(&p);
        return NULL;
    }
    return cl_steal_ptr(&config);
}

int cl_config_parse(const char *file, struct cloister_sv text, struct cl_config **ret, struct cloister_error *err)
{
    CL_CONFIG_CLEANUP struct cl_config *config = new_config(err);
    if (!config)
        return -ENOMEM;
    int r = cl_source_merge(config->room, file, text, err);
    if (r == 0)
        r = parse_root(config, err);
    if (r < 0)
        return r;
    *ret = cl_steal_ptr(&config);
    return 0;
}

int cl_config_load(const char *path, struct cl_config **ret, struct cloister_error *err)
{
    CL_CONFIG_CLEANUP struct cl_config *config = new_config(err);
    if (!config)
        return -ENOMEM;
    int r = cl_source_read(config->room, path, err);
    if (r == 0)
        r = cl_source_read_dropins(config->room, path, err);
    if (r == 0)
        r = parse_root(config, err);
    if (r < 0)
        return r;
    *ret = cl_steal_ptr(&config);
    return 0;
}

void cl_config_wrap_helper(const struct cl_config *config, size_t index, struct cloister_error *err)
{
    const cloister_value *list = cl_value_get_cstr(config->room->root, "helpers");
    char path[32];
    (void)snprintf(path, sizeof(path), "helpers[%zu]", index);
    cl_room_wrap(config->room, cl_value_at(list, index), path, "", err);
}

struct cl_config *cl_config_free(struct cl_config *config)
{
    if (config)
        cl_room_free(config->room);
    free(config);
    return NULL;
}

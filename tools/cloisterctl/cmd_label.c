/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_label.c - `label`: a container's labels, shown and changed. */
#include "client.h"
#include "core/error/error.h"
#include "core/util/io.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "ctl.h"
#include "show.h"
#include "table.h"
#include "words.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECRET_MAX 65536u

struct label_flags {
    struct ctl_words secrets; /* KEY=FILE */
    struct ctl_words removed;
};

static int label_options(struct ctl_context *context, int argc, char **argv, struct label_flags *flags)
{
    enum { OPT_SECRET = CTL_OPTION_JSON + 1 };
    static const struct option long_options[] = {{"secret", required_argument, NULL, OPT_SECRET},
                                                 {"remove", required_argument, NULL, 'r'},
                                                 {"json", no_argument, NULL, CTL_OPTION_JSON},
                                                 {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, ":r:", long_options, NULL)) != -1) {
        struct ctl_words *words = option == OPT_SECRET ? &flags->secrets : option == 'r' ? &flags->removed : NULL;
        if (words && ctl_words_add(words, optarg) < 0)
            return ctl_misused(context, &ctl_command_label, CTL_EXIT_FAILED, "no memory");
        if (option == CTL_OPTION_JSON)
            context->json = true;
        else if (!words)
            return ctl_bad_option(context, &ctl_command_label, CTL_EXIT_USAGE, option, long_options, argv);
    }
    if (optind >= argc)
        return ctl_misused(context, &ctl_command_label, CTL_EXIT_USAGE, "give a container, by name or id");
    return 0;
}

/* Splits KEY=REST; the rest is borrowed. */
static int split(const char *word, char **ret_key, const char **ret_rest, struct cloister_error *err)
{
    const char *equals = strchr(word, '=');

    if (!equals || equals == word)
        return cl_error_set(err, CLOISTER_INVALID, 0, word, NULL, "'%s' is not KEY=VALUE", word);
    char *key = cl_memdup(word, (size_t)(equals - word));
    if (!key)
        return ctl_no_memory(err);
    *ret_key = key;
    *ret_rest = equals + 1;
    return 0;
}

static int put(cloister_value *object, const char *key, cloister_value *text, struct cloister_error *err)
{
    if (cl_value_set_cstr(object, key, text) < 0)
        return cl_error_set(err, CLOISTER_INVALID, 0, key, NULL, "label '%s' is not UTF-8 text", key);
    return 0;
}

static int add_plain(cloister_value *object, const char *word, struct cloister_error *err)
{
    CL_FREE char *key = NULL;
    const char *value = NULL;
    int failed = split(word, &key, &value, err);

    return failed < 0 ? failed : put(object, key, cl_value_new_cstr(value), err);
}

/* A value on the command line could be read by everybody: it comes from a file. */
static int add_secret(cloister_value *object, const char *word, struct cloister_error *err)
{
    CL_FREE char *key = NULL;
    CL_FREE char *text = NULL;
    const char *path = "";
    size_t size = 0;
    int failed = split(word, &key, &path, err);

    if (failed < 0)
        return failed;
    failed = strcmp(path, "-") == 0 ? cl_read_fd(STDIN_FILENO, SECRET_MAX, &text, &size)
                                    : cl_read_file(AT_FDCWD, path, SECRET_MAX, &text, &size);
    if (failed < 0)
        return cl_error_set(err, cl_error_code_of(-failed), failed, path, NULL, "read '%s'", path);
    failed = put(object, key, cl_value_new_string((struct cloister_sv){text, size}), err);
    explicit_bzero(text, size);
    return failed;
}

static int compose(const struct label_flags *flags, char *const *words, cloister_value **ret_params,
                   struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();
    CL_VALUE_CLEANUP cloister_value *set = cl_value_new_object();
    CL_VALUE_CLEANUP cloister_value *secret = cl_value_new_object();
    CL_VALUE_CLEANUP cloister_value *removed = cl_value_new_array();
    int failed = 0;

    for (; failed == 0 && *words; words++)
        failed = add_plain(set, *words, err);
    for (uint32_t i = 0; failed == 0 && i < flags->secrets.count; i++)
        failed = add_secret(secret, flags->secrets.items[i], err);
    for (uint32_t i = 0; failed == 0 && i < flags->removed.count; i++)
        if (cl_value_append(removed, cl_value_new_cstr(flags->removed.items[i])) < 0)
            failed = ctl_no_memory(err);
    if (failed == 0 && (cl_value_set_cstr(params, "set", cl_steal_ptr(&set)) < 0 ||
                        cl_value_set_cstr(params, "set_secret", cl_steal_ptr(&secret)) < 0 ||
                        cl_value_set_cstr(params, "remove", cl_steal_ptr(&removed)) < 0))
        failed = ctl_no_memory(err);
    if (failed == 0)
        *ret_params = cl_steal_ptr(&params);
    return failed;
}

static int change(const struct ctl_context *context, const struct label_flags *flags, const char *target,
                  char *const *words, struct cloister_error *err)
{
    CTL_CLIENT_CLEANUP struct ctl_client client = CTL_CLIENT_INIT;
    CL_VALUE_CLEANUP cloister_value *params = NULL;
    int failed = compose(flags, words, &params, err);

    if (failed == 0)
        failed = ctl_client_connect(&client, context->socket, err);
    if (failed == 0)
        failed = ctl_client_call_on(&client, "label", target, cl_steal_ptr(&params), NULL, err);
    return failed;
}

static int print_line(const char *key, const char *rest, struct cloister_error *err)
{
    CL_FREE char *line = cl_asprintf("%s%s", key, rest);

    if (!line)
        return ctl_no_memory(err);
    ctl_table_harmless(line);
    (void)puts(line);
    return 0;
}

static int print_labels(const cloister_value *sandbox, struct cloister_error *err)
{
    int failed = 0;

    for (const cloister_value *label = cl_value_first(cl_value_get_cstr(sandbox, "labels")); label && failed == 0;
         label = cl_value_next(label)) {
        CL_FREE char *key = cl_asprintf("%.*s=", CL_SV_ARG(cl_value_key(label)));
        failed = key ? print_line(key, cl_value_cstr(label) ? cl_value_cstr(label) : "", err) : ctl_no_memory(err);
    }
    for (const cloister_value *label = cl_value_first(cl_value_get_cstr(sandbox, "secret_labels"));
         label && failed == 0; label = cl_value_next(label))
        failed = print_line(cl_value_cstr(label) ? cl_value_cstr(label) : "", " (secret)", err);
    return failed;
}

static int command_label(struct ctl_context *context, int argc, char **argv)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct label_flags flags = {CTL_WORDS_INIT, CTL_WORDS_INIT};
    int code = label_options(context, argc, argv, &flags);

    if (code == 0 && optind + 1 == argc && flags.secrets.count + flags.removed.count == 0)
        code = ctl_show(context, &ctl_command_label, "inspect", argv[optind], print_labels);
    else if (code == 0 && change(context, &flags, argv[optind], argv + optind + 1, &err) < 0)
        code = ctl_fail(context, "label", &err, CTL_EXIT_FAILED);
    ctl_words_free(&flags.secrets);
    ctl_words_free(&flags.removed);
    return code;
}

const struct ctl_command ctl_command_label = {
    .name = "label",
    .summary = "show or change a container's labels",
    .usage =
        "cloisterctl label [--json] NAME\n"
        "       cloisterctl label NAME [KEY=VALUE]... [--secret KEY=FILE]... [-r KEY]...\n"
        "\n"
        "Without a change it shows them; of secret ones only the key.\n"
        "\n"
        "      --secret KEY=FILE   a secret label; its value is what FILE holds (- is standard input), never in the\n"
        "                          store, gone after a reboot\n"
        "  -r, --remove KEY\n",
    .run = command_label,
};

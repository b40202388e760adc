/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.c - what a person types, checked to the last byte.
 *
 * Users are where other runtimes fell (names that look like numbers, numbers that wrap to 0), so a user here is decimal
 * digits inside 31 bits, or a name that begins with a letter.
 */
#include "parse.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "ctl.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NUMBER_MAX 2147483647u
#define USER_NAME_MAX 255u

static int invalid(struct cloister_error *err, const char *text, const char *what)
{
    return cl_error_set(err, CLOISTER_INVALID, 0, text, NULL, "'%s' is not %s", text, what);
}

int ctl_parse_size(const char *text, uint64_t *ret_bytes, struct cloister_error *err)
{
    static const char what[] = "a size: digits and one of b, k, m, g, as in 64m";
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    unsigned shift = 0;
    uint64_t number;

    if (cl_sv_u64(cl_sv(text, digits), &number) < 0 || number == 0 || (unit[0] && unit[1]))
        return invalid(err, text, what);
    switch (unit[0]) {
    case 0:
    case 'b':
    case 'B':
        break;
    case 'k':
    case 'K':
        shift = 10;
        break;
    case 'm':
    case 'M':
        shift = 20;
        break;
    case 'g':
    case 'G':
        shift = 30;
        break;
    default:
        return invalid(err, text, what);
    }
    if (number > (uint64_t)INT64_MAX >> shift)
        return invalid(err, text, "a size below 8 EiB");
    *ret_bytes = number << shift;
    return 0;
}

int ctl_parse_cpus(const char *text, uint64_t *ret_quota_us, struct cloister_error *err)
{
    static const char what[] = "a number of CPUs from 0.01 to 1024 with at most 5 decimals, as in 0.5";
    size_t whole_digits = strspn(text, "0123456789");
    uint64_t whole = 0, quota;
    uint64_t unit = CTL_CPU_PERIOD_US;

    /* No digits before a point are a 0; without a point they are missed below, because the quota is too small. */
    if (whole_digits > 0 && (cl_sv_u64(cl_sv(text, whole_digits), &whole) < 0 || whole > 1024))
        return invalid(err, text, what);
    quota = whole * CTL_CPU_PERIOD_US;
    const char *rest = text + whole_digits;
    if (*rest == '.') {
        if (!rest[1])
            return invalid(err, text, what);
        for (rest++; *rest >= '0' && *rest <= '9' && unit >= 10; rest++) {
            unit /= 10;
            quota += (uint64_t)(*rest - '0') * unit;
        }
    }
    if (*rest || quota < CTL_CPU_PERIOD_US / 100 || quota > 1024ull * CTL_CPU_PERIOD_US)
        return invalid(err, text, what);
    *ret_quota_us = quota;
    return 0;
}

int ctl_parse_count(const char *text, uint64_t *ret_count, struct cloister_error *err)
{
    uint64_t number;

    if (cl_sv_u64(cl_sv_cstr(text), &number) < 0 || number == 0 || number > NUMBER_MAX)
        return invalid(err, text, "a number from 1 to 2147483647");
    *ret_count = number;
    return 0;
}

/* What useradd takes for a name, and no digit first: so it is nobody's number. */
static bool is_name(struct cloister_sv text)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";

    if (text.size == 0 || text.size > USER_NAME_MAX || !memchr(first, text.data[0], sizeof(first) - 1))
        return false;
    for (uint64_t i = 1; i < text.size; i++)
        if (!memchr(first, text.data[i], sizeof(first) - 1) && !strchr("0123456789.-", text.data[i]))
            return false;
    return true;
}

/* One side of the colon. */
static bool is_id(struct cloister_sv text, uint64_t *ret_number)
{
    return cl_sv_u64(text, ret_number) == 0 && *ret_number <= NUMBER_MAX;
}

int ctl_parse_user(const char *text, bool *ret_named, uint32_t *ret_uid, uint32_t *ret_gid, struct cloister_error *err)
{
    const char *colon = strchr(text, ':');
    const struct cloister_sv user = cl_sv(text, colon ? (size_t)(colon - text) : strlen(text));
    const struct cloister_sv group = colon ? cl_sv_cstr(colon + 1) : cl_sv_cstr("0");
    uint64_t uid = 0, gid = 0;
    bool numbered_user = is_id(user, &uid), numbered_group = is_id(group, &gid);

    if ((!numbered_user && !is_name(user)) || (!numbered_group && !is_name(group)))
        return invalid(err, text, "a user: USER or USER:GROUP, each a name or a number from 0 to 2147483647");
    *ret_named = !numbered_user || !numbered_group;
    if (*ret_named)
        return 0;
    *ret_uid = (uint32_t)uid;
    *ret_gid = (uint32_t)gid;
    return 0;
}

static const char *const signal_names[] = {
    NULL,   "HUP",  "INT",  "QUIT", "ILL",    "TRAP",   "ABRT",  "BUS",  "FPE",  "KILL", "USR1",
    "SEGV", "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "STOP", "TSTP", "TTIN",
    "TTOU", "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "IO",   "PWR",  "SYS",
};
#define SIGNAL_NAMES (sizeof(signal_names) / sizeof(signal_names[0]))

int ctl_parse_signal(const char *text, uint32_t *ret_signal, struct cloister_error *err)
{
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    uint64_t number;

    if (cl_sv_u64(cl_sv_cstr(text), &number) == 0 && number >= 1 && number <= 64) {
        *ret_signal = (uint32_t)number;
        return 0;
    }
    for (uint32_t i = 1; i < SIGNAL_NAMES; i++) {
        if (strcasecmp(name, signal_names[i]) == 0) {
            *ret_signal = i;
            return 0;
        }
    }
    return invalid(err, text, "a signal: a number from 1 to 64, or a name like TERM");
}

const char *ctl_signal_name(uint32_t number)
{
    return number < SIGNAL_NAMES ? signal_names[number] : NULL;
}

/* One mount while its keys are read. */
struct mount_words {
    char *type, *source, *destination, *size, *mode; /* into the copy of the text */
    bool read_only;
};

static bool word_is(const char *key, const char *a, const char *b)
{
    return strcmp(key, a) == 0 || (b && strcmp(key, b) == 0);
}

static int take_word(struct mount_words *words, char *word, const char *text, struct cloister_error *err)
{
    char *value = strchr(word, '=');
    char **place = NULL;

    if (value)
        *value++ = 0;
    if (word_is(word, "ro", "readonly")) {
        if (value && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            return cl_error_set(err, CLOISTER_INVALID, 0, text, NULL, "mount '%s': '%s' is true or false", text, word);
        words->read_only = !value || strcmp(value, "true") == 0;
        return 0;
    }
    if (word_is(word, "type", NULL))
        place = &words->type;
    else if (word_is(word, "src", "source"))
        place = &words->source;
    else if (word_is(word, "dst", "destination") || word_is(word, "target", NULL))
        place = &words->destination;
    else if (word_is(word, "size", NULL))
        place = &words->size;
    else if (word_is(word, "mode", NULL))
        place = &words->mode;
    if (!place)
        return cl_error_set(err, CLOISTER_INVALID, 0, text, NULL,
                            "mount '%s': unknown key '%s' (known: type, src, dst, ro, size, mode)", text, word);
    if (!value || !*value || *place)
        return cl_error_set(err, CLOISTER_INVALID, 0, text, NULL, "mount '%s': '%s' needs one value", text, word);
    *place = value;
    return 0;
}

static bool has_type(const struct mount_words *words, const char *type)
{
    return words->type && strcmp(words->type, type) == 0;
}

static int check_words(const struct mount_words *words, const char *text, struct cloister_error *err)
{
    const char *wrong = NULL;
    bool bind = has_type(words, "bind");
    bool tmpfs = has_type(words, "tmpfs");

    if (!bind && !tmpfs)
        wrong = "type must be bind or tmpfs";
    else if (!words->destination || words->destination[0] != '/')
        wrong = "dst must be an absolute path inside the container";
    else if (bind && (!words->source || words->source[0] != '/'))
        wrong = "src must be an absolute path on this machine";
    else if (bind && (words->size || words->mode))
        wrong = "size and mode are for tmpfs";
    else if (tmpfs && words->source)
        wrong = "src is for bind";
    else if (words->mode && (strspn(words->mode, "01234567") != strlen(words->mode) || strlen(words->mode) > 4))
        wrong = "mode is up to four octal digits";
    if (wrong)
        return cl_error_set(err, CLOISTER_INVALID, 0, text, NULL, "mount '%s': %s", text, wrong);
    return 0;
}

static int append_option(cloister_value *options, const char *key, const char *value)
{
    CL_FREE char *option = value ? cl_asprintf("%s=%s", key, value) : cl_strdup(key);

    return option ? cl_value_append(options, cl_value_new_cstr(option)) : -ENOMEM;
}

static int append_options(cloister_value *options, const struct mount_words *words, uint64_t size)
{
    bool bind = has_type(words, "bind");
    char digits[24];

    (void)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)size);
    /* A recursive bind with plain "ro" leaves the mounts below it writable, which nobody who types ro means: "rro". */
    int failed = append_option(options, bind ? "rbind" : "nosuid", NULL);
    if (failed == 0 && !bind)
        failed = append_option(options, "nodev", NULL);
    if (failed == 0 && words->read_only)
        failed = append_option(options, bind ? "rro" : "ro", NULL);
    if (failed == 0 && size > 0)
        failed = append_option(options, "size", digits);
    if (failed == 0 && words->mode)
        failed = append_option(options, "mode", words->mode);
    return failed;
}

static int build_mount(const struct mount_words *words, uint64_t size, cloister_value **ret_mount)
{
    CL_VALUE_CLEANUP cloister_value *mount = cl_value_new_object();
    CL_VALUE_CLEANUP cloister_value *options = cl_value_new_array();

    if (!mount || !options || append_options(options, words, size) < 0 ||
        cl_value_set_cstr(mount, "destination", cl_value_new_cstr(words->destination)) < 0 ||
        cl_value_set_cstr(mount, "type", cl_value_new_cstr(words->type)) < 0 ||
        cl_value_set_cstr(mount, "source", cl_value_new_cstr(words->source ? words->source : "tmpfs")) < 0 ||
        cl_value_set_cstr(mount, "options", cl_steal_ptr(&options)) < 0)
        return -ENOMEM;
    *ret_mount = cl_steal_ptr(&mount);
    return 0;
}

int ctl_parse_mount(const char *text, cloister_value **ret_mount, struct cloister_error *err)
{
    CL_FREE char *copy = cl_strdup(text);
    struct mount_words words = {NULL, NULL, NULL, NULL, NULL, false};
    uint64_t size = 0;
    char *rest = copy;
    int failed = copy ? 0 : ctl_no_memory(err);

    for (char *word; failed == 0 && (word = strsep(&rest, ",")) != NULL;)
        failed = take_word(&words, word, text, err);
    if (failed == 0)
        failed = check_words(&words, text, err);
    if (failed == 0 && words.size) {
        failed = ctl_parse_size(words.size, &size, err);
        if (failed < 0)
            cl_error_wrap(err, "mount '%s'", text);
    }
    if (failed == 0 && build_mount(&words, size, ret_mount) < 0)
        failed = cl_error_set(err, CLOISTER_INVALID, 0, text, NULL, "mount '%s' cannot be written as JSON", text);
    return failed;
}

int ctl_parse_volume(const char *text, cloister_value **ret_mount, struct cloister_error *err)
{
    CL_FREE char *copy = cl_strdup(text);
    char type[] = "bind", *rest = copy;
    struct mount_words words = {.type = type};

    if (!copy)
        return ctl_no_memory(err);
    words.source = strsep(&rest, ":");
    words.destination = strsep(&rest, ":");
    words.read_only = rest && strcmp(rest, "ro") == 0;
    if (!words.destination || words.source[0] != '/' || words.destination[0] != '/' ||
        (rest && !words.read_only && strcmp(rest, "rw") != 0))
        return invalid(err, text,
                       "a volume: SRC:DST or SRC:DST:ro, both absolute paths (volumes have no names here; for a path "
                       "with a colon use --mount)");
    if (build_mount(&words, 0, ret_mount) < 0)
        return cl_error_set(err, CLOISTER_INVALID, 0, text, NULL, "volume '%s' cannot be written as JSON", text);
    return 0;
}

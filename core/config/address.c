/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "core/config/parser.h"

#define UNIX_PATH_MAX 107u /* sun_path without its NUL */
#define FD_NAME_MAX 255u   /* as long as a service manager lets it be */
#define FD_FIRST 3u        /* what is handed over begins behind the standard descriptors */
#define FD_LAST 1023u

static const char unix_scheme[] = "unix:";
static const char fd_scheme[] = "fd:";

static int unsupported_scheme(struct cl_parser *p, const cloister_value *value, struct cloister_sv address)
{
    static const char *const later[] = {"tcp:", "vsock:", "serial:", "mux:"};
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        if (cl_sv_starts(address, cl_sv_cstr(later[i])))
            return cl_parser_fail(p, CLOISTER_UNSUPPORTED, value,
                                  "%s addresses are not supported by this version; use unix: or fd:", later[i]);
    }
    return cl_parser_fail(p, CLOISTER_INVALID, value, "expected an address: unix:/path, fd:NAME or fd:NUMBER");
}

static int check_unix(struct cl_parser *p, const cloister_value *value, struct cloister_sv path)
{
    if (path.size < 2 || path.data[0] != '/' || path.data[path.size - 1] == '/')
        return cl_parser_fail(p, CLOISTER_INVALID, value, "expected the absolute path of a socket after unix:");
    if (path.size > UNIX_PATH_MAX)
        return cl_parser_fail(p, CLOISTER_INVALID, value, "the path has %llu bytes, a socket's may have %u",
                              (unsigned long long)path.size, UNIX_PATH_MAX);
    return 0;
}

/* What is all digits is a descriptor's number, in one spelling only; anything else is a name of LISTEN_FDNAMES, where
 * colons separate. Whether it is there is known only at the start. */
static int check_fd(struct cl_parser *p, const cloister_value *value, struct cloister_sv name)
{
    uint64_t number;
    if (name.size > 0 && strspn(name.data, "0123456789") == name.size) {
        if (name.data[0] == '0' || cl_sv_u64(name, &number) < 0 || number < FD_FIRST || number > FD_LAST)
            return cl_parser_fail(p, CLOISTER_INVALID, value, "expected a descriptor from %u to %u after fd:", FD_FIRST,
                                  FD_LAST);
        return 0;
    }
    bool printable = true;
    for (uint64_t i = 0; i < name.size; i++)
        printable = printable && name.data[i] > ' ' && name.data[i] < 0x7f && name.data[i] != ':';
    if (name.size < 1 || name.size > FD_NAME_MAX || !printable)
        return cl_parser_fail(p, CLOISTER_INVALID, value,
                              "expected a name of 1 to %u visible characters without a colon, or a descriptor's "
                              "number, after fd:",
                              FD_NAME_MAX);
    return 0;
}

static bool after(struct cloister_sv address, const char *scheme, struct cloister_sv *ret_rest)
{
    size_t size = strlen(scheme);
    if (!cl_sv_starts(address, cl_sv_cstr(scheme)))
        return false;
    *ret_rest = cl_sv(address.data + size, address.size - size);
    return true;
}

bool cl_is_handed_over(const cloister_value *address)
{
    struct cloister_sv name;
    return after(cl_sv_cstr(cl_value_cstr(address)), fd_scheme, &name);
}

int cl_parse_address(struct cl_parser *p, cloister_value *value, void *member)
{
    const char *text = cl_value_cstr(value);
    struct cloister_sv address = cl_sv_cstr(text), rest;
    int r;
    if (!text)
        return cl_parser_expected(p, value, CLOISTER_VALUE_STRING, "an address");
    if (after(address, unix_scheme, &rest))
        r = check_unix(p, value, rest);
    else if (after(address, fd_scheme, &rest))
        r = check_fd(p, value, rest);
    else
        r = unsupported_scheme(p, value, address);
    if (r < 0)
        return r;
    r = cl_map_put(&p->room->names, address, value);
    if (r == -EEXIST)
        return cl_parser_fail(p, CLOISTER_INVALID, value, "this address is listened on already");
    if (r < 0)
        return cl_parser_no_memory(p);
    *(const char **)member = text;
    return 0;
}

void cl_config_wrap_listen(const struct cl_config *config, const struct cl_config_listen *listen,
                           struct cloister_error *err)
{
    cl_room_wrap(config->room, listen->where, listen->path, "", err);
}

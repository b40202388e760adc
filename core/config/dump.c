/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include "core/config/parser.h"
#include "core/util/mem.h"

struct dump {
    struct cl_parser p; /* for its path */
    FILE *to;
};

static bool is_container(const cloister_value *value)
{
    return cl_value_type(value) == CLOISTER_VALUE_OBJECT || cl_value_type(value) == CLOISTER_VALUE_ARRAY;
}

/* Lists of plain values and empty containers fit on a line; what is deeper gets a line for each leaf. */
static bool is_line(const cloister_value *value)
{
    for (const cloister_value *member = cl_value_first(value); member; member = cl_value_next(member)) {
        if (cl_value_type(value) == CLOISTER_VALUE_OBJECT || is_container(member))
            return false;
    }
    return true;
}

static int print_line(struct dump *d, const cloister_value *value, const char *instead)
{
    CL_FREE char *text = NULL;
    size_t size;
    const struct cl_position *at = cl_value_position(value);
    if (!instead && cl_value_print(value, false, &text, &size) < 0)
        return -ENOMEM;
    int r = fprintf(d->to, "%s=%s\t# %s", d->p.path, instead ? instead : text, cl_room_file(d->p.room, value));
    if (r >= 0)
        r = at->source ? fprintf(d->to, ":%" PRIu32 "\n", at->line) : fprintf(d->to, "\n");
    return r < 0 ? -EIO : 0;
}

/* A plugin's own option is one line, however deep; it may be a secret. */
static int dump_option(struct dump *d, const cloister_value *entry, const cloister_value *value)
{
    const char *instead = NULL;
    if (!cl_room_marked(&d->p.room->checked, entry))
        instead = "(not checked)";
    else if (cl_room_marked(&d->p.room->secrets, value))
        instead = "(secret)";
    return print_line(d, value, instead);
}

static int dump_value(struct dump *d, const cloister_value *value);

static int dump_member(struct dump *d, const cloister_value *container, const cloister_value *member, size_t index)
{
    struct cloister_sv key = cl_value_key(member);
    bool in_entry = cl_room_marked(&d->p.room->entries, container);
    bool ours = cl_sv_is(key, "plugin") || cl_sv_is(key, "optional") || cl_sv_is(key, "wrap");
    size_t up = cl_value_type(container) == CLOISTER_VALUE_OBJECT ? cl_parser_down(&d->p, key.data)
                                                                  : cl_parser_down_index(&d->p, index);
    int r = in_entry && !ours ? dump_option(d, container, member) : dump_value(d, member);
    cl_parser_up(&d->p, up);
    return r;
}

static int dump_value(struct dump *d, const cloister_value *value)
{
    if (is_line(value))
        return print_line(d, value, NULL);
    int r = 0;
    size_t index = 0;
    for (const cloister_value *member = cl_value_first(value); member && r == 0; member = cl_value_next(member))
        r = dump_member(d, value, member, index++);
    return r;
}

int cl_config_dump(const struct cl_config *config, FILE *to)
{
    struct dump d = {.p = {.room = config->room}, .to = to};
    int r = dump_value(&d, config->room->root);
    return r == 0 && fflush(to) != 0 ? -errno : r;
}

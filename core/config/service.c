/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <grp.h>

#include <cloister/personality.h>

#include "core/config/parser.h"
#include "core/util/mem.h"

/* ---- who may connect ---- */

static int parse_mode(struct cl_parser *p, cloister_value *value, void *member)
{
    const char *text = cl_value_cstr(value);
    mode_t mode = 0;
    if (!text || text[0] != '0' || strlen(text) != 4)
        return cl_parser_expected(p, value, CLOISTER_VALUE_STRING, "a mode of four octal digits, such as \"0660\"");
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '7')
            return cl_parser_expected(p, value, CLOISTER_VALUE_STRING, "a mode of four octal digits, such as \"0660\"");
        mode = mode * 8 + (mode_t)(*c - '0');
    }
    *(mode_t *)member = mode;
    return 0;
}

static int parse_id(struct cl_parser *p, cloister_value *value, void *member)
{
    uint64_t number = 0;
    if (cl_value_u64(value, &number) < 0 || number >= UINT32_MAX) /* the last one means "none" to the kernel */
        return cl_parser_expected(p, value, CLOISTER_VALUE_NUMBER, "an id from 0 to 4294967294");
    *(uint32_t *)member = (uint32_t)number;
    return 0;
}

static int parse_group(struct cl_parser *p, cloister_value *value, void *member)
{
    const char *name = cl_value_cstr(value);
    struct group group, *found = NULL;
    if (cl_value_type(value) == CLOISTER_VALUE_NUMBER)
        return parse_id(p, value, member);
    if (!name || !name[0])
        return cl_parser_expected(p, value, CLOISTER_VALUE_STRING, "a group's name or number");
    size_t size = 64 * 1024;
    CL_FREE char *buffer = cl_malloc(size);
    if (!buffer)
        return cl_parser_no_memory(p);
    int r = getgrnam_r(name, &group, buffer, size, &found);
    if (!found)
        return cl_parser_fail(p, CLOISTER_GROUP_UNKNOWN, value, "this machine has no group '%s'%s", name,
                              r ? " that could be read" : "");
    *(uint32_t *)member = found->gr_gid;
    return 0;
}

static int parse_access_uid(struct cl_parser *p, cloister_value *value, void *member)
{
    struct cl_config_access *access = member;
    access->is_group = false;
    return parse_id(p, value, &access->id);
}

static int parse_access_group(struct cl_parser *p, cloister_value *value, void *member)
{
    struct cl_config_access *access = member;
    access->is_group = true;
    return parse_group(p, value, &access->id);
}

static int parse_class(struct cl_parser *p, cloister_value *value, void *member)
{
    static const char *const names[] = {"observe", "control", "admin"};
    static const uint32_t classes[] = {CLOISTER_ACCESS_OBSERVE, CLOISTER_ACCESS_CONTROL, CLOISTER_ACCESS_ADMIN};
    size_t index;
    int r = cl_parse_word(p, value, names, sizeof(names) / sizeof(names[0]), &index);
    if (r == 0)
        *(uint32_t *)member = classes[index];
    return r;
}

static int parse_access_rule(struct cl_parser *p, cloister_value *value, void *member)
{
    static const struct cl_field fields[] = {
        {"uid", 0, parse_access_uid, NULL, false},
        {"group", 0, parse_access_group, NULL, false},
        {"class", offsetof(struct cl_config_access, access), parse_class, NULL, true},
    };
    int r = cl_parse_object(p, value, fields, sizeof(fields) / sizeof(fields[0]), member);
    if (r == 0 && !cl_value_get_cstr(value, "uid") == !cl_value_get_cstr(value, "group"))
        return cl_parser_fail(p, CLOISTER_INVALID, value, "expected either 'uid' or 'group'");
    return r;
}

static int parse_access(struct cl_parser *p, cloister_value *value, void *member)
{
    struct cl_config_listen *listen = member;
    void *items;
    int r = cl_parse_array(p, value, sizeof(*listen->access), parse_access_rule, &items, &listen->access_count);
    if (r == 0)
        listen->access = items;
    return r;
}

/* ---- endpoints ---- */

static int parse_transport(struct cl_parser *p, cloister_value *value, void *member)
{
    return cl_parse_entry(p, value, p->service, true, false, member);
}

static int parse_transports(struct cl_parser *p, cloister_value *value, void *member)
{
    struct cl_config_listen *listen = member;
    void *items;
    int r = cl_parse_array(p, value, sizeof(*listen->transports), parse_transport, &items, &listen->transport_count);
    if (r < 0)
        return r;
    if (listen->transport_count == 0)
        return cl_parser_fail(p, CLOISTER_INVALID, value, "expected at least one transport");
    listen->transports = items;
    return 0;
}

static int refuse_of_handed_over(struct cl_parser *p, cloister_value *value, void *member)
{
    return cl_parser_fail(p, CLOISTER_INVALID, value,
                          "has no effect on a socket that is handed over; whoever makes it says who may connect");
}

static int parse_endpoint(struct cl_parser *p, cloister_value *value, void *member)
{
    bool handed_over = cl_is_handed_over(cl_value_get_cstr(value, "address"));
    const struct cl_field fields[] = {
        {"transports", 0, parse_transports, NULL, true},
        {"address", offsetof(struct cl_config_listen, address), cl_parse_address, NULL, true},
        {"mode", offsetof(struct cl_config_listen, mode), handed_over ? refuse_of_handed_over : parse_mode,
         handed_over ? NULL : "\"0660\"", false},
        {"group", offsetof(struct cl_config_listen, group), handed_over ? refuse_of_handed_over : parse_group, NULL,
         false},
        {"access", 0, parse_access, "[]", false},
        {"connections", offsetof(struct cl_config_listen, connections), cl_parse_positive, "256", false},
        {"connections_per_uid", offsetof(struct cl_config_listen, connections_per_uid), cl_parse_positive, "64", false},
        {"in_flight", offsetof(struct cl_config_listen, in_flight), cl_parse_positive, "64", false},
    };
    struct cl_config_listen *listen = member;
    listen->group = (gid_t)-1;
    int r = cl_parse_object(p, value, fields, sizeof(fields) / sizeof(fields[0]), listen);
    if (r < 0)
        return r;
    listen->where = cl_value_get_cstr(value, "address");
    listen->path = cl_room_own(p->room, cl_asprintf("%s.address", p->path));
    return listen->path ? 0 : cl_parser_no_memory(p);
}

static int parse_listen(struct cl_parser *p, cloister_value *value, void *member)
{
    struct cl_config_service *service = member;
    void *items;
    int r = cl_parse_array(p, value, sizeof(*service->listen), parse_endpoint, &items, &service->listen_count);
    if (r == 0)
        service->listen = items;
    return r;
}

/* ---- services ---- */

static int parse_service_name(struct cl_parser *p, cloister_value *value, void *member)
{
    int r = cl_parse_name(p, value, member);
    if (r < 0)
        return r;
    p->service = cl_value_cstr(value);
    r = cl_map_put(&p->room->names, cl_sv_cstr(p->service), value);
    if (r == -EEXIST)
        return cl_parser_fail(p, CLOISTER_INVALID, value, "another service is named '%s' already", p->service);
    return r < 0 ? cl_parser_no_memory(p) : 0;
}

static int parse_personality(struct cl_parser *p, cloister_value *value, void *member)
{
    return cl_parse_entry(p, value, p->service, false, false, member);
}

static int parse_reference(struct cl_parser *p, cloister_value *value, const struct cl_config_entry *entries,
                           size_t count, const struct cl_config_entry **ret)
{
    const char *known[64];
    const char *name = NULL;
    int r = cl_parse_name(p, value, &name);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(entries[i].name, name) == 0) {
            *ret = &entries[i];
            return 0;
        }
        known[i % 64] = entries[i].name;
    }
    return cl_parser_fail_near(p, value, known, count > 64 ? 64 : count, "no entry of this name is defined");
}

static int parse_isolation(struct cl_parser *p, cloister_value *value, void *member)
{
    return parse_reference(p, value, p->config->isolation, p->config->isolation_count, member);
}

static int parse_persistence(struct cl_parser *p, cloister_value *value, void *member)
{
    return parse_reference(p, value, p->config->persistence, p->config->persistence_count, member);
}

static int parse_names(struct cl_parser *p, cloister_value *value, void *member)
{
    void *items;
    size_t count;
    int r = cl_parse_array(p, value, sizeof(const char *), cl_parse_string, &items, &count);
    if (r == 0)
        *(const char *const **)member = items;
    return r;
}

static int parse_grant(struct cl_parser *p, cloister_value *value, void *member)
{
    static const struct cl_field fields[] = {
        {"see", offsetof(struct cl_config_service, see), parse_names, "[]", false},
        {"act", offsetof(struct cl_config_service, act), parse_names, "[]", false},
    };
    return cl_parse_object(p, value, fields, sizeof(fields) / sizeof(fields[0]), member);
}

static int parse_machine_word(struct cl_parser *p, cloister_value *value, void *member)
{
    static const char *const known[] = {"stats"};
    const char *word = NULL;
    int r = cl_parse_string(p, value, &word);
    if (r < 0)
        return r;
    if (strcmp(word, known[0]) != 0)
        return cl_parser_fail_near(p, value, known, 1, "this version knows nothing of the machine's by this name");
    *(bool *)member = true;
    return 0;
}

/* What of the machine as a whole the service may use. */
static int parse_machine(struct cl_parser *p, cloister_value *value, void *member)
{
    void *items;
    size_t count;
    int r = cl_parse_array(p, value, sizeof(bool), parse_machine_word, &items, &count);
    if (r == 0)
        *(bool *)member = count > 0;
    return r;
}

static int refuse_dial(struct cl_parser *p, cloister_value *value, void *member)
{
    return cl_parser_fail(p, CLOISTER_UNSUPPORTED, value,
                          "dialling out is not supported by this version; use 'listen'");
}

static int parse_service(struct cl_parser *p, cloister_value *value, void *member)
{
    /* The name comes first: the entries below are called by it. */
    static const struct cl_field fields[] = {
        {"name", offsetof(struct cl_config_service, name), parse_service_name, NULL, true},
        {"personality", offsetof(struct cl_config_service, personality), parse_personality, NULL, true},
        {"isolation", offsetof(struct cl_config_service, isolation), parse_isolation, NULL, true},
        {"persistence", offsetof(struct cl_config_service, persistence), parse_persistence, NULL, true},
        {"listen", 0, parse_listen, "[]", false},
        {"dial", 0, refuse_dial, NULL, false},
        {"machine", offsetof(struct cl_config_service, machine_stats), parse_machine, "[]", false},
        {"grant", 0, parse_grant, "{}", false},
    };
    return cl_parse_object(p, value, fields, sizeof(fields) / sizeof(fields[0]), member);
}

int cl_parse_services(struct cl_parser *p, cloister_value *value, void *config)
{
    struct cl_config *target = config;
    void *items;
    int r = cl_parse_array(p, value, sizeof(*target->services), parse_service, &items, &target->service_count);
    if (r == 0)
        target->services = items;
    return r;
}

/* ---- grants ---- */

static bool is_service(const struct cl_config *config, const char *name)
{
    if (strcmp(name, "*") == 0)
        return true;
    for (size_t i = 0; i < config->service_count; i++) {
        if (strcmp(config->services[i].name, name) == 0)
            return true;
    }
    return false;
}

static int fail_grant(struct cl_parser *p, const cloister_value *value)
{
    const char *known[64];
    size_t count = p->config->service_count < 64 ? p->config->service_count : 64;
    for (size_t i = 0; i < count; i++)
        known[i] = p->config->services[i].name;
    return cl_parser_fail_near(p, value, known, count, "no service has this name");
}

static int check_grant(struct cl_parser *p, const cloister_value *names)
{
    size_t i = 0;
    for (const cloister_value *name = cl_value_first(names); name; name = cl_value_next(name), i++) {
        size_t up = cl_parser_down_index(p, i);
        if (!is_service(p->config, cl_value_cstr(name)))
            return fail_grant(p, name);
        cl_parser_up(p, up);
    }
    return 0;
}

int cl_check_grants(struct cl_parser *p)
{
    static const char *const kinds[] = {"see", "act"};
    cloister_value *services = cl_value_get_cstr(p->room->root, "services");
    for (size_t i = 0; i < p->config->service_count; i++) {
        cloister_value *grant = cl_value_get_cstr(cl_value_at(services, i), "grant");
        for (size_t k = 0; k < 2; k++) {
            size_t up = cl_parser_down(p, "services");
            (void)cl_parser_down_index(p, i);
            (void)cl_parser_down(p, "grant");
            (void)cl_parser_down(p, kinds[k]);
            int r = check_grant(p, cl_value_get_cstr(grant, kinds[k]));
            if (r < 0)
                return r;
            cl_parser_up(p, up);
        }
    }
    return 0;
}

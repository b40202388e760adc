/* SPDX-License-Identifier: Apache-2.0 */
#include "stdset.h"

#include <string.h>
#include <unistd.h>

#define TERMINAL_MAX 65535u

static const char *const roles[] = {"stdin", "stdout", "stderr", NULL};

static void wrong_entry(struct ct_params *params, unsigned index, const char *what)
{
    char key[] = "stdio[0]";
    key[6] = (char)('0' + index);
    ct_wrong(params, key, what);
}

static void read_pipe(struct ct_params *entry, unsigned index, struct cloister_stdio *stdio)
{
    static const char *const policies[] = {"block", "drop", "discard", NULL}; /* enum cloister_policy */
    uint64_t window = 0;
    bool sized = ct_u64(entry, "window", &window);
    unsigned policy = ct_choice(entry, "policy", policies, CLOISTER_POLICY_BLOCK);
    stdio->window = window;
    stdio->policy = policy;
    if (index == 0 && (sized || policy != CLOISTER_POLICY_BLOCK))
        ct_wrong(entry, "kind", "only captured output has a window and a policy");
}

/* It is one terminal, whatever number of entries say so: each thing about it is said in one place. */
static void read_pty(struct ct_params *entry, unsigned index, struct cloister_stdio *stdio)
{
    static const char *const keys[] = {"rows", "columns", "window", "policy"};
    for (unsigned i = 0; i < 4; i++) {
        if (index != i / 2 && ct_has(entry, keys[i]))
            ct_wrong(entry, keys[i], i < 2 ? "of a terminal, entry 0 says it" : "of a terminal, entry 1 says it");
    }
    (void)ct_u32(entry, "rows", 1, TERMINAL_MAX, &stdio->rows);
    (void)ct_u32(entry, "columns", 1, TERMINAL_MAX, &stdio->columns);
    if (index == 1)
        read_pipe(entry, index, stdio);
}

static void read_same(struct ct_params *entry, unsigned index, struct cloister_stdio *stdio)
{
    unsigned fd = ct_choice(entry, "fd", roles, 3);
    if (fd >= index)
        ct_wrong(entry, "fd", "expected a descriptor that stands before this one");
    stdio->fd = (int32_t)fd;
}

static void read_descriptor(struct ct_params *entry, const struct cloister_stdio *stdio)
{
    if (stdio->kind != CLOISTER_STDIO_DESCRIPTOR)
        ct_wrong(entry, "kind", "no descriptor of this role came with the request");
}

/* What `kind` says, over what the descriptors have said. */
static void read_kind(struct ct_params *entry, unsigned index, unsigned kind, struct cloister_stdio *stdio)
{
    static const uint32_t numbers[] = {CLOISTER_STDIO_NULL, CLOISTER_STDIO_CLOSED,  CLOISTER_STDIO_DESCRIPTOR,
                                       CLOISTER_STDIO_PIPE, CLOISTER_STDIO_SAME_AS, CLOISTER_STDIO_PTY};
    bool sent = stdio->kind == CLOISTER_STDIO_DESCRIPTOR;
    if (numbers[kind] == CLOISTER_STDIO_DESCRIPTOR) {
        read_descriptor(entry, stdio);
        return;
    }
    if (sent) {
        ct_wrong(entry, "kind", "a descriptor of this role came with the request");
        return;
    }
    stdio->kind = numbers[kind];
    if (stdio->kind == CLOISTER_STDIO_PIPE)
        read_pipe(entry, index, stdio);
    if (stdio->kind == CLOISTER_STDIO_SAME_AS)
        read_same(entry, index, stdio);
    if (stdio->kind == CLOISTER_STDIO_PTY)
        read_pty(entry, index, stdio);
}

static void read_entry(struct ct_params *params, const cloister_value *value, unsigned index,
                       struct cloister_stdio *stdio)
{
    static const char *const kinds[] = {"null", "closed", "descriptor", "pipe", "same_as", "pty", NULL};
    static const char *const keys[][6] = {{"kind", NULL},       {"kind", NULL},
                                          {"kind", NULL},       {"kind", "window", "policy", NULL},
                                          {"kind", "fd", NULL}, {"kind", "rows", "columns", "window", "policy", NULL}};
    const struct cloister_value_api *values = params->instance->host->value;
    char where[] = "stdio[0].";
    where[6] = (char)('0' + index);
    cloister_value *alone = NULL;
    if (values->type(value) == CLOISTER_VALUE_STRING) { /* "null" for {"kind": "null"} */
        alone = values->new_object();
        if (alone && values->set(alone, CLOISTER_SV("kind"), values->copy(value)) == 0)
            value = alone;
    }
    if (values->type(value) == CLOISTER_VALUE_OBJECT) {
        struct ct_params entry = CT_PARAMS(params->instance, value, where, params->err);
        unsigned kind = ct_choice(&entry, "kind", kinds, 0);
        (void)ct_need(&entry, "kind", values->get(value, CLOISTER_SV("kind")) != NULL);
        if (ct_params_known(&entry, keys[kind]))
            read_kind(&entry, index, kind, stdio);
        params->failed |= entry.failed;
    } else {
        wrong_entry(params, index, "expected an object with 'kind', or the kind alone");
    }
    values->free(alone);
}

static void read_entries(struct ct_params *params, struct ct_stdio *stdio)
{
    const struct cloister_value_api *values = params->instance->host->value;
    const cloister_value *list = values->get(params->object, CLOISTER_SV("stdio"));
    if (values->type(list) == CLOISTER_VALUE_NONE || values->type(list) == CLOISTER_VALUE_NULL)
        return;
    if (values->type(list) != CLOISTER_VALUE_ARRAY || values->count(list) > 3) {
        ct_wrong(params, "stdio", "expected an array of at most three entries: stdin, stdout, stderr");
        return;
    }
    stdio->count = 3;
    for (unsigned i = 0; i < values->count(list) && !params->failed; i++)
        read_entry(params, values->at(list, i, NULL), i, &stdio->entries[i]);
}

bool ct_stdio_take(struct ct_params *params, cloister_exchange *exchange, struct ct_stdio *ret_stdio)
{
    static const char *const strangers[] = {"extra", "stream", NULL};
    const struct cloister_exchange_api *api = params->instance->host->exchange;
    memset(ret_stdio, 0, sizeof(*ret_stdio));
    for (unsigned i = 0; strangers[i] && !params->failed; i++) {
        int32_t fd = api->take_fd(exchange, ct_sv(strangers[i]), 0);
        if (fd < 0)
            continue;
        (void)close(fd);
        ct_wrong(params, "fds",
                 i == 0 ? "the role 'extra' has no meaning here" : "the role 'stream' has no meaning here");
    }
    if (params->failed)
        return false;
    for (uint32_t i = 0; i < 3; i++) {
        int32_t fd = api->take_fd(exchange, ct_sv(roles[i]), 0);
        ret_stdio->entries[i].kind = fd >= 0 ? CLOISTER_STDIO_DESCRIPTOR : CLOISTER_STDIO_NULL;
        ret_stdio->entries[i].fd = fd;
        if (fd >= 0)
            ret_stdio->count = 3;
    }
    read_entries(params, ret_stdio);
    return !params->failed;
}

void ct_stdio_end(struct ct_stdio *stdio, bool moved)
{
    for (uint32_t i = 0; i < stdio->count && !moved; i++) {
        if (stdio->entries[i].kind == CLOISTER_STDIO_DESCRIPTOR)
            (void)close(stdio->entries[i].fd);
    }
    stdio->count = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* hooks.c - compiles the spec's hooks: see hooks.h. */
#include "hooks.h"

#include <linux/sched.h>
#include <stdio.h>

#include "compile.h"

#define WORDS_MAX 4096u
#define POSTSTOP_SECONDS 30  /* or one that hangs would keep its destroy from ever ending */
#define TIMEOUT_MOST 4000000 /* seconds, so that milliseconds fit */

static const struct {
    const char *key;
    uint32_t when;  /* 0 = only the keeper knows it */
    uint32_t point; /* of the keeper's; 0 = the host's own */
} kinds[] = {
    {"prestart", NS_HOOK_PRESTART, 0},
    {"createRuntime", NS_HOOK_CREATE_RUNTIME, 0},
    {"createContainer", NS_HOOK_CREATE_CONTAINER, CL_WIRE_HOOK_CREATE_CONTAINER},
    {"startContainer", 0, CL_WIRE_HOOK_START_CONTAINER},
    {"poststart", NS_HOOK_POSTSTART, 0},
    {"poststop", NS_HOOK_POSTSTOP, 0},
};

static void clear_hook(struct ns_hook *hook)
{
    for (uint32_t i = 0; hook->text && i < hook->arg_count + hook->env_count; i++)
        free(hook->text[i]);
    free(hook->text);
    free(hook->path);
}

void ns_hooks_free(struct ns_hooks *hooks)
{
    if (hooks == NULL)
        return;
    for (uint32_t i = 0; i < hooks->count; i++)
        clear_hook(&hooks->item[i]);
    free(hooks->item);
    free(hooks->state);
    free(hooks);
}

bool ns_hooks_have(const struct ns_hooks *hooks, uint32_t when)
{
    for (uint32_t i = 0; hooks && i < hooks->count; i++)
        if (hooks->item[i].when & when)
            return true;
    return false;
}

char *ns_hooks_state(const struct ns_hooks *hooks, const char *status, int32_t pid)
{
    return pid > 0 ? ns_format("%s,\"status\":\"%s\",\"pid\":%d}", hooks->state, status, pid)
                   : ns_format("%s,\"status\":\"%s\"}", hooks->state, status);
}

/* The directory that the root is in, which is a bundle's where there is one. */
static struct cloister_sv bundle_of(struct cloister_sv rootfs)
{
    while (rootfs.size > 1 && rootfs.data[rootfs.size - 1] == '/')
        rootfs.size--;
    while (rootfs.size > 1 && rootfs.data[rootfs.size - 1] != '/')
        rootfs.size--;
    while (rootfs.size > 1 && rootfs.data[rootfs.size - 1] == '/')
        rootfs.size--;
    return rootfs.size ? rootfs : CLOISTER_SV("/");
}

static char *make_state(struct ns_compile *c, const cloister_value *spec)
{
    const struct cloister_value_api *v = c->r.value;
    cloister_value *notes = ns_get(&c->r, spec, "annotations"), *root = v->new_object();
    struct cloister_sv printed = {NULL, 0}, bundle = bundle_of(c->rootfs);
    char *state = NULL;

    v->set(root, CLOISTER_SV("ociVersion"), v->new_string(ns_get_string(&c->r, spec, "ociVersion")));
    v->set(root, CLOISTER_SV("id"), v->new_string(c->id));
    v->set(root, CLOISTER_SV("bundle"), v->new_string(bundle));
    if (notes && v->print(notes, 0, &printed) == 0) {
        cloister_value *copy = NULL;

        if (v->parse(printed, 0, 0, &copy, NULL) == 0)
            v->set(root, CLOISTER_SV("annotations"), copy);
        v->free_text(printed);
    }
    if (v->print(root, 0, &printed) == 0) {
        printed.size--;
        state = ns_dup(printed);
        printed.size++;
        v->free_text(printed);
    }
    v->free(root);
    return state;
}

/* The strings of list `key` behind those in hook->text. 0, or -1 with the error. */
static int read_words(struct ns_compile *c, const cloister_value *object, const char *key, struct ns_hook *hook,
                      uint32_t *count)
{
    cloister_value *list = ns_get(&c->r, object, key), *entry;
    struct cloister_sv text;
    char path[NS_PATH_MAX];

    for (uint64_t i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++) {
        snprintf(path, sizeof(path), "%s.%s[%llu]", hook->where, key, (unsigned long long)i);
        if (hook->arg_count + hook->env_count == WORDS_MAX)
            return ns_refuse(&c->r, CLOISTER_LIMIT, path, "is one too many");
        c->r.value->string(entry, &text);
        if (memchr(text.data, 0, text.size))
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "contains a NUL character");
        if (strcmp(key, "env") == 0 && (text.size == 0 || text.data[0] == '=' || !memchr(text.data, '=', text.size)))
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "must be NAME=value");
        hook->text[hook->arg_count + hook->env_count] = ns_dup(text);
        if (hook->text[hook->arg_count + hook->env_count] == NULL)
            return ns_no_memory(&c->r);
        ++*count;
    }
    return 0;
}

static int read_hook(struct ns_compile *c, const cloister_value *object, struct ns_hook *hook)
{
    struct cloister_sv program = ns_get_string(&c->r, object, "path");
    uint64_t words = c->r.value->count(ns_get(&c->r, object, "args")) + c->r.value->count(ns_get(&c->r, object, "env"));
    int64_t seconds = hook->when == NS_HOOK_POSTSTOP ? POSTSTOP_SECONDS : 0;
    char path[NS_PATH_MAX];

    snprintf(path, sizeof(path), "%s.path", hook->where);
    if (ns_check_inner_path(&c->r, program, path) < 0 ||
        ns_get_i64(&c->r, object, "timeout", hook->where, 1, TIMEOUT_MOST, &seconds) < 0)
        return -1;
    hook->timeout_ms = (uint32_t)seconds * 1000u;
    hook->path = ns_dup(program);
    hook->text = calloc((words < WORDS_MAX ? words : WORDS_MAX) + 1, sizeof(char *));
    if (hook->path == NULL || hook->text == NULL)
        return ns_no_memory(&c->r);
    if (read_words(c, object, "args", hook, &hook->arg_count) < 0)
        return -1;
    if (hook->arg_count == 0) {
        hook->text[0] = strdup(hook->path);
        if (hook->text[0] == NULL)
            return ns_no_memory(&c->r);
        hook->arg_count = 1;
    }
    return read_words(c, object, "env", hook, &hook->env_count);
}

/* All of the host's programs are found in one clone of its tree. */
static int host_tree(struct ns_compile *c, const char *where, struct cl_wire_hook *item)
{
    size_t count = c->plan.section[CL_WIRE_HOOKS].size / sizeof(*item);
    const struct cl_wire_hook *others = (const void *)c->plan.section[CL_WIRE_HOOKS].data;

    if (!ns_has_new(c, CLONE_NEWPID))
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, where,
                            "a program of the host's is run beside nobody: it needs a pid namespace of its own");
    if (c->plan.head.root_fd == CL_WIRE_NO_FD || c->rootfs.size == 0)
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, where, "the root must be a directory of the host's");
    for (size_t i = 0; i < count; i++) {
        if (others[i].point != CL_WIRE_HOOK_CREATE_CONTAINER)
            continue;
        item->fd = others[i].fd;
        item->root = others[i].root;
        return 0;
    }
    item->fd = ns_need_path(c, NS_NEED_BIND, CLOISTER_SV("/"), where);
    if (item->fd == CL_WIRE_NO_FD)
        return -1;
    c->needs[item->fd].recursive = true;
    item->root = cl_plan_string(&c->plan, c->rootfs.data, c->rootfs.size);
    return 0;
}

static int plan_hook(struct ns_compile *c, const struct ns_hook *hook, const char *state, uint32_t point)
{
    const char *status = point == CL_WIRE_HOOK_CREATE_CONTAINER ? "creating" : "created";
    NS_FREE char *head = ns_format("%s,\"status\":\"%s\",\"pid\":", state, status);
    struct cl_wire_hook item = {.point = point, .fd = CL_WIRE_NO_FD};

    if (head == NULL)
        return ns_no_memory(&c->r);
    if (point == CL_WIRE_HOOK_CREATE_CONTAINER && host_tree(c, hook->where, &item) < 0)
        return -1;
    item.path = cl_plan_cstring(&c->plan, hook->path);
    item.arg_first = (uint32_t)(c->plan.section[CL_WIRE_WORDS].size / sizeof(cl_wire_str));
    item.arg_count = hook->arg_count;
    item.env_first = item.arg_first + hook->arg_count;
    item.env_count = hook->env_count;
    item.timeout_ms = hook->timeout_ms;
    item.state_head = cl_plan_cstring(&c->plan, head);
    item.state_tail = cl_plan_cstring(&c->plan, "}");
    for (uint32_t i = 0; i < hook->arg_count + hook->env_count; i++)
        cl_plan_add_string(&c->plan, CL_WIRE_WORDS, hook->text[i], strlen(hook->text[i]));
    cl_plan_add(&c->plan, CL_WIRE_HOOKS, &item);
    return 0;
}

static int keep(struct ns_compile *c, struct ns_hook *hook)
{
    struct ns_hooks *hooks = c->hooks;
    struct ns_hook *grown = realloc(hooks->item, (hooks->count + 1u) * sizeof(*grown));

    if (grown == NULL) {
        clear_hook(hook);
        return ns_no_memory(&c->r);
    }
    hooks->item = grown;
    hooks->item[hooks->count++] = *hook;
    return 0;
}

static int one_hook(struct ns_compile *c, const cloister_value *object, size_t kind, uint64_t i)
{
    struct ns_hook hook = {.when = kinds[kind].when};
    int rc;

    snprintf(hook.where, sizeof(hook.where), "hooks.%s[%llu]", kinds[kind].key, (unsigned long long)i);
    rc = read_hook(c, object, &hook);
    if (rc == 0 && kinds[kind].point && !c->known_only)
        rc = plan_hook(c, &hook, c->hooks->state, kinds[kind].point);
    if (rc == 0 && hook.when)
        return keep(c, &hook);
    clear_hook(&hook);
    return rc;
}

int ns_compile_hooks(struct ns_compile *c, const cloister_value *spec)
{
    cloister_value *object = ns_get(&c->r, spec, "hooks"), *entry;

    if (object == NULL)
        return 0;
    c->hooks = calloc(1, sizeof(*c->hooks));
    if (c->hooks)
        c->hooks->state = make_state(c, spec);
    if (c->hooks == NULL || c->hooks->state == NULL)
        return ns_no_memory(&c->r);
    for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
        cloister_value *list = ns_get(&c->r, object, kinds[k].key);

        for (uint64_t i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++)
            if (one_hook(c, entry, k, i) < 0)
                return -1;
    }
    if (ns_hooks_have(c->hooks, NS_HOOKS_AT_POINT))
        c->plan.head.flags |= CL_WIRE_PLAN_POINT;
    return 0;
}

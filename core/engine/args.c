/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/args.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "core/engine/label.h"
#include "core/error/error.h"
#include "core/util/time.h"
#include "core/value/value.h"

#define NAME_MAX_BYTES 255u
#define CID_MAX 64u
#define ENV_COUNT_MAX 65536u
#define ENV_MAX (2u * 1024u * 1024u)
#define TAG_MAX 1024u
#define STDIO_MAX 64u
#define TERMINAL_MAX 65535u /* rows, columns */
#define EXTRA_MAX 32u
#define EXTRA_NUMBER_MAX 1023u
#define PIPES_MAX 3u /* stdin, and the outputs that a process's tape has room for */
#define WINDOW_MAX (16u * 1024u * 1024u)
#define DRAIN_MAX (3600u * CL_NS_PER_S)

#define EXEC_FLAGS (CLOISTER_EXEC_ENV_FROM_CONTAINER | CLOISTER_EXEC_OWN_CGROUP)

static int invalid(struct cloister_error *err, const char *where, const char *what)
{
    return cl_error_set(err, CLOISTER_INVALID, 0, where, NULL, "%s %s", where, what);
}

static int unsupported(struct cloister_error *err, const char *feature)
{
    return cl_error_set(err, CLOISTER_UNSUPPORTED, 0, feature, NULL, "%s is not supported here", feature);
}

int cl_args_no_memory(struct cloister_error *err)
{
    return cl_error_set(err, CLOISTER_INTERNAL, ENOMEM, NULL, NULL, "copy the arguments");
}

int cl_args_reserved(uint64_t reserved, struct cloister_error *err)
{
    return reserved ? invalid(err, "reserved", "is not 0") : 0;
}

int cl_args_text(struct cloister_sv text, const char *where, uint64_t max, struct cloister_error *err)
{
    if (text.size && !text.data)
        return invalid(err, where, "has a length but no bytes");
    if (text.size > max)
        return cl_error_set(err, CLOISTER_INVALID, 0, where, NULL, "%s has %llu bytes, at most %llu are allowed", where,
                            (unsigned long long)text.size, (unsigned long long)max);
    return 0;
}

int cl_args_window(uint64_t window, struct cloister_error *err)
{
    return window <= WINDOW_MAX
               ? 0
               : cl_error_set(err, CLOISTER_INVALID, 0, "window", NULL, "window has %llu bytes, at most %u are allowed",
                              (unsigned long long)window, WINDOW_MAX);
}

int cl_args_record(struct cloister_sv data, struct cloister_error *err)
{
    if (data.size > CLOISTER_RECORD_BYTES_MAX)
        return cl_error_set(err, CLOISTER_TOO_BIG, 0, "record", NULL, "the record has more than %u bytes",
                            CLOISTER_RECORD_BYTES_MAX);
    return cl_args_text(data, "record", CLOISTER_RECORD_BYTES_MAX, err);
}

int cl_args_word(struct cloister_sv text, const char *where, uint64_t max, struct cloister_error *err)
{
    int r = cl_args_text(text, where, max, err);
    return r == 0 && cl_sv_has_nul(text) ? invalid(err, where, "holds a NUL") : r;
}

int cl_args_signal(uint32_t number, const char *where, struct cloister_error *err)
{
    return number >= 1 && number <= (uint32_t)SIGRTMAX
               ? 0
               : cl_error_set(err, CLOISTER_INVALID, 0, where, NULL, "%u is not a signal's number", number);
}

struct cloister_sv cl_args_cid(struct cloister_sv cid)
{
    return cid.size ? cid : CLOISTER_SV("main");
}

int cl_args_name(struct cloister_sv name, struct cloister_error *err)
{
    int r = cl_args_word(name, "name", NAME_MAX_BYTES, err);
    if (r == 0 && name.size && memchr(name.data, '/', name.size))
        r = invalid(err, "name", "holds a '/'");
    return r;
}

/* Part of record kinds and perhaps of paths. */
int cl_args_check_cid(struct cloister_sv cid, struct cloister_error *err)
{
    int r = cl_args_word(cid, "cid", CID_MAX, err);
    for (uint64_t i = 0; r == 0 && i < cid.size; i++) {
        char c = cid.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (i == 0 || !memchr("_.-", c, 3)))
            r = invalid(err, "cid", "is not [A-Za-z0-9][A-Za-z0-9_.-]*");
    }
    return r;
}

/* ---- stdio ---- */

static int check_pipe(const struct cloister_stdio *entry, uint64_t index, uint64_t capabilities,
                      struct cloister_error *err)
{
    if (!(capabilities & CLOISTER_ISO_TAPE))
        return unsupported(err, "stdio PIPE");
    if (index >= PIPES_MAX)
        return invalid(err, "stdio", "has a PIPE that is not descriptor 0, 1 or 2");
    if (entry->policy > CLOISTER_POLICY_DISCARD)
        return cl_error_set(err, CLOISTER_INVALID, 0, "stdio", NULL, "stdio has unknown policy %u", entry->policy);
    if (entry->reserved32 || entry->rows || entry->columns || entry->reserved[0] ||
        (index == 0 && (entry->window || entry->policy)))
        return invalid(err, "stdio", "has a member that does not belong to its kind");
    return cl_args_window(entry->window, err);
}

/* One terminal: entry 0 says its size, entry 1 how what is written to it is captured. */
static int check_pty(const struct cloister_stdio *entry, uint64_t index, uint64_t capabilities,
                     struct cloister_error *err)
{
    if (!(capabilities & CLOISTER_ISO_PTY))
        return unsupported(err, "stdio PTY");
    if (entry->policy > CLOISTER_POLICY_DISCARD)
        return cl_error_set(err, CLOISTER_INVALID, 0, "stdio", NULL, "stdio has unknown policy %u", entry->policy);
    if (entry->rows > TERMINAL_MAX || entry->columns > TERMINAL_MAX || (entry->rows == 0) != (entry->columns == 0))
        return cl_error_set(err, CLOISTER_INVALID, 0, "stdio", NULL,
                            "stdio has a terminal of %u rows and %u columns; both are 0 or in 1..%u", entry->rows,
                            entry->columns, TERMINAL_MAX);
    if (entry->reserved32 || entry->reserved[0] || (index != 1 && (entry->window || entry->policy)))
        return invalid(err, "stdio", "has a member that does not belong to its kind");
    return cl_args_window(entry->window, err);
}

/* Descriptors 0, 1 and 2, or none at all. */
static int check_ptys(const struct cloister_stdio *all, uint64_t count, struct cloister_error *err)
{
    uint64_t ptys = 0, first = 0;
    for (uint64_t i = 0; i < count; i++) {
        ptys += all[i].kind == CLOISTER_STDIO_PTY;
        first += i < 3 && all[i].kind == CLOISTER_STDIO_PTY;
    }
    return ptys == 0 || (ptys == 3 && first == 3)
               ? 0
               : invalid(err, "stdio", "has a terminal that is not descriptors 0, 1 and 2");
}

static int check_entry(const struct cloister_stdio *entry, uint64_t index, const struct cloister_stdio *all,
                       uint64_t capabilities, struct cloister_error *err)
{
    switch (entry->kind) {
    case CLOISTER_STDIO_NULL:
    case CLOISTER_STDIO_CLOSED:
        break;
    case CLOISTER_STDIO_DESCRIPTOR:
        if (entry->fd < 0 || fcntl(entry->fd, F_GETFD) < 0)
            return invalid(err, "stdio", "names a descriptor that is not open");
        for (uint64_t i = 0; i < index; i++)
            if (all[i].kind == CLOISTER_STDIO_DESCRIPTOR && all[i].fd == entry->fd)
                return invalid(err, "stdio", "names one descriptor twice; it can be moved only once");
        break;
    case CLOISTER_STDIO_SAME_AS:
        if (entry->fd < 0 || (uint64_t)entry->fd >= index)
            return invalid(err, "stdio", "names a copy of a later entry");
        break;
    case CLOISTER_STDIO_SOCKET:
        return unsupported(err, "stdio SOCKET");
    case CLOISTER_STDIO_PIPE:
        return check_pipe(entry, index, capabilities, err);
    case CLOISTER_STDIO_PTY:
        return check_pty(entry, index, capabilities, err);
    default:
        return cl_error_set(err, CLOISTER_INVALID, 0, "stdio", NULL, "stdio has unknown kind %u", entry->kind);
    }
    if (entry->window || entry->policy || entry->reserved32 || entry->rows || entry->columns || entry->reserved[0])
        return invalid(err, "stdio", "has a member that does not belong to its kind");
    return 0;
}

/* The size that every element must have to be understood. */
#define STDIO_SIZE_MIN offsetof(struct cloister_stdio, window)

static int copy_stdio(struct cl_operation *operation, const struct cloister_stdio *from, uint64_t count,
                      uint64_t stride, uint64_t capabilities, const struct cloister_stdio **ret,
                      struct cloister_error *err)
{
    if (count > STDIO_MAX || (count && (!from || stride < STDIO_SIZE_MIN)))
        return invalid(err, "stdio", "is not a list of at most 64 entries");
    if (count > 3 && !(capabilities & CLOISTER_ISO_EXTRA_FDS))
        return unsupported(err, "EXTRA_FDS");
    struct cloister_stdio *copy = cl_arena_array(&operation->arena, from, count, stride, sizeof(*copy));
    if (operation->arena.failed)
        return cl_args_no_memory(err);
    for (uint64_t i = 0; i < count; i++) {
        int r = check_entry(&copy[i], i, copy, capabilities, err);
        if (r < 0)
            return r;
    }
    if (check_ptys(copy, count, err) < 0)
        return -EINVAL;
    *ret = copy;
    return cl_operation_take_fds(operation, copy, count) < 0 ? cl_args_no_memory(err) : 0;
}

/* ---- further descriptors ---- */

static int check_extra(const struct cloister_extra_fd *all, uint64_t index, const struct cloister_process_args *process,
                       struct cloister_error *err)
{
    const struct cloister_extra_fd *extra = &all[index];
    if (extra->number < 3 || extra->number > EXTRA_NUMBER_MAX)
        return cl_error_set(err, CLOISTER_INVALID, 0, "extra", NULL, "extra has number %u, not one in 3..%u",
                            extra->number, EXTRA_NUMBER_MAX);
    if (extra->reserved[0])
        return invalid(err, "extra", "has a reserved member that is not 0");
    if (extra->fd < 0 || fcntl(extra->fd, F_GETFD) < 0)
        return invalid(err, "extra", "names a descriptor that is not open");
    for (uint64_t i = 0; i < process->stdio_count; i++)
        if (process->stdio[i].kind == CLOISTER_STDIO_DESCRIPTOR && process->stdio[i].fd == extra->fd)
            return invalid(err, "extra", "names a descriptor that stdio names too; it can be moved only once");
    for (uint64_t i = 0; i < index; i++)
        if (all[i].fd == extra->fd || all[i].number == extra->number)
            return invalid(err, "extra", "names one descriptor or one number twice");
    return 0;
}

/* Of a process whose stdio has been copied. */
static int copy_extra(struct cl_operation *operation, struct cloister_process_args *process, uint64_t capabilities,
                      struct cloister_error *err)
{
    uint64_t count = process->extra_count;
    if (count == 0) {
        process->extra = NULL;
        return 0;
    }
    if (!(capabilities & CLOISTER_ISO_EXTRA_FDS))
        return unsupported(err, "EXTRA_FDS");
    if (count > EXTRA_MAX || !process->extra || process->extra_size < offsetof(struct cloister_extra_fd, reserved))
        return invalid(err, "extra", "is not a list of at most 32 entries");
    struct cloister_extra_fd *copy =
        cl_arena_array(&operation->arena, process->extra, count, process->extra_size, sizeof(*copy));
    if (operation->arena.failed)
        return cl_args_no_memory(err);
    for (uint64_t i = 0; i < count; i++)
        if (check_extra(copy, i, process, err) < 0)
            return -EINVAL;
    process->extra = copy;
    process->extra_size = sizeof(*copy);
    return cl_operation_take_extra(operation, copy, count) < 0 ? cl_args_no_memory(err) : 0;
}

/* ---- process ---- */

/* A name and '='; without NUL. Values are secrets: no error quotes them. */
static int copy_env(struct cl_operation *operation, const struct cloister_process_args *from,
                    const struct cloister_sv **ret, struct cloister_error *err)
{
    if (from->env_count > ENV_COUNT_MAX || (from->env_count && !from->env))
        return invalid(err, "env", "has too many entries");
    struct cloister_sv *copy =
        cl_arena_array(&operation->arena, from->env, from->env_count, sizeof(*copy), sizeof(*copy));
    uint64_t total = 0;
    for (uint64_t i = 0; copy && i < from->env_count; i++) {
        struct cloister_sv entry = copy[i];
        if (cl_args_text(entry, "env", ENV_MAX, err) < 0)
            return -EINVAL;
        const char *equals = entry.size ? memchr(entry.data, '=', entry.size) : NULL;
        if (!equals || equals == entry.data || cl_sv_has_nul(entry))
            return cl_error_set(err, CLOISTER_INVALID, 0, "env", NULL, "env[%llu] is not NAME=value",
                                (unsigned long long)i);
        total += entry.size + 1;
        if (total > ENV_MAX)
            return cl_error_set(err, CLOISTER_TOO_BIG, 0, "env", NULL, "env has more than %u bytes", ENV_MAX);
        copy[i] = cl_arena_sv(&operation->arena, entry);
    }
    *ret = copy;
    return 0;
}

static int check_oci_process(struct cloister_sv text, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *document = NULL;
    int r = cl_value_parse(text, NULL, &document, NULL, err);
    if (r < 0) {
        cl_error_wrap(err, "process");
        return r;
    }
    if (cl_value_type(document) != CLOISTER_VALUE_OBJECT)
        return invalid(err, "process", "is not an object");
    if (cl_value_count(cl_value_get_cstr(document, "env")))
        return invalid(err, "process.env", "must travel apart from the process object");
    return 0;
}

const struct cloister_process_args *cl_args_copy_process(struct cl_operation *operation,
                                                         const struct cloister_process_args *from,
                                                         uint64_t capabilities, struct cloister_error *err)
{
    if (!from) {
        (void)invalid(err, "process", "is missing");
        return NULL;
    }
    struct cloister_process_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    if (!copy) {
        (void)cl_args_no_memory(err);
        return NULL;
    }
    if (copy->session > CLOISTER_SESSION_INHERIT) {
        (void)cl_error_set(err, CLOISTER_INVALID, 0, "session", NULL, "session has unknown kind %u", copy->session);
        return NULL;
    }
    if (copy->drain_idle > DRAIN_MAX || copy->drain_max > DRAIN_MAX) {
        (void)invalid(err, "drain_max", "is more than an hour");
        return NULL;
    }
    struct cloister_process_args source = *copy;
    if (cl_args_text(copy->oci, "process", CL_ARGS_SPEC_MAX, err) < 0 || check_oci_process(copy->oci, err) < 0 ||
        cl_args_text(copy->tag, "tag", TAG_MAX, err) < 0 || copy_env(operation, &source, &copy->env, err) < 0 ||
        copy_stdio(operation, source.stdio, source.stdio_count, source.stdio_size, capabilities, &copy->stdio, err) <
            0 ||
        copy_extra(operation, copy, capabilities, err) < 0 || cl_args_process(operation, copy, capabilities, err) < 0)
        return NULL;
    copy->stdio_size = sizeof(*copy->stdio);
    copy->oci = cl_arena_sv(&operation->arena, source.oci);
    copy->tag = cl_arena_sv(&operation->arena, source.tag);
    return copy;
}

/* ---- sandbox ---- */

static int copy_labels(struct cl_operation *operation, struct cloister_sandbox_create_args *copy,
                       struct cloister_error *err)
{
    const uint64_t least = offsetof(struct cloister_label, reserved);
    if (copy->label_count > CL_LABEL_COUNT_MAX || (copy->label_count && (!copy->labels || copy->label_size < least)))
        return invalid(err, "labels", "is not a list of at most 1024 labels");
    struct cloister_label *labels =
        cl_arena_array(&operation->arena, copy->labels, copy->label_count, copy->label_size, sizeof(*labels));
    uint64_t total = 0;
    for (uint64_t i = 0; labels && i < copy->label_count; i++) {
        struct cloister_label *label = &labels[i];
        if (cl_label_check(label->key, label->value, label->flags, err) < 0)
            return -EINVAL;
        if (label->reserved32 || label->reserved[0])
            return invalid(err, "label", "has a reserved member that is not 0");
        total += cl_label_weight(label->key, label->value);
        if (total > CL_LABELS_MAX)
            return cl_error_set(err, CLOISTER_TOO_BIG, 0, "labels", NULL, "the labels have more than %u bytes",
                                CL_LABELS_MAX);
        for (uint64_t k = 0; k < i; k++)
            if (cl_sv_eq(labels[k].key, label->key))
                return invalid(err, "label", "is named twice");
        label->key = cl_arena_sv(&operation->arena, label->key);
        label->value = cl_arena_sv(&operation->arena, label->value);
    }
    copy->labels = labels;
    copy->label_size = sizeof(*labels);
    return 0;
}

const struct cloister_sandbox_create_args *cl_args_create(struct cl_operation *operation,
                                                          const struct cloister_sandbox_create_args *from,
                                                          uint64_t capabilities, struct cloister_error *err)
{
    struct cloister_sandbox_create_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    if (!copy) {
        (void)cl_args_no_memory(err);
        return NULL;
    }
    int r = copy->flags & ~CLOISTER_SANDBOX_PROVISIONAL ? invalid(err, "flags", "has an unknown bit") : 0;
    r = r ? r : cl_args_name(copy->name, err);
    r = r ? r : cl_args_record(copy->record, err);
    r = r ? r : copy_labels(operation, copy, err);
    r = r ? r : cl_args_cgroup_parent(operation, &copy->cgroup_parent, err);
    r = r ? r : cl_args_resources(operation, &copy->resources, err);
    if (r < 0)
        return NULL;
    copy->record = cl_arena_sv(&operation->arena, copy->record);
    copy->name = cl_arena_sv(&operation->arena, copy->name);
    copy->isolation = cl_arena_sv(&operation->arena, copy->isolation);
    if (copy->container) {
        copy->container = cl_args_container(operation, copy->container, capabilities, err);
        if (!copy->container)
            return NULL;
    }
    if (operation->arena.failed) {
        (void)cl_args_no_memory(err);
        return NULL;
    }
    return copy;
}

const struct cloister_container_start_args *cl_args_start(struct cl_operation *operation,
                                                          const struct cloister_container_start_args *from,
                                                          uint64_t capabilities, struct cloister_error *err)
{
    struct cloister_container_start_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    if (!copy) {
        (void)cl_args_no_memory(err);
        return NULL;
    }
    if (copy_stdio(operation, copy->stdio, copy->stdio_count, copy->stdio_size, capabilities, &copy->stdio, err) < 0)
        return NULL;
    copy->stdio_size = sizeof(*copy->stdio);
    copy->sandbox = cl_arena_sv(&operation->arena, copy->sandbox);
    copy->container = cl_arena_sv(&operation->arena, cl_args_cid(copy->container));
    if (operation->arena.failed)
        (void)cl_args_no_memory(err);
    return operation->arena.failed ? NULL : copy;
}

const struct cloister_exec_args *cl_args_exec(struct cl_operation *operation, const struct cloister_exec_args *from,
                                              uint64_t capabilities, struct cloister_error *err)
{
    struct cloister_exec_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    if (!copy) {
        (void)cl_args_no_memory(err);
        return NULL;
    }
    int r = copy->flags & ~EXEC_FLAGS ? invalid(err, "flags", "has an unknown bit") : 0;
    if (r == 0 && copy->flags & CLOISTER_EXEC_OWN_CGROUP && !(capabilities & CLOISTER_ISO_OWN_CGROUP))
        r = unsupported(err, "OWN_CGROUP");
    if (r == 0 && copy->resources.size && !(copy->flags & CLOISTER_EXEC_OWN_CGROUP))
        r = invalid(err, "resources", "need a group of its own");
    r = r ? r : cl_args_resources(operation, &copy->resources, err);
    r = r ? r : cl_args_word(copy->name, "name", NAME_MAX_BYTES, err);
    if (r < 0)
        return NULL;
    copy->process = cl_args_copy_process(operation, copy->process, capabilities, err);
    if (!copy->process)
        return NULL;
    copy->sandbox = cl_arena_sv(&operation->arena, copy->sandbox);
    copy->container = cl_arena_sv(&operation->arena, cl_args_cid(copy->container));
    copy->name = cl_arena_sv(&operation->arena, copy->name);
    if (operation->arena.failed)
        (void)cl_args_no_memory(err);
    return operation->arena.failed ? NULL : copy;
}

/* ---- an exec with the container's environment ---- */

static struct cloister_sv variable(struct cloister_sv entry)
{
    const char *equals = memchr(entry.data, '=', entry.size);
    return cl_sv(entry.data, equals ? (uint64_t)(equals - entry.data) : entry.size);
}

/* A map: tens of thousands of entries on each side are legal. */
static int name_all(struct cl_map *names, const struct cloister_process_args *process)
{
    for (uint64_t i = 0; i < process->env_count; i++) {
        int r = cl_map_put(names, variable(process->env[i]), names);
        if (r < 0 && r != -EEXIST)
            return r;
    }
    return 0;
}

const struct cloister_exec_args *cl_args_exec_in(struct cl_operation *operation, const struct cloister_exec_args *exec,
                                                 const struct cloister_sv *env, uint64_t count,
                                                 struct cloister_error *err)
{
    struct cl_arena *arena = &operation->arena;
    struct cl_map names = CL_MAP_INIT;
    struct cloister_exec_args *copy = cl_arena_struct(arena, exec, sizeof(*copy));
    struct cloister_process_args *process = cl_arena_struct(arena, exec->process, sizeof(*process));
    struct cloister_sv *all = cl_arena_alloc(arena, count + exec->process->env_count + 1, sizeof(*all));
    int r = arena->failed ? -ENOMEM : name_all(&names, process);
    uint64_t used = 0, total = 0;
    for (uint64_t i = 0; r == 0 && i < count + process->env_count; i++) {
        struct cloister_sv entry = i < count ? env[i] : process->env[i - count];
        if (i < count && cl_map_get(&names, variable(entry)))
            continue;
        all[used++] = entry;
        total += entry.size + 1;
    }
    cl_map_free(&names);
    if (r < 0) {
        (void)cl_args_no_memory(err);
        return NULL;
    }
    if (total > ENV_MAX || used > ENV_COUNT_MAX) {
        (void)cl_error_set(err, CLOISTER_TOO_BIG, 0, "env", NULL, "env and the container's have more than %u bytes",
                           ENV_MAX);
        return NULL;
    }
    process->env = all;
    process->env_count = used;
    copy->process = process;
    copy->flags &= ~CLOISTER_EXEC_ENV_FROM_CONTAINER; /* done: isolation has nothing to add */
    return copy;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 3u
#define WORD_MAX 128u
#define SECOND 1000000000ull

static int refuse(const struct cloister_host *host, struct cloister_error *err, uint32_t code, const char *subject,
                  const char *what)
{
    host->log->error_set(err, code, 0, subject, "mock", "%s: %s", subject, what);
    return -1;
}

static bool is(struct cloister_sv text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

int mock_stdio_take(const struct cloister_host *host, const struct cloister_stdio *stdio, uint64_t count, uint64_t size,
                    struct cloister_error *err)
{
    int r = 0;
    for (uint64_t i = 0; i < count; i++) {
        const struct cloister_stdio *entry = (const void *)((const char *)stdio + i * size);
        if (entry->kind == CLOISTER_STDIO_DESCRIPTOR && entry->fd >= 0)
            (void)close(entry->fd);
        if (entry->kind != CLOISTER_STDIO_NULL && entry->kind != CLOISTER_STDIO_CLOSED &&
            entry->kind != CLOISTER_STDIO_SAME_AS)
            r = refuse(host, err, CLOISTER_UNSUPPORTED, "stdio", "the mock's processes say nothing");
    }
    return r;
}

/* Members that an older host does not have are taken for absent. */
static int take_further(const struct cloister_host *host, const struct cloister_process_args *args,
                        struct cloister_error *err)
{
    if (!CLOISTER_HAS(args, resolve))
        return 0;
    for (uint64_t i = 0; i < args->extra_count; i++)
        (void)close(
            ((const struct cloister_extra_fd *)(const void *)((const char *)args->extra + i * args->extra_size))->fd);
    if (args->extra_count)
        return refuse(host, err, CLOISTER_UNSUPPORTED, "extra", "the mock's processes have no descriptors");
    if (args->resolve)
        return refuse(host, err, CLOISTER_UNSUPPORTED, "resolve", "the mock has no passwd file");
    return 0;
}

/* What a shell would make of it; of anything else it knows no command. */
static void read_shell(const char *text, struct mock_program *ret)
{
    unsigned number;
    if (sscanf(text, "exit %u", &number) == 1)
        ret->status = (struct cloister_status){.kind = CLOISTER_STATUS_EXITED, .value = number & 255u};
    else if (sscanf(text, "kill -%u $$", &number) == 1)
        ret->status = (struct cloister_status){.kind = CLOISTER_STATUS_SIGNALED, .value = number & 127u};
    else
        ret->status = (struct cloister_status){.kind = CLOISTER_STATUS_EXITED, .value = 127};
}

static int read_words(const struct cloister_host *host, char words[WORDS_MAX][WORD_MAX], struct mock_program *ret,
                      struct cloister_error *err)
{
    const char *name = strncmp(words[0], "/bin/", 5) == 0 ? words[0] + 5 : words[0];
    *ret = (struct mock_program){.status = {.kind = CLOISTER_STATUS_EXITED}};
    if (strcmp(words[0], "/etc/passwd") == 0)
        return refuse(host, err, CLOISTER_NOT_EXECUTABLE, words[0], "not a program");
    if (strcmp(name, "true") == 0)
        return 0;
    if (strcmp(name, "false") == 0)
        ret->status.value = 1;
    else if (strcmp(name, "sleep") == 0)
        ret->ns = strtoull(words[1], NULL, 10) * SECOND;
    else if (strcmp(name, "sh") == 0 && strcmp(words[1], "-c") == 0)
        read_shell(words[2], ret);
    else
        return refuse(host, err, CLOISTER_NO_EXECUTABLE, words[0], "no such program");
    return 0;
}

static int read_oci(const struct cloister_host *host, const cloister_value *process, struct mock_program *ret,
                    struct cloister_error *err)
{
    const struct cloister_value_api *v = host->value;
    const cloister_value *args = v->get(process, CLOISTER_SV("args")), *user = v->get(process, CLOISTER_SV("user"));
    struct cloister_sv text, cwd = {NULL, 0};
    char words[WORDS_MAX][WORD_MAX] = {{0}};
    uint64_t uid = 0, gid = 0;
    if (v->type(args) != CLOISTER_VALUE_ARRAY || v->count(args) == 0)
        return refuse(host, err, CLOISTER_INVALID, "process.args", "must be a list of words");
    for (uint64_t i = 0; i < v->count(args) && i < WORDS_MAX; i++)
        if (v->string(v->at(args, i, NULL), &text) == 0)
            (void)snprintf(words[i], WORD_MAX, "%.*s", (int)text.size, text.data);
    if (v->string(v->get(process, CLOISTER_SV("cwd")), &cwd) < 0 || (!is(cwd, "/") && !is(cwd, "/tmp")))
        return refuse(host, err, CLOISTER_BAD_CWD, "process.cwd", "no such directory");
    if (read_words(host, words, ret, err) < 0)
        return -1;
    (void)v->u64(v->get(user, CLOISTER_SV("uid")), &uid);
    (void)v->u64(v->get(user, CLOISTER_SV("gid")), &gid);
    ret->uid = (uint32_t)uid;
    ret->gid = (uint32_t)gid;
    return 0;
}

int mock_program_read(const struct cloister_host *host, const struct cloister_process_args *args,
                      struct mock_program *ret, struct cloister_error *err)
{
    cloister_value *process = NULL;
    int stdio = mock_stdio_take(host, args->stdio, args->stdio_count, args->stdio_size, err);
    if (take_further(host, args, err) < 0 || stdio < 0)
        return -1;
    int r = host->value->parse(args->oci, 0, 0, &process, err);
    if (r == 0)
        r = read_oci(host, process, ret, err);
    host->value->free(process);
    return r;
}

static int check_spec(const struct cloister_host *host, const cloister_value *spec, struct cloister_error *err)
{
    const struct cloister_value_api *v = host->value;
    uint32_t outer = v->type(v->get(spec, CLOISTER_SV("linux"))), mounts = v->type(v->get(spec, CLOISTER_SV("mounts")));
    if (v->type(spec) != CLOISTER_VALUE_OBJECT)
        return refuse(host, err, CLOISTER_INVALID, "spec", "must be an object");
    if (outer != CLOISTER_VALUE_NONE && outer != CLOISTER_VALUE_OBJECT)
        return refuse(host, err, CLOISTER_INVALID, "linux", "must be an object");
    if (mounts != CLOISTER_VALUE_NONE && mounts != CLOISTER_VALUE_ARRAY)
        return refuse(host, err, CLOISTER_INVALID, "mounts", "must be a list");
    return 0;
}

int mock_container_check(const struct cloister_host *host, const struct cloister_container_args *container,
                         struct cloister_error *err)
{
    cloister_value *spec = NULL;
    if (container->rootfs_kind != CLOISTER_ROOTFS_DIRECTORY)
        return refuse(host, err, CLOISTER_UNSUPPORTED, "layers", "the mock has no file systems");
    if (CLOISTER_HAS(container, join) && (container->file_count || container->join.size))
        return refuse(host, err, CLOISTER_UNSUPPORTED, container->file_count ? "files" : "join",
                      "the mock has neither files nor namespaces");
    int r = host->value->parse(container->spec, 0, 0, &spec, err);
    if (r == 0)
        r = check_spec(host, spec, err);
    host->value->free(spec);
    return r;
}

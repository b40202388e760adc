/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/runfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "core/engine/label.h"
#include "core/engine/records.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/fd.h"
#include "core/util/io.h"
#include "core/util/mem.h"
#include "core/util/str.h"
#include "core/value/value.h"

#define FILE_MAX (32u * 1024u * 1024u) /* above what the limits of its members come to, escaped */
#define VALUES_MAX (256u * 1024u)

/* `process` lies one level deeper here than where its depth was checked. */
static const struct cl_value_options reading = {.count = VALUES_MAX, .depth = CLOISTER_VALUE_DEPTH_DEFAULT + 1};

struct cl_runfile cl_runfile_of_sandbox(const struct cl_sandbox *sandbox)
{
    return (struct cl_runfile){sandbox->run_dir, sandbox->engine->boot_id, "run"};
}

struct cl_runfile cl_runfile_of_container(const struct cl_container *container)
{
    struct cl_runfile file = cl_runfile_of_sandbox(container->sandbox);
    (void)snprintf(file.name, sizeof(file.name), "run-%s", container->cid); /* ids have at most 64 bytes */
    return file;
}

struct cl_runfile cl_runfile_of_service(const struct cl_service *service)
{
    struct cl_runfile file = {service->engine->run_dir, service->engine->boot_id, ""};
    (void)snprintf(file.name, sizeof(file.name), "svc-%s", service->name); /* names have at most 32 bytes */
    return file;
}

static int failed(const struct cl_runfile *file, int r, const char *what, struct cloister_error *err)
{
    return cl_error_set(err, cl_error_code_of(r), r, NULL, "run-file", "%s %s/%s", what, file->directory, file->name);
}

int cl_runfile_check(const struct cl_sandbox *sandbox, bool in_file, struct cloister_error *err)
{
    bool up = sandbox->state == CLOISTER_SANDBOX_UP || sandbox->creating;
    if (!sandbox->gate_closed && (up || !in_file))
        return 0;
    int r = sandbox->gate_closed ? cl_error_set(err, CLOISTER_INVALID_STATE, 0, NULL, NULL, "it is being destroyed")
                                 : cl_error_set(err, CLOISTER_INVALID_STATE, 0, NULL, NULL,
                                                "it is %s, not up: what must not outlive the boot has no place",
                                                cl_sandbox_state_name(sandbox->state));
    if (err)
        err->detail = sandbox->gate_closed ? CLOISTER_SANDBOX_DESTROYING : sandbox->state;
    return r;
}

/* ---- any bytes as JSON ---- */

cloister_value *cl_runfile_bytes(struct cloister_sv bytes)
{
    if (cl_sv_utf8(bytes) && !cl_sv_has_nul(bytes))
        return cl_value_new_string(bytes.size ? bytes : CLOISTER_SV(""));
    static const char digits[] = "0123456789abcdef";
    char CL_FREE *hex = cl_malloc(bytes.size * 2);
    CL_VALUE_CLEANUP cloister_value *object = cl_value_new_object();
    if (!hex || !object)
        return NULL;
    for (uint64_t i = 0; i < bytes.size; i++) {
        hex[2 * i] = digits[(unsigned char)bytes.data[i] >> 4];
        hex[2 * i + 1] = digits[(unsigned char)bytes.data[i] & 15];
    }
    if (cl_value_set_cstr(object, "hex", cl_value_new_string(cl_sv(hex, bytes.size * 2))) < 0)
        return NULL;
    return cl_steal_ptr(&object);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int cl_runfile_take(const cloister_value *value, struct cl_arena *arena, struct cloister_sv *ret)
{
    struct cloister_sv text;
    if (cl_value_string(value, &text) == 0) {
        *ret = text.size ? cl_arena_sv(arena, text) : CLOISTER_SV("");
        return arena->failed ? -ENOMEM : 0;
    }
    if (cl_value_string(cl_value_get_cstr(value, "hex"), &text) < 0 || text.size % 2)
        return -EINVAL;
    char *bytes = cl_arena_alloc(arena, text.size / 2 + 1, 1);
    if (!bytes)
        return -ENOMEM;
    for (uint64_t i = 0; i < text.size; i += 2) {
        int high = digit(text.data[i]), low = digit(text.data[i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        bytes[i / 2] = (char)(high << 4 | low);
    }
    *ret = cl_sv(bytes, text.size / 2);
    return 0;
}

/* ---- the file ---- */

static int open_directory(const struct cl_runfile *file)
{
    int fd = open(file->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Nobody sees a half-written one. It need not survive the power, so nothing is synced. */
static int replace(const struct cl_runfile *file, const char *text, size_t size)
{
    char name[sizeof(file->name) + sizeof(".new-")];
    (void)snprintf(name, sizeof(name), ".new-%s", file->name);
    CL_CLOSE int directory = open_directory(file);
    if (directory < 0)
        return directory;
    (void)unlinkat(directory, name, 0); /* of a daemon that died here */
    CL_CLOSE int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = fchmod(fd, 0600) < 0 ? -errno : cl_write_all(fd, text, size);
    if (r == 0 && renameat(directory, name, directory, file->name) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(directory, name, 0);
    return r;
}

static int write_document(const struct cl_runfile *file, const cloister_value *document, struct cloister_error *err)
{
    char CL_FREE *text = NULL;
    size_t size = 0;
    int r = cl_value_print(document, false, &text, &size);
    if (r == 0 && size > FILE_MAX)
        r = -EFBIG;
    if (r == 0)
        r = replace(file, text, size);
    return r < 0 ? failed(file, r, "write", err) : 0;
}

static int read_text(const struct cl_runfile *file, char **ret_text, size_t *ret_size)
{
    CL_CLOSE int directory = open_directory(file);
    if (directory < 0)
        return directory;
    CL_CLOSE int fd = openat(directory, file->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077)
        return -EPERM; /* not one that we wrote */
    return cl_read_fd(fd, FILE_MAX, ret_text, ret_size);
}

int cl_runfile_read(const struct cl_runfile *file, cloister_value **ret, struct cloister_error *err)
{
    char CL_FREE *text = NULL;
    size_t size = 0;
    CL_VALUE_CLEANUP cloister_value *document = NULL;
    int r = read_text(file, &text, &size);
    if (r == -ENOENT) {
        *ret = NULL;
        return 0;
    }
    if (r == 0)
        r = cl_value_parse(cl_sv(text, size), &reading, &document, NULL, NULL); /* its errors may quote a secret */
    if (r < 0)
        return failed(file, r, "read", err);
    const char *boot_id = cl_value_cstr(cl_value_get_cstr(document, "boot_id"));
    if (!boot_id || strcmp(boot_id, file->boot_id) != 0) {
        cl_runfile_drop(file);
        *ret = NULL;
        return 0;
    }
    *ret = cl_steal_ptr(&document);
    return 0;
}

static cloister_value *new_document(const char *boot_id)
{
    CL_VALUE_CLEANUP cloister_value *document = cl_value_new_object();
    if (!document || cl_value_set_cstr(document, "boot_id", cl_value_new_cstr(boot_id)) < 0)
        return NULL;
    return cl_steal_ptr(&document);
}

int cl_runfile_set(const struct cl_runfile *file, const char *member, cloister_value *value, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *document = NULL;
    int r = cl_runfile_read(file, &document, err);
    if (r < 0) {
        cl_value_free(value);
        return r;
    }
    if (!document)
        document = new_document(file->boot_id);
    r = cl_value_set_cstr(document, member, value);
    return r < 0 ? failed(file, r, "change", err) : write_document(file, document, err);
}

int cl_runfile_remove(const struct cl_runfile *file, const char *member, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *document = NULL;
    int r = cl_runfile_read(file, &document, err);
    if (r < 0 || !document || cl_value_remove(document, cl_sv_cstr(member)) < 0)
        return r;
    return write_document(file, document, err);
}

void cl_runfile_drop(const struct cl_runfile *file)
{
    CL_CLOSE int directory = open_directory(file);
    int r = directory < 0 ? directory : unlinkat(directory, file->name, 0) < 0 ? -errno : 0;
    if (r < 0 && r != -ENOENT)
        cl_log(CL_LOG_WARN, CL_ENGINE_AREA, "remove %s/%s: %s", file->directory, file->name, strerror(-r));
}

/* ---- of new sandboxes and containers ---- */

static int set_process(cloister_value *document, const struct cloister_process_args *process)
{
    cloister_value *oci = NULL, *env = cl_value_new_array();
    int r = env ? cl_value_parse(process->oci, NULL, &oci, NULL, NULL) : -ENOMEM;
    for (uint64_t i = 0; r == 0 && i < process->env_count; i++)
        r = cl_value_append(env, cl_runfile_bytes(process->env[i]));
    if (r == 0)
        r = cl_value_set_cstr(document, CL_RUN_PROCESS, cl_steal_ptr(&oci));
    if (r == 0)
        r = cl_value_set_cstr(document, CL_RUN_ENV, cl_steal_ptr(&env));
    cl_value_free(oci);
    cl_value_free(env);
    return r;
}

int cl_runfile_create(const struct cl_sandbox *sandbox, struct cloister_error *err)
{
    struct cl_runfile file = cl_runfile_of_sandbox(sandbox);
    CL_VALUE_CLEANUP cloister_value *document = new_document(file.boot_id);
    int r = document ? 0 : -ENOMEM;
    if (r == 0 && cl_labels_have_secret(sandbox))
        r = cl_value_set_cstr(document, CL_RUN_LABELS, cl_labels_secret(sandbox));
    return r < 0 ? failed(&file, r, "write", err) : write_document(&file, document, err);
}

int cl_runfile_create_container(const struct cl_container *container, const struct cloister_container_args *args,
                                struct cloister_error *err)
{
    struct cl_runfile file = cl_runfile_of_container(container);
    CL_VALUE_CLEANUP cloister_value *document = new_document(file.boot_id);
    int r = document ? 0 : -ENOMEM;
    if (r == 0 && args->process)
        r = set_process(document, args->process);
    else if (r == 0) /* a pause has no environment, which is not the same as an unknown one */
        r = cl_value_set_cstr(document, CL_RUN_ENV, cl_value_new_array());
    return r < 0 ? failed(&file, r, "write", err) : write_document(&file, document, err);
}

/* A daemon that knew one container per sandbox kept it in the sandbox's own file. */
int cl_runfile_read_container(const struct cl_container *container, cloister_value **ret, struct cloister_error *err)
{
    struct cl_runfile file = cl_runfile_of_container(container), old = cl_runfile_of_sandbox(container->sandbox);
    int r = cl_runfile_read(&file, ret, err);
    return r == 0 && !*ret && cl_list_first(&container->sandbox->containers) == &container->node
               ? cl_runfile_read(&old, ret, err)
               : r;
}

void cl_runfile_drop_all(const struct cl_sandbox *sandbox)
{
    struct cl_runfile file = cl_runfile_of_sandbox(sandbox);
    cl_runfile_drop(&file);
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        file = cl_runfile_of_container(CL_CONTAINER(node, struct cl_container, node));
        cl_runfile_drop(&file);
    }
}

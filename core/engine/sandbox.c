/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/engine/label.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/fd.h"
#include "core/util/mem.h"
#include "core/util/time.h"

static int no_memory(struct cloister_error *err)
{
    return cl_error_set(err, CLOISTER_INTERNAL, ENOMEM, NULL, NULL, "create sandbox");
}

static int check_limits(const struct cl_engine *engine, const struct cl_backend *backend, struct cloister_error *err)
{
    if (engine->fenced)
        return cl_error_set(err, CLOISTER_UNAVAILABLE, 0, NULL, "store", "another daemon has taken the store over");
    if (engine->by_id.size >= engine->max_sandboxes)
        return cl_error_set(err, CLOISTER_LIMIT, 0, "sandboxes", NULL, "there are %zu sandboxes, the most allowed",
                            engine->by_id.size);
    if (backend->max_sandboxes && backend->sandboxes >= backend->max_sandboxes)
        return cl_error_set(err, CLOISTER_LIMIT, 0, "sandboxes", NULL, "%s has %llu sandboxes, the most it can have",
                            backend->instance->label, (unsigned long long)backend->sandboxes);
    return 0;
}

/* Into every index, all or none. */
static int put_in_indexes(struct cl_sandbox *sandbox)
{
    int r = cl_map_put(&sandbox->service->names, sandbox->name, sandbox);
    if (r < 0)
        return r;
    r = cl_map_put(&sandbox->engine->by_id, cl_sandbox_id(sandbox), sandbox);
    if (r < 0) {
        (void)cl_map_remove(&sandbox->service->names, sandbox->name);
        return r;
    }
    cl_list_append(&sandbox->engine->sandboxes, &sandbox->node);
    sandbox->backend->sandboxes++;
    return 0;
}

/* id empty: a new one. name empty: the id. */
static int sandbox_make(struct cl_service *service, struct cl_backend *backend, struct cloister_sv id,
                        struct cloister_sv name, struct cl_sandbox **ret)
{
    struct cl_sandbox *sandbox = cl_new(struct cl_sandbox);
    if (!sandbox)
        return -ENOMEM;
    sandbox->refs = 1;
    sandbox->engine = service->engine;
    sandbox->service = service;
    sandbox->backend = backend;
    sandbox->store = service->store;
    sandbox->cookie = service->engine->cookie;
    sandbox->boot_id = cl_sv_cstr(service->engine->boot_id);
    sandbox->goal = CL_GOAL_UP;
    sandbox->state = CLOISTER_SANDBOX_CREATING;
    sandbox->created_real_ns = cl_real_ns();
    sandbox->created_boot_ns = cl_boot_ns();
    sandbox->failure = (struct cloister_error)CLOISTER_ERROR_INIT;
    cl_list_init(&sandbox->node);
    cl_list_init(&sandbox->containers);
    cl_list_init(&sandbox->doomed);
    cl_list_init(&sandbox->graves);
    cl_list_init(&sandbox->processes);
    cl_list_init(&sandbox->operations);
    cl_list_init(&sandbox->claims);
    cl_list_init(&sandbox->notices);
    cl_list_init(&sandbox->lost.node);
    cl_list_init(&sandbox->ending.joined);
    cl_journal_init(&sandbox->journal);
    int r = id.size ? cl_sv_copy(id, sandbox->id, sizeof(sandbox->id)) : cl_id_make(sandbox->id);
    sandbox->name = cl_arena_sv(&sandbox->arena, name.size ? name : cl_sandbox_id(sandbox));
    sandbox->run_dir = cl_asprintf("%s/%s", service->engine->run_dir, sandbox->id);
    if (r == 0)
        r = sandbox->arena.failed || !sandbox->run_dir ? -ENOMEM : put_in_indexes(sandbox);
    if (r < 0) {
        cl_sandbox_unref(sandbox);
        return r;
    }
    *ret = sandbox;
    return 0;
}

int cl_sandbox_new(struct cl_service *service, struct cl_backend *backend, struct cloister_sv name,
                   struct cl_sandbox **ret, struct cloister_error *err)
{
    int r = check_limits(service->engine, backend, err);
    if (r < 0)
        return r;
    r = sandbox_make(service, backend, cl_sv(NULL, 0), name, ret);
    if (r == -EEXIST)
        return cl_error_set(err, CLOISTER_EXISTS, 0, NULL, "name", "the name '%.*s' is taken", CL_SV_ARG(name));
    return r < 0 ? no_memory(err) : 0;
}

int cl_sandbox_restore(struct cl_service *service, struct cl_backend *backend, struct cloister_sv id,
                       struct cloister_sv name, struct cl_sandbox **ret)
{
    int r = sandbox_make(service, backend, id, name, ret);
    if (r == 0)
        (*ret)->journal.exists = true;
    return r;
}

struct cl_sandbox *cl_sandbox_ref(struct cl_sandbox *sandbox)
{
    sandbox->refs++;
    return sandbox;
}

void cl_sandbox_unref(struct cl_sandbox *sandbox)
{
    if (--sandbox->refs)
        return;
    cl_later_cancel(&sandbox->ending.later);
    cl_later_cancel(&sandbox->journal.later);
    cl_notices_drop(sandbox);
    for (struct cl_list *node; (node = cl_list_first(&sandbox->processes));)
        cl_process_free(CL_CONTAINER(node, struct cl_process, node));
    struct cl_list *const lists[] = {&sandbox->containers, &sandbox->doomed, &sandbox->graves};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        for (struct cl_list *node; (node = cl_list_first(lists[i]));)
            cl_container_free(CL_CONTAINER(node, struct cl_container, node));
    cl_map_free(&sandbox->by_number);
    cl_labels_free(sandbox);
    cl_limits_free(&sandbox->limits);
    free((void *)(uintptr_t)sandbox->svc.data);
    cl_arena_free(&sandbox->arena);
    free(sandbox->run_dir);
    free(sandbox);
}

void cl_sandbox_forget(struct cl_sandbox *sandbox)
{
    if (sandbox->gone)
        return;
    sandbox->gone = true;
    if (sandbox->journal.owed)
        sandbox->engine->dirty--;
    sandbox->journal.owed = false;
    (void)cl_map_remove(&sandbox->service->names, sandbox->name);
    (void)cl_map_remove(&sandbox->engine->by_id, cl_sandbox_id(sandbox));
    cl_list_remove(&sandbox->node);
    sandbox->backend->sandboxes--;
    cl_sandbox_unref(sandbox);
}

bool cl_sandbox_visible(const struct cl_sandbox *sandbox, const struct cl_service *service)
{
    return sandbox->uncommitted ? service == sandbox->service : cl_service_sees(service, sandbox->service);
}

struct cl_sandbox *cl_sandbox_find(const struct cl_service *service, struct cloister_sv id, bool act,
                                   struct cloister_error *err)
{
    struct cl_sandbox *sandbox = id.size ? cl_map_get(&service->engine->by_id, id) : NULL;
    if (sandbox && cl_sandbox_visible(sandbox, service) && (!act || cl_service_acts(service, sandbox->service)))
        return sandbox;
    (void)cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "sandbox", "there is no sandbox '%.*s'", CL_SV_ARG(id));
    cl_error_subject(err, id);
    return NULL;
}

struct cloister_sv cl_sandbox_id(const struct cl_sandbox *sandbox)
{
    return cl_sv(sandbox->id, CL_ID_CHARS);
}

void cl_sandbox_identity(const struct cl_sandbox *sandbox, struct cloister_iso_sandbox *ret)
{
    *ret = (struct cloister_iso_sandbox){
        CLOISTER_INIT(struct cloister_iso_sandbox),
        .id = cl_sandbox_id(sandbox),
        .cookie = sandbox->cookie,
        .name = sandbox->name,
        .plan = sandbox->plan,
        .run_dir = cl_sv_cstr(sandbox->run_dir),
    };
}

int cl_sandbox_make_run_dir(struct cl_sandbox *sandbox, struct cloister_error *err)
{
    if (mkdir(sandbox->run_dir, 0700) == 0)
        return 0;
    return cl_error_set(err, cl_error_code_of(errno), errno, NULL, "run-directory", "make %s", sandbox->run_dir);
}

int cl_run_dir_remove(const char *path)
{
    CL_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int again = cl_fd_dup(fd);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    if (!dir) {
        cl_closep(&again);
        return -ENOMEM;
    }
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(fd, entry->d_name, 0); /* what stays makes rmdir tell */
    (void)closedir(dir);
    return rmdir(path) == 0 || errno == ENOENT ? 0 : -errno;
}

/* Asked for datagrams, who listens for streams is told EPROTOTYPE by the kernel and hears nothing of it; what a dead
 * one has left refuses. */
static int answers(int directory, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", directory, name);
    if (size < 0 || (size_t)size >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    CL_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return 1;
    return errno != ECONNREFUSED && errno != ENOENT;
}

int cl_run_dir_in_use(const char *path)
{
    CL_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int again = cl_fd_dup(fd), r = 0;
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    if (!dir) {
        cl_closep(&again);
        return -ENOMEM;
    }
    for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
        struct stat st;
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode))
            r = answers(fd, entry->d_name);
    }
    (void)closedir(dir);
    return r;
}

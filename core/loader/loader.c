/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader.c - from a name in the configuration to a plugin that has proved itself.
 *
 * The daemon is root, and a plugin is code in it. So a file is found by the configured search path alone (no
 * environment variable adds to it), and before the dynamic linker sees it, it and every directory above it must be such
 * that only root could have put it there (file.c). Then it is mapped with all its symbols bound, so that a missing one
 * is a sentence now and not a crash at noon, and its one exported function is asked for the descriptor. The descriptor
 * is checked in a fixed order (handshake.c, table.c) and copied, never more than both sides have, into storage of ours:
 * what follows reads full-size structs with zeroes where an older plugin had nothing. A file is loaded once and never
 * unmapped, because late callbacks, destructors and leak reports all want its code to be there. Every refusal is one
 * sentence with the file, both values and what to do.
 */
#include "core/loader/loader.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error/error.h"
#include "core/loader/file.h"
#include "core/loader/handshake.h"
#include "core/log/log.h"
#include "core/util/fd.h"
#include "core/util/mem.h"
#include "core/util/str.h"
#include "core/util/vec.h"

#define AREA "loader"
#define NAME_SIZE 33u /* [a-z0-9-]{1,32} and the NUL */
#define SUFFIX ".so"

struct cl_loader {
    char **paths;
    size_t path_count;
    struct cl_vec modules; /* struct cl_module, owned */
};

const char *cl_kind_name(uint32_t kind)
{
    static const char *const names[] = {"unknown", "transport", "personality", "isolation", "persistence"};
    return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : names[0];
}

int cl_loader_new(const char *const *paths, struct cl_loader **ret)
{
    size_t count = 0;
    while (paths[count])
        count++;
    struct cl_loader *loader = cl_new(struct cl_loader);
    if (!loader)
        return -ENOMEM;
    loader->paths = cl_calloc(count + 1, sizeof(*loader->paths));
    bool ok = loader->paths != NULL;
    for (; ok && loader->path_count < count; loader->path_count += ok) {
        loader->paths[loader->path_count] = cl_strdup(paths[loader->path_count]);
        ok = loader->paths[loader->path_count] != NULL;
    }
    if (!ok) {
        cl_loader_free(loader);
        return -ENOMEM;
    }
    *ret = loader;
    return 0;
}

static struct cl_module *module_free(struct cl_module *module)
{
    if (!module)
        return NULL;
    cl_handshake_release(module);
    free(module->path);
    free(module);
    return NULL;
}

static void module_freep(struct cl_module **module)
{
    module_free(*module);
}

struct cl_loader *cl_loader_free(struct cl_loader *loader)
{
    if (!loader)
        return NULL;
    for (size_t i = 0; i < loader->modules.size; i++)
        module_free(loader->modules.items[i]);
    cl_vec_free(&loader->modules);
    for (size_t i = 0; i < loader->path_count; i++)
        free(loader->paths[i]);
    free(loader->paths);
    free(loader);
    return NULL;
}

static struct cl_module *find_loaded(const struct cl_loader *loader, const char *path)
{
    for (size_t i = 0; i < loader->modules.size; i++) {
        struct cl_module *module = loader->modules.items[i];
        if (strcmp(module->path, path) == 0)
            return module;
    }
    return NULL;
}

/* The name in "<name>.so": 0, or -1 if it is none. */
static int name_of_leaf(const char *leaf, char ret_name[NAME_SIZE])
{
    size_t size = strspn(leaf, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (size == 0 || size >= NAME_SIZE || strcmp(leaf + size, SUFFIX) != 0)
        return -1;
    memcpy(ret_name, leaf, size);
    ret_name[size] = 0;
    return 0;
}

/* dlerror repeats the path that our sentence has already. */
static const char *linker_text(const char *path)
{
    const char *text = dlerror();
    size_t size = strlen(path);
    if (!text)
        return "the dynamic linker does not say why";
    if (strncmp(text, path, size) == 0 && strncmp(text + size, ": ", 2) == 0)
        text += size + 2;
    return text;
}

/*
 * By its real path, not through /proc/self/fd/N: glibc takes equal names for the same library, and descriptor numbers
 * are used again. That the name still leads to the file that was checked is checked after; only root could have changed
 * it.
 */
static int map_file(const char *path, int fd, const struct stat *checked, void **ret_handle, struct cloister_error *err)
{
    struct stat now;
    int r = cl_plugin_elf_check(fd, (uint64_t)checked->st_size, err);
    if (r < 0)
        return r;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle)
        return cl_error_set(err, CLOISTER_INVALID, 0, path, "link",
                            "it cannot be linked: %s; link it with -Wl,-z,defs against all that it uses",
                            linker_text(path));
    if (lstat(path, &now) < 0 || now.st_dev != checked->st_dev || now.st_ino != checked->st_ino)
        return cl_error_set(err, CLOISTER_BUSY, 0, path, "changed",
                            "it was replaced while it was being loaded; start again");
    *ret_handle = handle;
    return 0;
}

/* The entry must be the file's own: dlsym also finds that of a plugin it was linked against. */
static int find_entry(void *handle, const char *path, cloister_plugin_entry_fn *ret_entry, struct cloister_error *err)
{
    Dl_info info;
    struct link_map *own = NULL, *found = NULL;
    void *symbol = dlsym(handle, CLOISTER_PLUGIN_ENTRY);
    if (symbol && (dlinfo(handle, RTLD_DI_LINKMAP, &own) != 0 ||
                   !dladdr1(symbol, &info, (void **)&found, RTLD_DL_LINKMAP) || own != found))
        symbol = NULL;
    if (!symbol)
        return cl_error_set(err, CLOISTER_INVALID, 0, path, "entry",
                            "it does not export the function %s; use CLOISTER_PLUGIN_REGISTER", CLOISTER_PLUGIN_ENTRY);
    memcpy(ret_entry, &symbol, sizeof(*ret_entry)); /* ISO C knows no cast from an object to a function pointer */
    return 0;
}

/* Everything from the open directory to the copied descriptor. Errors lack the file's name: load_file adds it. */
static int open_module(int dir_fd, const char *leaf, const char *path, uint32_t kind, struct cl_module *module,
                       struct cloister_error *err)
{
    char name[NAME_SIZE];
    struct stat checked = {0};
    void *handle = NULL;
    cloister_plugin_entry_fn entry = NULL;
    CL_CLOSE int fd = -1;
    int r = cl_plugin_file_open(dir_fd, leaf, &fd, &checked, err);
    if (r == 0 && name_of_leaf(leaf, name) < 0)
        r = cl_error_set(err, CLOISTER_INVALID, 0, path, "name",
                         "it is not called NAME.so, NAME being 1 to 32 of a-z, 0-9 and '-'; rename it");
    if (r == 0)
        r = map_file(path, fd, &checked, &handle, err);
    if (r == 0)
        r = find_entry(handle, path, &entry, err);
    return r ? r : cl_handshake(entry(), name, kind, module, err);
}

static int no_memory(struct cloister_error *err)
{
    return cl_error_set(err, CLOISTER_LIMIT, ENOMEM, NULL, "memory", "load a plugin");
}

static int load_file(struct cl_loader *loader, int dir_fd, const char *dir, const char *leaf, uint32_t kind,
                     const struct cl_module **ret, struct cloister_error *err)
{
    CL_FREE char *path = cl_asprintf("%s/%s", strcmp(dir, "/") == 0 ? "" : dir, leaf);
    if (!path)
        return no_memory(err);
    struct cl_module *loaded = find_loaded(loader, path);
    __attribute__((cleanup(module_freep))) struct cl_module *module = NULL;
    int r;
    if (loaded) {
        r = cl_handshake_kind(loaded, kind, err);
    } else if (cl_vec_reserve(&loader->modules, loader->modules.size + 1) < 0 || !(module = cl_new(struct cl_module))) {
        return no_memory(err);
    } else {
        r = open_module(dir_fd, leaf, path, kind, module, err);
    }
    if (r < 0) {
        cl_error_wrap(err, "plugin file '%s'", path);
        return r;
    }
    if (module) {
        module->path = cl_steal_ptr(&path);
        loaded = cl_steal_ptr(&module);
        (void)cl_vec_append(&loader->modules, loaded); /* reserved */
    }
    *ret = loaded;
    return 0;
}

static int load_absolute(struct cl_loader *loader, const char *path, uint32_t kind, const struct cl_module **ret,
                         struct cloister_error *err)
{
    const char *slash = strrchr(path, '/');
    CL_FREE char *dir = cl_memdup(path, slash == path ? 1 : (size_t)(slash - path));
    CL_FREE char *real = NULL;
    CL_CLOSE int fd = -1;
    if (!dir)
        return no_memory(err);
    int r = cl_plugin_dir_open(dir, &fd, &real, err);
    if (r < 0)
        return r;
    size_t before = loader->modules.size;
    r = load_file(loader, fd, real, slash + 1, kind, ret, err);
    if (r == 0 && loader->modules.size > before)
        cl_log(CL_LOG_INFO, AREA, "plugin '%s': %s", (*ret)->plugin.name, (*ret)->path);
    return r;
}

static bool has_entry(const char *dir, const char *leaf)
{
    struct stat st;
    CL_CLOSE int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fstatat(fd, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void tell_choice(const struct cl_loader *loader, size_t chosen, const char *leaf, const struct cl_module *module)
{
    cl_log(CL_LOG_INFO, AREA, "plugin '%s': %s", module->plugin.name, module->path);
    for (size_t i = chosen + 1; i < loader->path_count; i++)
        if (has_entry(loader->paths[i], leaf))
            cl_log(CL_LOG_INFO, AREA, "plugin '%s': %s/%s passed over, %s comes first", module->plugin.name,
                   loader->paths[i], leaf, module->path);
}

static int not_found(const struct cl_loader *loader, const char *name, struct cloister_error *err)
{
    struct cl_str where CL_STR_CLEANUP = CL_STR_INIT(PATH_MAX);
    for (size_t i = 0; i < loader->path_count; i++)
        cl_str_printf(&where, "%s%s", i ? ", " : "", loader->paths[i]);
    return cl_error_set(err, CLOISTER_NO_ENTITY, 0, name, "not-found",
                        "plugin '%s' was not found: there is no %s.so in %s; install it or correct plugin_path", name,
                        name, where.data ? where.data : "an empty search path");
}

/* The first directory that has the name decides, even if its file is then refused: a fault must not change which plugin
 * runs. */
static int load_by_name(struct cl_loader *loader, const char *name, uint32_t kind, const struct cl_module **ret,
                        struct cloister_error *err)
{
    char leaf[NAME_SIZE + sizeof(SUFFIX)], same[NAME_SIZE];
    int size = snprintf(leaf, sizeof(leaf), "%s" SUFFIX, name);
    if (size < 0 || (size_t)size >= sizeof(leaf) || name_of_leaf(leaf, same) < 0)
        return cl_error_set(err, CLOISTER_INVALID, 0, name, "name",
                            "plugin name '%.64s' is not 1 to 32 of a-z, 0-9 and '-'; correct it", name);
    size_t before = loader->modules.size;
    for (size_t i = 0; i < loader->path_count; i++) {
        CL_FREE char *real = NULL;
        CL_CLOSE int fd = -1;
        if (!has_entry(loader->paths[i], leaf))
            continue;
        int r = cl_plugin_dir_open(loader->paths[i], &fd, &real, err);
        if (r == 0)
            r = load_file(loader, fd, real, leaf, kind, ret, err);
        if (r == 0 && loader->modules.size > before) /* once: a plugin is loaded for each entry that names it */
            tell_choice(loader, i, leaf, *ret);
        return r;
    }
    return not_found(loader, name, err);
}

int cl_loader_load(struct cl_loader *loader, const char *name, uint32_t kind, const struct cl_module **ret,
                   struct cloister_error *err)
{
    if (name[0] == '/')
        return load_absolute(loader, name, kind, ret, err);
    if (strchr(name, '/'))
        return cl_error_set(err, CLOISTER_INVALID, 0, name, "name",
                            "plugin '%s' is a relative path; give a name without '/', or an absolute path", name);
    return load_by_name(loader, name, kind, ret, err);
}

typedef void (*scan_fn)(void *ctx, const char *path, const struct cl_module *module, const struct cloister_error *err);

static int is_plugin_file(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return size >= strlen(SUFFIX) && strcmp(entry->d_name + size - strlen(SUFFIX), SUFFIX) == 0;
}

static void scan_file(struct cl_loader *loader, int fd, const char *dir, const char *leaf, scan_fn fn, void *ctx)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    const struct cl_module *module = NULL;
    CL_FREE char *path = cl_asprintf("%s/%s", dir, leaf);
    int r = path ? load_file(loader, fd, dir, leaf, 0, &module, &err) : no_memory(&err);
    fn(ctx, path ? path : leaf, r < 0 ? NULL : module, r < 0 ? &err : NULL);
}

static int scan_dir(struct cl_loader *loader, const char *dir, scan_fn fn, void *ctx)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct dirent **entries = NULL;
    CL_FREE char *real = NULL;
    CL_CLOSE int fd = -1;
    int r = cl_plugin_dir_open(dir, &fd, &real, &err);
    if (r == -ENOENT)
        return 0; /* a directory of the search path may be missing */
    if (r < 0) {
        fn(ctx, dir, NULL, &err);
        return 0;
    }
    int count = scandirat(fd, ".", &entries, is_plugin_file, alphasort);
    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        scan_file(loader, fd, real, entries[i]->d_name, fn, ctx);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

int cl_loader_scan(struct cl_loader *loader, scan_fn fn, void *ctx)
{
    for (size_t i = 0; i < loader->path_count; i++) {
        int r = scan_dir(loader, loader->paths[i], fn, ctx);
        if (r < 0)
            return r;
    }
    return 0;
}

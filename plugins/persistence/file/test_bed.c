/* SPDX-License-Identifier: Apache-2.0 */
#include "test_bed.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "window.h"

extern const struct cloister_log_api cl_host_log;

#define PLACE "store/main"

void bed_begin(struct bed *bed)
{
    *bed = (struct bed){.store = STORE_INIT};
    (void)snprintf(bed->directory, sizeof(bed->directory), "%s/cloister-file.XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(bed->directory));
    bed->store.log = &cl_host_log;
    bed->store.limits = (struct store_limits){
        .max_bytes = 4u << 20, .max_sandboxes = 100, .fold_bytes = 1u << 20, .quarantine_bytes = 1u << 20};
}

void bed_end(struct bed *bed)
{
    char command[128];
    bed_close(bed);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", bed->directory);
    assert_int_equal(system(command), 0);
}

uint32_t bed_open(struct bed *bed)
{
    bed->err = (struct cloister_error)CLOISTER_ERROR_INIT;
    int r = store_open(&bed->store, bed_sv(bed->directory), CLOISTER_SV(PLACE), CLOISTER_SV("boot"), &bed->err);
    assert_true((r < 0) == (bed->err.code != 0));
    return bed->err.code;
}

void bed_close(struct bed *bed)
{
    store_close(&bed->store);
}

uint32_t bed_run(struct bed *bed, request_fn run, const void *args)
{
    struct writer writer = {.store = &bed->store};
    struct request *request = calloc(1, sizeof(*request));
    assert_non_null(request);
    request->err = (struct cloister_error)CLOISTER_ERROR_INIT;
    request->args = args;
    run(&writer, request);
    writer_finish(&writer);
    bed->err = request->err;
    bed->got = request->result;
    request_free(request);
    return bed->err.code;
}

static void print_pattern(char *data, size_t size, const char *id, const char *kind, uint64_t generation)
{
    size_t used = (size_t)snprintf(data, size, "%s %s %llu\n", id, kind, (unsigned long long)generation);
    assert_true(used < size);
    for (size_t i = used; i < size; i++)
        data[i] = (char)('a' + (i * 7 + generation) % 26);
}

uint64_t bed_told(const char *id, const char *kind, const char *data, size_t size)
{
    char wanted[1024], found_id[64], found_kind[64];
    unsigned long long generation;
    if (size >= sizeof(wanted))
        return 0;
    memcpy(wanted, data, size);
    wanted[size] = 0;
    if (sscanf(wanted, "%63s %63s %llu", found_id, found_kind, &generation) != 3 || strcmp(found_id, id) != 0 ||
        strcmp(found_kind, kind) != 0)
        return 0;
    print_pattern(wanted, size, id, kind, generation);
    return memcmp(wanted, data, size) == 0 ? generation : 0;
}

uint32_t bed_put(struct bed *bed, const char *id, const char *kind, size_t size)
{
    char data[1024];
    const struct item *old = records_find(&bed->store.index.sets, bed_sv(id));
    print_pattern(data, size, id, kind, (old ? old->generation : 0) + 1);
    struct cloister_record record = {.kind = bed_sv(kind), .data = {data, size}};
    struct cloister_store_put_args args = {CLOISTER_INIT(struct cloister_store_put_args),
                                           .durability = CLOISTER_DURABLE_POWER,
                                           .id = bed_sv(id),
                                           .if_generation = CLOISTER_GENERATION_ANY,
                                           .epoch = bed->store.identity.epoch,
                                           .records = &record,
                                           .record_count = 1,
                                           .record_size = sizeof(record),
                                           .summary = bed_sv(id)};
    return bed_run(bed, write_put, &args);
}

uint32_t bed_destroy(struct bed *bed, const char *id)
{
    struct cloister_store_destroy_args args = {CLOISTER_INIT(struct cloister_store_destroy_args), .id = bed_sv(id),
                                               .if_generation = CLOISTER_GENERATION_ANY,
                                               .epoch = bed->store.identity.epoch};
    return bed_run(bed, write_destroy, &args);
}

uint32_t bed_global_put(struct bed *bed, const char *key, const char *text)
{
    struct cloister_store_global_args args = {CLOISTER_INIT(struct cloister_store_global_args),
                                              .durability = CLOISTER_DURABLE_POWER, .key = bed_sv(key),
                                              .data = bed_sv(text), .epoch = bed->store.identity.epoch};
    return bed_run(bed, write_global_put, &args);
}

static void path_of(const struct bed *bed, const char *name, char ret[256])
{
    (void)snprintf(ret, 256, "%s/" PLACE "/%s", bed->directory, name);
}

void bed_load(struct bed *bed, const char *name, struct bytes *ret)
{
    char path[256];
    struct stat st;
    path_of(bed, name, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    ret->size = 0;
    assert_int_equal(read_all(fd, 0, bytes_extend(ret, (size_t)st.st_size), (size_t)st.st_size), 0);
    close(fd);
}

void bed_save(struct bed *bed, const char *name, struct cloister_sv data)
{
    char path[256];
    path_of(bed, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write_all(fd, 0, data.data, data.size), 0);
    close(fd);
}

int bed_exists(struct bed *bed, const char *name)
{
    char path[256];
    path_of(bed, name, path);
    return access(path, F_OK) == 0;
}

static int remove_directory(void *ctx, const char *name)
{
    return unlinkat(*(int *)ctx, name, AT_REMOVEDIR);
}

void bed_directories(struct bed *bed, const char *ids)
{
    char path[256], names[256], *rest = NULL;
    path_of(bed, "s", path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(place_each(fd, remove_directory, &fd), 0);
    (void)snprintf(names, sizeof(names), "%s", ids);
    for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        assert_int_equal(mkdirat(fd, name, 0700), 0);
    close(fd);
}

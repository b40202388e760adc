/* SPDX-License-Identifier: Apache-2.0 */
/* house.c - see house.h. */
#include "house.h"

#include <signal.h>
#include <sys/prctl.h>

const char *house_keeper, *house_profiles;
char *house_profile;

static const char *program;

int house_open(void **state)
{
    char path[512];

    bed_open(house_keeper);
    snprintf(path, sizeof(path), "%s/default.json", house_profiles);
    house_profile = bed_read(path);
    return 0;
}

int house_close(void **state)
{
    free(house_profile);
    bed_close();
    return 0;
}

struct bed_sandbox *house_prepare(const char *id, const char *command)
{
    struct bed_sandbox *s = malloc(sizeof(*s));

    assert_non_null(s);
    bed_prepare(s, id, house_profile, command);
    return s;
}

void house_create(struct bed_sandbox *s, struct bed_outcome *out)
{
    bed_create(s, out);
    if (out->err.code)
        fail_msg("create: %s", out->sentence);
}

void house_free(struct bed_sandbox *s)
{
    free((void *)(uintptr_t)s->spec.data);
    free((void *)(uintptr_t)s->process.oci.data);
    free(s);
}

void house_destroy(struct bed_sandbox *s)
{
    struct bed_outcome out;

    bed_destroy(s, &out);
    if (out.err.code)
        fail_msg("destroy: %s", out.sentence);
    assert_int_equal(bed_group_count(), 0);
    assert_int_equal(bed_run_count(), 0);
    house_free(s);
}

void house_adopt(struct bed_sandbox *s, struct bed_inventory *ret)
{
    struct bed_outcome out;

    bed_adopt(s, 5000, &out, ret);
    if (out.err.code)
        fail_msg("adopt: %s", out.sentence);
}

static void plan_path(char path[96])
{
    snprintf(path, 96, "%s/plan", bed.dir);
}

void house_write_plan(const struct bed_sandbox *s)
{
    char path[96];
    FILE *file;

    plan_path(path);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(s->blob, 1, s->which.plan.size, file), s->which.plan.size);
    fclose(file);
}

void house_read_plan(struct bed_sandbox *s)
{
    char path[96], *text;

    plan_path(path);
    text = bed_read(path);
    snprintf(s->blob, sizeof(s->blob), "%s", text);
    s->which.plan = (struct cloister_sv){s->blob, strlen(s->blob)};
    free(text);
}

pid_t house_daemon(const char *what, const char *halt_at, int fd, int as)
{
    char place[128];
    pid_t pid = fork();

    if (pid == 0) {
        bed_place(place, sizeof(place));
        setenv("BED_PLACE", place, 1);
        setenv("BED_HALT", halt_at, 1);
        if (fd >= 0)
            dup2(fd, as);
        execl(program, program, house_keeper, house_profiles, "daemon", what, (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

int house_main(int argc, char **argv, const struct CMUnitTest *tests, size_t count, int (*daemon)(const char *what))
{
    if (argc < 3 || geteuid() != 0)
        return 77; /* skipped: needs root, and paths */
    program = argv[0];
    house_keeper = argv[1];
    house_profiles = argv[2];
    (void)signal(SIGPIPE, SIG_IGN);
    if (daemon && argc > 4 && strcmp(argv[3], "daemon") == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        house_open(NULL);
        _exit(daemon(argv[4])); /* it goes like one that is killed: nothing is freed */
    }
    if (argc > 3)
        cmocka_set_test_filter(argv[3]);
    return _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
}

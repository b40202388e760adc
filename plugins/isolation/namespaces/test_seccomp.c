/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_seccomp.c - compiled filters, judged by a small interpreter of classic BPF: what happens to a call of a number,
 * on an architecture. argv[1]: conf/profiles.
 */
#include "test_host.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <time.h>

#include "filter.h"

static const char *profiles;

#define ERR(n) (SECCOMP_RET_ERRNO | (n))

static uint32_t load(const struct seccomp_data *data, uint32_t at)
{
    uint32_t word;

    assert_true(at + sizeof(word) <= sizeof(*data));
    memcpy(&word, (const char *)data + at, sizeof(word));
    return word;
}

static bool jumps(uint16_t code, uint32_t a, uint32_t k)
{
    switch (BPF_OP(code)) {
    case BPF_JEQ:
        return a == k;
    case BPF_JGT:
        return a > k;
    case BPF_JGE:
        return a >= k;
    case BPF_JSET:
        return (a & k) != 0;
    default:
        fail_msg("jump 0x%x", code);
        return false;
    }
}

static uint32_t run(const struct ns_seccomp_program *p, const struct seccomp_data *data)
{
    uint32_t a = 0;

    for (uint32_t pc = 0; pc < p->count; pc++) {
        const struct sock_filter *i = &p->code[pc];

        if (i->code == (BPF_LD | BPF_W | BPF_ABS))
            a = load(data, i->k);
        else if (i->code == (BPF_ALU | BPF_AND | BPF_K))
            a &= i->k;
        else if (i->code == (BPF_JMP | BPF_JA))
            pc += i->k;
        else if (BPF_CLASS(i->code) == BPF_JMP)
            pc += jumps(i->code, a, i->k) ? i->jt : i->jf;
        else if (i->code == (BPF_RET | BPF_K))
            return i->k;
        else
            fail_msg("instruction 0x%x", i->code);
    }
    fail_msg("runs off the end");
    return 0;
}

static struct ns_filter *build(struct ns_filters *filters, const char *text)
{
    struct ns_filter *filter = NULL;
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);

    if (ns_filters_get(filters, &r, text, &filter) < 0)
        fail_msg("%s", err.chain);
    return filter;
}

static char *profile_seccomp(void)
{
    NS_FREE char *path = ns_format("%s/default.json", profiles), *text = NULL;
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);
    struct cloister_sv printed;
    cloister_value *doc;
    char *copy;

    assert_int_equal(ns_read_file(path, 65536, &text), 0);
    assert_int_equal(ns_parse(&r, ns_view(text), "profile", &doc), 0);
    assert_int_equal(r.value->print(ns_get(&r, ns_get(&r, doc, "linux"), "seccomp"), 0, &printed), 0);
    copy = ns_dup(printed);
    r.value->free_text(printed);
    r.value->free(doc);
    return copy;
}

struct call {
    const char *name;
    uint32_t arch;
    uint32_t nr;
    uint64_t arg0;
    uint32_t want;
};

static void judge(const struct ns_seccomp_program *p, const struct call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct seccomp_data data = {.nr = (int)calls[i].nr, .arch = calls[i].arch, .args = {calls[i].arg0}};
        uint32_t got = run(p, &data);

        if (got != calls[i].want)
            fail_msg("%s: 0x%x, not 0x%x", calls[i].name, got, calls[i].want);
    }
}

#if defined(__x86_64__)
#define X64 AUDIT_ARCH_X86_64
#define I386 AUDIT_ARCH_I386
#define X32 0x40000000u

static void test_default_profile(void **state)
{
    static const struct call calls[] = {
        {"read", X64, SYS_read, 0, SECCOMP_RET_ALLOW},
        {"mount", X64, SYS_mount, 0, ERR(EPERM)},
        {"unshare", X64, SYS_unshare, 0, ERR(EPERM)},
        {"clone of a thread", X64, SYS_clone, 0x3d0f00, SECCOMP_RET_ALLOW},
        {"clone of a user namespace", X64, SYS_clone, 0x10000000, ERR(EPERM)},
        {"clone of a mount namespace", X64, SYS_clone, 0x00020000, ERR(EPERM)},
        {"clone3", X64, SYS_clone3, 0, ERR(ENOSYS)},
        {"personality 8", X64, SYS_personality, 8, SECCOMP_RET_ALLOW},
        {"personality query", X64, SYS_personality, 0xffffffff, SECCOMP_RET_ALLOW},
        {"personality 1", X64, SYS_personality, 1, ERR(EPERM)},
        {"the newest in the profile", X64, SYS_futex_waitv, 0, SECCOMP_RET_ALLOW},
        {"newer than the profile", X64, SYS_futex_waitv + 1, 0, ERR(ENOSYS)},
        {"far newer", X64, 5000, 0, ERR(ENOSYS)},
        {"x32 read", X64, X32 + SYS_read, 0, SECCOMP_RET_ALLOW},
        {"x32 mount", X64, X32 + SYS_mount, 0, ERR(EPERM)},
        {"x32 far newer", X64, X32 + 5000, 0, ERR(ENOSYS)},
        {"i386 read", I386, 3, 0, SECCOMP_RET_ALLOW},
        {"i386 mount", I386, 21, 0, ERR(EPERM)},
        {"i386 clone of a user namespace", I386, 120, 0x10000000, ERR(EPERM)},
        {"i386 far newer", I386, 5000, 0, ERR(ENOSYS)},
        {"a foreign architecture", AUDIT_ARCH_AARCH64, 0, 0, SECCOMP_RET_KILL_THREAD},
    };
    NS_FREE char *text = profile_seccomp();
    struct ns_filters *filters = ns_filters_new();
    struct ns_filter *filter = build(filters, text);

    judge(ns_filter_program(filter), calls, sizeof(calls) / sizeof(*calls));
    ns_filter_unref(filter);
    ns_filters_free(filters);
}

/* A profile for x86_64 alone has no hole beside it (H1.3.3). */
static void test_native_only(void **state)
{
    static const char text[] =
        "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],\"syscalls\":["
        "{\"names\":[\"mount\",\"mseal\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":5}]}";
    static const struct call calls[] = {
        {"read", X64, SYS_read, 0, SECCOMP_RET_ALLOW},
        {"mount", X64, SYS_mount, 0, ERR(5)},
        {"a call libseccomp does not know", X64, 462, 0, ERR(5)},
        {"newer: a deny-list lets it be", X64, 5000, 0, SECCOMP_RET_ALLOW},
        {"x32 mount", X64, X32 + SYS_mount, 0, SECCOMP_RET_KILL_THREAD},
        {"i386 mount", I386, 21, 0, SECCOMP_RET_KILL_THREAD},
    };
    struct ns_filters *filters = ns_filters_new();
    struct ns_filter *filter = build(filters, text);

    assert_int_equal(ns_filter_program(filter)->flags, SECCOMP_FILTER_FLAG_LOG);
    judge(ns_filter_program(filter), calls, sizeof(calls) / sizeof(*calls));
    ns_filter_unref(filter);
    ns_filters_free(filters);
}
#endif

/* libseccomp alone takes seconds for each of these. */
static void test_repeated_names(void **state)
{
    static const char *const between[] = {",", "],\"action\":\"SCMP_ACT_ALLOW\"},{\"names\":["};
    struct ns_filters *filters = ns_filters_new();

    for (size_t s = 0; s < sizeof(between) / sizeof(*between); s++) {
        clock_t began = clock();
        char *text = NULL;
        size_t size;
        FILE *file = open_memstream(&text, &size);

        assert_non_null(file);
        fputs("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\","
              "\"SCMP_ARCH_X32\"],\"syscalls\":[{\"names\":[",
              file);
        for (int i = 0; i < 12000; i++)
            fprintf(file, "%s\"read\"", i ? between[s] : "");
        fputs("],\"action\":\"SCMP_ACT_ALLOW\"}]}", file);
        fclose(file);
        ns_filter_unref(build(filters, text));
        if (clock() - began > CLOCKS_PER_SEC)
            fail_msg("repeated %s: %ld s", s ? "in rules" : "in a rule", (long)((clock() - began) / CLOCKS_PER_SEC));
        free(text);
    }
    ns_filters_free(filters);
}

static void test_cache(void **state)
{
    struct ns_filters *filters = ns_filters_new();
    struct ns_filter *first, *again, *other;

    first = build(filters, "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}");
    again = build(filters, "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}");
    other = build(filters, "{\"defaultAction\":\"SCMP_ACT_LOG\"}");
    assert_ptr_equal(first, again);
    assert_ptr_not_equal(first, other);
    for (int i = 0; i < 40; i++) { /* more than there are slots: the held ones live on */
        NS_FREE char *text = ns_format("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":%d}", i + 1);

        ns_filter_unref(build(filters, text));
    }
    assert_true(ns_filter_program(first)->count > 0);
    ns_filters_free(filters);
    ns_filter_unref(first);
    ns_filter_unref(again);
    ns_filter_unref(other);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
        cmocka_unit_test(test_default_profile),
        cmocka_unit_test(test_native_only),
#endif
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_repeated_names),
    };

    if (argc != 2)
        return 1;
    profiles = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_seccomp.c - compiled filters, judged by a small interpreter of classic BPF: what happens to a call of a number,
 * on an architecture. argv[1]: conf/profiles.
 */
#include "test_host.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <pthread.h>
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

static void *get_one(void *filters)
{
    return build(filters, "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"read\"],"
                          "\"action\":\"SCMP_ACT_ALLOW\"}]}");
}

/* However many want it, and at the same time. */
static void test_compiled_once(void **state)
{
    struct ns_filters *filters = ns_filters_new();
    pthread_t threads[8];
    void *filter[8];

    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_one, filters), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], &filter[i]);
    assert_int_equal(ns_filters_compiled(filters), 1);
    for (int i = 0; i < 8; i++) {
        assert_ptr_equal(filter[i], filter[0]);
        ns_filter_unref(filter[i]);
    }
    ns_filters_free(filters);
}

static void test_actions(void **state)
{
    static const struct {
        const char *word;
        const char *errno_ret; /* member or "" */
        uint32_t action;       /* 1 = refused */
    } actions[] = {
        {"SCMP_ACT_KILL", "", SECCOMP_RET_KILL_THREAD},
        {"SCMP_ACT_KILL_THREAD", "", SECCOMP_RET_KILL_THREAD},
        {"SCMP_ACT_KILL_PROCESS", "", SECCOMP_RET_KILL_PROCESS},
        {"SCMP_ACT_TRAP", "", SECCOMP_RET_TRAP},
        {"SCMP_ACT_ERRNO", "", ERR(EPERM)},
        {"SCMP_ACT_ERRNO", ",\"errnoRet\":0", ERR(0)},
        {"SCMP_ACT_ERRNO", ",\"errnoRet\":4094", ERR(4094)},
        {"SCMP_ACT_ERRNO", ",\"errnoRet\":4095", 1},
        {"SCMP_ACT_TRACE", "", SECCOMP_RET_TRACE | EPERM},
        {"SCMP_ACT_TRACE", ",\"errnoRet\":7", SECCOMP_RET_TRACE | 7},
        {"SCMP_ACT_LOG", "", SECCOMP_RET_LOG},
        {"SCMP_ACT_LOG", ",\"errnoRet\":7", 1}, /* the OCI's text: an error */
        {"SCMP_ACT_KILL", ",\"errnoRet\":7", 1},
        {"SCMP_ACT_NOTIFY", "", 1},
        {"SCMP_ACT_FROB", "", 1},
    };

    for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
        NS_FREE char *text = ns_format("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
                                       "\"action\":\"%s\"%s}]}",
                                       actions[i].word, actions[i].errno_ret);
        struct seccomp_data data = {.arch = seccomp_arch_native(), .nr = SYS_read};
        struct cloister_error err;
        struct ns_reader r = ns_test_reader(&err);
        struct ns_seccomp_program program;
        cloister_value *doc;
        int rc;

        assert_int_equal(ns_parse(&r, ns_view(text), "text", &doc), 0);
        rc = ns_seccomp_check(&r, doc);
        if ((rc < 0) != (actions[i].action == 1))
            fail_msg("%s%s: %s", actions[i].word, actions[i].errno_ret, rc < 0 ? err.chain : "accepted");
        if (rc == 0) {
            if (ns_seccomp_build(&r, doc, &program) < 0)
                fail_msg("%s%s: %s", actions[i].word, actions[i].errno_ret, err.chain);
            if (run(&program, &data) != actions[i].action)
                fail_msg("%s%s: %#x", actions[i].word, actions[i].errno_ret, run(&program, &data));
            free(program.code);
        }
        r.value->free(doc);
    }
}

static void test_comparisons(void **state)
{
    static const struct {
        const char *op;
        uint64_t value, second;
        uint64_t hits[2], misses[2];
    } ops[] = {
        {"SCMP_CMP_NE", 5, 0, {4, UINT64_MAX}, {5, 5}},
        {"SCMP_CMP_LT", 5, 0, {4, 0}, {5, 1ull << 32}},
        {"SCMP_CMP_LE", 5, 0, {5, 0}, {6, 1ull << 40}},
        {"SCMP_CMP_EQ", 1ull << 33, 0, {1ull << 33, 1ull << 33}, {0, 1ull << 34}},
        {"SCMP_CMP_GE", 1ull << 33, 0, {1ull << 33, UINT64_MAX}, {5, (1ull << 33) - 1}},
        {"SCMP_CMP_GT", 5, 0, {6, 1ull << 32}, {5, 0}},
        {"SCMP_CMP_MASKED_EQ", 0xf0, 0x20, {0x2f, 0x120}, {0x30, 0}}, /* the value is the mask */
    };

    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
        NS_FREE char *text = ns_format("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"lseek\"],"
                                       "\"action\":\"SCMP_ACT_TRAP\",\"args\":[{\"index\":1,\"value\":%llu,"
                                       "\"valueTwo\":%llu,\"op\":\"%s\"}]}]}",
                                       (unsigned long long)ops[i].value, (unsigned long long)ops[i].second, ops[i].op);
        struct ns_filters *filters = ns_filters_new();
        struct ns_filter *filter = build(filters, text);

        for (int k = 0; k < 4; k++) {
            struct seccomp_data data = {.arch = seccomp_arch_native(), .nr = SYS_lseek};

            data.args[1] = k < 2 ? ops[i].hits[k] : ops[i].misses[k - 2];
            if (run(ns_filter_program(filter), &data) != (k < 2 ? SECCOMP_RET_TRAP : SECCOMP_RET_ALLOW))
                fail_msg("%s %#llx", ops[i].op, (unsigned long long)data.args[1]);
        }
        ns_filter_unref(filter);
        ns_filters_free(filters);
    }
}

static void test_words(void **state)
{
    static const char *const arches[] = {
        "X86",         "X86_64", "X32",   "ARM",     "AARCH64", "MIPS",  "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64",
        "MIPSEL64N32", "PPC",    "PPC64", "PPC64LE", "S390",    "S390X", "PARISC", "PARISC64",  "RISCV64"};
    static const struct {
        const char *word;
        uint32_t flag; /* 0 = refused */
    } flags[] = {{"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
                 {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
                 {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
                 {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 0}, /* of a supervisor's, which there is none of */
                 {"SECCOMP_FILTER_FLAG_NEW_LISTENER", 0}};
    uint32_t value;

    for (size_t i = 0; i < sizeof(arches) / sizeof(*arches); i++) {
        NS_FREE char *word = ns_format("SCMP_ARCH_%s", arches[i]);

        if (!ns_seccomp_arch(ns_view(word), &value))
            fail_msg("%s", word);
    }
    assert_false(ns_seccomp_arch(CLOISTER_SV("SCMP_ARCH_Z80"), &value));
    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
        value = 0;
        assert_int_equal(ns_seccomp_flag(ns_view(flags[i].word), &value), flags[i].flag != 0);
        assert_int_equal(value, flags[i].flag);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
        cmocka_unit_test(test_default_profile),
        cmocka_unit_test(test_native_only),
#endif
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_compiled_once),
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_comparisons),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_repeated_names),
    };

    if (argc != 2)
        return 1;
    profiles = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}

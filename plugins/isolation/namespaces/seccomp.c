/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp.c - checks linux.seccomp and compiles it with libseccomp. Names that nobody knows are left out only where
 * leaving out means denying: an allow-list may name calls of the future, a deny-list may not (the call would silently
 * be allowed).
 */
#include "bpf.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "compile.h"

#define ERRNO_MAX 4094u /* of libseccomp: one less than the kernel's */
#define BODY_MAX 4000u  /* the kernel's 4,096 less the prefix */
#define NAMES_MAX 4096u /* in all rules together */

/* An errno for an action that gives none would be ignored: the OCI's text wants an error. */
static int action(const struct ns_reader *r, const cloister_value *object, const char *base, const char *word_key,
                  const char *errno_key, uint32_t *ret)
{
    struct cloister_sv word = ns_get_string(r, object, word_key);
    char path[NS_PATH_MAX + 24];
    uint64_t errno_value = EPERM;
    int given = ns_get_u64(r, object, errno_key, base, ERRNO_MAX, &errno_value);

    if (given < 0)
        return -1;
    if (!ns_seccomp_action(word, (uint32_t)errno_value, ret)) {
        snprintf(path, sizeof(path), "%s.%s", base, word_key);
        return ns_refuse(r, CLOISTER_UNSUPPORTED, path, "is not an action that is supported");
    }
    if (!given || ns_equal(word, "SCMP_ACT_ERRNO") || ns_equal(word, "SCMP_ACT_TRACE"))
        return 0;
    snprintf(path, sizeof(path), "%s.%s", base, errno_key);
    return ns_refuse_at(r, CLOISTER_INVALID, path, "the action '%.*s' gives no errno", (int)word.size, word.data);
}

static int default_action(const struct ns_reader *r, const cloister_value *doc, uint32_t *ret)
{
    return action(r, doc, "linux.seccomp", "defaultAction", "defaultErrnoRet", ret);
}

static int rule_action(const struct ns_reader *r, const cloister_value *rule, const char *base, uint32_t *ret)
{
    return action(r, rule, base, "action", "errnoRet", ret);
}

static int read_arg(const struct ns_reader *r, const cloister_value *arg, const char *base, struct scmp_arg_cmp *ret)
{
    uint64_t index = 0, value = 0, second = 0;
    enum scmp_compare op;
    char path[NS_PATH_MAX + 4];

    if (ns_get_u64(r, arg, "index", base, 5, &index) < 0 || ns_get_u64(r, arg, "value", base, UINT64_MAX, &value) < 0 ||
        ns_get_u64(r, arg, "valueTwo", base, UINT64_MAX, &second) < 0)
        return -1;
    if (!ns_seccomp_operator(ns_get_string(r, arg, "op"), &op)) {
        snprintf(path, sizeof(path), "%s.op", base);
        return ns_refuse(r, CLOISTER_INVALID, path, "is no comparison");
    }
    *ret = (struct scmp_arg_cmp){(unsigned int)index, op, value, second};
    return 0;
}

/* A rule holds at most six comparisons; more of one argument become rules of their own (see add_name). */
#define ARGS_MAX 16u

static int read_args(const struct ns_reader *r, const cloister_value *rule, const char *base, struct scmp_arg_cmp *ret,
                     uint32_t *ret_count)
{
    cloister_value *list = ns_get(r, rule, "args"), *entry;
    char path[NS_PATH_MAX];
    uint32_t count = 0;

    for (uint64_t i = 0; (entry = r->value->at(list, i, NULL)) != NULL; i++) {
        snprintf(path, sizeof(path), "%s.args[%llu]", base, (unsigned long long)i);
        if (count == ARGS_MAX)
            return ns_refuse(r, CLOISTER_LIMIT, path, "is one comparison too many");
        if (read_arg(r, entry, path, &ret[count++]) < 0)
            return -1;
    }
    *ret_count = count;
    return 0;
}

static int check_rule(const struct ns_reader *r, const cloister_value *rule, uint64_t i, uint32_t fallback,
                      uint32_t *names_seen)
{
    cloister_value *names = ns_get(r, rule, "names"), *entry;
    struct scmp_arg_cmp args[ARGS_MAX];
    struct cloister_sv name;
    uint32_t action, count;
    char base[96], path[NS_PATH_MAX];

    snprintf(base, sizeof(base), "linux.seccomp.syscalls[%llu]", (unsigned long long)i);
    if (rule_action(r, rule, base, &action) < 0 || read_args(r, rule, base, args, &count) < 0)
        return -1;
    for (uint64_t n = 0; (entry = r->value->at(names, n, NULL)) != NULL; n++) {
        r->value->string(entry, &name);
        snprintf(path, sizeof(path), "%s.names[%llu]", base, (unsigned long long)n);
        if (++*names_seen > NAMES_MAX)
            return ns_refuse(r, CLOISTER_LIMIT, path, "is beyond the %u names that a profile may have", NAMES_MAX);
        if (!ns_seccomp_permits(fallback) || ns_seccomp_number(name) != __NR_SCMP_ERROR)
            continue;
        return ns_refuse_at(r, CLOISTER_INVALID, path,
                            "'%.*s' is not a system call this machine knows: it would be allowed",
                            (int)(name.size < 40 ? name.size : 40), name.data);
    }
    if (r->value->count(names) == 0)
        return ns_refuse(r, CLOISTER_INVALID, base, "names no system call");
    return 0;
}

static int check_words(const struct ns_reader *r, const cloister_value *doc, const char *key,
                       bool (*known)(struct cloister_sv word, uint32_t *ret))
{
    cloister_value *list = ns_get(r, doc, key), *entry;
    struct cloister_sv word;
    uint32_t value;
    char path[NS_PATH_MAX];

    for (uint64_t i = 0; (entry = r->value->at(list, i, NULL)) != NULL; i++) {
        r->value->string(entry, &word);
        if (known(word, &value) && i < NS_SECCOMP_ARCHES_MAX - 1)
            continue;
        snprintf(path, sizeof(path), "linux.seccomp.%s[%llu]", key, (unsigned long long)i);
        return ns_refuse_at(r, CLOISTER_UNSUPPORTED, path, "'%.*s' is not supported",
                            (int)(word.size < 40 ? word.size : 40), word.data);
    }
    return 0;
}

int ns_seccomp_check(const struct ns_reader *r, const cloister_value *doc)
{
    cloister_value *list = ns_get(r, doc, "syscalls"), *entry;
    uint32_t fallback, names_seen = 0;

    if (default_action(r, doc, &fallback) < 0 || check_words(r, doc, "architectures", ns_seccomp_arch) < 0 ||
        check_words(r, doc, "flags", ns_seccomp_flag) < 0)
        return -1;
    for (uint64_t i = 0; (entry = r->value->at(list, i, NULL)) != NULL; i++)
        if (check_rule(r, entry, i, fallback, &names_seen) < 0)
            return -1;
    return 0;
}

/* A name that has been added. libseccomp goes through all it has for a call each time it gets that call again. */
struct added {
    int number;
    uint32_t action;
    uint64_t rule; /* 0 = any that compares no argument */
};

/* What is being built. */
struct build {
    const struct ns_reader *r;
    scmp_filter_ctx filter;
    uint32_t fallback;
    struct ns_seccomp_arch arches[NS_SECCOMP_ARCHES_MAX];
    uint32_t arch_count;
    struct added *added; /* NAMES_MAX */
    uint32_t added_count;
};

/* True the first time. */
static bool is_new(struct build *b, struct added one)
{
    for (uint32_t i = 0; i < b->added_count; i++)
        if (b->added[i].number == one.number && b->added[i].action == one.action && b->added[i].rule == one.rule)
            return false;
    if (b->added_count < NAMES_MAX)
        b->added[b->added_count++] = one;
    return true;
}

static int libseccomp_failed(const struct ns_reader *r, int rc, const char *path)
{
    r->log->error_set(r->err, CLOISTER_INVALID, -rc, path, "seccomp", "%s: libseccomp refuses it", path);
    return -1;
}

static int add_arches(struct build *b, const cloister_value *doc)
{
    cloister_value *list = ns_get(b->r, doc, "architectures"), *entry;
    struct cloister_sv word;

    b->arches[b->arch_count++] = (struct ns_seccomp_arch){seccomp_arch_native(), -1};
    for (uint64_t i = 0; (entry = b->r->value->at(list, i, NULL)) != NULL; i++) {
        uint32_t token = 0;
        int rc;

        b->r->value->string(entry, &word);
        ns_seccomp_arch(word, &token);
        rc = seccomp_arch_add(b->filter, token);
        if (rc == -EEXIST)
            continue;
        if (rc < 0)
            return libseccomp_failed(b->r, rc, "linux.seccomp.architectures");
        b->arches[b->arch_count++] = (struct ns_seccomp_arch){token, -1};
    }
    return 0;
}

static void note_number(struct build *b, struct cloister_sv name, int native)
{
    NS_FREE char *text = ns_dup(name);

    for (uint32_t i = 0; text && i < b->arch_count; i++) {
        int number = seccomp_syscall_resolve_name_arch(b->arches[i].token, text);

        if (number == __NR_SCMP_ERROR && native > 0 && i == 0)
            number = native; /* one of our own table */
        if (number > b->arches[i].highest)
            b->arches[i].highest = number;
    }
}

/* libseccomp takes one comparison per argument in a rule: where the profile has more, each comparison is a rule (so
 * runc, too). */
static int add_name(struct build *b, int number, uint32_t action, const struct scmp_arg_cmp *args, uint32_t count)
{
    uint32_t seen = 0;
    int rc = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (seen & (1u << args[i].arg)) {
            for (uint32_t k = 0; k < count && rc == 0; k++)
                rc = seccomp_rule_add_array(b->filter, action, number, 1, &args[k]);
            return rc;
        }
        seen |= 1u << args[i].arg;
    }
    return seccomp_rule_add_array(b->filter, action, number, count, args);
}

static int add_rule(struct build *b, const cloister_value *rule, uint64_t i)
{
    cloister_value *names = ns_get(b->r, rule, "names"), *entry;
    struct scmp_arg_cmp args[ARGS_MAX];
    struct cloister_sv name;
    uint32_t action, count;
    char base[NS_PATH_MAX];

    snprintf(base, sizeof(base), "linux.seccomp.syscalls[%llu]", (unsigned long long)i);
    if (rule_action(b->r, rule, base, &action) < 0 || read_args(b->r, rule, base, args, &count) < 0)
        return -1;
    for (uint64_t n = 0; (entry = b->r->value->at(names, n, NULL)) != NULL; n++) {
        int number, rc;

        b->r->value->string(entry, &name);
        number = ns_seccomp_number(name);
        if (number == __NR_SCMP_ERROR)
            continue;
        note_number(b, name, number);
        if (!is_new(b, (struct added){number, action, count ? i + 1 : 0}))
            continue;
        rc = action == b->fallback ? 0 : add_name(b, number, action, args, count);
        if (rc < 0)
            return libseccomp_failed(b->r, rc, base);
    }
    return 0;
}

static int read_flags(struct build *b, const cloister_value *doc, struct ns_seccomp_program *ret)
{
    cloister_value *list = ns_get(b->r, doc, "flags"), *entry;
    struct cloister_sv word;

    for (uint64_t i = 0; (entry = b->r->value->at(list, i, NULL)) != NULL; i++) {
        uint32_t flag = 0;

        b->r->value->string(entry, &word);
        ns_seccomp_flag(word, &flag);
        ret->flags |= flag;
    }
    return 0;
}

/* libseccomp writes to a descriptor only: a memfd, read back. */
static int export_program(struct build *b, struct sock_filter **ret, uint32_t *ret_count)
{
    NS_CLOSE int fd = memfd_create("seccomp", MFD_CLOEXEC);
    int rc = fd < 0 ? -errno : seccomp_export_bpf(b->filter, fd);
    off_t size = rc < 0 ? 0 : lseek(fd, 0, SEEK_END);
    NS_FREE struct sock_filter *code = NULL;

    if (rc < 0 || size <= 0)
        return libseccomp_failed(b->r, rc ? rc : -EIO, "linux.seccomp");
    if ((size_t)size > BODY_MAX * sizeof(*code))
        return ns_refuse(b->r, CLOISTER_TOO_BIG, "linux.seccomp", "compiles to more than %u instructions", BODY_MAX);
    code = malloc((size_t)size);
    if (code == NULL)
        return ns_no_memory(b->r);
    if (pread(fd, code, (size_t)size, 0) != size)
        return libseccomp_failed(b->r, -EIO, "linux.seccomp");
    *ret_count = (uint32_t)((size_t)size / sizeof(*code));
    *ret = code;
    code = NULL;
    return 0;
}

static int finish(struct build *b, struct ns_seccomp_program *ret)
{
    NS_FREE struct sock_filter *body = NULL;
    uint32_t count = 0;
    bool prefix = !ns_seccomp_permits(b->fallback) && b->fallback != SCMP_ACT_ERRNO(ENOSYS);

    if (export_program(b, &body, &count) < 0)
        return -1;
    if (ns_seccomp_prefix(b->arches, prefix ? b->arch_count : 0, body, count, ret) < 0)
        return ns_no_memory(b->r);
    return 0;
}

static int build_all(struct build *b, const cloister_value *doc, struct ns_seccomp_program *ret)
{
    cloister_value *list = ns_get(b->r, doc, "syscalls"), *entry;

    if (add_arches(b, doc) < 0)
        return -1;
    /* A binary tree instead of a chain: fewer instructions for each system call of the container's life. */
    seccomp_attr_set(b->filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (uint64_t i = 0; (entry = b->r->value->at(list, i, NULL)) != NULL; i++)
        if (add_rule(b, entry, i) < 0)
            return -1;
    return read_flags(b, doc, ret) < 0 ? -1 : finish(b, ret);
}

int ns_seccomp_build(const struct ns_reader *r, const cloister_value *doc, struct ns_seccomp_program *ret)
{
    struct build b = {.r = r};
    int rc;

    memset(ret, 0, sizeof(*ret));
    if (default_action(r, doc, &b.fallback) < 0)
        return -1;
    b.added = calloc(NAMES_MAX, sizeof(*b.added));
    b.filter = b.added ? seccomp_init(b.fallback) : NULL;
    rc = b.filter ? build_all(&b, doc, ret) : ns_no_memory(r);
    if (b.filter)
        seccomp_release(b.filter);
    free(b.added);
    return rc;
}

int ns_compile_seccomp(struct ns_compile *c, const cloister_value *spec)
{
    cloister_value *doc = ns_get(&c->r, ns_get(&c->r, spec, "linux"), "seccomp");
    struct cloister_sv text = {NULL, 0};

    if (doc == NULL)
        return 0;
    if (ns_seccomp_check(&c->r, doc) < 0)
        return -1;
    if (c->r.value->print(doc, 0, &text) < 0)
        return ns_no_memory(&c->r);
    c->seccomp = ns_dup(text);
    c->r.value->free_text(text);
    return c->seccomp ? 0 : ns_no_memory(&c->r);
}

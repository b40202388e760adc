/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp_words.c - the words of linux.seccomp. */
#include "bpf.h"

#include <linux/seccomp.h>

bool ns_seccomp_action(struct cloister_sv word, uint32_t errno_value, uint32_t *ret)
{
    const struct {
        const char *word;
        uint32_t action;
    } actions[] = {
        {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
        {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(errno_value)},
        {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
        {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
        {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
        {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
        {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(errno_value)},
        {"SCMP_ACT_LOG", SCMP_ACT_LOG},
    };

    for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
        if (ns_equal(word, actions[i].word)) {
            *ret = actions[i].action;
            return true;
        }
    }
    return false;
}

bool ns_seccomp_permits(uint32_t action)
{
    return action == SCMP_ACT_ALLOW || action == SCMP_ACT_LOG || (action & 0xffff0000u) == SCMP_ACT_TRACE(0);
}

bool ns_seccomp_operator(struct cloister_sv word, enum scmp_compare *ret)
{
    static const struct {
        const char *word;
        enum scmp_compare op;
    } operators[] = {
        {"SCMP_CMP_NE", SCMP_CMP_NE},
        {"SCMP_CMP_LT", SCMP_CMP_LT},
        {"SCMP_CMP_LE", SCMP_CMP_LE},
        {"SCMP_CMP_EQ", SCMP_CMP_EQ},
        {"SCMP_CMP_GE", SCMP_CMP_GE},
        {"SCMP_CMP_GT", SCMP_CMP_GT},
        {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
    };

    for (size_t i = 0; i < sizeof(operators) / sizeof(*operators); i++) {
        if (ns_equal(word, operators[i].word)) {
            *ret = operators[i].op;
            return true;
        }
    }
    return false;
}

/* "SCMP_ARCH_X86_64" is libseccomp's "x86_64". */
bool ns_seccomp_arch(struct cloister_sv word, uint32_t *ret)
{
    char name[24];

    if (word.size < 11 || word.size - 10 >= sizeof(name) || memcmp(word.data, "SCMP_ARCH_", 10) != 0)
        return false;
    for (uint64_t i = 10; i < word.size; i++) {
        char byte = word.data[i];

        name[i - 10] = byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
    }
    name[word.size - 10] = 0;
    *ret = seccomp_arch_resolve_name(name);
    return *ret != 0;
}

bool ns_seccomp_flag(struct cloister_sv word, uint32_t *ret)
{
    static const struct {
        const char *word;
        uint32_t flag;
    } flags[] = {
        {"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
        {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
        {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    };

    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
        if (ns_equal(word, flags[i].word)) {
            *ret = flags[i].flag;
            return true;
        }
    }
    return false;
}

/* Calls younger than Debian 12's libseccomp; since 5.1 a new call has the same number on every architecture. */
static const struct {
    const char *name;
    int number;
} young[] = {
    {"cachestat", 451},         {"fchmodat2", 452},         {"map_shadow_stack", 453}, {"futex_wake", 454},
    {"futex_wait", 455},        {"futex_requeue", 456},     {"statmount", 457},        {"listmount", 458},
    {"lsm_get_self_attr", 459}, {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},        {"listxattrat", 465},      {"removexattrat", 466},
    {"open_tree_attr", 467},    {"file_getattr", 468},      {"file_setattr", 469},
};

int ns_seccomp_number(struct cloister_sv name)
{
    NS_FREE char *text = ns_dup(name);
    int number = text ? seccomp_syscall_resolve_name(text) : __NR_SCMP_ERROR;

    for (size_t i = 0; number == __NR_SCMP_ERROR && i < sizeof(young) / sizeof(*young); i++)
        if (ns_equal(name, young[i].name))
            return young[i].number;
    return number;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_program.c - the program goes through the rules from the last to the first with the accesses asked for in a
 * register: an allowing rule takes those away that it covers, a denying one that covers any of what is left ends it.
 * So "r" and "w" allowed apart make "rw", and a rule for one device takes a part back of one for all, neither of which
 * a program that looks for one rule that fits does.
 */
#include "device_program.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <sys/syscall.h>

#define RULE_MAX 10u    /* instructions of one */
#define RULES_MAX 4096u /* the verifier's patience, and anybody's */

/* Registers: what is asked for. */
enum { R_ANSWER = 0, R_CONTEXT = 1, R_KIND = 2, R_ACCESS = 3, R_MAJOR = 4, R_MINOR = 5, R_PART = 6 };

static struct bpf_insn load(uint8_t to, size_t offset)
{
    return (struct bpf_insn){
        .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = to, .src_reg = R_CONTEXT, .off = (int16_t)offset};
}

static struct bpf_insn compute(uint8_t operation, uint8_t to, int32_t number)
{
    return (struct bpf_insn){.code = BPF_ALU | operation | BPF_K, .dst_reg = to, .imm = number};
}

static struct bpf_insn copy(uint8_t to, uint8_t from)
{
    return (struct bpf_insn){.code = BPF_ALU | BPF_MOV | BPF_X, .dst_reg = to, .src_reg = from};
}

static struct bpf_insn jump(uint8_t condition, uint8_t of, int32_t number, int16_t over)
{
    return (struct bpf_insn){.code = BPF_JMP32 | condition | BPF_K, .dst_reg = of, .imm = number, .off = over};
}

static const struct bpf_insn end = {.code = BPF_JMP | BPF_EXIT};

static int32_t bits_of(const char *access)
{
    int32_t bits = 0;

    for (; *access; access++)
        bits |= *access == 'r' ? BPF_DEVCG_ACC_READ : *access == 'w' ? BPF_DEVCG_ACC_WRITE : BPF_DEVCG_ACC_MKNOD;
    return bits;
}

/* The tests of a rule first, each of which jumps to the next rule: how far is known at the end. */
static uint32_t add_rule(struct bpf_insn *at, const struct ns_device_rule *rule)
{
    int32_t bits = bits_of(rule->access);
    uint32_t n = 0, tests;

    if (rule->kind != 'a')
        at[n++] = jump(BPF_JNE, R_KIND, rule->kind == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, 0);
    if (rule->major >= 0)
        at[n++] = jump(BPF_JNE, R_MAJOR, (int32_t)rule->major, 0);
    if (rule->minor >= 0)
        at[n++] = jump(BPF_JNE, R_MINOR, (int32_t)rule->minor, 0);
    tests = n;
    if (rule->allow) {
        at[n++] = compute(BPF_AND, R_ACCESS, ~bits);
        at[n++] = jump(BPF_JNE, R_ACCESS, 0, 2);
        at[n++] = compute(BPF_MOV, R_ANSWER, 1);
    } else {
        at[n++] = copy(R_PART, R_ACCESS);
        at[n++] = compute(BPF_AND, R_PART, bits);
        at[n++] = jump(BPF_JEQ, R_PART, 0, 2);
        at[n++] = compute(BPF_MOV, R_ANSWER, 0);
    }
    at[n++] = end;
    for (uint32_t i = 0; i < tests; i++)
        at[i].off = (int16_t)(n - i - 1);
    return n;
}

int ns_device_program(struct ns_compile *c, const struct ns_device_rule *rules, uint32_t count)
{
    struct bpf_insn *code = NULL;
    uint32_t n = 0;

    if (count > RULES_MAX)
        return ns_refuse(&c->r, CLOISTER_TOO_BIG, "linux.resources.devices", "has more than %u rules", RULES_MAX);
    code = calloc(8u + (size_t)count * RULE_MAX, sizeof(*code));
    if (code == NULL)
        return ns_no_memory(&c->r);
    code[n++] = load(R_KIND, offsetof(struct bpf_cgroup_dev_ctx, access_type));
    code[n++] = copy(R_ACCESS, R_KIND);
    code[n++] = compute(BPF_AND, R_KIND, 0xffff);
    code[n++] = compute(BPF_RSH, R_ACCESS, 16);
    code[n++] = load(R_MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
    code[n++] = load(R_MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
    for (uint32_t i = count; i > 0; i--)
        n += add_rule(code + n, &rules[i - 1]);
    code[n++] = compute(BPF_MOV, R_ANSWER, 0);
    code[n++] = end;
    free(c->device_code);
    c->device_code = code;
    c->device_count = n;
    return 0;
}

static int load_program(const struct bpf_insn *code, uint32_t count)
{
    static const char licence[] = "Apache-2.0";
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attr.insns = (uintptr_t)code;
    attr.insn_cnt = count;
    attr.license = (uintptr_t)licence;
    return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

/* command: BPF_PROG_ATTACH, BPF_PROG_DETACH. */
static int attach(int command, int group, int program)
{
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.target_fd = (uint32_t)group;
    attr.attach_bpf_fd = (uint32_t)program;
    attr.attach_type = BPF_CGROUP_DEVICE;
    attr.attach_flags = command == BPF_PROG_ATTACH ? BPF_F_ALLOW_MULTI : 0;
    return (int)syscall(SYS_bpf, command, &attr, sizeof(attr));
}

int ns_device_program_attach(const struct ns_cgroups *cgroups, const char *name, const struct ns_compile *c)
{
    uint32_t v2 = ns_hierarchy_find(cgroups->hierarchies, "");
    NS_CLOSE int group =
        v2 == NS_NO_HIERARCHY ? -1 : ns_group_open(cgroups, &c->r, v2, name, NULL, O_RDONLY | O_DIRECTORY);
    NS_CLOSE int program = group < 0 ? -1 : load_program(c->device_code, c->device_count);

    if (group < 0)
        return -1;
    if (program >= 0 && attach(BPF_PROG_ATTACH, group, program) == 0)
        return 0;
    c->r.log->error_set(c->r.err, CLOISTER_CGROUP_FAILED, errno, "linux.resources.devices", "cgroup",
                        "linux.resources.devices: give cgroup '%s' its program", name);
    return -1;
}

/* A kernel that loads one may still not let it be attached. */
int ns_device_program_try(const struct ns_cgroups *cgroups, const char *name)
{
    const struct bpf_insn code[] = {compute(BPF_MOV, R_ANSWER, 0), end};
    uint32_t v2 = ns_hierarchy_find(cgroups->hierarchies, "");
    NS_FREE char *path = v2 == NS_NO_HIERARCHY ? NULL : ns_group_path(cgroups, v2, name, NULL);
    NS_CLOSE int group = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    NS_CLOSE int program = -1;

    if (group < 0)
        return path ? -errno : -ENOENT;
    program = load_program(code, sizeof(code) / sizeof(*code));
    if (program < 0 || attach(BPF_PROG_ATTACH, group, program) < 0 || attach(BPF_PROG_DETACH, group, program) < 0)
        return -errno;
    return 0;
}

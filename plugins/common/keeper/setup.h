/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup.h - one process being made: what every step sees, and the steps themselves, one facility a file.
 *
 * Everything here runs in a process forked by the keeper (the helper, then the process itself), which may allocate,
 * because the keeper has one thread. A step returns 0 or a negative errno, and says with cl_setup_detail what the errno
 * is about.
 */
#ifndef CL_KEEPER_SETUP_H
#define CL_KEEPER_SETUP_H

#include "common/keeper/report.h"

enum cl_borrowed { CL_BORROWED_PROC = 0, CL_BORROWED_SYSFS = 1, CL_BORROWED_MQUEUE = 2, CL_BORROWED_COUNT = 3 };

struct cl_caps {
    uint64_t bounding;
    uint64_t permitted;
    uint64_t effective;
    uint64_t inheritable;
    uint64_t ambient;
};

/* Who the process becomes: the plan's numbers, or what its user text was found to mean ("resolve"). */
struct cl_who {
    uint32_t uid;
    uint32_t gid;
    const uint32_t *groups;
    uint32_t group_count;
    struct cl_caps caps;
    const char *cwd;
    char *home;   /* resolved only */
    char *env[3]; /* variables beside the plan's */
    uint32_t env_count;
};

struct cl_setup {
    const struct cl_wire_plan *plan; /* checked */
    const int *fds;                  /* the request's descriptors, by index */
    uint32_t fd_count;
    int status;       /* to the keeper */
    int proc;         /* the keeper's own procfs; -1 once given up */
    int null;         /* its /dev/null */
    int init;         /* EXEC: pidfd of the container's init; -1 for CREATE */
    uint64_t enter;   /* EXEC: CLONE_NEW* of init's namespaces to enter */
    int join;         /* CREATE: pidfd of another container's init, or -1 */
    uint64_t join_ns; /* CLONE_NEW* of its namespaces to live in */
    int blocked;      /* CREATE: stop before the last steps until a GO */
    struct cl_who who;
    struct cl_wire_stdio stdio[3];
    int std[3];   /* descriptors that become 0, 1, 2; -1 closed */
    int terminal; /* the process's end of it, or -1 */
    uint32_t rows;
    uint32_t columns;
    uint32_t extra_count;
    struct cl_wire_extra extra[CL_WIRE_EXTRA_MAX]; /* after "close" `fd` is the descriptor itself */
    int borrowed[CL_BORROWED_COUNT]; /* kernel file systems made as host root for a user namespace that may not; or -1
                                      */
    int *late_readonly;              /* mounts that become read-only when everything below them stands */
    uint32_t late_count;
    char *program; /* what argv[0] was found as */
    char **argv;
    char **env;
    char detail[CL_WIRE_DETAIL_MAX];
};

/* Says what went wrong, and gives back r, so that a failure is one line. */
int cl_setup_detail(struct cl_setup *setup, int r, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Tells the plugin something it should know; the set-up goes on. */
int cl_setup_warn(struct cl_setup *setup, int os_errno, const char *step, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Waits for the keeper's GO; its os_errno and detail become this step's failure. */
int cl_setup_wait_go(struct cl_setup *setup);
/* The same, with the stdio that a blocked init is given: setup->std. */
int cl_setup_wait_stdio(struct cl_setup *setup);

/* A section's items and their number. */
#define CL_SETUP_COUNT(setup, id) ((setup)->plan->section[id].count)

/* do_ids.c */
int cl_do_keyring(struct cl_setup *setup);     /* helper, as host root */
int cl_do_inside_root(struct cl_setup *setup); /* become root of a new user namespace, so that what we make is root's */
int cl_do_groups(struct cl_setup *setup);
int cl_do_user(struct cl_setup *setup);
/* do_resolve.c */
int cl_do_resolve(struct cl_setup *setup);
int cl_do_home(struct cl_setup *setup); /* makes the working directory, where the plan says so */
/* do_namespaces.c */
int cl_do_join(struct cl_setup *setup);                 /* helper */
int cl_do_join_user(struct cl_setup *setup);            /* helper; after it we are host root no longer */
int cl_do_enter(struct cl_setup *setup);                /* helper, EXEC */
int cl_do_time(struct cl_setup *setup);                 /* helper */
int cl_do_clone(struct cl_setup *setup);                /* helper; in the new process it returns 1 */
int cl_in_user_namespace(const struct cl_setup *setup); /* a new or a joined one */
int cl_do_cgroup_namespace(struct cl_setup *setup);
int cl_do_hostname(struct cl_setup *setup);
/* do_cgroups.c */
int cl_do_join_cgroups(struct cl_setup *setup);
/* do_net.c */
int cl_do_loopback(struct cl_setup *setup);
/* do_sysctl.c: through the keeper's procfs only */
int cl_do_sysctls(struct cl_setup *setup);
/* do_kernel_mounts.c */
int cl_do_borrow(struct cl_setup *setup); /* helper, as host root */
int cl_make_fs(struct cl_setup *setup, const struct cl_wire_mount *mount, int *ret_fd);
/* do_root.c */
int cl_do_root(struct cl_setup *setup);
int cl_do_pivot(struct cl_setup *setup);
int cl_do_root_flags(struct cl_setup *setup);
/* do_mounts.c */
int cl_do_mounts(struct cl_setup *setup);
int cl_do_late_readonly(struct cl_setup *setup);
/* do_devices.c */
int cl_do_devices(struct cl_setup *setup);
int cl_do_links(struct cl_setup *setup);
/* do_terminal.c */
int cl_do_terminal(struct cl_setup *setup);
int cl_give_terminal(struct cl_setup *setup); /* to setup->who, again once it is known who that is */
int cl_do_control(struct cl_setup *setup);    /* of step "session" */
/* do_mask.c */
int cl_do_mask(struct cl_setup *setup);
int cl_do_readonly(struct cl_setup *setup);
/* do_limits.c */
int cl_do_rlimits(struct cl_setup *setup);
int cl_do_nice(struct cl_setup *setup);
/* do_priority.c */
int cl_do_priority(struct cl_setup *setup);
int cl_do_personality(struct cl_setup *setup);
/* do_stdio.c */
int cl_do_close(struct cl_setup *setup);
void cl_close_all_but(const int *keep, size_t count); /* 0, 1 and 2 stay too */
int cl_do_block(struct cl_setup *setup);
int cl_do_stdio(struct cl_setup *setup);
/* do_caps.c */
int cl_do_bounding(struct cl_setup *setup);
int cl_do_caps(struct cl_setup *setup);
int cl_do_no_new_privs(struct cl_setup *setup);
/* do_seccomp.c */
int cl_do_seccomp(struct cl_setup *setup);
/* do_hooks.c */
int cl_do_point(struct cl_setup *setup);
int cl_do_create_hooks(struct cl_setup *setup);
int cl_do_start_hooks(struct cl_setup *setup);
/* do_exec.c */
void cl_reset_signals(void);
int cl_do_session(struct cl_setup *setup);
int cl_do_cwd(struct cl_setup *setup);
int cl_do_find(struct cl_setup *setup);
int cl_do_exec(struct cl_setup *setup); /* a pause init never returns either */
/* do_pause.c */
int cl_do_pause(struct cl_setup *setup);

#endif

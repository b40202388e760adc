/* SPDX-License-Identifier: Apache-2.0 */
#include "words.h"

#include <signal.h>
#include <string.h>

#define WORD(table, number) \
    ((number) < sizeof(table) / sizeof((table)[0]) && (table)[number] ? (table)[number] : "unknown")

const char *ct_sandbox_state(uint32_t state)
{
    static const char *const words[] = {
        [CLOISTER_SANDBOX_CREATING] = "creating", [CLOISTER_SANDBOX_OFF] = "off",
        [CLOISTER_SANDBOX_STARTING] = "starting", [CLOISTER_SANDBOX_UP] = "up",
        [CLOISTER_SANDBOX_STOPPING] = "stopping", [CLOISTER_SANDBOX_DESTROYING] = "destroying",
        [CLOISTER_SANDBOX_UNKNOWN] = "unknown"};
    return WORD(words, state);
}

const char *ct_container_state(uint32_t state)
{
    static const char *const words[] = {[CLOISTER_CONTAINER_CREATING] = "creating",
                                        [CLOISTER_CONTAINER_CREATED] = "created",
                                        [CLOISTER_CONTAINER_RUNNING] = "running",
                                        [CLOISTER_CONTAINER_STOPPED] = "stopped"};
    return WORD(words, state);
}

const char *ct_process_state(uint32_t state)
{
    static const char *const words[] = {[CLOISTER_PROCESS_STARTING] = "starting",
                                        [CLOISTER_PROCESS_RUNNING] = "running",
                                        [CLOISTER_PROCESS_EXITED] = "exited",
                                        [CLOISTER_PROCESS_DRAINED] = "drained",
                                        [CLOISTER_PROCESS_LOST] = "lost"};
    return WORD(words, state);
}

const char *ct_cause(uint32_t cause)
{
    static const char *const words[] = {
        [CLOISTER_CAUSE_NONE] = "none",  [CLOISTER_CAUSE_NEVER] = "never",   [CLOISTER_CAUSE_STOPPED] = "stopped",
        [CLOISTER_CAUSE_LOST] = "lost",  [CLOISTER_CAUSE_REBOOT] = "reboot", [CLOISTER_CAUSE_POWEROFF] = "poweroff",
        [CLOISTER_CAUSE_PANIC] = "panic"};
    return WORD(words, cause);
}

const char *ct_event_kind(uint32_t kind)
{
    static const char *const words[] = {[CLOISTER_EVENT_EXIT] = "exit",
                                        [CLOISTER_EVENT_DRAINED] = "drained",
                                        [CLOISTER_EVENT_CONTAINER_DOWN] = "container_down",
                                        [CLOISTER_EVENT_SANDBOX_DOWN] = "sandbox_down",
                                        [CLOISTER_EVENT_OOM] = "oom",
                                        [CLOISTER_EVENT_STATE] = "state",
                                        [CLOISTER_EVENT_CONTACT] = "contact",
                                        [CLOISTER_EVENT_RESOURCE_GONE] = "resource_gone",
                                        [CLOISTER_EVENT_THRESHOLD] = "threshold",
                                        [CLOISTER_EVENT_PROGRESS] = "progress"};
    return WORD(words, kind);
}

const char *ct_sandbox_flag(unsigned bit)
{
    static const char *const words[] = {"recovering", "no_contact", "dirty", "frozen", "provisional"};
    return bit < sizeof(words) / sizeof(words[0]) ? words[bit] : NULL;
}

static const struct {
    const char *name;
    uint32_t number;
} signals[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ILL", SIGILL},     {"TRAP", SIGTRAP},
    {"ABRT", SIGABRT},     {"BUS", SIGBUS},   {"FPE", SIGFPE},   {"KILL", SIGKILL},   {"USR1", SIGUSR1},
    {"SEGV", SIGSEGV},     {"USR2", SIGUSR2}, {"PIPE", SIGPIPE}, {"ALRM", SIGALRM},   {"TERM", SIGTERM},
    {"CHLD", SIGCHLD},     {"CONT", SIGCONT}, {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},   {"TTIN", SIGTTIN},
    {"TTOU", SIGTTOU},     {"URG", SIGURG},   {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},   {"PROF", SIGPROF},
    {"VTALRM", SIGVTALRM}, {"IO", SIGIO},     {"PWR", SIGPWR},   {"WINCH", SIGWINCH}, {"SYS", SIGSYS},
};

uint32_t ct_signal_number(struct cloister_sv name)
{
    if (name.size > 3 && memcmp(name.data, "SIG", 3) == 0)
        name = (struct cloister_sv){name.data + 3, name.size - 3};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (name.size == strlen(signals[i].name) && memcmp(name.data, signals[i].name, name.size) == 0)
            return signals[i].number;
    }
    return 0;
}

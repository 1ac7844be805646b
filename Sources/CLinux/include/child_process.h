// How the host starts its keepers and learns of their end. The host never forks: a child gets exactly the descriptors, the environment and
// the signal state that are named here.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/// Starts `path` with `arguments` and `environment` (both end with NULL) in a session of its own, with default signal actions, no signal
/// blocked, and no descriptors but these: 0 to 2 as given (negative: /dev/null), 3 as given (negative: none). `directory` is the working
/// directory (NULL: the host's). On success returns 0 and sets `*pid` and `*pidfd`; otherwise an errno.
int capelet_linux_spawn(
    const char *path, char *const arguments[], char *const environment[], const char *directory, const int descriptors[4], pid_t *pid,
    int *pidfd);

/// Sends a signal to the process that `pidfd` stands for. Returns 0 or an errno (ESRCH: it is gone).
int capelet_linux_pidfd_signal(int pidfd, int signal);

/// Reaps the child that `pidfd` stands for, if it is dead: returns 1 and sets the rest (`*status` as wait4 gives it); 0: it runs; negative
/// errno otherwise.
int capelet_linux_pidfd_reap(int pidfd, int *status, uint64_t *user_micros, uint64_t *system_micros, uint64_t *peak_kib);

/// The pid, in this process's namespace, of the process that `pidfd` stands for; 0: it is gone, or cannot be known.
pid_t capelet_linux_pidfd_pid(int pidfd);

/// CPU time that a process has used so far, in nanoseconds, or -1.
int64_t capelet_linux_cpu_nanos(pid_t pid);

/// Raises the soft limit on open descriptors to `count`, if it is lower. Returns 0 or an errno; `*most` is the hard limit.
int capelet_linux_allow_descriptors(uint64_t count, uint64_t *most);

static inline bool capelet_linux_status_exited(int status) { return (status & 0x7f) == 0; }
static inline int capelet_linux_status_exit_code(int status) { return (status >> 8) & 0xff; }
static inline bool capelet_linux_status_signalled(int status) { return (status & 0x7f) != 0 && (status & 0x7f) != 0x7f; }
static inline int capelet_linux_status_signal(int status) { return status & 0x7f; }

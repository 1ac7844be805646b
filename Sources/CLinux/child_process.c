#define _GNU_SOURCE 1
#include "include/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

int capelet_linux_spawn(
    const char *path, char *const arguments[], char *const environment[], const char *directory, const int descriptors[4], pid_t *pid,
    int *pidfd) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int raised[4] = {-1, -1, -1, -1};
    int result = posix_spawn_file_actions_init(&actions);
    if (result != 0) return result;
    result = posix_spawnattr_init(&attributes);
    if (result != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return result;
    }
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
    for (int target = 0; target < 4 && result == 0; target++) {
        if (descriptors[target] >= 0) {
            // Above the targets, so that moving one into place does not overwrite another.
            raised[target] = fcntl(descriptors[target], F_DUPFD_CLOEXEC, 16);
            result = raised[target] < 0 ? errno : posix_spawn_file_actions_adddup2(&actions, raised[target], target);
        } else if (target < 3) {
            result = posix_spawn_file_actions_addopen(&actions, target, "/dev/null", target == 0 ? O_RDONLY : O_WRONLY, 0);
        }
    }
    if (result == 0 && directory != NULL) result = posix_spawn_file_actions_addchdir_np(&actions, directory);
    if (result == 0) result = posix_spawn_file_actions_addclosefrom_np(&actions, descriptors[3] >= 0 ? 4 : 3);
    if (result == 0) result = posix_spawn(pid, path, &actions, &attributes, arguments, environment);
    for (int target = 0; target < 4; target++) {
        if (raised[target] >= 0) close(raised[target]);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (result != 0) return result;

    // The child is ours and not yet reaped, so its pid still means it.
    *pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
    if (*pidfd < 0) {
        result = errno;
        kill(*pid, SIGKILL);
        while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR) {}
        return result;
    }
    return 0;
}

int capelet_linux_pidfd_signal(int pidfd, int signal) {
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0 ? 0 : errno;
}

int capelet_linux_pidfd_reap(int pidfd, int *status, uint64_t *user_micros, uint64_t *system_micros, uint64_t *peak_kib) {
    siginfo_t result;
    struct rusage usage;
    result.si_pid = 0;
    // The raw call, because glibc's waitid does not return the resource usage.
    while (syscall(SYS_waitid, P_PIDFD, pidfd, &result, WEXITED | WNOHANG, &usage) != 0) {
        if (errno != EINTR) return -errno;
    }
    if (result.si_pid == 0) return 0;
    *status = result.si_code == CLD_EXITED ? (result.si_status & 0xff) << 8 : result.si_status & 0x7f;
    if (result.si_code == CLD_DUMPED) *status |= 0x80;
    *user_micros = (uint64_t)usage.ru_utime.tv_sec * 1000000 + (uint64_t)usage.ru_utime.tv_usec;
    *system_micros = (uint64_t)usage.ru_stime.tv_sec * 1000000 + (uint64_t)usage.ru_stime.tv_usec;
    *peak_kib = (uint64_t)usage.ru_maxrss;
    return 1;
}

pid_t capelet_linux_pidfd_pid(int pidfd) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    if (size <= 0) return 0;
    text[size] = 0;
    const char *line = strstr(text, "\nPid:");
    long pid = line == NULL ? 0 : strtol(line + 5, NULL, 10);
    return pid > 0 ? (pid_t)pid : 0;
}

int64_t capelet_linux_cpu_nanos(pid_t pid) {
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) return -1;
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

int capelet_linux_allow_descriptors(uint64_t count, uint64_t *most) {
    struct rlimit limit;
    *most = 0;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return errno;
    *most = limit.rlim_max;
    if (limit.rlim_cur >= count) return 0;
    limit.rlim_cur = count;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : errno;
}

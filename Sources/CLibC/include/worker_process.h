// What `capelet-worker` needs of Linux and glibc that Swift cannot call: macros, functions with variable arguments, raw system calls.
// Functions return what the call returns, or a negative errno where they say so; none of them retries or logs.
#pragma once

#include "libc.h"
#include "../../CLinux/include/channel_memory.h"
#include "../../CLinux/include/socket_messages.h"

#include <link.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>

// MARK: arguments and errno

/// The arguments of this process, kept by a constructor in CLibC.c: Embedded Swift has no CommandLine.
int capelet_linux_argument_count(void);
char **capelet_linux_arguments(void);

static inline void capelet_linux_flush_output(void) { fflush(NULL); }

/// Standard output line by line, as on a terminal: a line that was printed before a crash is not lost.
static inline void capelet_linux_line_buffer_output(void) { setvbuf(stdout, NULL, _IOLBF, 0); }

// MARK: files and memory

static inline int capelet_linux_open(const char *path, int flags) { return open(path, flags | O_CLOEXEC, 0); }

/// A copy of `descriptor` with a number of at least `lowest`, close-on-exec.
static inline int capelet_linux_duplicate_above(int descriptor, int lowest) { return fcntl(descriptor, F_DUPFD_CLOEXEC, lowest); }
static inline int capelet_linux_set_close_on_exec(int descriptor) { return fcntl(descriptor, F_SETFD, FD_CLOEXEC); }
static inline int capelet_linux_set_nonblocking(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    return flags < 0 ? -1 : fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
}

/// Asks for SIGIO, which ends a process that has no handler for it, when something happens at `descriptor` (a pipe or socket), such as
/// its other end being closed. If that has happened before, the process ends now.
static inline void capelet_linux_die_with(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0) return;
    fcntl(descriptor, F_SETOWN, getpid());
    fcntl(descriptor, F_SETFL, flags | O_ASYNC);
    struct pollfd now = {.fd = descriptor, .events = 0};
    if (poll(&now, 1, 0) == 1 && (now.revents & POLLHUP)) raise(SIGIO);
}

/// Closes all descriptors from `first` on.
static inline void capelet_linux_close_from(unsigned first) {
#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, ~0u, 0) == 0) return;
#endif
    long most = sysconf(_SC_OPEN_MAX);
    if (most < 0 || most > 1 << 20) most = 1 << 20;
    for (long descriptor = (long)first; descriptor < most; descriptor++) close((int)descriptor);
}

/// The size of a file in bytes, or -1.
static inline int64_t capelet_linux_file_size(int descriptor) {
    struct stat status;
    return fstat(descriptor, &status) == 0 ? (int64_t)status.st_size : -1;
}

// MARK: libraries

/// The path of the file that the loader has taken for what `dlopen` has returned, or NULL.
static inline const char *capelet_linux_library_path(void *library) {
    struct link_map *map = NULL;
    return dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && map != NULL ? map->l_name : NULL;
}

static inline int capelet_linux_looks_at_segments(struct dl_phdr_info *object, size_t size, void *wanted) {
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t start = object->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) continue;
        if ((uintptr_t)wanted >= start && (uintptr_t)wanted - start < segment->p_memsz) return 1;
    }
    return 0;
}

/// Whether what `dlsym` has found lies where a loaded library has code: data, also that of a thread, cannot be called.
static inline bool capelet_linux_is_code(void *address) { return dl_iterate_phdr(capelet_linux_looks_at_segments, address) == 1; }

// MARK: limits and process attributes

/// Kinds of limits for capelet_linux_limit, since RLIMIT_ are macros over an enumeration.
enum {
    CAPELET_LINUX_LIMIT_DATA = RLIMIT_DATA,
    CAPELET_LINUX_LIMIT_ADDRESS = RLIMIT_AS,
    CAPELET_LINUX_LIMIT_CPU = RLIMIT_CPU,
    CAPELET_LINUX_LIMIT_FILES = RLIMIT_NOFILE,
    CAPELET_LINUX_LIMIT_FILE_SIZE = RLIMIT_FSIZE,
    CAPELET_LINUX_LIMIT_STACK = RLIMIT_STACK,
    CAPELET_LINUX_LIMIT_CORE = RLIMIT_CORE,
    CAPELET_LINUX_LIMIT_PROCESSES = RLIMIT_NPROC,
};

/// Lowers a limit, never raises its hard part. The hard limit becomes `value` + `grace`. Returns 0 or a negative errno.
static inline int capelet_linux_limit(int kind, uint64_t value, uint64_t grace) {
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)kind, &limit) != 0) return -errno;
    uint64_t hard = value > UINT64_MAX - grace ? UINT64_MAX : value + grace;
    if (hard < (uint64_t)limit.rlim_max) limit.rlim_max = (rlim_t)hard;
    limit.rlim_cur = value < (uint64_t)limit.rlim_max ? (rlim_t)value : limit.rlim_max;
    return setrlimit((__rlimit_resource_t)kind, &limit) == 0 ? 0 : -errno;
}

/// The kernel kills this process when the thread that made it ends. A later change of uid clears it.
static inline int capelet_linux_die_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); }
static inline int capelet_linux_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }
static inline int capelet_linux_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }
/// The name of the calling thread, as `ps` and `top` show it; cut to 15 bytes.
static inline void capelet_linux_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

// MARK: signals

/// Gives every signal its default action and unblocks all of them.
static inline void capelet_linux_reset_signals(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; signal++) {
        if (signal != SIGKILL && signal != SIGSTOP) sigaction(signal, &action, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static inline void capelet_linux_block_signals(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
}

static inline void capelet_linux_unblock_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/// A descriptor that becomes readable at SIGCHLD, which it blocks, or -1.
static inline int capelet_linux_child_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

// MARK: children

/// Whether `pid` is a child of this process: 0 it is and runs; 1 it is and is dead, not yet reaped; negative: no child (-ECHILD).
static inline int capelet_linux_child_state(pid_t pid) {
    siginfo_t information;
    information.si_pid = 0;
    int result;
    do {
        result = waitid(P_PID, (id_t)pid, &information, WEXITED | WNOHANG | WNOWAIT | __WALL);
    } while (result != 0 && errno == EINTR);
    if (result != 0) return -errno;
    return information.si_pid == pid ? 1 : 0;
}

/// Reaps a child that is dead. Returns its pid, 0 if none is, or a negative errno.
static inline pid_t capelet_linux_reap(pid_t pid, int *status, struct rusage *usage) {
    pid_t result;
    do {
        result = wait4(pid, status, WNOHANG | __WALL, usage);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

static inline int capelet_linux_pidfd_open(pid_t pid) {
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, pid, 0);
#else
    errno = ENOSYS;
    return -1;
#endif
}

static inline pid_t capelet_linux_thread_id(void) { return (pid_t)syscall(SYS_gettid); }

/// Where glibc keeps the calling thread's id, or NULL. The kernel knows the address, because glibc's fork and thread start tell it which
/// word to clear at the end of the thread. Kernels without CONFIG_CHECKPOINT_RESTORE do not say; then the word is looked for in the
/// thread's record, and taken if exactly one word there has the value.
static inline int *capelet_linux_thread_id_word(void) {
    pid_t id = capelet_linux_thread_id();
    int *word = NULL;
    if (prctl(PR_GET_TID_ADDRESS, &word, 0, 0, 0) == 0 && word != NULL && *word == id) return word;
    word = NULL;
    int *record = (int *)pthread_self();
    for (size_t i = 0; i < 1024 / sizeof(int); i++) {
        if (record[i] != id) continue;
        if (word != NULL) return NULL;
        word = &record[i];
    }
    return word;
}

/// clone(2) without libc, whose functions a plugin's load-time constructor may have changed: a template that took a made-up 0 for the answer would
/// go on as its own copy. Returns what the kernel says.
static inline long capelet_linux_raw_clone(unsigned long flags, int *thread_id_word) {
#if defined(__x86_64__)
    long result;
    register int *word __asm__("r10") = thread_id_word;
    register long storage __asm__("r8") = 0;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"((long)SYS_clone), "D"(flags), "S"(0L), "d"(0L), "r"(word), "r"(storage)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long number __asm__("x8") = SYS_clone;
    register long result __asm__("x0") = (long)flags;
    register long stack __asm__("x1") = 0;
    register long parent __asm__("x2") = 0;
    register long storage __asm__("x3") = 0;
    register int *word __asm__("x4") = thread_id_word;
    __asm__ volatile("svc 0" : "+r"(result) : "r"(number), "r"(stack), "r"(parent), "r"(storage), "r"(word) : "memory");
    return result;
#else
#error "tell this file how to call the kernel"
#endif
}

/// Makes a sibling: a copy of the calling, single-threaded process whose parent is this one's parent. Returns its pid here, 0 in
/// the copy, or a negative errno. `thread_id_word`: see above; the copy's own thread id is written there.
static inline pid_t capelet_linux_clone_sibling(int *thread_id_word) {
    void *robust = NULL;
    size_t robust_size = 0;
    long known = syscall(SYS_get_robust_list, 0, &robust, &robust_size);
    unsigned long flags = CLONE_PARENT | SIGCHLD;
    if (thread_id_word != NULL) flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    long pid = capelet_linux_raw_clone(flags, thread_id_word);
    if (pid == 0 && known == 0 && robust != NULL) syscall(SYS_set_robust_list, robust, robust_size);
    return (pid_t)pid;
}

// MARK: time and processors

static inline int64_t capelet_linux_monotonic_millis(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/// How many processors this process may run on; at least 1.
static inline int capelet_linux_processor_count(void) {
    // By the raw call: cpu_set_t and its macros need _GNU_SOURCE.
    unsigned long set[128];
    long size = syscall(SYS_sched_getaffinity, 0, sizeof set, set);
    int count = 0;
    for (long i = 0; i < size / (long)sizeof set[0]; i++) count += __builtin_popcountl(set[i]);
    return count > 0 ? count : 1;
}

/// Tells the processor that this is a loop that waits.
static inline void capelet_linux_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

// What `capelet-worker` gives up before it loads a plugin: users, capabilities, namespaces, Landlock, seccomp. Thin wrappers; each returns 0
// (or what it says) or a negative errno. The numbers of newer kernels are written out here, because a distribution's headers may be older
// than the kernel that runs.
#pragma once

#include "libc.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

// MARK: users and capabilities

/// Becomes user and group `id`, for good, without further groups. Clears PDEATHSIG.
static inline int capelet_linux_become_user(uint32_t id) {
    if (setgroups(0, NULL) != 0 || setresgid(id, id, id) != 0 || setresuid(id, id, id) != 0) return -errno;
    return 0;
}

/// Gives up for good the capabilities that executing a program could give back. Those that it has stay.
static inline void capelet_linux_bound_capabilities(void) {
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (int capability = 0; capability < 64; capability++) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

/// Gives up all capabilities.
static inline int capelet_linux_drop_capabilities(void) {
    capelet_linux_bound_capabilities();
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof none);
    return syscall(SYS_capset, &header, none) == 0 ? 0 : -errno;
}

/// Lowers the priority of this process by `levels`; it cannot be raised again without a capability.
static inline int capelet_linux_nice(int levels) { return setpriority(PRIO_PROCESS, 0, levels) == 0 ? 0 : -errno; }

// MARK: namespaces and mounts

enum {
    CAPELET_LINUX_NEW_USER = CLONE_NEWUSER,
    CAPELET_LINUX_NEW_PID = CLONE_NEWPID,
    CAPELET_LINUX_NEW_MOUNT = CLONE_NEWNS,
    CAPELET_LINUX_NEW_NETWORK = CLONE_NEWNET,
    CAPELET_LINUX_NEW_IPC = CLONE_NEWIPC,
};

static inline int capelet_linux_unshare(int flags) { return unshare(flags) == 0 ? 0 : -errno; }

/// Writes a short text into a file that exists.
static inline int capelet_linux_write_text(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return -errno;
    ssize_t size = write(file, text, strlen(text));
    int result = size == (ssize_t)strlen(text) ? 0 : -errno;
    close(file);
    return result;
}

/// Enters a user namespace in which this process's user and group are the only ones and keep their numbers.
static inline int capelet_linux_enter_user_namespace(void) {
    uid_t user = geteuid();
    gid_t group = getegid();
    if (unshare(CLONE_NEWUSER) != 0) return -errno;
    // A process that has changed its user may not write its own files in /proc, as if it had secrets, unless it says that it has none.
    int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    char text[64];
    int result = capelet_linux_write_text("/proc/self/setgroups", "deny");
    if (result == -ENOENT) result = 0;
    snprintf(text, sizeof text, "%u %u 1\n", user, user);
    if (result == 0) result = capelet_linux_write_text("/proc/self/uid_map", text);
    snprintf(text, sizeof text, "%u %u 1\n", group, group);
    if (result == 0) result = capelet_linux_write_text("/proc/self/gid_map", text);
    if (dumpable == 0) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return result;
}

/// What is mounted from here on stays in this mount namespace.
static inline int capelet_linux_make_mounts_private(void) {
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 ? 0 : -errno;
}

/// Puts an empty folder over `path`, which everybody may enter.
static inline int capelet_linux_cover(const char *path) {
    return mount("capelet", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=256k") == 0 ? 0 : -errno;
}

/// Nothing can be made in such a folder any more.
static inline int capelet_linux_freeze_cover(const char *path) {
    unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    return mount(NULL, path, NULL, flags, NULL) == 0 ? 0 : -errno;
}

/// Shows at `target` what the descriptor stands for.
static inline int capelet_linux_bind(int descriptor, const char *target) {
    char source[64];
    snprintf(source, sizeof source, "/proc/self/fd/%d", descriptor);
    return mount(source, target, NULL, MS_BIND | MS_REC, NULL) == 0 ? 0 : -errno;
}

/// The processes of this pid namespace at /proc.
static inline int capelet_linux_mount_proc(void) {
    return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0 ? 0 : -errno;
}

/// Makes an empty file; returns its descriptor, or -1 with errno.
static inline int capelet_linux_make_file(const char *path) { return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644); }
static inline int capelet_linux_open_path(const char *path) { return open(path, O_PATH | O_CLOEXEC); }

/// 1: a folder, 0: something else, or a negative errno.
static inline int capelet_linux_is_folder(int descriptor) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) return -errno;
    return S_ISDIR(status.st_mode) ? 1 : 0;
}

// MARK: Landlock (linux/landlock.h)

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

/// Rights on files, by the bits of the kernel's interface.
enum {
    CAPELET_LANDLOCK_EXECUTE = 1 << 0,
    CAPELET_LANDLOCK_WRITE_FILE = 1 << 1,
    CAPELET_LANDLOCK_READ_FILE = 1 << 2,
    CAPELET_LANDLOCK_READ_DIR = 1 << 3,
    CAPELET_LANDLOCK_REMOVE_DIR = 1 << 4,
    CAPELET_LANDLOCK_REMOVE_FILE = 1 << 5,
    CAPELET_LANDLOCK_MAKE_CHAR = 1 << 6,
    CAPELET_LANDLOCK_MAKE_DIR = 1 << 7,
    CAPELET_LANDLOCK_MAKE_REG = 1 << 8,
    CAPELET_LANDLOCK_MAKE_SOCK = 1 << 9,
    CAPELET_LANDLOCK_MAKE_FIFO = 1 << 10,
    CAPELET_LANDLOCK_MAKE_BLOCK = 1 << 11,
    CAPELET_LANDLOCK_MAKE_SYM = 1 << 12,
    /// From version 2 on.
    CAPELET_LANDLOCK_REFER = 1 << 13,
    /// From version 3 on.
    CAPELET_LANDLOCK_TRUNCATE = 1 << 14,
    /// From version 5 on: ioctl on devices.
    CAPELET_LANDLOCK_IOCTL_DEV = 1 << 15,
};

struct capelet_landlock_ruleset {
    uint64_t files;
    /// From version 4 on. 1: TCP bind, 2: TCP connect.
    uint64_t network;
    /// From version 6 on. 1: abstract Unix sockets, 2: signals.
    uint64_t scoped;
};

/// The version of Landlock that the kernel offers, or a negative errno.
static inline int capelet_linux_landlock_version(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);
    return version < 0 ? -errno : (int)version;
}

/// A set of rules, as a descriptor: everything in it is forbidden until a rule allows it. The kernel refuses nonzero bytes that it does not
/// know, so that fields which are zero may stand there.
static inline int capelet_linux_landlock_open(uint64_t files, uint64_t network, uint64_t scoped) {
    struct capelet_landlock_ruleset rules = {.files = files, .network = network, .scoped = scoped};
    long descriptor = syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0u);
    return descriptor < 0 ? -errno : (int)descriptor;
}

/// Allows `rights` on what `path` stands for and below it.
static inline int capelet_linux_landlock_allow(int rules, int path, uint64_t rights) {
    struct {
        uint64_t rights;
        int32_t path;
    } __attribute__((packed)) rule = {.rights = rights, .path = path};
    return syscall(SYS_landlock_add_rule, rules, 1, &rule, 0u) == 0 ? 0 : -errno;
}

/// Puts the rules in force, for good. Needs NO_NEW_PRIVS.
static inline int capelet_linux_landlock_enter(int rules) {
    return syscall(SYS_landlock_restrict_self, rules, 0u) == 0 ? 0 : -errno;
}

// MARK: seccomp

/// Whether the kernel has filters that can kill a whole process.
static inline int capelet_linux_seccomp_available(void) {
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ? 0 : -errno;
}

/// Puts a filter in force, for good: `size` bytes of struct sock_filter. Needs NO_NEW_PRIVS.
static inline int capelet_linux_seccomp_install(const void *program, size_t size) {
    if (size == 0 || size % sizeof(struct sock_filter) != 0 || size / sizeof(struct sock_filter) > BPF_MAXINSNS) return -EINVAL;
    struct sock_fprog filter = {.len = (unsigned short)(size / sizeof(struct sock_filter)), .filter = (struct sock_filter *)program};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0 ? 0 : -errno;
}

/// From here on this process can send signals to itself and its own process group only. Written here, not handed over by the host like the
/// other filters, since nobody knows this process's number before it is there.
static inline int capelet_linux_confine_signals(void) {
    uint32_t own = (uint32_t)getpid();
    uint32_t refused = SECCOMP_RET_ERRNO | EPERM;
    enum { NUMBER = offsetof(struct seccomp_data, nr), FIRST = offsetof(struct seccomp_data, args) };
    // Little endian: the low half of an argument comes first. A pid is 32 bits wide; the kernel takes no notice of the upper half.
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NUMBER),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 6, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigqueueinfo, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_tgsigqueueinfo, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tkill, 6, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 424 /* pidfd_send_signal */, 5, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIRST),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, own, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0u, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0u - own, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, refused),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    return capelet_linux_seccomp_install(program, sizeof program);
}

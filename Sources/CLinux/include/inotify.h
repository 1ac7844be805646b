// inotify and the system calls of the directory source that Swift's Glibc module does not have.
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/// O_PATH: a descriptor that only says where.
enum { CAPELET_LINUX_O_PATH = 010000000 };

/// Names the calling thread for debuggers and top; at most 15 bytes.
static inline void capelet_linux_name_this_thread(const char *name) { prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0); }

/// A new inotify instance, close-on-exec, non-blocking, or a negative errno (EMFILE: fs.inotify.max_user_instances).
static inline int capelet_linux_inotify_open(void) {
    int descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

/// Watches the directory that `directory` has open; returns the watch's number or a negative errno (ENOSPC: fs.inotify.max_user_watches).
/// By descriptor, through /proc, so that nobody can put a symbolic link in the way.
static inline int capelet_linux_inotify_watch(int inotify, int directory) {
    char path[48];
    snprintf(path, sizeof path, "/proc/self/fd/%d", directory);
    int watch = inotify_add_watch(
        inotify, path,
        IN_CREATE | IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF
            | IN_EXCL_UNLINK | IN_ONLYDIR);
    return watch < 0 ? -errno : watch;
}

/// Opens `path` below `directory` without following a symbolic link in any part of it; close-on-exec. Returns the descriptor or a negative
/// errno (ELOOP: there is a link; ENOSYS, EPERM: the kernel or a seccomp filter does not have openat2).
static inline int capelet_linux_open_below(int directory, const char *path, int flags) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    how.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC);
    how.resolve = RESOLVE_NO_SYMLINKS;
    long descriptor = syscall(SYS_openat2, directory, path, &how, sizeof how);
    return descriptor < 0 ? -errno : (int)descriptor;
}

/// What `name` in `directory` is, not following it. Returns 0 or an errno.
static inline int capelet_linux_stat_entry(int directory, const char *name, struct stat *result) {
    return fstatat(directory, name, result, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

static inline int64_t capelet_linux_modified_nanos(const struct stat *entry) {
    return (int64_t)entry->st_mtim.tv_sec * 1000000000 + entry->st_mtim.tv_nsec;
}

static inline int64_t capelet_linux_changed_nanos(const struct stat *entry) {
    return (int64_t)entry->st_ctim.tv_sec * 1000000000 + entry->st_ctim.tv_nsec;
}

enum { CAPELET_LINUX_ENTRY_UNKNOWN, CAPELET_LINUX_ENTRY_FILE, CAPELET_LINUX_ENTRY_DIRECTORY, CAPELET_LINUX_ENTRY_OTHER };

/// The kind of file that `mode` tells.
static inline int capelet_linux_entry_kind(uint32_t mode) {
    return S_ISREG(mode) ? CAPELET_LINUX_ENTRY_FILE : S_ISDIR(mode) ? CAPELET_LINUX_ENTRY_DIRECTORY : CAPELET_LINUX_ENTRY_OTHER;
}

/// The next entry of an open directory, without `.` and `..`: 1, with its name (valid until the next call) and kind, where the file system
/// tells it; 0 at the end; negative errno on failure.
static inline int capelet_linux_next_entry(DIR *directory, const char **name, int *kind) {
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (!entry) return -errno;
        const char *text = entry->d_name;
        if (text[0] == '.' && (text[1] == 0 || (text[1] == '.' && text[2] == 0))) continue;
        *name = text;
        *kind = entry->d_type == DT_REG  ? CAPELET_LINUX_ENTRY_FILE
            : entry->d_type == DT_DIR    ? CAPELET_LINUX_ENTRY_DIRECTORY
            : entry->d_type == DT_UNKNOWN ? CAPELET_LINUX_ENTRY_UNKNOWN
                                          : CAPELET_LINUX_ENTRY_OTHER;
        return 1;
    }
}

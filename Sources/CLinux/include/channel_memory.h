// Shared memory of the worker channel, as host and worker both use it: maps, futexes, errno.
#pragma once

#include <errno.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int capelet_linux_errno(void) { return errno; }

/// A shared map of a whole file from its start, or NULL.
static inline void *capelet_linux_map(int descriptor, size_t size, bool writable) {
    void *map = mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, descriptor, 0);
    return map == MAP_FAILED ? NULL : map;
}

/// Sleeps while `*word` is `expected`; also returns for no reason. Between processes, and on maps that can only be read.
static inline void capelet_linux_futex_wait(const uint32_t *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT, expected, NULL, NULL, 0);
}

static inline void capelet_linux_futex_wake_all(const uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

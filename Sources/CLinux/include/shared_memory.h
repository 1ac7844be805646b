// Shared memory between the host and one worker: memfds and their seals, and reads of memory that the other side may be changing.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// Bits for capelet_linux_seal, which are macros in glibc's header.
enum {
    CAPELET_LINUX_SEAL_SEAL = 1,
    CAPELET_LINUX_SEAL_SHRINK = 2,
    CAPELET_LINUX_SEAL_GROW = 4,
    CAPELET_LINUX_SEAL_WRITE = 8,
    CAPELET_LINUX_SEAL_FUTURE_WRITE = 16,
};

/// A new memfd of `size` bytes, close-on-exec, that can be sealed; or a negative errno. `name` shows in /proc.
int capelet_linux_memfd(const char *name, size_t size);

/// Adds seals. Returns 0 or an errno.
int capelet_linux_seal(int descriptor, unsigned seals);

/// Writes all of `size` bytes at `offset` of a file. Returns 0 or an errno.
int capelet_linux_write_all(int descriptor, const void *bytes, size_t size, int64_t offset);

/// memcpy that the compiler cannot look into. After copying out of memory that somebody else writes to, an inlined copy could legally be
/// turned into a second read of the source, which may then differ from what was checked.
void capelet_linux_copy(void *to, const void *from, size_t size);

/// Adds `value` to a word that others change too; returns the word as it was before. Cannot fail, however often others change it.
static inline uint64_t capelet_linux_add64(uint64_t *word, uint64_t value) { return __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST); }

void capelet_linux_unmap(void *map, size_t size);
void capelet_linux_close(int descriptor);

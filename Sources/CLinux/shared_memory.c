#define _GNU_SOURCE 1
#include "include/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

int capelet_linux_memfd(const char *name, size_t size) {
    int descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0) return -errno;
    if (ftruncate(descriptor, (off_t)size) != 0) {
        int code = errno;
        close(descriptor);
        return -code;
    }
    return descriptor;
}

_Static_assert(CAPELET_LINUX_SEAL_SEAL == F_SEAL_SEAL && CAPELET_LINUX_SEAL_SHRINK == F_SEAL_SHRINK, "as the kernel has them");
_Static_assert(CAPELET_LINUX_SEAL_GROW == F_SEAL_GROW && CAPELET_LINUX_SEAL_WRITE == F_SEAL_WRITE, "as the kernel has them");

int capelet_linux_seal(int descriptor, unsigned seals) { return fcntl(descriptor, F_ADD_SEALS, (int)seals) == 0 ? 0 : errno; }

int capelet_linux_write_all(int descriptor, const void *bytes, size_t size, int64_t offset) {
    const char *from = bytes;
    while (size > 0) {
        ssize_t written = pwrite(descriptor, from, size, (off_t)offset);
        if (written < 0) {
            if (errno == EINTR) continue;
            return errno;
        }
        from += written;
        offset += written;
        size -= (size_t)written;
    }
    return 0;
}

void capelet_linux_copy(void *to, const void *from, size_t size) { memcpy(to, from, size); }

void capelet_linux_unmap(void *map, size_t size) { munmap(map, size); }

void capelet_linux_close(int descriptor) { close(descriptor); }

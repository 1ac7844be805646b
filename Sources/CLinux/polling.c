#define _GNU_SOURCE 1
#include "include/polling.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(CAPELET_LINUX_POLL_IN == EPOLLIN && CAPELET_LINUX_POLL_OUT == EPOLLOUT, "as the kernel has them");
_Static_assert(CAPELET_LINUX_POLL_ERROR == EPOLLERR && CAPELET_LINUX_POLL_HANGUP == EPOLLHUP, "as the kernel has them");
_Static_assert(CAPELET_LINUX_POLL_EDGE == EPOLLET, "as the kernel has them");
_Static_assert(CAPELET_LINUX_POLL_PEER_CLOSED == EPOLLRDHUP && CAPELET_LINUX_POLL_ONE_SHOT == EPOLLONESHOT, "as the kernel has them");

int capelet_linux_poll_open(void) {
    int poll = epoll_create1(EPOLL_CLOEXEC);
    return poll < 0 ? -errno : poll;
}

static int control(int poll, int operation, int descriptor, uint32_t events, uint64_t tag) {
    struct epoll_event event = {.events = events, .data.u64 = tag};
    return epoll_ctl(poll, operation, descriptor, &event) == 0 ? 0 : errno;
}

int capelet_linux_poll_add(int poll, int descriptor, uint32_t events, uint64_t tag) {
    return control(poll, EPOLL_CTL_ADD, descriptor, events, tag);
}

int capelet_linux_poll_change(int poll, int descriptor, uint32_t events, uint64_t tag) {
    return control(poll, EPOLL_CTL_MOD, descriptor, events, tag);
}

int capelet_linux_poll_remove(int poll, int descriptor) { return control(poll, EPOLL_CTL_DEL, descriptor, 0, 0); }

int capelet_linux_poll_wait(int poll, struct capelet_linux_poll_event *events, int capacity, int64_t timeout_nanos) {
    enum { MOST = 256 };
    struct epoll_event ready[MOST];
    if (capacity > MOST) capacity = MOST;
    int count = -1;
#ifdef SYS_epoll_pwait2
    static int has_pwait2 = 1;
    if (__atomic_load_n(&has_pwait2, __ATOMIC_RELAXED)) {
        struct timespec timeout = {.tv_sec = timeout_nanos / 1000000000, .tv_nsec = timeout_nanos % 1000000000};
        count = (int)syscall(SYS_epoll_pwait2, poll, ready, capacity, timeout_nanos < 0 ? NULL : &timeout, NULL, 0);
        if (count < 0 && errno == ENOSYS) __atomic_store_n(&has_pwait2, 0, __ATOMIC_RELAXED);
        else goto done;
    }
#endif
    {
        // Before Linux 5.11. Rounded up, so that a timer which is not due yet does not make the caller spin.
        int64_t millis = timeout_nanos < 0 ? -1 : (timeout_nanos + 999999) / 1000000;
        count = epoll_wait(poll, ready, capacity, millis > 1 << 30 ? 1 << 30 : (int)millis);
    }
#ifdef SYS_epoll_pwait2
done:
#endif
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        events[i].tag = ready[i].data.u64;
        events[i].events = ready[i].events;
    }
    return count;
}

int capelet_linux_eventfd(void) {
    int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return descriptor < 0 ? -errno : descriptor;
}

int capelet_linux_is_readable(int descriptor) {
    struct pollfd entry = {.fd = descriptor, .events = POLLIN};
    return poll(&entry, 1, 0) > 0;
}

static int nonblocking(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    return flags < 0 ? -1 : fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
}

int capelet_linux_seqpacket_pair(int sockets[2]) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) return errno;
    nonblocking(sockets[0]);
    return 0;
}

int capelet_linux_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    nonblocking(ends[0]);
    return 0;
}

const char *capelet_linux_error_text(int code, char *text, size_t capacity) { return strerror_r(code, text, capacity); }

int64_t capelet_linux_monotonic_nanos(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// epoll and eventfd, for which Swift's Glibc module has no declarations.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// Bits of an event, the same values as EPOLLIN and so on.
enum {
    CAPELET_LINUX_POLL_IN = 0x001,
    CAPELET_LINUX_POLL_OUT = 0x004,
    CAPELET_LINUX_POLL_ERROR = 0x008,
    CAPELET_LINUX_POLL_HANGUP = 0x010,
    CAPELET_LINUX_POLL_PEER_CLOSED = 0x2000,
    CAPELET_LINUX_POLL_ONE_SHOT = 1u << 30,
    CAPELET_LINUX_POLL_EDGE = 1u << 31,
};

struct capelet_linux_poll_event {
    uint64_t tag;
    uint32_t events;
    uint32_t reserved;
};

/// A new epoll instance, close-on-exec, or a negative errno.
int capelet_linux_poll_open(void);
/// Each returns 0 or an errno.
int capelet_linux_poll_add(int poll, int descriptor, uint32_t events, uint64_t tag);
int capelet_linux_poll_change(int poll, int descriptor, uint32_t events, uint64_t tag);
int capelet_linux_poll_remove(int poll, int descriptor);
/// Waits for up to `timeout_nanos` (negative: without end) for up to `capacity` (at most 256) events. Returns their number, 0 after the
/// timeout or a signal, or a negative errno.
int capelet_linux_poll_wait(int poll, struct capelet_linux_poll_event *events, int capacity, int64_t timeout_nanos);

/// A new eventfd, close-on-exec, non-blocking, or a negative errno.
int capelet_linux_eventfd(void);
/// Whether `descriptor` is readable, or its other end gone, at this moment.
int capelet_linux_is_readable(int descriptor);

/// A SOCK_SEQPACKET pair, close-on-exec; the first is non-blocking, the second blocking. Returns 0 or an errno.
int capelet_linux_seqpacket_pair(int sockets[2]);
/// A pipe, close-on-exec; the reading end (first) is non-blocking, the writing end blocking. Returns 0 or an errno.
int capelet_linux_pipe(int ends[2]);

/// The words for an errno, in `text` or elsewhere. Any thread.
const char *capelet_linux_error_text(int code, char *text, size_t capacity);

/// CLOCK_MONOTONIC in nanoseconds.
int64_t capelet_linux_monotonic_nanos(void);

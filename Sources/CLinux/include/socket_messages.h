// One message with descriptors over a SOCK_SEQPACKET socket: the CMSG_ macros cannot be called from Swift.
#pragma once

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/// The most descriptors that one message may carry here.
enum { CAPELET_LINUX_MESSAGE_DESCRIPTORS_MAX = 16 };

/// Sends `size` bytes and `descriptor_count` descriptors as one message. `flags` beside MSG_NOSIGNAL, e.g. MSG_DONTWAIT. Returns 0, or an errno.
static inline int capelet_linux_send_message(
    int socket, const void *bytes, size_t size, const int *descriptors, int descriptor_count, int flags) {
    if (descriptor_count < 0 || descriptor_count > CAPELET_LINUX_MESSAGE_DESCRIPTORS_MAX) return EINVAL;
    union {
        char bytes[CMSG_SPACE(sizeof(int) * CAPELET_LINUX_MESSAGE_DESCRIPTORS_MAX)];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor_count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)descriptor_count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)descriptor_count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * (size_t)descriptor_count);
    }
    for (;;) {
        ssize_t sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
        if (sent >= 0) return 0;
        if (errno != EINTR) return errno;
    }
}

/// Receives one message. Its descriptors (close-on-exec) go to `descriptors`, which has room for `descriptor_max`; any beyond that are
/// closed. Returns the number of bytes, 0 at the end of the stream, or a negative errno: -EMSGSIZE for a message longer than `capacity`,
/// -EMFILE when descriptors were lost; in both cases those that arrived are closed.
static inline ssize_t capelet_linux_receive_message(
    int socket, void *bytes, size_t capacity, int *descriptors, int descriptor_max, int *descriptor_count, int flags) {
    union {
        char bytes[CMSG_SPACE(sizeof(int) * CAPELET_LINUX_MESSAGE_DESCRIPTORS_MAX)];
        struct cmsghdr align;
    } control;
    *descriptor_count = 0;
    struct iovec part = {.iov_base = bytes, .iov_len = capacity};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control};
    ssize_t size;
    do {
        size = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size < 0) return -errno;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        int count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < count; i++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(header) + sizeof(int) * (size_t)i, sizeof descriptor);
            if (*descriptor_count < descriptor_max) descriptors[(*descriptor_count)++] = descriptor;
            else close(descriptor);
        }
    }
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        while (*descriptor_count > 0) close(descriptors[--(*descriptor_count)]);
        return (message.msg_flags & MSG_TRUNC) ? -EMSGSIZE : -EMFILE;
    }
    return size;
}

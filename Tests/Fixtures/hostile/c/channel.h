// The channel to the host, found by a plugin that was never told where it is.
#pragma once

#include "villain.h"
#include "worker_channel.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

static struct capelet_inbox *inbox;
static struct capelet_outbox *outbox;
/// The eventfd that wakes the host and the socket; -1: not found.
static int bell = -1, host_socket = -1;

/// Whether `size` bytes from here are mapped.
static inline bool is_mapped(const void *address, size_t size) {
    unsigned char pages[512];
    size_t count = (size + 4095) / 4096;
    return count <= sizeof pages && mincore((void *)address, size, pages) == 0;
}

static inline bool is_inbox_of(const struct capelet_inbox *candidate, const capelet_event *event) {
    if (candidate->version != CAPELET_CHANNEL_VERSION) return false;
    for (int i = 0; i < CAPELET_SLOTS; i++)
        if (candidate->slots[i].token == event->token) return true;
    return false;
}

/// The payload lies in the inbox, so its beginning is a few pages below.
static inline void find_inbox(const capelet_event *event) {
    char *page = (char *)((uintptr_t)event->payload.data & ~(uintptr_t)4095);
    for (size_t down = 4096 + sizeof inbox->slots; down < sizeof *inbox; down += 4096) {
        struct capelet_inbox *candidate = (struct capelet_inbox *)(page - down);
        if (!is_mapped(candidate, 4096 + sizeof inbox->slots)) return;
        if (is_inbox_of(candidate, event)) {
            inbox = candidate;
            return;
        }
    }
}

/// The outbox lies near the inbox, and counts on when something is logged.
static inline void find_outbox(const capelet_event *event) {
    for (long distance = -(16l << 20); distance < 16l << 20; distance += 4096) {
        struct capelet_outbox *candidate = (struct capelet_outbox *)((char *)inbox + distance);
        if (distance >= 0 && distance < (long)sizeof *inbox) continue;
        if (!is_mapped(candidate, sizeof *candidate)) continue;
        uint64_t before = capelet_load64(&candidate->written);
        uint64_t claim = capelet_load64(&candidate->claim);
        if (before == 0 || before % 8 || capelet_claimed(claim) == 0 || capelet_limit(claim) - capelet_claimed(claim) > CAPELET_SLOTS)
            continue;
        fixture_host->log(fixture_host, event->token, CAPELET_LOG_DEBUG, "looking", 7);
        if (capelet_load64(&candidate->written) - before != 32) continue;
        outbox = candidate;
        return;
    }
}

static inline void find_descriptors(void) {
    for (int i = 3; i < 64; i++) {
        struct stat status;
        if (fstat(i, &status) != 0) continue;
        if (S_ISSOCK(status.st_mode)) host_socket = i;
        // Anonymous inodes have no type; of those only an eventfd takes eight bytes.
        uint64_t one = 1;
        if ((status.st_mode & S_IFMT) == 0 && write(i, &one, sizeof one) == sizeof one) bell = i;
    }
}

/// Returns whether all parts were found.
static inline bool find_channel(const capelet_event *event) {
    if (!inbox) find_inbox(event);
    if (inbox && !outbox) find_outbox(event);
    if (bell < 0) find_descriptors();
    return inbox && outbox && bell >= 0;
}

static inline void ring_bell(void) {
    uint64_t one = 1;
    if (write(bell, &one, sizeof one) < 0) return;
}

/// A frame as it comes, with `written` moved by what the caller says, not by what is there.
static inline void write_frame(uint32_t size, uint8_t type, uint8_t flags, uint16_t code, uint64_t token, uint64_t value, uint64_t moved) {
    uint64_t written = capelet_load64(&outbox->written);
    uint64_t room = CAPELET_RING_SIZE - written % CAPELET_RING_SIZE;
    if (room < 65536) {
        // To the ring's beginning, as the rules say.
        struct capelet_frame pad = {.size = (uint32_t)room, .type = CAPELET_FRAME_PAD};
        memcpy(outbox->ring + written % CAPELET_RING_SIZE, &pad, sizeof pad);
        written += room;
    }
    struct capelet_frame frame = {.size = size, .type = type, .flags = flags, .code = code, .token = token, .value = value};
    memcpy(outbox->ring + written % CAPELET_RING_SIZE, &frame, sizeof frame);
    capelet_store64(&outbox->written, written + moved);
    capelet_fence();
    ring_bell();
}

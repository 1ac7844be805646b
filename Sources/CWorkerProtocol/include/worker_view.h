// How the worker's side reads and writes the channel of worker_channel.h: addresses within the two maps, for Swift, which imports the large
// arrays as tuples or not at all.
#pragma once

#include "worker_channel.h"

static inline const struct capelet_slot *capelet_inbox_slot(const struct capelet_inbox *inbox, uint32_t number) {
    return &inbox->slots[number % CAPELET_SLOTS];
}
static inline const uint8_t *capelet_inbox_arena(const struct capelet_inbox *inbox) { return inbox->arena; }
static inline const uint32_t *capelet_inbox_wake_word(const struct capelet_inbox *inbox) { return &inbox->wake; }
static inline uint32_t capelet_inbox_wake(const struct capelet_inbox *inbox) { return capelet_load32(&inbox->wake); }
static inline uint32_t capelet_inbox_host_waiting(const struct capelet_inbox *inbox) { return capelet_load32(&inbox->host_waiting); }
static inline uint64_t capelet_inbox_consumed(const struct capelet_inbox *inbox) { return capelet_load64(&inbox->consumed); }
static inline uint32_t capelet_inbox_stop(const struct capelet_inbox *inbox) { return capelet_load32(&inbox->stop); }
static inline uint32_t capelet_inbox_cancelled_count(const struct capelet_inbox *inbox) {
    return capelet_load32(&inbox->cancelled_count);
}
static inline uint64_t capelet_inbox_cancelled(const struct capelet_inbox *inbox, uint32_t number) {
    return capelet_load64(&inbox->cancelled[number % CAPELET_CANCELLED_MAX]);
}

static inline uint8_t *capelet_outbox_ring(struct capelet_outbox *outbox) { return outbox->ring; }
static inline uint64_t capelet_outbox_claim(const struct capelet_outbox *outbox) { return capelet_load64(&outbox->claim); }
static inline bool capelet_outbox_move_claim(struct capelet_outbox *outbox, uint64_t expected, uint64_t desired) {
    return capelet_swap64(&outbox->claim, expected, desired);
}
static inline void capelet_outbox_set_written(struct capelet_outbox *outbox, uint64_t value) { capelet_store64(&outbox->written, value); }
static inline void capelet_outbox_set_released(struct capelet_outbox *outbox, uint32_t value) { capelet_store32(&outbox->released, value); }
static inline void capelet_outbox_set_worker_waiting(struct capelet_outbox *outbox, uint32_t value) {
    capelet_store32(&outbox->worker_waiting, value);
}
static inline void capelet_outbox_set_space_waiting(struct capelet_outbox *outbox, uint32_t value) {
    capelet_store32(&outbox->space_waiting, value);
}

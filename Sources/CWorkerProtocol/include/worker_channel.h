// The channel between the host and one worker: two pieces of shared memory, an eventfd and a small socket.
//
//   inbox   written by the host, mapped read-only by the worker (F_SEAL_FUTURE_WRITE, SHRINK, GROW): control words, event slots, event bytes
//   outbox  written by the worker, and by the host only for the claim word (F_SEAL_SHRINK, GROW): claim word, frames
//   bell    eventfd: worker -> host, "look at my outbox"; rung only while inbox.host_waiting is 1
//   socket  SOCK_SEQPACKET pair: host -> worker only, one message for each event whose record is too large for the inbox (its memfd)
//
// Events. Event number n (a 32-bit counter that wraps) uses slot n % CAPELET_SLOTS. The host fills slot and bytes, then moves `limit` up. The
// worker takes event n by moving `claimed` from n to n + 1, which it may do while claimed != limit. Both live in one 64-bit word that
// both sides move only by compare-and-swap: so the host can take back ("withdraw") everything unclaimed by moving `limit` down
// to `claimed`, and knows for certain that none of it was started. A withdrawn number is used again for another event.
//
// Slots and bytes of event n may be reused by the host once the worker has moved `released` past n, which it does when the
// handler has returned (also for pending: what goes on later has its own copy).
//
// Lanes. Each event carries a lane (a small number that stands for its subject while it is in this worker) and an epoch. When an event ends
// in anything but success, is pending, or was skipped, the worker remembers its (lane, epoch) and answers every later event of the same
// lane and epoch with CAPELET_SKIPPED without running it.
//
// Frames. The outbox is a ring of bytes; `written` and inbox.consumed count bytes since the start and wrap at 2^64. Frames are multiples of 8
// bytes and never wrap around the ring's end: CAPELET_FRAME_PAD fills what is left there, unless no header fits there (8 or
// 16 bytes), which is skipped without being read. Frames up to CAPELET_FRAME_MAX; longer output and
// emits travel in chunks: every frame but the last has CAPELET_FRAME_MORE, and nothing else comes between the chunks of one message.
//
// Sleeping. The worker sets outbox.worker_waiting, looks once more for work, then waits on the futex inbox.wake. The host, after publishing,
// looks at worker_waiting and, if set, adds 1 to inbox.wake and wakes all that wait on it (the worker may have several threads there, so never
// just one). After changing `stop` or `cancelled` it does so in any case. The host sets inbox.host_waiting, looks once more for frames, then polls;
// the worker, after writing, looks at host_waiting and rings. A worker that finds the ring full sets outbox.space_waiting and waits on
// inbox.wake too; the host wakes it after consuming. Every such pair needs a sequentially consistent fence between its store and its load.
//
// Trust. The host believes nothing that it reads from the outbox: it copies a frame's fields once, checks them, and then uses its copy. The
// worker believes the inbox.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CAPELET_CHANNEL_VERSION = 1,
    CAPELET_SLOTS = 1024,
    CAPELET_LANES = 1024,
    /// Cancelled runs that the worker can look up; older ones are forgotten (their worker is killed soon).
    CAPELET_CANCELLED_MAX = 64,
    /// Bytes for records in the inbox. Memory is used only as far as it was ever filled.
    CAPELET_ARENA_SIZE = 1 << 20,
    /// Records larger than this travel as a memfd over the socket.
    CAPELET_INLINE_MAX = 128 << 10,
    CAPELET_RING_SIZE = 256 << 10,
    /// The largest frame, header included.
    CAPELET_FRAME_MAX = 32 << 10,
};

/// Bits of `capelet_slot.flags`.
enum {
    /// The record is in a memfd that comes over the socket; `position` and `size` say nothing about the arena.
    CAPELET_SLOT_LARGE = 1u << 0,
};

struct capelet_slot {
    /// Names this run. Never 0.
    uint64_t token;
    /// Where the record (event_record.h) begins in the arena, a multiple of 8, and its size.
    uint32_t position;
    uint32_t size;
    uint32_t attempt;
    uint32_t flags;
    uint32_t lane;
    uint32_t epoch;
};
_Static_assert(sizeof(struct capelet_slot) == 32, "a slot is half a cache line");

struct capelet_inbox {
    uint32_t version;
    uint32_t reserved0;
    /// Futex. Changes whenever the worker should look.
    uint32_t wake;
    /// 1 while the host sleeps or is about to: ring the bell after writing.
    uint32_t host_waiting;
    /// Bytes of the ring that the host has read.
    uint64_t consumed;
    /// 0 go on; 1 finish what is claimed, take nothing new, complete what is pending, call `stop`, exit(0).
    uint32_t stop;
    /// How many tokens were ever written to `cancelled`; the n-th is at n % CAPELET_CANCELLED_MAX.
    uint32_t cancelled_count;
    uint8_t reserved1[32];
    uint64_t cancelled[CAPELET_CANCELLED_MAX];
    uint8_t reserved2[4096 - 64 - 8 * CAPELET_CANCELLED_MAX];
    struct capelet_slot slots[CAPELET_SLOTS];
    uint8_t arena[CAPELET_ARENA_SIZE];
};
_Static_assert(offsetof(struct capelet_inbox, cancelled) == 64, "host and worker agree on the layout");
_Static_assert(offsetof(struct capelet_inbox, slots) == 4096, "host and worker agree on the layout");

struct capelet_outbox {
    /// Low half: claimed. High half: limit. Moved by both sides, only by compare-and-swap.
    uint64_t claim;
    uint8_t reserved0[56];
    /// Bytes that the worker has written to the ring.
    uint64_t written;
    /// Events whose slot and bytes the worker no longer reads: all before this number.
    uint32_t released;
    /// 1 while the worker sleeps for want of events.
    uint32_t worker_waiting;
    /// 1 while the worker sleeps for want of room in the ring.
    uint32_t space_waiting;
    uint8_t reserved1[44];
    uint8_t reserved2[4096 - 128];
    uint8_t ring[CAPELET_RING_SIZE];
};
_Static_assert(offsetof(struct capelet_outbox, written) == 64, "host and worker agree on the layout");
_Static_assert(offsetof(struct capelet_outbox, ring) == 4096, "host and worker agree on the layout");

/// What a frame tells.
enum {
    /// Nothing: skip to the end of the ring.
    CAPELET_FRAME_PAD = 0,
    /// The worker has started: `start` has returned 0. `code` 0. Sent once; nothing but LOG frames
    /// comes before it.
    CAPELET_FRAME_READY = 1,
    /// `start` failed: `code` is what it returned (low 16 bits), the body says why. The worker exits. Code 0xFFFF: it came not so far,
    /// because the plugin could not be loaded (exec mode) or has no such lambda.
    CAPELET_FRAME_START_FAILED = 2,
    /// The end of a run: `code` is a capelet_status or CAPELET_SKIPPED, `value` the retry delay in milliseconds, the body the message.
    /// With CAPELET_PENDING the handler has returned and another RESULT follows; a run completed before that has only the other.
    CAPELET_FRAME_RESULT = 3,
    /// The output of a run, whole or in chunks; sent before its result.
    CAPELET_FRAME_OUTPUT = 4,
    /// One emitted event, whole or in chunks; sent before the result of its run. The body is a capelet_frame_emit and its sections.
    CAPELET_FRAME_EMIT = 5,
    /// A line for the log: `code` is a capelet_level; `token` may be 0.
    CAPELET_FRAME_LOG = 6,
    /// Heartbeat: `value` is how many milliseconds more are asked for.
    CAPELET_FRAME_EXTEND = 7,
};

/// `code` of a result, beside capelet_status 0...3: not run, because of an earlier event of its lane and epoch.
enum { CAPELET_SKIPPED = 4 };

/// Bits of `capelet_frame.flags`.
enum {
    /// The message goes on in the next frame.
    CAPELET_FRAME_MORE = 1u << 0,
};

struct capelet_frame {
    /// Header and body, without padding. The next frame begins at the next multiple of 8.
    uint32_t size;
    uint8_t type;
    uint8_t flags;
    uint16_t code;
    uint64_t token;
    uint64_t value;
};
_Static_assert(sizeof(struct capelet_frame) == 24, "host and worker agree on the layout");

/// What the body of an EMIT message begins with; then domain, subject, type, id, headers (as in a record), payload.
struct capelet_frame_emit {
    uint16_t domain_size;
    uint16_t subject_size;
    uint16_t type_size;
    uint16_t id_size;
    uint32_t header_count;
    uint32_t headers_size;
    uint32_t payload_size;
    uint32_t reserved;
};
_Static_assert(sizeof(struct capelet_frame_emit) == 24, "host and worker agree on the layout");

// MARK: the words that both sides look at

static inline uint32_t capelet_load32(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline uint64_t capelet_load64(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void capelet_store32(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
static inline void capelet_store64(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
static inline uint32_t capelet_add32(uint32_t *word, uint32_t value) { return __atomic_fetch_add(word, value, __ATOMIC_ACQ_REL); }
static inline void capelet_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
/// Moves `*word` from `expected` to `desired`. Once; does not try again.
static inline bool capelet_swap64(uint64_t *word, uint64_t expected, uint64_t desired) {
    return __atomic_compare_exchange_n(word, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline uint32_t capelet_claimed(uint64_t claim) { return (uint32_t)claim; }
static inline uint32_t capelet_limit(uint64_t claim) { return (uint32_t)(claim >> 32); }
static inline uint64_t capelet_claim(uint32_t claimed, uint32_t limit) { return (uint64_t)limit << 32 | claimed; }

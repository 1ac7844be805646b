// How one event lies in memory and on disk: in a journal's batch row, in the host's batches, and in the inbox of a worker. The same
// bytes everywhere, so that they are copied and never re-encoded.
//
// A record is a header, then its sections one after another, then zero bytes up to a multiple of 8:
//
//   subject | type | id | headers | inputs | payload
//
//   headers: header_count x { u16 name size, u32 value size (unaligned), name, value }
//   inputs:  input_count  x { u16 lambda size, u32 output size (unaligned), lambda, output }
//   payload: payload_size bytes, or, with CAPELET_RECORD_EXTERNAL, the u64 number of the file that holds them
//
// Little endian. A record that comes from disk or from a worker is checked with `capelet_record_check` before anything else reads it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /// The payload lies in a file of its own; the section holds the file's number (8 bytes).
    CAPELET_RECORD_EXTERNAL = 1u << 0,
    /// An operator took the event out of the dead letters.
    CAPELET_RECORD_REDRIVEN = 1u << 1,
    /// An operator asked for it to be delivered again.
    CAPELET_RECORD_REPLAYED = 1u << 2,
};

enum {
    CAPELET_RECORD_VERSION = 1,
    /// The largest record there can be: 16 MiB of payload, 16 MiB of inputs, names and headers.
    CAPELET_RECORD_SIZE_MAX = 34 << 20,
};

struct capelet_record {
    /// Of the whole record, padding included; a multiple of 8.
    uint32_t size;
    uint8_t version;
    uint8_t flags;
    /// How many emits lie between this event and one from outside.
    uint16_t hops;
    /// Position in the journal of `domain`.
    uint64_t offset;
    uint64_t sequence;
    /// When it happened, as the producer said. Microseconds since 1970.
    int64_t time_micros;
    /// When the host took it in. Microseconds since 1970.
    int64_t accepted_micros;
    /// Keyed hash of the subject: SubjectHash. The same within one data directory, another in the next.
    uint64_t subject_hash;
    /// Number of the domain in this data directory's journal.
    uint32_t domain;
    uint16_t subject_size;
    uint16_t type_size;
    uint16_t id_size;
    uint16_t header_count;
    uint16_t input_count;
    uint16_t reserved;
    uint32_t headers_size;
    uint32_t inputs_size;
    uint32_t payload_size;
    uint32_t reserved2;
};
_Static_assert(sizeof(struct capelet_record) == 80, "the layout of a record is fixed");
_Static_assert(offsetof(struct capelet_record, domain) == 48, "the layout of a record is fixed");
_Static_assert(offsetof(struct capelet_record, payload_size) == 72, "the layout of a record is fixed");

/// Where the sections of a record begin, in bytes from its start.
struct capelet_record_sections {
    uint32_t subject, type, id, headers, inputs, payload, end;
};

/// The sections' places. The sizes in the header are believed: check first.
static inline struct capelet_record_sections capelet_record_sections(const struct capelet_record *record) {
    struct capelet_record_sections at;
    at.subject = (uint32_t)sizeof(struct capelet_record);
    at.type = at.subject + record->subject_size;
    at.id = at.type + record->type_size;
    at.headers = at.id + record->id_size;
    at.inputs = at.headers + record->headers_size;
    at.payload = at.inputs + record->inputs_size;
    at.end = at.payload + ((record->flags & CAPELET_RECORD_EXTERNAL) ? 8u : record->payload_size);
    return at;
}

/// Whether `count` pairs of { u16, u32, bytes, bytes } fill exactly `size` bytes.
static inline bool capelet_record_pairs_check(const uint8_t *bytes, uint32_t size, uint32_t count) {
    uint64_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (at + 6 > size) return false;
        uint16_t name;
        uint32_t value;
        __builtin_memcpy(&name, bytes + at, 2);
        __builtin_memcpy(&value, bytes + at + 2, 4);
        at += 6u + (uint64_t)name + (uint64_t)value;
        if (at > size) return false;
    }
    return at == size;
}

/// Whether a well-formed record begins at `bytes`, of which `available` can be read. `bytes` must be aligned to 8 and private to
/// the caller (nobody else may be able to change it during the check or after).
static inline bool capelet_record_check(const void *bytes, size_t available) {
    if (available < sizeof(struct capelet_record)) return false;
    const struct capelet_record *record = (const struct capelet_record *)bytes;
    if (record->version != CAPELET_RECORD_VERSION) return false;
    if (record->size > available || record->size > CAPELET_RECORD_SIZE_MAX || (record->size & 7)) return false;
    uint64_t need = sizeof(struct capelet_record);
    need += record->subject_size;
    need += record->type_size;
    need += record->id_size;
    need += record->headers_size;
    need += record->inputs_size;
    need += (record->flags & CAPELET_RECORD_EXTERNAL) ? 8u : record->payload_size;
    if (((need + 7) & ~7ull) != record->size) return false;
    if (record->subject_size == 0) return false;
    struct capelet_record_sections at = capelet_record_sections(record);
    const uint8_t *base = (const uint8_t *)bytes;
    return capelet_record_pairs_check(base + at.headers, record->headers_size, record->header_count)
        && capelet_record_pairs_check(base + at.inputs, record->inputs_size, record->input_count);
}

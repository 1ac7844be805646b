/*
 * record.h - one line of the audit log: how it is written and how it is read.
 *
 * A record is one JSON object on one line, its members always in this order and without spaces:
 *
 *   {"n":2,"domain":"files","offset":1,"sequence":1,"subject":"a.txt","type":"file.created","id":"x","time":"2026-01-02T03:04:05.000006Z",
 *    "attempt":1,"payload_size":3,"payload_sha256":"...","repeat":true,"previous":"...","hash":"..."}
 *
 * `hash` is the SHA-256 of the line's bytes before `,"hash"`. Those contain `previous`, the hash of the record before (64 zeros in
 * the first), so that every record vouches for all before it. `repeat` is there only when it is true.
 *
 * There is exactly one way to write a given record, and the reader takes nothing else.
 */
#ifndef CAPELET_AUDIT_RECORD_H
#define CAPELET_AUDIT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capelet.h"
#include "sha256.h"

enum {
    /** The longest line, with its line end. A subject of 1 KiB takes at most 6 KiB. */
    RECORD_BYTES_MAX = 64 * 1024,
};

/** A part of a buffer. */
typedef struct slice {
    const char *data;
    size_t size;
} slice;

/** Text that grows. Once memory was short, `failed` stays set and nothing more is added. */
typedef struct text {
    char *data;
    size_t size;
    size_t capacity;
    bool failed;
} text;

/** A record as read. Strings are as they stand in the line, escapes and all; they point into it. */
typedef struct record {
    uint64_t n;
    uint64_t offset;
    uint64_t sequence;
    uint64_t attempt;
    uint64_t payload_size;
    slice domain;
    slice subject;
    slice type;
    slice id;
    slice time;
    slice payload_sha256;
    slice previous;
    slice hash;
    bool repeat;
    /** How many bytes of the line `hash` is over. */
    size_t hashed_size;
} record;

/** Why an event cannot become a record. */
typedef enum record_status {
    RECORD_WRITTEN,
    RECORD_NO_MEMORY,
    RECORD_NOT_UTF8,
    RECORD_TOO_LONG,
} record_status;

/**
 * Adds the first part of the record for `event`, up to what needs knowing about earlier records. `domain` becomes the escaped domain's
 * place: `domain->data` is valid until the next addition to `out`. When it fails, `out` is as before.
 */
record_status record_begin(text *out, uint64_t n, const capelet_event *event, slice *domain);

/**
 * Adds the rest of the record that began at `start`, and the line end. `hash` is the hash of the record before on entry, this one's
 * afterwards. When it fails, `out` is cut back to `start`.
 */
record_status record_end(text *out, size_t start, bool repeat, char hash[SHA256_HEX]);

/** Reads a line (without its end). Returns NULL, or what is wrong with it. Checks form and hash, not the chain. */
const char *record_read(const char *line, size_t size, record *out);

/** Adds a string of a record to `out` with its escapes undone, except that `\`, tab, CR and LF come as `\\`, `\t`, `\r`, `\n`. */
void record_add_plain(text *out, slice escaped);

/** Makes room for `extra` more bytes. */
bool text_reserve(text *out, size_t extra);
void text_add(text *out, const void *data, size_t size);
void text_add_number(text *out, uint64_t number);
void text_free(text *out);

#endif

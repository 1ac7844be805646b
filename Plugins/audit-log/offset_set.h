/*
 * offset_set.h - which offsets of a domain have been recorded. Exact, and small in memory.
 *
 * Offsets are kept by chunks of 65,536. A chunk is a sorted list of ranges while it has few, a bitmap of 8 KiB once it has many, and one
 * range again when it is full. So a log without gaps costs some 40 bytes per 65,536 offsets, and the worst one (a filter that
 * lets every second event through) one bit per offset.
 *
 * Not for several threads at once.
 */
#ifndef CAPELET_OFFSET_SET_H
#define CAPELET_OFFSET_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct offset_chunk offset_chunk;

/** A set of offsets. All zero is the empty set. */
typedef struct offset_set {
    offset_chunk *chunks;
    size_t count;
    size_t capacity;
} offset_set;

bool offset_set_contains(const offset_set *set, uint64_t offset);

/** Puts an offset in. Returns 1 if it is new, 0 if it was there, -1 if memory is short (the set is unchanged then). */
int offset_set_insert(offset_set *set, uint64_t offset);

/** Empties the set and gives its memory back. */
void offset_set_clear(offset_set *set);

/** Bytes of memory in use. */
size_t offset_set_bytes(const offset_set *set);

#endif

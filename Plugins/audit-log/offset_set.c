#include "offset_set.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_OFFSETS = 65536,
    BITMAP_WORDS = CHUNK_OFFSETS / 64,
    /** From here on a list of ranges would be as large as the bitmap. */
    RANGES_MAX = BITMAP_WORDS * 8 / 4,
};

/** From `first` to `last`, both included. Ranges of a chunk are sorted and do not touch. */
typedef struct offset_range {
    uint16_t first;
    uint16_t last;
} offset_range;

struct offset_chunk {
    /** The upper 48 bits of its offsets. */
    uint64_t key;
    /** Ranges in use, or, of a bitmap, bits that are set. */
    uint32_t count;
    /** Ranges there is room for; 0 says that this chunk is a bitmap. */
    uint32_t capacity;
    union {
        offset_range *ranges;
        uint64_t *bits;
    };
};

/** The index of the first chunk whose key is not below `key`. The last chunk is by far the most likely, so it is tried first. */
static size_t find_chunk(const offset_set *set, uint64_t key)
{
    size_t low = 0, high = set->count;
    if (high == 0 || set->chunks[high - 1].key < key) return high;
    if (set->chunks[high - 1].key == key) return high - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->chunks[middle].key < key) low = middle + 1;
        else high = middle;
    }
    return low;
}

/** The index of the first range that ends at or after `place`. */
static uint32_t find_range(const offset_chunk *chunk, uint16_t place)
{
    uint32_t low = 0, high = chunk->count;
    if (high > 0 && chunk->ranges[high - 1].last < place) return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (chunk->ranges[middle].last < place) low = middle + 1;
        else high = middle;
    }
    return low;
}

bool offset_set_contains(const offset_set *set, uint64_t offset)
{
    uint16_t place = (uint16_t)offset;
    size_t index = find_chunk(set, offset / CHUNK_OFFSETS);
    if (index == set->count || set->chunks[index].key != offset / CHUNK_OFFSETS) return false;
    const offset_chunk *chunk = &set->chunks[index];
    if (chunk->capacity == 0) return (chunk->bits[place / 64] >> place % 64 & 1) != 0;
    uint32_t at = find_range(chunk, place);
    return at < chunk->count && chunk->ranges[at].first <= place;
}

/** Makes a new chunk with one range, at `index`. */
static int insert_chunk(offset_set *set, size_t index, uint64_t key, uint16_t place)
{
    if (set->count == set->capacity) {
        size_t capacity = set->capacity == 0 ? 4 : set->capacity + set->capacity / 2;
        offset_chunk *chunks = realloc(set->chunks, capacity * sizeof *chunks);
        if (chunks == NULL) return -1;
        set->chunks = chunks;
        set->capacity = capacity;
    }
    offset_range *ranges = malloc(4 * sizeof *ranges);
    if (ranges == NULL) return -1;
    ranges[0] = (offset_range){place, place};
    memmove(set->chunks + index + 1, set->chunks + index, (set->count - index) * sizeof *set->chunks);
    set->chunks[index] = (offset_chunk){.key = key, .count = 1, .capacity = 4, .ranges = ranges};
    set->count++;
    return 1;
}

/** Turns a list of ranges into a bitmap. */
static bool make_bitmap(offset_chunk *chunk)
{
    uint64_t *bits = calloc(BITMAP_WORDS, sizeof *bits);
    uint32_t set = 0;
    if (bits == NULL) return false;
    for (uint32_t i = 0; i < chunk->count; i++)
        for (uint32_t place = chunk->ranges[i].first; place <= chunk->ranges[i].last; place++, set++)
            bits[place / 64] |= 1ull << place % 64;
    free(chunk->ranges);
    chunk->bits = bits;
    chunk->count = set;
    chunk->capacity = 0;
    return true;
}

static int insert_bit(offset_chunk *chunk, uint16_t place)
{
    uint64_t bit = 1ull << place % 64;
    if ((chunk->bits[place / 64] & bit) != 0) return 0;
    chunk->bits[place / 64] |= bit;
    chunk->count++;
    if (chunk->count == CHUNK_OFFSETS) {
        // Full: one range says it all. If memory is too short even for this, the bitmap is just as right.
        offset_range *ranges = malloc(sizeof *ranges);
        if (ranges == NULL) return 1;
        free(chunk->bits);
        ranges[0] = (offset_range){0, CHUNK_OFFSETS - 1};
        chunk->ranges = ranges;
        chunk->count = chunk->capacity = 1;
    }
    return 1;
}

static int insert_place(offset_chunk *chunk, uint16_t place)
{
    if (chunk->capacity == 0) return insert_bit(chunk, place);
    uint32_t at = find_range(chunk, place);
    offset_range *ranges = chunk->ranges;
    if (at < chunk->count && ranges[at].first <= place) return 0;
    bool joins_before = at > 0 && ranges[at - 1].last + 1 == place;
    bool joins_after = at < chunk->count && place + 1 == ranges[at].first;
    if (joins_before && joins_after) {
        ranges[at - 1].last = ranges[at].last;
        memmove(ranges + at, ranges + at + 1, (chunk->count - at - 1) * sizeof *ranges);
        chunk->count--;
        return 1;
    }
    if (joins_before) {
        ranges[at - 1].last = place;
        return 1;
    }
    if (joins_after) {
        ranges[at].first = place;
        return 1;
    }
    if (chunk->count == RANGES_MAX) return make_bitmap(chunk) ? insert_bit(chunk, place) : -1;
    if (chunk->count == chunk->capacity) {
        ranges = realloc(ranges, 2 * chunk->capacity * sizeof *ranges);
        if (ranges == NULL) return -1;
        chunk->ranges = ranges;
        chunk->capacity *= 2;
    }
    memmove(ranges + at + 1, ranges + at, (chunk->count - at) * sizeof *ranges);
    ranges[at] = (offset_range){place, place};
    chunk->count++;
    return 1;
}

int offset_set_insert(offset_set *set, uint64_t offset)
{
    uint64_t key = offset / CHUNK_OFFSETS;
    size_t index = find_chunk(set, key);
    if (index == set->count || set->chunks[index].key != key) return insert_chunk(set, index, key, (uint16_t)offset);
    return insert_place(&set->chunks[index], (uint16_t)offset);
}

void offset_set_clear(offset_set *set)
{
    for (size_t i = 0; i < set->count; i++) free(set->chunks[i].capacity == 0 ? (void *)set->chunks[i].bits : set->chunks[i].ranges);
    free(set->chunks);
    *set = (offset_set){0};
}

size_t offset_set_bytes(const offset_set *set)
{
    size_t bytes = set->capacity * sizeof *set->chunks;
    for (size_t i = 0; i < set->count; i++) {
        const offset_chunk *chunk = &set->chunks[i];
        bytes += chunk->capacity == 0 ? BITMAP_WORDS * sizeof *chunk->bits : chunk->capacity * sizeof *chunk->ranges;
    }
    return bytes;
}

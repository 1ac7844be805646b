// A library that is no plugin and knows nothing of Capelet: functions of every type that can be called, and some that do wrong.
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int8_t negate_i8(int8_t value) { return (int8_t)-value; }
EXPORT int16_t negate_i16(int16_t value) { return (int16_t)-value; }
EXPORT int32_t negate_i32(int32_t value) { return -value; }
EXPORT int64_t negate_i64(int64_t value) { return -value; }
EXPORT uint8_t invert_u8(uint8_t value) { return (uint8_t)~value; }
EXPORT uint16_t invert_u16(uint16_t value) { return (uint16_t)~value; }
EXPORT uint32_t invert_u32(uint32_t value) { return ~value; }
EXPORT uint64_t invert_u64(uint64_t value) { return ~value; }
EXPORT float half_f32(float value) { return value / 2; }
EXPORT double half_f64(double value) { return value / 2; }
EXPORT bool invert_bool(bool value) { return !value; }
EXPORT size_t next_size(size_t value) { return value + 1; }
EXPORT const char *same_text(const char *text) { return text; }
EXPORT const void *same_pointer(const void *bytes) { return bytes; }
EXPORT void nothing(void) {}

#ifndef VERSION
#define VERSION "0"
#endif
EXPORT const char *version(void) { return VERSION; }

/// More than registers hold, of all sorts: each is weighed by its place, so that none can be taken for another.
EXPORT double sixteen(int8_t a, double b, uint16_t c, float d, int64_t e, double f, uint32_t g, float h, uint64_t i, double j, int16_t k,
                      double l, uint8_t m, double n, int32_t o, double p) {
    return a + 2 * b + 3 * c + 4 * d + 5 * (double)e + 6 * f + 7 * g + 8 * h + 9 * (double)i + 10 * j + 11 * k + 12 * l + 13 * m + 14 * n +
           15 * o + 16 * p;
}

EXPORT int fail_with(int code) {
    errno = code;
    return -1;
}

/// Text of `size` letters; one text for all calls.
EXPORT const char *text_of(size_t size) {
    static char *text = NULL;
    free(text);
    text = malloc(size + 1);
    memset(text, 'x', size);
    text[size] = 0;
    return text;
}

/// Writes the text backwards; says by `length` how much it has written, or would have.
EXPORT int backwards(char *out, uint32_t *length, const char *text) {
    size_t size = strlen(text);
    size_t capacity = *length;
    *length = (uint32_t)size;
    if (size > capacity) return 0;
    for (size_t i = 0; i < size; i++) out[i] = text[size - 1 - i];
    return 0;
}

EXPORT int negative_length(char *out, int32_t *length) {
    out[0] = 'x';
    *length = -1;
    return 0;
}

EXPORT void fill(char *out, size_t size) { memset(out, 'x', size); }
EXPORT void write_to(char *bytes) { bytes[0] = 'x'; }
EXPORT int read_from(const char *bytes) { return bytes[0]; }

EXPORT int some_data = 7;
EXPORT __thread int some_thread_data = 7;

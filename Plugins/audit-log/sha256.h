/*
 * sha256.h - SHA-256 (FIPS 180-4). Plain C, and the processor's SHA instructions where there are such (x86-64), about five times as
 * fast: opening a log means hashing all of it.
 *
 * No state beyond the structure; any thread.
 */
#ifndef CAPELET_SHA256_H
#define CAPELET_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_HEX = 64 };

/** A hash in the making. */
typedef struct sha256 {
    uint32_t state[8];
    uint64_t size;
    uint8_t block[64];
} sha256;

void sha256_begin(sha256 *hash);
void sha256_add(sha256 *hash, const void *data, size_t size);
void sha256_end(sha256 *hash, uint8_t digest[SHA256_BYTES]);

/** The hash of `size` bytes as 64 lower-case hexadecimal digits, not terminated. */
void sha256_hex(const void *data, size_t size, char hex[SHA256_HEX]);

/** The plain C inner loop, for the test that compares it with the one in use. */
void sha256_compress_portable(uint32_t state[8], const uint8_t *data, size_t blocks);
/** The inner loop in use on this machine. */
void sha256_compress(uint32_t state[8], const uint8_t *data, size_t blocks);

#endif

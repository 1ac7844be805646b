// CRC32C: eight tables of 256 words ("slicing by 8", Kounavis and Berry 2005) where the processor has no instruction for it, the SSE4.2
// or ARMv8 instruction where it has one.
#include "checksum.h"

#include <pthread.h>
#include <string.h>

static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78u : 0);
        tables[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int t = 1; t < 8; t++) tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 255];
    }
}

uint32_t capelet_linux_crc32c_portable(uint32_t crc, const void *bytes, size_t size) {
    pthread_once(&tables_once, make_tables);
    const uint8_t *at = bytes;
    crc = ~crc;
    while (size >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        word ^= crc;
        crc = tables[7][word & 255] ^ tables[6][(word >> 8) & 255] ^ tables[5][(word >> 16) & 255] ^ tables[4][(word >> 24) & 255]
            ^ tables[3][(word >> 32) & 255] ^ tables[2][(word >> 40) & 255] ^ tables[1][(word >> 48) & 255] ^ tables[0][word >> 56];
        at += 8;
        size -= 8;
    }
    while (size--) crc = (crc >> 8) ^ tables[0][(crc ^ *at++) & 255];
    return ~crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const uint8_t *at, size_t size) {
    uint64_t state = ~crc;
    while (size >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        state = _mm_crc32_u64(state, word);
        at += 8;
        size -= 8;
    }
    while (size--) state = _mm_crc32_u8((uint32_t)state, *at++);
    return ~(uint32_t)state;
}

uint32_t capelet_linux_crc32c(uint32_t crc, const void *bytes, size_t size) {
    if (__builtin_cpu_supports("sse4.2")) return crc32c_sse42(crc, bytes, size);
    return capelet_linux_crc32c_portable(crc, bytes, size);
}
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

uint32_t capelet_linux_crc32c(uint32_t crc, const void *bytes, size_t size) {
    const uint8_t *at = bytes;
    crc = ~crc;
    while (size >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        crc = __crc32cd(crc, word);
        at += 8;
        size -= 8;
    }
    while (size--) crc = __crc32cb(crc, *at++);
    return ~crc;
}
#else
uint32_t capelet_linux_crc32c(uint32_t crc, const void *bytes, size_t size) {
    return capelet_linux_crc32c_portable(crc, bytes, size);
}
#endif

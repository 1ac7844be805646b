// SHA-256 (FIPS 180-4), for naming the generations of plugins. In C because a debug build of the same in Swift takes minutes for a plugin
// that carries its own Swift runtime.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct capelet_linux_sha256 {
    uint32_t state[8];
    uint64_t size;
    uint8_t block[64];
};

void capelet_linux_sha256_start(struct capelet_linux_sha256 *hash);
void capelet_linux_sha256_add(struct capelet_linux_sha256 *hash, const void *bytes, size_t size);
/// Ends the hash and writes its 32 bytes.
void capelet_linux_sha256_end(struct capelet_linux_sha256 *hash, uint8_t digest[32]);

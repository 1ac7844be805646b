// CRC32C (Castagnoli, RFC 3720 appendix B.4), with the processor's instruction where it has one.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// Carries `crc` (0 to begin with) on over `size` bytes. Any thread.
uint32_t capelet_linux_crc32c(uint32_t crc, const void *bytes, size_t size);

/// The same without the processor's instruction; for machines that lack it and for comparison in tests.
uint32_t capelet_linux_crc32c_portable(uint32_t crc, const void *bytes, size_t size);

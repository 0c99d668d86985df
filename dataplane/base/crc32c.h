/* CRC32C (Castagnoli; RFC 3720 appendix B.4), with the CPU's instruction. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Continues a sum (0 to begin) over bytes. crc32c(0, "123456789", 9) == 0xe3069283. */
uint32_t crc32c(uint32_t sum, const void *bytes, size_t len);

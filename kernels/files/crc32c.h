#pragma once

#include <cstddef>
#include <cstdint>

namespace scene {

/// CRC-32C (Castagnoli: reflected polynomial 0x82F63B78, initial value and final xor 0xFFFFFFFF). `before` is the
/// checksum of the preceding bytes, so that crc32c(b, crc32c(a)) is the checksum of a followed by b. Uses the
/// instruction of SSE4.2 if compiled for it, else a table of 256 entries.
uint32_t crc32c(const void* data, size_t bytes, uint32_t before = 0);

} // namespace scene

#pragma once

#include <cstddef>
#include <cstdint>

namespace scene {

/// CRC-32C (Castagnoli: reflected polynomial 0x82F63B78, initial value and final xor 0xFFFFFFFF) of some bytes that
/// follow bytes whose checksum is `before`. About 8 GB/s where the processor has the instruction.
uint32_t crc32c(const void* data, size_t bytes, uint32_t before = 0);

} // namespace scene

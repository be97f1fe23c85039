#include "kernels/files/crc32c.h"

#include <cstring>

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#else
#include <array>
#endif

namespace scene {

#if defined(__SSE4_2__)

uint32_t crc32c(const void* data, size_t bytes, uint32_t before) {
    const auto* next = static_cast<const unsigned char*>(data);
    uint64_t crc = ~before;
    for (; bytes >= 8; bytes -= 8, next += 8) {
        uint64_t word;
        std::memcpy(&word, next, 8);
        crc = _mm_crc32_u64(crc, word);
    }
    auto tail = static_cast<uint32_t>(crc);
    for (; bytes > 0; --bytes, ++next) tail = _mm_crc32_u8(tail, *next);
    return ~tail;
}

#else

uint32_t crc32c(const void* data, size_t bytes, uint32_t before) {
    static const std::array<uint32_t, 256> table = [] {
        std::array<uint32_t, 256> out{};
        for (uint32_t byte = 0; byte < 256; ++byte) {
            uint32_t crc = byte;
            for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) ? 0x82F63B78u : 0u);
            out[byte] = crc;
        }
        return out;
    }();
    const auto* next = static_cast<const unsigned char*>(data);
    uint32_t crc = ~before;
    for (; bytes > 0; --bytes, ++next) crc = (crc >> 8) ^ table[(crc ^ *next) & 0xFFu];
    return ~crc;
}

#endif

} // namespace scene

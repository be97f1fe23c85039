#pragma once

// F16 and BF16 on the host.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "kernels/tensor.h"

namespace scene {

/// BF16: the upper half of a float, that is 8 bits of precision and float's range. Older compilers have no type for it.
class BFloat16 {
public:
    BFloat16() = default;
    /// Rounds to nearest, ties to even; overflows to infinity. A NaN stays one.
    explicit BFloat16(float value) {
        const auto bits = std::bit_cast<uint32_t>(value);
        const uint32_t up_to_even = 0x7FFFu + (bits >> 16 & 1u);
        bits_ = static_cast<uint16_t>(value != value ? bits >> 16 | 0x40u : (bits + up_to_even) >> 16);
    }
    operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits_) << 16); } // NOLINT: exact

private:
    uint16_t bits_ = 0;
};

/// Calls work(T{}) with the host's type for F16 or BF16. Throws std::logic_error for another type.
template <typename Work> void with_half_width(DType type, Work&& work) {
    SCENE_CHECK(is_half_width(type), "a tensor is " + std::string(name_of(type)) + ", expected F16 or BF16");
    if (type == DType::F16) {
        work(_Float16{});
    } else {
        work(BFloat16{});
    }
}

/// The values, rounded to F16 or BF16, as the bytes of such a tensor.
inline std::vector<std::byte> half_width_bytes(DType type, std::span<const float> values) {
    std::vector<std::byte> bytes(values.size() * size_of(type));
    with_half_width(type, [&](auto narrow) {
        for (size_t i = 0; i < values.size(); ++i) {
            narrow = static_cast<decltype(narrow)>(values[i]);
            std::memcpy(bytes.data() + i * sizeof narrow, &narrow, sizeof narrow);
        }
    });
    return bytes;
}

} // namespace scene

#pragma once

// The widest vectors of float that the compiler's target has, as GCC vector types: the same source gives AVX-512, AVX2
// or narrower code.

#include <cstdint>
#include <cstring>

namespace scene::cpu {

#if defined(__AVX512F__)
constexpr int lanes = 16;
#elif defined(__AVX__)
constexpr int lanes = 8;
#else
constexpr int lanes = 4;
#endif

typedef float Vec __attribute__((vector_size(lanes * sizeof(float))));
typedef float UnalignedVec __attribute__((vector_size(lanes * sizeof(float)), aligned(4), may_alias));

inline Vec load(const float* from) { return *reinterpret_cast<const UnalignedVec*>(from); }
inline void store(float* to, Vec value) { *reinterpret_cast<UnalignedVec*>(to) = value; }
// Subtracting zero changes no value, so compilers emit a plain broadcast. Adding zero would turn -0 into 0.
inline Vec broadcast(float value) { return value - Vec{}; }

/// relu. A NaN stays a NaN.
inline Vec positive_part(Vec value) { return value <= 0 ? Vec{} : value; }

/// The maximum; NaN if either is NaN. Two selections, which compilers vectorise; with `||` they do not.
inline float larger(float a, float b) {
    const float most = a > b ? a : b; // b if either is NaN
    return a == a ? most : a;
}

/// The first `count` (<= lanes) floats, then zeros.
inline Vec load_first(const float* from, int count) {
    if (count >= lanes) return load(from);
    Vec value{};
    std::memcpy(&value, from, static_cast<size_t>(count) * sizeof(float));
    return value;
}

/// Writes the first `count` (<= lanes) floats.
inline void store_first(float* to, Vec value, int count) {
    if (count >= lanes) return store(to, value);
    std::memcpy(to, &value, static_cast<size_t>(count) * sizeof(float));
}

constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

} // namespace scene::cpu

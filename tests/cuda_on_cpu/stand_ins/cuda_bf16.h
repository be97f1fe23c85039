#pragma once

// Stands in for CUDA's <cuda_bf16.h>: the types, and conversions that round to nearest even. A NaN becomes CUDA's own.

#include <cstring>

#include <cuda_runtime.h>

struct __nv_bfloat16 {
    unsigned short bits;
};
struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};

__forceinline__ float __bfloat162float(__nv_bfloat16 b) {
    const unsigned word = static_cast<unsigned>(b.bits) << 16;
    float f;
    std::memcpy(&f, &word, sizeof f);
    return f;
}

__forceinline__ __nv_bfloat16 __float2bfloat16_rn(float f) {
    if (f != f) return {0x7FFF};
    unsigned word;
    std::memcpy(&word, &f, sizeof word);
    const unsigned kept = word >> 16, dropped = word & 0xFFFFu;
    const bool up = dropped > 0x8000u || (dropped == 0x8000u && kept % 2 == 1);
    return {static_cast<unsigned short>(kept + (up ? 1 : 0))};
}

__forceinline__ float2 __bfloat1622float2(__nv_bfloat162 b) { return {__bfloat162float(b.x), __bfloat162float(b.y)}; }
__forceinline__ __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
    return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)};
}
/// All bits of an element of the result are set where a > b.
__forceinline__ unsigned __hgt2_mask(__nv_bfloat162 a, __nv_bfloat162 b) {
    return (__bfloat162float(a.x) > __bfloat162float(b.x) ? 0xFFFFu : 0u) |
           (__bfloat162float(a.y) > __bfloat162float(b.y) ? 0xFFFF0000u : 0u);
}

#include "tests/cuda_on_cpu/stand_ins/tensor_core.h"

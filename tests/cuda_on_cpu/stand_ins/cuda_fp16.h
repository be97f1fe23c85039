#pragma once

// Stands in for CUDA's <cuda_fp16.h>: the types, and conversions that round to nearest even.

#include <cuda_runtime.h>

struct __half {
    _Float16 value;
};
struct alignas(4) __half2 {
    __half x, y;
};
using half = __half;
using half2 = __half2;

__forceinline__ float __half2float(__half h) { return static_cast<float>(h.value); }
__forceinline__ __half __float2half_rn(float f) { return {static_cast<_Float16>(f)}; }
__forceinline__ float2 __half22float2(__half2 h) { return {__half2float(h.x), __half2float(h.y)}; }
__forceinline__ __half2 __floats2half2_rn(float x, float y) { return {__float2half_rn(x), __float2half_rn(y)}; }
/// All bits of a half of the result are set where a > b.
__forceinline__ unsigned __hgt2_mask(__half2 a, __half2 b) {
    return (a.x.value > b.x.value ? 0xFFFFu : 0u) | (a.y.value > b.y.value ? 0xFFFF0000u : 0u);
}

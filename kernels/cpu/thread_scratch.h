#pragma once

#include <omp.h>

#include "kernels/operands.h"

namespace scene::cpu {

/// Scratch with `floats` floats for each thread of a parallel region; no two threads share a cache line.
struct ThreadScratch {
    int64_t floats = 0;

    int64_t stride() const { return (floats + 15) / 16 * 16; }
    size_t bytes(int threads) const { return static_cast<size_t>(threads * stride()) * sizeof(float); }
    /// The calling thread's share of `all`.
    float* own(float* all) const { return all + omp_get_thread_num() * stride(); }
};

} // namespace scene::cpu

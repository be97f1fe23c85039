#pragma once

// What the passes of batch norm over rows or pooling windows share.

#include "kernels/cuda/common/operands.h"

namespace scene::cuda {

/// The rows of this block. Blocks take the chunks from the last to the first: the pass before went the other way, and
/// what it read last may still be in the L2 cache.
struct ChunkFromTheEnd {
    int64_t first, end;

    __device__ ChunkFromTheEnd(int64_t rows, int64_t rows_per_chunk)
        : first((gridDim.x - 1 - blockIdx.x) * rows_per_chunk),
          end(first + rows_per_chunk < rows ? first + rows_per_chunk : rows) {}
};

/// Pixels and pooling windows are counted in int.
inline void check_pixels(const Shape& x, bool max_pool) {
    if (!max_pool) return;
    const int64_t pixels = x.elements() / x[x.rank() - 1];
    SCENE_CHECK(pixels < int64_t{1} << 31, "batch norm with pooling over " + std::to_string(pixels) + " pixels");
}

} // namespace scene::cuda

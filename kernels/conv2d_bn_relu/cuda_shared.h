#pragma once

// Shared by the CUDA kernels of both ops.

#include "kernels/conv2d_bn_relu/conv2d_bn_relu.h"
#include "kernels/cuda/common/column_sums.h"
#include "kernels/cuda/common/im2col.h"
#include "kernels/cuda/context.h"

namespace scene::cuda {

constexpr int warps = block_threads / warp_lanes;

/// The number of blocks with one warp per item.
inline unsigned warp_blocks(int64_t items) { return static_cast<unsigned>(divide_up(items, warps)); }

/// The sizes of a shape; throws if it does not suit.
inline StemSizes closed_form_sizes(const Conv2dShape& shape) {
    SCENE_CHECK(conv2d_bn_relu_suits(shape), "x " + shape.x().text() + " with w " + shape.w().text() +
                                                 " is no convolution whose batch norm has a closed form");
    return StemSizes(shape);
}

/// sums = factor*(sum over all blocks).
struct FinishSums {
    double* sums;
    double factor;
    __device__ void operator()(int, int i, const double (&sum)[1]) const { sums[i] = factor * sum[0]; }
};

} // namespace scene::cuda

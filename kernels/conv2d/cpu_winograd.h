#pragma once

// 3x3 convolutions of stride 1 and padding 1 by Winograd's F(4x4, 3x3) (kernels/conv2d/cpu_winograd_transforms.h), in
// blocks of tiles: transform the inputs of a block to V [36, tiles, C], multiply 36 times by the transformed weights U
// [36, C, K] into M [36, tiles, K], transform back. The data gradient is the same with the weights rotated and
// transposed; the weight gradient is the exact adjoint, dU = V^T dM summed over tiles.

#include <cstddef>

#include "kernels/conv2d/cpu_moments.h"
#include "kernels/op_types.h"

namespace scene::cpu {

bool winograd_suits(const Conv2dShape& shape);
size_t winograd_scratch_bytes(int threads, const Conv2dShape& shape, ConvPass pass);
size_t winograd_weight_grad_scratch_bytes(const Conv2dShape& shape);

/// U alone, and the scratch of a forward pass that is given it; {} where making U is a small part of the work.
PreparedWeights winograd_prepared_weights(int threads, const Conv2dShape& shape);
void winograd_prepare_weights(int threads, float* u, const float* w, const Conv2dShape& shape);

/// Pointers of the operands; null where an optional one is absent. One of w and u is there.
struct WinogradForward {
    float* y = nullptr;
    const float *x = nullptr, *w = nullptr, *u = nullptr;
    const float *input_scale = nullptr, *input_shift = nullptr; ///< convolve relu(scale*x + shift)
    ConvEpilogue epilogue;
};

void winograd_forward(int threads, const WinogradForward& operands, void* scratch, const Conv2dShape& shape);
void winograd_data_grad(int threads, float* dx, const float* dy, const float* w, void* scratch,
                        const Conv2dShape& shape);
void winograd_weight_grad(int threads, float* dw, const float* dy, const float* x, const float* input_scale,
                          const float* input_shift, void* scratch, const Conv2dShape& shape);

} // namespace scene::cpu

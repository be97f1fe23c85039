#pragma once

// 3x3 convolutions of stride 1 and padding 1 by Winograd's F(4x4, 3x3) (kernels/conv2d/cpu_winograd_transforms.h), in
// blocks of tiles:
// - forward: transform the inputs of a block to V [36, tiles, C], multiply V by the transformed filters U [36, C, K] in
//   36 GEMMs to M [36, tiles, K], transform M back
// - data gradient: the same from dy to dx, with the filters rotated by 180 degrees and transposed
// - weight gradient: the exact adjoint, dU = V^T dM summed over tiles

#include <cstddef>

#include "kernels/conv2d/cpu_moments.h"
#include "kernels/op_types.h"

namespace scene::cpu {

bool winograd_suits(const Conv2dShape& shape);
size_t winograd_scratch_bytes(int threads, const Conv2dShape& shape, ConvPass pass);
size_t winograd_weight_grad_scratch_bytes(const Conv2dShape& shape);

/// The floats of U, and the scratch of a forward pass with a given U. {} where making U is a small part of the work.
PreparedWeights winograd_prepared_weights(int threads, const Conv2dShape& shape);
void winograd_prepare_weights(int threads, float* u, const float* w, const Conv2dShape& shape);

/// Operands of a forward pass, null where absent.
struct WinogradForward {
    float* y = nullptr;
    const float* x = nullptr;
    const float *w = nullptr, *u = nullptr;                     ///< filters, as they are or transformed: one of the two
    const float *input_scale = nullptr, *input_shift = nullptr; ///< convolve relu(input_scale*x + input_shift)
    ConvEpilogue epilogue;
};

void winograd_forward(int threads, const WinogradForward& operands, void* scratch, const Conv2dShape& shape);
void winograd_data_grad(int threads, float* dx, const float* dy, const float* w, void* scratch,
                        const Conv2dShape& shape);
void winograd_weight_grad(int threads, float* dw, const float* dy, const float* x, const float* input_scale,
                          const float* input_shift, void* scratch, const Conv2dShape& shape);

} // namespace scene::cpu

#pragma once

// Convolutions with few input channels (stems) by im2col: GEMMs with the input's patches [pixels, R*S*C], which are
// gathered block by block and never materialised.
//
// Vectors run over output channels (forward, weight gradient) or patch elements (data gradient). oneDNN's run over
// input channels, of which there are too few here. With 1 channel and a 5x5 kernel the forward pass is twice and the
// data gradient 9 times as fast as PyTorch's; with 9 channels oneDNN is twice as fast as this.

#include <cstddef>

#include "kernels/conv2d/cpu_moments.h"
#include "kernels/op_types.h"

namespace scene::cpu {

/// The most elements of a patch, and input channels.
constexpr int64_t max_patch = 96, most_input_channels = 4;

bool im2col_suits(const Conv2dShape& shape);
size_t im2col_scratch_bytes(int threads, const Conv2dShape& shape, ConvPass pass);

void im2col_forward(int threads, float* y, const float* x, const float* w, const ConvEpilogue& epilogue, void* scratch,
                    const Conv2dShape& shape);
void im2col_data_grad(int threads, float* dx, const float* dy, const float* w, void* scratch, const Conv2dShape& shape);
void im2col_weight_grad(int threads, float* dw, const float* dy, const float* x, void* scratch,
                        const Conv2dShape& shape);

} // namespace scene::cpu

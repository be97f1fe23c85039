#pragma once

// Convolutions of few input channels (the first layers) by im2col: matrix products with the patches of the input,
// [pixels, R*S*C], which are gathered block by block and never materialised. The work is writing y, so whole vectors of
// output channels are what matters. A library's kernels want whole vectors of input channels and lose there (1 channel,
// 5x5: data gradient 9 times, forward twice as fast as PyTorch's; at 9 channels oneDNN is twice as fast).

#include <cstddef>

#include "kernels/conv2d/cpu_moments.h"
#include "kernels/op_types.h"

namespace scene::cpu {

/// Patches of at most this many elements, of at most this many channels.
constexpr int64_t max_patch = 96, most_input_channels = 4;

bool im2col_suits(const Conv2dShape& shape);
size_t im2col_scratch_bytes(int threads, const Conv2dShape& shape, ConvPass pass);

void im2col_forward(int threads, float* y, const float* x, const float* w, const ConvEpilogue& epilogue, void* scratch,
                    const Conv2dShape& shape);
void im2col_data_grad(int threads, float* dx, const float* dy, const float* w, void* scratch, const Conv2dShape& shape);
void im2col_weight_grad(int threads, float* dw, const float* dy, const float* x, void* scratch,
                        const Conv2dShape& shape);

} // namespace scene::cpu

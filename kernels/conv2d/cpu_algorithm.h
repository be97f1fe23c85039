#pragma once

// The algorithm of each convolution on the CPU, and the fusions and scratch that follow from it. The first rule that
// applies decides:
//
// - At most 4 input channels, patches of at most 96 elements: im2col (kernels/conv2d/cpu_im2col.h).
// - 3x3, stride 1, padding 1, at least a vector of input and of output channels: Winograd
//   (kernels/conv2d/cpu_winograd.h).
// - Everything else: oneDNN (kernels/cpu/convolution_plans.h).
//
// The rules follow from measurements on one core of an AMD Zen 4 (peak 111 GFLOP/s of multiply-adds) with oneDNN 2.6.3.
// The table has GFLOP/s, forward / data grad / weight grad, of the direct method's FLOPs, with 4 clips. The last two
// columns are PyTorch 2.15 and ours with 8 clips, by processor time on a machine that was not idle.
//
//   layer                        oneDNN            Winograd        PyTorch          ours
//   250x32, 16 -> 16        95 / 104 /  95    91 /  90 / 116
//   250x32, 24 -> 24        75 /  80 /  70    94 /  92 /  74
//   250x32, 36 -> 36        67 /  68 /  70   122 / 118 / 111
//   62x8, 144 -> 144       112 / 104 /  96   220 / 217 / 174
//   500x64, 64 -> 64                                            70 /  82 / 62   202 / 211 / 194
//   250x32, 144 -> 144                                          87 /  92 / 58   274 / 266 / 223
//   125x16, 288 -> 288                                          99 / 100 / 62   279 / 292 / 297
//   62x8, 576 -> 576                                           103 / 101 / 55   273 / 268 / 265
//
// Largest error over largest value at these layers, with normally distributed operands: Winograd 0.6e-6 to 3.4e-6,
// oneDNN 0.2e-6 to 1.8e-6.

#include "kernels/cpu/context.h"
#include "kernels/op_types.h"

namespace scene::cpu {

enum class ConvAlgorithm : uint8_t { Im2col, Winograd, OneDnn };

ConvAlgorithm conv_algorithm(const Conv2dShape& shape);
ConvFusion conv2d_fusion(const Conv2dShape& shape);
PreparedWeights conv2d_prepared_weights(int threads, const Conv2dShape& shape);
/// Scratch of a pass without prepared weights.
size_t conv2d_scratch_bytes(int threads, ConvolutionPlans& plans, const Conv2dShape& shape, ConvPass pass);

} // namespace scene::cpu

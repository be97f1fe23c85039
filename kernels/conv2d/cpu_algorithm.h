#pragma once

// Which algorithm computes which convolution on the CPU, and what follows from it before anything runs.
//
// - At most 4 input channels: im2col (kernels/conv2d/cpu_im2col.h).
// - 3x3, stride 1, padding 1, at least a vector of channels on both sides: Winograd (kernels/conv2d/cpu_winograd.h).
// - Everything else: oneDNN (kernels/cpu/convolution_plans.h).
//
// The rule follows from measurement: GFLOP/s of the direct method's operations, forward / data grad / weight grad, one
// core of an AMD Zen 4 (multiply-add peak 111), oneDNN 2.6.3, 4 clips; the last two columns are 8 clips, PyTorch 2.15
// beside ours, by processor time on a machine that did other work too.
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
// Largest error over largest value at these layers, normal operands: Winograd 0.6e-6 to 3.4e-6, oneDNN 0.2e-6
// to 1.8e-6.

#include "kernels/cpu/context.h"
#include "kernels/op_types.h"

namespace scene::cpu {

enum class ConvAlgorithm : uint8_t { Im2col, Winograd, OneDnn };

ConvAlgorithm conv_algorithm(const Conv2dShape& shape);
ConvFusion conv2d_fusion(const Conv2dShape& shape);
PreparedWeights conv2d_prepared_weights(int threads, const Conv2dShape& shape);
/// Of a pass that is not given prepared weights.
size_t conv2d_scratch_bytes(int threads, ConvolutionPlans& plans, const Conv2dShape& shape, ConvPass pass);

} // namespace scene::cpu

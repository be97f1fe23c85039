#pragma once

// The list of all ops. Each has a folder kernels/<op>/ with its contract, <op>.h, and its implementations:
// reference.cpp (naive, in double or float: the oracle of the others), cpu*.cpp and cuda*.cu.
//
// Conventions
// - Layout is NHWC: activations [N, H, W, C] with H = time and W = frequency, convolution weights [K, R, S, C], linear
//   weights [out, in]. N clips, T tokens, D features per token, K classes.
// - "Activation type" is F32, or F16 or BF16 on devices that train in half the width. Statistics, master weights,
// losses and
//   everything marked f32 are always F32; indices are I32; `control` is the StepControl, U8.
// - An output may alias an input only if the op's contract says "in place".
// - Reductions have a fixed order: the same inputs give the same bits, run after run.
// - Shapes and types are checked; a wrong one throws std::logic_error that says what was expected.

#include "kernels/accumulate_metrics/accumulate_metrics.h"
#include "kernels/adam/adam.h"
#include "kernels/adjust_loss_scale/adjust_loss_scale.h"
#include "kernels/advance/advance.h"
#include "kernels/attention/attention.h"
#include "kernels/augment_features/augment_features.h"
#include "kernels/band_moments/band_moments.h"
#include "kernels/batch_norm/batch_norm.h"
#include "kernels/concat/concat.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d_bn_reduce/conv2d_bn_reduce.h"
#include "kernels/conv2d_bn_relu/conv2d_bn_relu.h"
#include "kernels/convert/convert.h"
#include "kernels/deltas/deltas.h"
#include "kernels/draw_augmentation/draw_augmentation.h"
#include "kernels/embedding/embedding.h"
#include "kernels/fill_zero/fill_zero.h"
#include "kernels/gather_rows/gather_rows.h"
#include "kernels/hard_sample_weights/hard_sample_weights.h"
#include "kernels/layer_norm/layer_norm.h"
#include "kernels/linear/linear.h"
#include "kernels/log_mel/log_mel.h"
#include "kernels/mix_targets/mix_targets.h"
#include "kernels/nearest_votes/nearest_votes.h"
#include "kernels/scatter_rows/scatter_rows.h"
#include "kernels/softmax/softmax.h"
#include "kernels/softmax_loss/softmax_loss.h"
#include "kernels/squeeze_excite/squeeze_excite.h"
#include "kernels/token_max/token_max.h"
#include "kernels/token_pool/token_pool.h"
#include "kernels/weight_decay/weight_decay.h"

namespace scene {

template <template <class> class... Op> struct OpList {};

using AllOps = OpList<
    // features
    LogMel, Deltas,
    // batches and their augmentation
    GatherRows, ScatterRows, Advance, DrawAugmentation, BandMoments, AugmentFeatures, MixTargets,
    // convolution
    Conv2dForward, Conv2dDataGrad, Conv2dWeightGrad, Conv2dPrepareWeights, FoldConvWeights, Conv2dDataGradBnReduce,
    Conv2dBnStatistics, Conv2dBnReluBackward,
    // batch norm
    BatchNormStatistics, BatchNormFinalize, BatchNormFold, BatchNormForward, BatchNormBackward, BatchNormApplyGradient,
    // squeeze and excitation
    SqueezeExciteSqueeze, SqueezeExciteForward, SqueezeExciteBackwardGate, SqueezeExciteBackward,
    // transformer encoder
    TokenPoolForward, TokenPoolBackward, TokenMaxForward, TokenMaxBackward, LinearForward, LinearActivationBackward,
    LinearDataGrad, LinearWeightGrad, AttentionForward, AttentionBackward, LayerNormForward, LayerNormBackward,
    // fusion head
    EmbeddingForward, EmbeddingBackward, ConcatForward, ConcatBackward,
    // loss, metrics, optimiser
    SoftmaxLoss, Softmax, AccumulateMetrics, HardSampleWeights, Adam, WeightDecay, AdjustLossScale, FillZero, Convert,
    // nearest neighbours
    NearestVotes>;

} // namespace scene

#pragma once

#include <functional>
#include <memory>
#include <string>

#include "model/program_builder.h"

namespace scene {

/// The batch norm behind a FeatureMap's raw values. The consumer's dgrad may also reduce dgamma and dbeta. It then
/// stores the ReLU-masked dz as the map's gradient and sets `gradient_is_summed`.
struct NormOfMap {
    std::string name;
    TensorId mean, inv_std, gamma, beta;
    bool gradient_is_summed = false; ///< dgamma and dbeta are computed, the gradient is dz
};

/// The output of a convolution block. Its values after batch norm are not stored: a consumer materialises them and
/// recomputes them in the backward pass, or it is a convolution that reads raw, scale and shift and normalises on load.
/// So a training step keeps one tensor per convolution for its backward pass instead of two.
struct FeatureMap {
    TensorId key;                    ///< identifies the gradient: ProgramBuilder::set_gradient(key, ...)
    Shape shape;                     ///< [N, H, W, C]
    TensorId raw, scale, shift;      ///< set if the values are relu(scale*raw + shift)
    std::shared_ptr<NormOfMap> norm; ///< set in training if raw is
    TensorId stored;                 ///< set if the values are kept until the backward pass
    /// Adds the ops that write the values, and returns them; `suffix` makes the ops' names unique.
    std::function<TensorId(const std::string& suffix)> materialize;
};

/// Wraps a tensor that is kept until the backward pass (the network's input, a pooled activation).
FeatureMap stored_map(const ProgramBuilder& builder, TensorId values);

/// A convolution and its batch norm. Padding is zeros on all sides.
struct ConvNormSpec {
    std::string conv, norm; ///< parameter prefixes, "block1.conv1" and "block1.norm1"
    int64_t channels = 0;   ///< of the output
    int64_t kernel = 3, stride = 1, padding = 1;
    Init::Kind init = Init::Kind::HeNormal; ///< HeNormal or XavierUniform
    NormEpilogue epilogue;
};

/// Batch norm "input_norm" without relu, on x F32 [N, T, F, C] as a matrix [N*T, F*C]: one mean and variance per band
/// and channel. The output is of the activation type. x gets no gradient.
FeatureMap input_norm(ProgramBuilder& builder, TensorId x);

/// Convolution without bias, batch norm, epilogue (relu, dropout, 2x2 max pooling). In inference there is no dropout;
/// batch norm and relu are folded into the convolution if no pooling follows and the device can add bias and relu.
FeatureMap conv_norm(ProgramBuilder& builder, const FeatureMap& x, const ConvNormSpec& spec);

/// Convolution without bias, batch norm, squeeze-excitation (Hu et al., arXiv 1709.01507; reduction 16, parameters
/// `se`.reduce.weight and `se`.expand.weight without biases), relu; then 2x2 average pooling if `avg_pool`. The spec's
/// epilogue is not used.
FeatureMap conv_norm_se(ProgramBuilder& builder, const FeatureMap& x, const ConvNormSpec& spec, const std::string& se,
                        bool avg_pool);

/// Adaptive average pooling over H to `tokens` rows, and the mean over W: [N, H, W, C] to F32 [N, tokens, C].
TensorId token_pool(ProgramBuilder& builder, const FeatureMap& x, int64_t tokens);

/// One post-norm transformer encoder layer (torch.nn.TransformerEncoderLayer with relu) over x F32 [N, T, D]. Its
/// parameters have PyTorch's names, with the prefix `name`. D must be a multiple of `heads`.
TensorId encoder_layer(ProgramBuilder& builder, TensorId x, const std::string& name, int heads, int64_t feed_forward,
                       float dropout);

/// The maximum over the tokens: [N, T, D] to [N, D].
TensorId token_max(ProgramBuilder& builder, TensorId x);

/// activation(x w^T + bias) for x [M, I]; parameters `name`.weight [out, I] and `name`.bias [out], initialised Xavier
/// uniform and zero.
TensorId linear(ProgramBuilder& builder, TensorId x, const std::string& name, int64_t out, Activation activation);

/// Rows of an embedding: [N, width] for `index` I32 [N], zeros for index -1. Parameter `name`.weight [rows, width].
TensorId embedding(ProgramBuilder& builder, TensorId index, const std::string& name, int64_t rows, int64_t width);

/// Concatenation of a, b and c [N, ...] along the last axis.
TensorId concat(ProgramBuilder& builder, const std::string& name, TensorId a, TensorId b, TensorId c);

} // namespace scene

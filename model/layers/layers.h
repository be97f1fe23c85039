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
    bool gradient_is_summed = false;
};

/// The output of a convolution block, between layers. Its values are not stored after the batch norm: a consumer
/// materialises them (and recomputes them in the backward pass), or hands raw values, scale and shift to a convolution
/// that normalises on load. So a training step keeps one tensor per convolution for its backward pass instead of two.
struct FeatureMap {
    TensorId key;                    ///< names the gradient: ProgramBuilder::set_gradient(key, ...)
    Shape shape;                     ///< [N, H, W, C]
    TensorId raw, scale, shift;      ///< set when the values are relu(scale*raw + shift)
    std::shared_ptr<NormOfMap> norm; ///< set in training where raw is
    TensorId stored;                 ///< set when the values are kept until the backward pass
    std::function<TensorId(const std::string& suffix)> materialize; ///< adds the ops that write the values
};

/// Wraps a tensor that stays alive (the network's input, a pooled activation).
FeatureMap stored_map(const ProgramBuilder& builder, TensorId values);

struct ConvNormSpec {
    std::string conv, norm; ///< parameter prefixes, "block1.conv1" and "block1.norm1"
    int64_t channels = 0;
    int64_t kernel = 3, stride = 1, padding = 1;
    Init::Kind init = Init::Kind::HeNormal; ///< HeNormal or XavierUniform
    NormEpilogue epilogue;
};

/// Batch norm over the columns of x [N, T, F, C] seen as [N*T, F*C], without relu: "input_norm".
FeatureMap input_norm(ProgramBuilder& builder, TensorId x);

/// Convolution without bias, batch norm, epilogue.
FeatureMap conv_norm(ProgramBuilder& builder, const FeatureMap& x, const ConvNormSpec& spec);

/// Convolution without bias, batch norm, squeeze-excitation (reduction 16, parameters `se`.reduce and `se`.expand
/// without biases), relu; then 2x2 average pooling when asked. The spec's epilogue is not used.
FeatureMap conv_norm_se(ProgramBuilder& builder, const FeatureMap& x, const ConvNormSpec& spec, const std::string& se,
                        bool avg_pool);

/// [N, H, W, C] to [N, tokens, C].
TensorId token_pool(ProgramBuilder& builder, const FeatureMap& x, int64_t tokens);

/// One post-norm transformer encoder layer (torch.nn.TransformerEncoderLayer, relu) over x [N, T, D]; parameters under
/// `name`.
TensorId encoder_layer(ProgramBuilder& builder, TensorId x, const std::string& name, int heads, int64_t feed_forward,
                       float dropout);

/// x [N, T, D] to its maximum over tokens [N, D].
TensorId token_max(ProgramBuilder& builder, TensorId x);

/// activation(x w^T + bias) for x [M, I]; parameters `name`.weight [out, I] and `name`.bias.
TensorId linear(ProgramBuilder& builder, TensorId x, const std::string& name, int64_t out, Activation activation);

/// y [N, E] from an index [N] into a table of `rows` rows, zeros where it is -1; parameter `name`.weight.
TensorId embedding(ProgramBuilder& builder, TensorId index, const std::string& name, int64_t rows, int64_t width);

/// The rows of a, b and c side by side.
TensorId concat(ProgramBuilder& builder, const std::string& name, TensorId a, TensorId b, TensorId c);

} // namespace scene

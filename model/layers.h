#pragma once

#include <functional>
#include <memory>
#include <string>

#include "model/emitter.h"

namespace scene {

/// The batch norm behind raw values whose relu is a FeatureMap. Whoever computes the map's gradient may take in the
/// norm's sums; the gradient it sets is then that of the norm's output, masked, and the norm's parameters have theirs.
struct NormOfMap {
    std::string name;
    TensorId mean, inv_std, gamma, beta;
    bool gradient_is_summed = false;
};

/// The output of a convolution block, between layers. It is not stored after its batch norm: whoever needs the
/// values writes them (again), or hands raw values, scale and shift to a convolution that normalises on load. So a
/// training step keeps one tensor per convolution for its backward pass instead of two.
struct FeatureMap {
    TensorId key;                                             ///< names the gradient: Emitter::set_gradient(key, ...)
    Shape shape;                                              ///< [N, H, W, C]
    TensorId raw, scale, shift;                               ///< set when the values are relu(scale*raw + shift)
    std::shared_ptr<NormOfMap> norm;                          ///< set in training where raw is
    TensorId stored;                                          ///< set when the values are kept until the backward pass
    std::function<TensorId(const std::string& suffix)> write; ///< emits the ops that write the values
};

/// Wraps a tensor that stays alive (the network's input, a pooled activation).
FeatureMap stored_map(const Emitter& emitter, TensorId values);

struct ConvNormSpec {
    std::string conv, norm; ///< parameter prefixes, "block1.conv1" and "block1.norm1"
    int64_t channels = 0;
    int64_t kernel = 3, stride = 1, padding = 1;
    Init::Kind init = Init::Kind::HeNormal; ///< HeNormal or XavierUniform
    NormEpilogue epilogue;
};

/// Batch norm over the columns of x [N, T, F, C] seen as [N*T, F*C], without relu: "input_norm".
FeatureMap input_norm(Emitter& emitter, TensorId x);

/// Convolution without bias, batch norm, epilogue.
FeatureMap conv_norm(Emitter& emitter, const FeatureMap& x, const ConvNormSpec& spec);

/// Convolution without bias, batch norm, squeeze-excitation (reduction 16, parameters `se`.reduce and `se`.expand
/// without biases), relu; then 2x2 average pooling when asked. The spec's epilogue is not used.
FeatureMap conv_norm_se(Emitter& emitter, const FeatureMap& x, const ConvNormSpec& spec, const std::string& se,
                        bool avg_pool);

/// [N, H, W, C] to [N, tokens, C].
TensorId token_pool(Emitter& emitter, const FeatureMap& x, int64_t tokens);

/// One post-norm transformer encoder layer (torch.nn.TransformerEncoderLayer, relu) over x [N, T, D]; parameters under
/// `name`.
TensorId encoder_layer(Emitter& emitter, TensorId x, const std::string& name, int heads, int64_t feed_forward,
                       float dropout);

/// x [N, T, D] to its maximum over tokens [N, D].
TensorId token_max(Emitter& emitter, TensorId x);

/// activation(x w^T + bias) for x [M, I]; parameters `name`.weight [out, I] and `name`.bias.
TensorId linear(Emitter& emitter, TensorId x, const std::string& name, int64_t out, Activation activation);

} // namespace scene

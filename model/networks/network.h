#pragma once

// All networks, in one table (networks.cpp). A network here is the convolutional part, from the normalised features to
// the tokens. The rest is common to all: deltas, batch norm over the bands, a transformer encoder layer, the maximum
// over the tokens, the fusion with city and time, and the classifier.

#include <string>
#include <string_view>
#include <vector>

#include "model/layers/layers.h"
#include "model/model_config.h"

namespace scene {

constexpr int64_t time_inputs = 8; ///< sin and cos of hour, month, weekday and minute
constexpr int64_t encoder_tokens = 16;

struct Network {
    std::string_view name;  ///< in configurations and checkpoints: "fcnn"
    std::string_view title; ///< for people: "FCNN"
    /// The smallest input, whose shorter and longer side are frames and bands in either order: the last batch norm
    /// needs two positions in a batch of one clip.
    int64_t min_short_side, min_long_side;
    /// Adds the network: normalised features [N, T, F, C] of the activation type to tokens F32 [N, encoder_tokens, D].
    /// D must be a multiple of the encoder's 8 heads.
    TensorId (*tokens)(ProgramBuilder& builder, const ModelConfig& config, const FeatureMap& input);
};

extern const Network se_trans;  ///< the challenge's baseline (Bai et al., arXiv 2402.02694): System #1
extern const Network small_cnn; ///< four convolutions, for small devices

const std::vector<const Network*>& networks();
/// Null if there is none of that name.
const Network* network_named(std::string_view name);

/// max(8, 8*round(channels*width/8)).
int64_t scaled_channels(int64_t channels, double width);

/// The inputs of a model. City and time are absent if the model is audio-only.
struct NetworkInputs {
    TensorId features; ///< F32 [N, T, F], log-mel in dB
    TensorId city;     ///< I32 [N]; -1: unknown
    TensorId time;     ///< F32 [N, 8]; all zeros: unknown
};

struct NetworkOutputs {
    TensorId embedding; ///< F32 [N, D], the classifier's input
    TensorId logits;    ///< F32 [N, K]
};

/// Adds the whole model. In training the gradient of the logits must be set before `build_backward`. In inference,
/// batch norms use the running statistics; setup ops fold them into the convolutions if the device can add bias and
/// relu. Parameters and running statistics have the names of PyTorch modules: "block1.conv1.weight",
/// "block1.norm1.running_mean", "encoder.self_attn.in_proj_weight", "head.classifier.bias".
NetworkOutputs build_network(ProgramBuilder& builder, const ModelConfig& config, const NetworkInputs& inputs);

} // namespace scene

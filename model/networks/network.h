#pragma once

// The networks there are, in one table (networks.cpp). A network is the convolutional part between the normalised
// features and the tokens; what is around it is common to all: batch norm over the bands, deltas, a transformer encoder
// layer, the maximum over the tokens, and the fusion head with city and time.

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
    /// The least extents of the features, frames and bands in either order, that leave its last batch norm two
    /// positions of a single clip.
    int64_t least_shorter, least_longer;
    /// Adds the network: normalised features [N, T, F, C] to tokens [N, encoder_tokens, D], D a multiple of the
    /// encoder's 8 heads.
    TensorId (*tokens)(ProgramBuilder& builder, const ModelConfig& config, const FeatureMap& input);
};

extern const Network se_trans;  ///< baseline of the challenge (Bai et al., arXiv 2402.02694): System #1
extern const Network small_cnn; ///< four convolutions, for small devices

const std::vector<const Network*>& networks();
/// Null where there is none of that name.
const Network* network_named(std::string_view name);

/// max(8, 8*round(channels*width/8)).
int64_t scaled_channels(int64_t channels, double width);

/// What a network reads. City and time are absent when the model is audio-only.
struct NetworkInputs {
    TensorId features; ///< [N, T, F] f32, log-mel in dB
    TensorId city;     ///< [N] I32, -1 = unknown
    TensorId time;     ///< [N, 8] f32, all zeros = unknown
};

struct NetworkOutputs {
    TensorId embedding; ///< [N, D], what the classifier reads
    TensorId logits;    ///< [N, K]
};

/// Adds the whole model. In training the gradient of the logits must be set before `build_backward`. In inference,
/// batch norms use running statistics and are folded into the convolutions by setup ops where the device can add bias
/// and relu. Parameters and running statistics are named as PyTorch modules name them: "block1.conv1.weight",
/// "block1.norm1.running_mean", "encoder.self_attn.in_proj_weight", "head.classifier.bias".
NetworkOutputs build_network(ProgramBuilder& builder, const ModelConfig& config, const NetworkInputs& inputs);

} // namespace scene

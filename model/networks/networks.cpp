#include <algorithm>
#include <cmath>

#include "model/networks/network.h"

namespace scene {
namespace {

constexpr int encoder_heads = 8;
constexpr int64_t encoder_feed_forward = 32;
constexpr int64_t city_embedding = 16, time_embedding = 16, fusion_width = 128;

/// The features as [N, T, F, C]; C = 3 with deltas, else 1.
TensorId input_map(ProgramBuilder& b, const ModelConfig& config, TensorId features) {
    b.stop_gradient(features);
    const Shape map{b.shape(features)[0], config.frames, config.bands, config.input_channels()};
    if (!config.deltas) {
        const TensorId x = b.alias(features, "features.map", map);
        b.stop_gradient(x);
        return x;
    }
    const TensorId x = b.transient("features.deltas", map);
    b.stop_gradient(x);
    b.add("deltas", Deltas<TensorId>{.y = x, .x = features});
    return x;
}

/// The classifier's input: the audio embedding, in a multimodal model fused with city and time.
TensorId fusion(ProgramBuilder& b, const ModelConfig& config, TensorId audio, const NetworkInputs& inputs) {
    if (!config.multimodal) return audio;
    b.stop_gradient(inputs.time);
    const TensorId city = embedding(b, inputs.city, "head.city", config.cities, city_embedding);
    const TensorId time = linear(b, inputs.time, "head.time", time_embedding, Activation::Relu);
    return linear(b, concat(b, "head.concat", audio, city, time), "head.fuse", fusion_width, Activation::Relu);
}

} // namespace

const std::vector<const Network*>& networks() {
    static const std::vector<const Network*> all{&se_trans, &fcnn, &small_cnn};
    return all;
}

const Network* network_named(std::string_view name) {
    for (const Network* network : networks())
        if (network->name == name) return network;
    return nullptr;
}

int64_t scaled_channels(int64_t channels, double width) {
    return std::max<int64_t>(8, 8 * std::llround(static_cast<double>(channels) * width / 8));
}

NetworkOutputs build_network(ProgramBuilder& b, const ModelConfig& config, const NetworkInputs& inputs) {
    b.phase(Phase::Forward);
    const FeatureMap input = input_norm(b, input_map(b, config, inputs.features));
    const TensorId tokens = config.network->tokens(b, config, input);
    const TensorId encoded =
        encoder_layer(b, tokens, "encoder", encoder_heads, encoder_feed_forward, config.encoder_dropout);
    const TensorId embedding = fusion(b, config, token_max(b, encoded), inputs);
    return {embedding, linear(b, embedding, "head.classifier", config.classes, Activation::None)};
}

} // namespace scene

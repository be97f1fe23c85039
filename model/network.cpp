#include "model/network.h"

#include <algorithm>
#include <cmath>

#include "model/layers.h"

namespace scene {
namespace {

constexpr int encoder_heads = 8;
constexpr int64_t encoder_feed_forward = 32;
constexpr int64_t fcnn_embedding = 128;
constexpr int64_t city_embedding = 16, time_embedding = 16, fusion_width = 128;

int64_t scaled(int64_t channels, double width) {
    return std::max<int64_t>(8, 8 * std::llround(static_cast<double>(channels) * width / 8));
}

/// The features as [N, T, F, C], with delta channels when the model has them.
TensorId input_map(Emitter& e, const ModelConfig& config, TensorId features) {
    e.stop_gradient(features);
    const Shape map{e.shape(features)[0], config.frames, config.bands, config.input_channels()};
    if (!config.deltas) {
        const TensorId x = e.alias(features, "features.map", map);
        e.stop_gradient(x);
        return x;
    }
    const TensorId x = e.transient("features.deltas", map);
    e.stop_gradient(x);
    e.emit("deltas", "deltas", {x}, {features}, 0, [=](Backend& b, const Frame& f) { b.deltas(f[x], f[features]); });
    return x;
}

/// Paper, section II-D and Fig. 3, after Wang et al.'s DCASE 2020 FCNN; the tokens of its embedding.
TensorId fcnn_tokens(Emitter& e, const ModelConfig& config, const FeatureMap& input) {
    const int64_t c1 = scaled(144, config.width), c2 = scaled(288, config.width), c3 = scaled(576, config.width);
    const NormEpilogue relu, pool{.relu = true, .dropout = {}, .max_pool = true};
    const NormEpilogue drop{.relu = true, .dropout = {config.conv_dropout, 0}, .max_pool = false};
    const auto conv3x3 = [&](const FeatureMap& x, const std::string& block, int index, int64_t channels,
                             const NormEpilogue& epilogue) {
        const std::string number = std::to_string(index);
        return conv_norm(e, x,
                         {.conv = block + ".conv" + number,
                          .norm = block + ".norm" + number,
                          .channels = channels,
                          .epilogue = epilogue});
    };
    FeatureMap x = conv_norm(e, input,
                             {.conv = "block1.conv1",
                              .norm = "block1.norm1",
                              .channels = c1,
                              .kernel = 5,
                              .stride = 2,
                              .padding = 2,
                              .epilogue = relu});
    x = conv3x3(x, "block1", 2, c1, pool);
    x = conv3x3(x, "block2", 1, c2, relu);
    x = conv3x3(x, "block2", 2, c2, pool);
    for (int index : {1, 2, 3}) x = conv3x3(x, "block3", index, c3, drop);
    x = conv3x3(x, "block3", 4, c3, pool);
    x = conv_norm(e, x,
                  {.conv = "embed.conv",
                   .norm = "embed.norm",
                   .channels = fcnn_embedding,
                   .kernel = 1,
                   .padding = 0,
                   .epilogue = relu});
    return token_pool(e, x, encoder_tokens);
}

/// The challenge baseline (Bai et al., arXiv 2402.02694); the tokens of its last feature map.
TensorId se_trans_tokens(Emitter& e, const ModelConfig& config, const FeatureMap& input) {
    FeatureMap x = input;
    for (int block : {1, 2}) {
        const int64_t channels = scaled(64 * block, config.width);
        for (int index : {1, 2}) {
            const std::string prefix = "block" + std::to_string(block), number = std::to_string(index);
            x = conv_norm_se(e, x,
                             {.conv = prefix + ".conv" + number,
                              .norm = prefix + ".norm" + number,
                              .channels = channels,
                              .init = Init::Kind::XavierUniform,
                              .epilogue = {}},
                             prefix + ".se" + number, index == 2);
        }
    }
    return token_pool(e, x, encoder_tokens);
}

TensorId city_vector(Emitter& e, const ModelConfig& config, TensorId city) {
    const TensorId table = e.parameter("head.city.weight", {config.cities, city_embedding}, Init::normal());
    const TensorId y = e.transient("head.city.out", {e.shape(city)[0], city_embedding});
    e.emit("head.city.forward", "embedding_forward", {y}, {table, city}, 0,
           [=](Backend& b, const Frame& f) { b.embedding_forward(f[y], f[table], f[city]); });
    e.on_backward([=, &e] {
        const TensorId dtable = e.parameter_gradient("head.city.weight"), dy = e.gradient(y);
        e.emit("head.city.backward", "embedding_backward", {dtable}, {dy, city}, 0,
               [=](Backend& b, const Frame& f) { b.embedding_backward(f[dtable], f[dy], f[city]); });
    });
    return y;
}

TensorId concatenated(Emitter& e, TensorId a, TensorId b, TensorId c) {
    const int64_t rows = e.shape(a)[0];
    const TensorId y = e.transient("head.concat", {rows, e.shape(a)[1] + e.shape(b)[1] + e.shape(c)[1]});
    e.emit("head.concat.forward", "concat_columns", {y}, {a, b, c}, 0, [=](Backend& backend, const Frame& f) {
        backend.concat_columns(f[y], {f[a], f[b], f[c]});
    });
    e.on_backward([=, &e] {
        const TensorId dy = e.gradient(y);
        const auto part = [&](TensorId x) {
            const TensorId dx = e.transient("head.concat.dx", e.shape(x));
            e.set_gradient(x, dx);
            return dx;
        };
        const TensorId da = part(a), db = part(b), dc = part(c);
        e.emit("head.concat.backward", "split_columns", {da, db, dc}, {dy}, 0, [=](Backend& backend, const Frame& f) {
            backend.split_columns({f[da], f[db], f[dc]}, f[dy]);
        });
    });
    return y;
}

/// What the classifier reads.
TensorId fusion(Emitter& e, const ModelConfig& config, TensorId audio, const NetworkInputs& inputs) {
    if (!config.multimodal) return audio;
    e.stop_gradient(inputs.time);
    const TensorId city = city_vector(e, config, inputs.city);
    const TensorId time = linear(e, inputs.time, "head.time", time_embedding, Activation::Relu);
    return linear(e, concatenated(e, audio, city, time), "head.fuse", fusion_width, Activation::Relu);
}

} // namespace

NetworkOutputs emit_network(Emitter& e, const ModelConfig& config, const NetworkInputs& inputs) {
    e.phase(Phase::Forward);
    const FeatureMap input = input_norm(e, input_map(e, config, inputs.features));
    const TensorId tokens =
        config.architecture == Architecture::Fcnn ? fcnn_tokens(e, config, input) : se_trans_tokens(e, config, input);
    const TensorId encoded =
        encoder_layer(e, tokens, "encoder", encoder_heads, encoder_feed_forward, config.encoder_dropout);
    const TensorId embedding = fusion(e, config, token_max(e, encoded), inputs);
    return {embedding, linear(e, embedding, "head.classifier", config.classes, Activation::None)};
}

} // namespace scene

// The paper's FCNN (section II-D and Fig. 3), after the DCASE 2020 entry of Wang et al.

#include "model/networks/network.h"

namespace scene {
namespace {

constexpr int64_t embedding_width = 128;

TensorId tokens(ProgramBuilder& b, const ModelConfig& config, const FeatureMap& input) {
    const int64_t c1 = scaled_channels(144, config.width), c2 = scaled_channels(288, config.width),
                  c3 = scaled_channels(576, config.width);
    const NormEpilogue relu, pool{.relu = true, .dropout = {}, .max_pool = true};
    const NormEpilogue drop{.relu = true, .dropout = {config.conv_dropout, 0}, .max_pool = false};
    const auto conv3x3 = [&](const FeatureMap& x, const std::string& block, int index, int64_t channels,
                             const NormEpilogue& epilogue) {
        const std::string number = std::to_string(index);
        return conv_norm(b, x,
                         {.conv = block + ".conv" + number,
                          .norm = block + ".norm" + number,
                          .channels = channels,
                          .epilogue = epilogue});
    };
    FeatureMap x = conv_norm(b, input,
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
    x = conv_norm(b, x,
                  {.conv = "embed.conv",
                   .norm = "embed.norm",
                   .channels = embedding_width,
                   .kernel = 1,
                   .padding = 0,
                   .epilogue = relu});
    return token_pool(b, x, encoder_tokens);
}

} // namespace

const Network fcnn{"fcnn", "FCNN", 16, 32, tokens};

} // namespace scene

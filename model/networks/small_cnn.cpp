// A network for small devices and quick experiments, within the budget of DCASE's low-complexity task (see Schmid et
// al., "CP-JKU submission to DCASE23", 2023): four plain 3x3 convolutions of 16, 32, 64 and 128 channels, each followed
// by 2x2 max pooling.

#include "model/networks/network.h"

namespace scene {
namespace {

TensorId tokens(ProgramBuilder& b, const ModelConfig& config, const FeatureMap& input) {
    FeatureMap x = input;
    for (int index : {1, 2, 3, 4}) {
        const std::string number = std::to_string(index);
        x = conv_norm(b, x,
                      {.conv = "conv" + number,
                       .norm = "norm" + number,
                       .channels = scaled_channels(8 << index, config.width),
                       .epilogue = {.relu = true, .dropout = {}, .max_pool = true}});
    }
    return token_pool(b, x, encoder_tokens);
}

} // namespace

const Network small_cnn{"small-cnn", "Small CNN", 16, 32, tokens};

} // namespace scene

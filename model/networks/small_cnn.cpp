// A small network for small devices and quick tries: the budget of DCASE's low-complexity task, in the manner of its
// entries (Schmid et al., "CP-JKU submission to DCASE23", 2023), of plain 3x3 convolutions alone: four of them, each
// halving the map, 16 to 128 channels.

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

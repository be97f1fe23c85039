// The challenge's baseline (Bai et al., arXiv 2402.02694): two blocks of two convolutions with squeeze-excitation.

#include "model/networks/network.h"

namespace scene {
namespace {

TensorId tokens(ProgramBuilder& b, const ModelConfig& config, const FeatureMap& input) {
    FeatureMap x = input;
    for (int block : {1, 2}) {
        const int64_t channels = scaled_channels(64 * block, config.width);
        for (int index : {1, 2}) {
            const std::string prefix = "block" + std::to_string(block), number = std::to_string(index);
            x = conv_norm_se(b, x,
                             {.conv = prefix + ".conv" + number,
                              .norm = prefix + ".norm" + number,
                              .channels = channels,
                              .init = Init::Kind::XavierUniform,
                              .epilogue = {}},
                             prefix + ".se" + number, index == 2);
        }
    }
    return token_pool(b, x, encoder_tokens);
}

} // namespace

const Network se_trans{"se-trans", "SE-Trans", 4, 4, tokens};

} // namespace scene

#pragma once

#include <cstdint>

namespace scene {

struct Network;            // model/networks/network.h
extern const Network fcnn; // the default

/// A network and its hyperparameters.
struct ModelConfig {
    const Network* network = &fcnn;
    double width = 1;             ///< scales the convolutions' channels to max(8, 8*round(channels*width/8))
    int64_t classes = 10;         ///< K
    int64_t frames = 500;         ///< T
    int64_t bands = 64;           ///< F
    bool deltas = false;          ///< three input channels: log-mel, delta, delta-delta
    bool multimodal = false;      ///< city and time are inputs too, fused before the classifier
    int64_t cities = 22;          ///< rows of the city embedding
    float conv_dropout = 0.2f;    ///< probability, in networks with dropout between convolutions
    float encoder_dropout = 0.1f; ///< probability, inside the transformer encoder layer

    int64_t input_channels() const { return deltas ? 3 : 1; }
    bool operator==(const ModelConfig&) const = default;
};

} // namespace scene

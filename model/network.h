#pragma once

#include "model/emitter.h"
#include "model/model_config.h"

namespace scene {

constexpr int64_t time_inputs = 8; ///< sin and cos of hour, month, weekday and minute
constexpr int64_t encoder_tokens = 16;

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

/// Emits the network `config` names (SE-Trans: baseline of the challenge; FCNN: paper, section II-D). In training the
/// gradient of the logits must be set before `play_backward`. In inference, batch norms use running statistics and are
/// folded into the convolutions by setup ops where the backend can add bias and relu.
NetworkOutputs emit_network(Emitter& emitter, const ModelConfig& config, const NetworkInputs& inputs);

/// Parameters and running statistics are named as PyTorch modules name them: "block1.conv1.weight",
/// "block1.norm1.running_mean", "encoder.self_attn.in_proj_weight", "head.classifier.bias".
} // namespace scene

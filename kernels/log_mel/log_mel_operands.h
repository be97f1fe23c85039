#pragma once

#include "kernels/log_mel/log_mel.h"
#include "kernels/operands.h"

namespace scene {

inline void check_log_mel_spec(const LogMelSpec& spec) {
    SCENE_CHECK(spec.is_possible(), "settings of log_mel that no transform exists for");
}

/// The checked operands of log_mel, the same for every device.
struct LogMelOperands {
    int64_t clips;
    const float* wave;
    float* out;

    explicit LogMelOperands(const LogMel<Tensor>& op) {
        const LogMelSpec& spec = op.spec;
        check_log_mel_spec(spec);
        check_rank(op.wave, 2, "wave");
        clips = op.wave.shape[0];
        wave = floats(op.wave, {clips, spec.samples}, "wave");
        out = floats(op.out, {clips, spec.frames, spec.bands}, "out");
    }
};

} // namespace scene

#pragma once

#include "kernels/log_mel/log_mel_spec.h"
#include "kernels/op.h"

namespace scene {

/// out f32 [N, frames, bands] in dB from wave f32 [N, samples]: librosa's magnitude mel spectrogram and
/// power_to_db(ref=1, top_db). The equations are in kernels/log_mel/log_mel_spec.h. NaN where a magnitude is not
/// finite. Throws std::logic_error if the spec is not is_possible().
template <class T> struct LogMel {
    static constexpr std::string_view name = "log_mel";
    Out<T> out;
    In<T> wave;
    LogMelSpec spec;
    Scratch<T> scratch{};

    /// The floor below a clip's maximum is known when all its frames are, so that a second pass reads `out`.
    double bytes() const { return static_cast<double>(wave.bytes() + 2 * out.bytes()); }
};

namespace reference {
void run(const LogMel<Tensor>&);
} // namespace reference
namespace cpu {
void run(const LogMel<Tensor>&, Context&);
size_t scratch_bytes(const LogMel<TensorSpec>&, const Planning&);
} // namespace cpu
namespace cuda {
void run(const LogMel<Tensor>&, Context&);
size_t scratch_bytes(const LogMel<TensorSpec>&, const Planning&);
} // namespace cuda

} // namespace scene

#pragma once

#include "kernels/device_buffer.h"

namespace scene::test {

/// out [clips, frames, bands] from wave [clips, samples], in host memory, on a CPU device.
inline void log_mel_on(Device& cpu, float* out, const float* wave, int64_t clips, const LogMelSpec& spec) {
    DeviceBuffer scratch;
    run_alone(cpu,
              LogMel<Tensor>{.out = Tensor{out, DType::F32, {clips, spec.frames, spec.bands}},
                             .wave = Tensor{const_cast<float*>(wave), DType::F32, {clips, spec.samples}},
                             .spec = spec},
              scratch);
}

} // namespace scene::test

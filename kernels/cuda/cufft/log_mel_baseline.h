#pragma once

// Log-mel by cuFFT (cufft/log_mel.h) for benchmarks. Needs no CUDA header.

#include <memory>

#include "kernels/device.h"
#include "kernels/log_mel/log_mel.h"

namespace scene {

class CufftLogMel {
public:
    virtual ~CufftLogMel() = default;
    /// Queues `op`, in order with the device's ops. Its spec and clips are those of make_cufft_log_mel; `op.scratch` is
    /// not used.
    virtual void run(const LogMel<Tensor>& op) = 0;
};

/// Allocates the scratch of a run. Throws Error if `device` is no GPU or cuFFT cannot be opened.
std::unique_ptr<CufftLogMel> make_cufft_log_mel(Device& device, const LogMelSpec& spec, int64_t clips);

} // namespace scene

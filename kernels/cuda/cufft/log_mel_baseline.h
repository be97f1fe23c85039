#pragma once

// The log-mel of cufft/log_mel.h for a benchmark. No CUDA header is needed here.

#include <memory>

#include "kernels/device.h"
#include "kernels/log_mel/log_mel.h"

namespace scene {

class CufftLogMel {
public:
    virtual ~CufftLogMel() = default;
    /// Queues it, in order with the device's ops. `op.scratch` is not used. Shapes: those that it was made for.
    virtual void run(const LogMel<Tensor>& op) = 0;
};

/// Allocates what a run needs. Throws Error where `device` is no GPU or cuFFT cannot be opened.
std::unique_ptr<CufftLogMel> make_cufft_log_mel(Device& device, const LogMelSpec& spec, int64_t clips);

} // namespace scene

#pragma once

#include <functional>
#include <utility>
#include <vector>

#include <cuda_runtime.h>

#include "kernels/log_mel/log_mel_spec.h"

namespace scene::cuda {

/// The constant tables of log_mel in device memory.
struct LogMelTable {
    const double2* twiddle; ///< [n_fft]: exp(-2 pi i k / n_fft)
    const double* window;   ///< [n_fft]: the periodic Hann window, centred, and zero outside

    // The filter bank (kernels/log_mel/mel_filter_bank.h).
    const int32_t* first_bin;
    const int32_t* offset;
    const float* weights;
};

/// The tables of a device, each made when its spec is first seen.
class LogMelTables {
public:
    /// Copies host memory to device memory that lives as long as the device.
    using Import = std::function<const void*(const void* host, size_t bytes)>;

    explicit LogMelTables(Import import) : import_(std::move(import)) {}
    LogMelTable get(const LogMelSpec& spec);

private:
    Import import_;
    std::vector<std::pair<LogMelSpec, LogMelTable>> tables_;
};

} // namespace scene::cuda

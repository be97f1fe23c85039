#pragma once

#include <functional>
#include <utility>
#include <vector>

#include <cuda_runtime.h>

#include "kernels/log_mel/log_mel_spec.h"

namespace scene::cuda {

/// Constant operands of log_mel in device memory.
struct LogMelTable {
    const double2* twiddle; ///< [n_fft]: exp(-2 pi i k / n_fft)
    const double* window;   ///< [n_fft]: the periodic Hann window, centred in zeros
    const int32_t* first_bin;
    const int32_t* offset;
    const float* weights;
};

/// The tables of a device, made when a spec is first seen.
class LogMelTables {
public:
    /// Copies host memory to device memory that outlives the tables.
    using Import = std::function<const void*(const void* host, size_t bytes)>;

    explicit LogMelTables(Import import) : import_(std::move(import)) {}
    LogMelTable get(const LogMelSpec& spec);

private:
    Import import_;
    std::vector<std::pair<LogMelSpec, LogMelTable>> tables_;
};

} // namespace scene::cuda

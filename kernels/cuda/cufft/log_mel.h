#pragma once

// Log-mel with a library's Fourier transforms between two kernels: what one would write without a kernel of one's own.
// A baseline for kernels/log_mel/cuda.cu.

#include "kernels/cuda/cufft/transforms.h"
#include "kernels/log_mel/cuda_tables.h"
#include "kernels/log_mel/log_mel.h"

namespace scene::cuda {

/// Bounds the scratch: the transform's input and output go through memory, some 17 MB for each of the paper's clips.
constexpr int64_t most_transformed_at_once = 16;

/// `at_once` clips at a time. op.scratch: log_mel_by_library_scratch_bytes, 256-byte aligned.
void log_mel_by_library(const LogMel<Tensor>& op, int64_t at_once, FourierTransforms& transforms, LogMelTables& tables,
                        cudaStream_t stream);
size_t log_mel_by_library_scratch_bytes(int64_t clips, int64_t at_once, const LogMelSpec& spec,
                                        FourierTransforms& transforms);

} // namespace scene::cuda

#pragma once

// Log-mel with a library's Fourier transforms between two kernels. Frames and spectra go through device memory: the
// straightforward implementation, and the baseline of kernels/log_mel/cuda.cu, which fuses everything.

#include "kernels/cuda/cufft/transforms.h"
#include "kernels/log_mel/cuda_tables.h"
#include "kernels/log_mel/log_mel.h"

namespace scene::cuda {

/// Limits the scratch: a transform's input and output are some 17 MB for each of the paper's clips.
constexpr int64_t most_transformed_at_once = 16;

/// Computes `op`, `at_once` clips at a time. op.scratch: log_mel_by_library_scratch_bytes, 256-byte aligned.
void log_mel_by_library(const LogMel<Tensor>& op, int64_t at_once, FourierTransforms& transforms, LogMelTables& tables,
                        cudaStream_t stream);
size_t log_mel_by_library_scratch_bytes(int64_t clips, int64_t at_once, const LogMelSpec& spec,
                                        FourierTransforms& transforms);

} // namespace scene::cuda

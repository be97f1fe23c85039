#pragma once

// Backend::log_mel with a library's transforms, which the kernel of kernels.h is compared with.

#include "kernels/cuda/libraries.h"
#include "kernels/log_mel_spec.h"

namespace scene::cuda {

/// Operands as log_mel's in kernels.h, the scratch 256-byte aligned. `at_once` clips at a time, which bounds the
/// scratch: some 17 MB for one of the paper's clips, since all that goes into a transform and comes out of it goes
/// through memory.
void log_mel_by_library(Tensor out, Tensor wave, Tensor table, Tensor scratch, int64_t at_once, const LogMelSpec& spec,
                        FourierTransforms& transforms, cudaStream_t stream);
size_t log_mel_by_library_scratch_bytes(int64_t clips, int64_t at_once, const LogMelSpec& spec,
                                        FourierTransforms& transforms);

} // namespace scene::cuda

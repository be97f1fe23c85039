#pragma once

// log_mel with a library's transforms, which the kernel of cuda.cu is compared with.

#include "kernels/cuda/libraries.h"
#include "kernels/log_mel/log_mel.h"

namespace scene::cuda {

/// Bounds the scratch: all that goes into a transform and comes out of it goes through memory, some 17 MB for each of
/// the paper's clips.
constexpr int64_t most_transformed_at_once = 16;

/// `at_once` clips at a time. The op's scratch: log_mel_by_library_scratch_bytes, 256-byte aligned.
void log_mel_by_library(const LogMel<Tensor>& op, int64_t at_once, FourierTransforms& transforms, Context& cuda);
size_t log_mel_by_library_scratch_bytes(int64_t clips, int64_t at_once, const LogMelSpec& spec,
                                        FourierTransforms& transforms);

} // namespace scene::cuda

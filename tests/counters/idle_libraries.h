#pragma once

// Stand-ins for cuDNN and cuBLASLt that compute nothing: their outputs stay as they are. So a step of real size runs on
// the emulator, with every kernel of our own between them.

#include <memory>
#include <set>
#include <string>

#include "kernels/cuda/convolutions.h"
#include "kernels/cuda/gemm.h"

namespace scene::counters {

std::unique_ptr<cuda::Convolutions> idle_convolutions();
std::unique_ptr<cuda::Gemm> idle_gemm();

/// The NVTX ranges in which one of them was called.
std::set<std::string>& library_calls();

} // namespace scene::counters

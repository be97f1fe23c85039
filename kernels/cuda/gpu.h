#pragma once

// What the rest of the program knows of GPUs. No CUDA header is needed here; a build without CUDA has the same
// functions (without_cuda.cpp).

#include <memory>
#include <string>
#include <vector>

#include "kernels/device.h"
#include "kernels/runtime.h"

namespace scene {

struct CudaSettings {
    Precision precision = Precision::Fp32;
    bool deterministic = true; ///< the same bits run after run; convolutions may be slower
    Fusions fusions = Fusions::Quickest;
    Autotune autotune = Autotune::Precompiled;
};

/// Whether this build can run on a GPU at all.
bool built_with_cuda();

/// Why no GPU can be used here, as the middle of a sentence in one line ("no NVIDIA GPU was found"); empty where one
/// can. Looks for driver, device and libraries.
std::string cuda_unavailable_reason();

/// The first GPU. Throws Error with the reason where it is unavailable.
std::unique_ptr<Device> make_cuda_device(const CudaSettings& settings);

/// Per second; copies count bytes read and bytes written.
struct CudaRoofline {
    double product_flops = 0; ///< of a large matrix product in this precision
    double copy_bytes = 0;    ///< of a large copy inside the device's memory
};

/// Takes a few seconds. Throws Error with the reason where it is unavailable.
CudaRoofline measure_cuda_roofline(const CudaSettings& settings);

/// Plans for a GPU which need not be there, of programs with convolutions of these shapes. `profile` is "h100" or a
/// file with the device's properties as JSON, in cuDNN's form. Needs cuDNN, but no driver.
std::unique_ptr<Planner> make_cuda_planner(const CudaSettings& settings, const std::string& profile,
                                           const std::vector<Conv2dShape>& shapes = {});

} // namespace scene

#pragma once

// All that the rest of the program knows of GPUs. It needs no CUDA header, and a build without CUDA has the same
// functions (without_cuda.cpp).

#include <array>
#include <functional>
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
    double autotune_seconds = 0; ///< for each step; 0: no limit
};

/// Whether this build can run on a GPU at all.
bool built_with_cuda();

/// Why no GPU can be used here, in one line without a full stop ("no NVIDIA GPU was found"); empty if one can. Checks
/// the driver, the first device's compute capability, cuDNN and cuBLASLt.
std::string cuda_unavailable_reason();

/// The first GPU. Throws Error with cuda_unavailable_reason() if it cannot be used.
std::unique_ptr<Device> make_cuda_device(const CudaSettings& settings);

/// A node of a CUDA graph: what one launch of the graph does as one kernel, or as one memory operation.
struct GraphNode {
    std::string range;  ///< the profiler range that was open when it was recorded: the op
    std::string kind;   ///< "kernel", "memset", "memcpy" or "other"
    std::string kernel; ///< its name, mangled as the linker sees it; empty if the driver gives none
    std::array<unsigned, 3> grid{}, block{};
    unsigned shared_bytes = 0; ///< dynamic, of a block
};

/// Records `ops` as Device::record does and returns the nodes in the order in which they run on the one stream.
/// `device` is from make_cuda_device; Error for any other.
std::vector<GraphNode> graph_nodes(Device& device, const std::function<void()>& ops);

/// The most that a GPU does in a second. A copy counts the bytes that it reads and those that it writes.
struct CudaRoofline {
    double product_flops = 0; ///< of a large matrix product in this precision
    double copy_bytes = 0;    ///< of a large copy inside the device's memory
};

/// Measures the first GPU, in a few seconds. Throws Error if it cannot be used.
CudaRoofline measure_cuda_roofline(const CudaSettings& settings);

/// The names of the GPUs that make_cuda_planner knows: "h100" and others.
std::vector<std::string> cuda_profiles();

/// The planner of a GPU that need not be present, autotuned for convolutions of these shapes (without measurements).
/// `profile` is one of cuda_profiles() or a file with the device's properties as JSON, in cuDNN's form. Needs cuDNN,
/// but no driver.
std::unique_ptr<Planner> make_cuda_planner(const CudaSettings& settings, const std::string& profile,
                                           const std::vector<Conv2dShape>& shapes = {});

} // namespace scene

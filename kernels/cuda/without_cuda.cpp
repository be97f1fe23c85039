// A build without CUDA.

#include "kernels/cuda/gpu.h"
#include "kernels/error.h"

namespace scene {

bool built_with_cuda() { return false; }

std::string cuda_obstacle() { return "this scene was built without CUDA support"; }

std::unique_ptr<Device> make_cuda_device(const CudaSettings&) {
    fail("{}; build it where nvcc and cuDNN are installed", cuda_obstacle());
}

CudaPeaks measure_cuda_peaks(const CudaSettings&) { fail("{}", cuda_obstacle()); }

std::unique_ptr<Planner> make_cuda_planner(const CudaSettings&, const std::string&, const std::vector<Conv2dShape>&) {
    fail("{}, which plans for a GPU need; build it where nvcc and cuDNN are installed", cuda_obstacle());
}

} // namespace scene

// A build without CUDA.

#include "kernels/cuda/cufft/log_mel_baseline.h"
#include "kernels/cuda/gpu.h"
#include "kernels/error.h"

namespace scene {

bool built_with_cuda() { return false; }

std::string cuda_unavailable_reason() { return "this scene was built without CUDA support"; }

std::unique_ptr<Device> make_cuda_device(const CudaSettings&) {
    fail("{}; build it where nvcc and cuDNN are installed", cuda_unavailable_reason());
}

CudaRoofline measure_cuda_roofline(const CudaSettings&) { fail("{}", cuda_unavailable_reason()); }

std::vector<GraphNode> graph_nodes(Device&, const std::function<void()>&) {
    fail("only a GPU records a graph; {}", cuda_unavailable_reason());
}

std::vector<std::string> cuda_profiles() { return {}; }

std::unique_ptr<Planner> make_cuda_planner(const CudaSettings&, const std::string&, const std::vector<Conv2dShape>&) {
    fail("{}, which plans for a GPU need; build it where nvcc and cuDNN are installed", cuda_unavailable_reason());
}

std::unique_ptr<CufftLogMel> make_cufft_log_mel(Device&, const LogMelSpec&, int64_t) {
    fail("log-mel by cuFFT needs a GPU; {}", cuda_unavailable_reason());
}

} // namespace scene

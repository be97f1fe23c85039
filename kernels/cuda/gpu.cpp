#include "kernels/cuda/gpu.h"

#include <cuda_runtime.h>

#include "kernels/cuda/cublas/gemm.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/cudnn/convolutions.h"
#include "kernels/cuda/cudnn/device_profiles.h"
#include "kernels/cuda/embedded_code.h"
#include "kernels/error.h"

namespace scene {
namespace {

/// The compute capabilities of the kernels; set by the Makefile.
constexpr const char* built_for = SCENE_CUDA_ARCHS;

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

std::string driver_unavailable_reason(cudaError_t error) {
    int driver = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return "no NVIDIA driver was found";
    if (error == cudaErrorNoDevice) return "no NVIDIA GPU was found";
    if (error == cudaErrorInsufficientDriver || driver < CUDART_VERSION / 1000 * 1000)
        return fmt::format("the NVIDIA driver is too old: it is for CUDA {}, and this scene needs one for CUDA {}",
                           version_text(driver), version_text(CUDART_VERSION));
    return fmt::format("CUDA says: {}", cudaGetErrorString(error));
}

std::string device_unavailable_reason() {
    int devices = 0;
    const cudaError_t error = cudaGetDeviceCount(&devices);
    if (error != cudaSuccess) return driver_unavailable_reason(error);
    if (devices == 0) return "no NVIDIA GPU was found";
    cudaDeviceProp properties{};
    if (const cudaError_t failure = cudaGetDeviceProperties(&properties, 0); failure != cudaSuccess)
        return fmt::format("CUDA says: {}", cudaGetErrorString(failure));
    if (!cuda::has_code_for(built_for, properties.major, properties.minor))
        return fmt::format("{} has compute capability {}.{}, and this scene was built for {} (make CUDA_ARCHS={}{})",
                           properties.name, properties.major, properties.minor, cuda::described_archs(built_for),
                           properties.major, properties.minor);
    return "";
}

cuda::ConvolutionSettings convolution_settings(const CudaSettings& settings) {
    return {.type = activation_type_of(settings.precision),
            .tensor_cores = settings.precision != Precision::Fp32,
            .deterministic = settings.deterministic,
            .run_time_compiled = settings.autotune == Autotune::Full,
            .budget_seconds = settings.autotune_seconds};
}

} // namespace

bool built_with_cuda() { return true; }

std::string cuda_unavailable_reason() {
    if (std::string reason = device_unavailable_reason(); !reason.empty()) return reason;
    try {
        cuda::cudnn();
        cuda::load_cublas();
    } catch (const Error& error) { return error.what(); }
    return "";
}

std::unique_ptr<Device> make_cuda_device(const CudaSettings& settings) {
    if (const std::string reason = cuda_unavailable_reason(); !reason.empty()) fail("{}", reason);
    const cuda::ConvolutionSettings convolutions = convolution_settings(settings);
    return std::make_unique<cuda::CudaDevice>(
        convolutions.type, std::make_unique<cuda::CudnnConvolutions>(convolutions, std::filesystem::path()),
        cuda::make_cublas_gemm(convolutions.tensor_cores), settings.fusions);
}

std::vector<GraphNode> graph_nodes(Device& device, const std::function<void()>& ops) {
    auto* gpu = dynamic_cast<cuda::CudaDevice*>(&device);
    if (!gpu) fail("only a GPU records a graph; use --device cuda");
    return gpu->graph_nodes(ops);
}

std::vector<std::string> cuda_profiles() { return cuda::device_profiles(); }

std::unique_ptr<Planner> make_cuda_planner(const CudaSettings& settings, const std::string& profile,
                                           const std::vector<Conv2dShape>& shapes) {
    const cuda::ConvolutionSettings convolutions = convolution_settings(settings);
    const std::string properties = cuda::device_profile(profile);
    auto library = std::make_unique<cuda::CudnnConvolutions>(convolutions, properties);
    auto planner = std::make_unique<cuda::CudaPlanner>(
        std::make_unique<cuda::TunedConvolutions>(convolutions.type, std::move(library), settings.fusions,
                                                  cuda::limits_of(properties, profile)),
        cuda::cublas_workspace_bytes);
    planner->autotune(shapes);
    return planner;
}

} // namespace scene

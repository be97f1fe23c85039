// CudaDevice: memory, the stream, CUDA graphs and NVTX ranges.

#include "kernels/cuda/cuda_device.h"

#include <algorithm>
#include <cmath>

#include "kernels/cuda/autotune/timing.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/nvtx.h"
#include "kernels/error.h"

namespace scene::cuda {
namespace {

/// A sequence of ops, captured once and replayed by the device.
class CudaGraph {
public:
    CudaGraph(cudaStream_t stream, const std::function<void()>& ops) {
        SCENE_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
        try {
            ops();
        } catch (...) {
            (void)cudaStreamEndCapture(stream, &graph_);
            if (graph_) (void)cudaGraphDestroy(graph_);
            throw;
        }
        SCENE_CUDA(cudaStreamEndCapture(stream, &graph_));
        const cudaError_t error = cudaGraphInstantiate(&executable_, graph_, 0);
        (void)cudaGraphDestroy(graph_);
        SCENE_CUDA(error);
    }
    ~CudaGraph() { (void)cudaGraphExecDestroy(executable_); }
    CudaGraph(const CudaGraph&) = delete;
    CudaGraph& operator=(const CudaGraph&) = delete;

    void replay(cudaStream_t stream) const { SCENE_CUDA(cudaGraphLaunch(executable_, stream)); }

private:
    cudaGraph_t graph_ = nullptr;
    cudaGraphExec_t executable_ = nullptr;
};

[[noreturn]] void fail_out_of_memory(size_t bytes) {
    size_t available = 0, total = 0;
    (void)cudaGetLastError(); // the failed allocation's, which must not surface again at the next launch
    if (cudaMemGetInfo(&available, &total) != cudaSuccess) available = total = 0;
    fail("the GPU has {:.2f} GB of {:.2f} GB free and this needs {:.2f} GB ({} bytes) in one piece; {}",
         static_cast<double>(available) / 1e9, static_cast<double>(total) / 1e9, static_cast<double>(bytes) / 1e9,
         bytes,
         available < bytes ? fmt::format("a batch of about {:.0f} % of this one fits",
                                         std::floor(95.0 * static_cast<double>(available) / static_cast<double>(bytes)))
                           : "another program holds it in pieces");
}

DeviceLimits limits_of_device() {
    int device = 0;
    cudaDeviceProp properties{};
    SCENE_CUDA(cudaGetDevice(&device));
    SCENE_CUDA(cudaGetDeviceProperties(&properties, device));
    return {.multiprocessors = properties.multiProcessorCount, .block_shared_bytes = properties.sharedMemPerBlockOptin};
}

struct Functions {
    template <template <class> class Op> static void call(Device& device, const Op<Tensor>& op) {
        Context& cuda = static_cast<CudaDevice&>(device).context();
        static_assert(
            requires { run(op, cuda); }, "CUDA has no run() for this op");
        run(op, cuda);
    }
};

} // namespace

CudaDevice::CudaDevice(DType activation, std::unique_ptr<Convolutions> convolutions, std::unique_ptr<Gemm> gemm,
                       Fusions fusions)
    : Device(run_table<Functions>), gemm_(std::move(gemm)),
      planner_(std::make_unique<TunedConvolutions>(activation, std::move(convolutions), fusions, limits_of_device()),
               gemm_->workspace_bytes(), &context_),
      log_mel_tables_([this](const void* host, size_t bytes) { return import(host, bytes); }),
      context_{.stream = stream_,
               .convolutions = &planner_.convolutions(),
               .gemm = gemm_.get(),
               .log_mel_tables = &log_mel_tables_,
               .limits = planner_.convolutions().limits()} {}

CudaDevice::~CudaDevice() {
    (void)cudaStreamSynchronize(stream_);
    for (const auto& [memory, bytes] : allocations_) (void)cudaFree(memory);
}

DeviceInfo CudaDevice::info() const {
    int device = 0;
    cudaDeviceProp properties{};
    SCENE_CUDA(cudaGetDevice(&device));
    SCENE_CUDA(cudaGetDeviceProperties(&properties, device));
    int driver = 0, runtime = 0;
    SCENE_CUDA(cudaDriverGetVersion(&driver));
    SCENE_CUDA(cudaRuntimeGetVersion(&runtime));
    uint64_t allocated = 0;
    for (const auto& [memory, bytes] : allocations_) allocated += bytes;
    const auto version = [](int v) { return fmt::format("{}.{}", v / 1000, v % 1000 / 10); };
    return {fmt::format("{}, compute capability {}.{}", properties.name, properties.major, properties.minor),
            fmt::format("driver for CUDA {}, CUDA {}, {}, {}", version(driver), version(runtime), planner_.libraries(),
                        gemm_->version()),
            properties.totalGlobalMem, allocated};
}

void* CudaDevice::device_memory(size_t bytes) {
    SCENE_CHECK(!recording_, "memory is allocated while ops are recorded, which must have run before");
    void* memory = nullptr;
    const cudaError_t error = cudaMalloc(&memory, std::max<size_t>(bytes, 1));
    if (error == cudaErrorMemoryAllocation) fail_out_of_memory(bytes);
    SCENE_CUDA(error);
    allocations_[memory] = bytes;
    return memory;
}

void* CudaDevice::allocate(size_t bytes) {
    void* memory = device_memory(bytes);
    SCENE_CUDA(cudaMemsetAsync(memory, 0, bytes, stream_));
    return memory;
}

void CudaDevice::release(void* memory) {
    (void)cudaStreamSynchronize(stream_);
    (void)cudaFree(memory);
    allocations_.erase(memory);
}

void* CudaDevice::import(const void* host, size_t bytes) {
    void* memory = device_memory(bytes);
    upload(memory, host, bytes);
    return memory;
}

void CudaDevice::release_import(void* memory) { release(memory); }

void CudaDevice::upload(void* device, const void* host, size_t bytes) {
    if (bytes == 0) return;
    SCENE_CUDA(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_));
    SCENE_CUDA(cudaStreamSynchronize(stream_)); // the caller may change its memory now
}

void CudaDevice::download(void* host, const void* device, size_t bytes) {
    if (bytes > 0) SCENE_CUDA(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_));
    synchronize();
}

void CudaDevice::synchronize() { SCENE_CUDA(cudaStreamSynchronize(stream_)); }

std::function<void()> CudaDevice::record(std::function<void()> ops) {
    recording_ = true;
    try {
        auto made = std::make_shared<const CudaGraph>(stream_, ops);
        recording_ = false;
        return [this, made] { made->replay(stream_); };
    } catch (...) {
        recording_ = false;
        throw;
    }
}

double CudaDevice::seconds_of(const std::function<void()>& ops) { return cuda::seconds_of(stream_, ops); }

std::vector<GraphNode> CudaDevice::graph_nodes(const std::function<void()>& ops) {
    GraphMap map(stream_);
    map_ = &map;
    try {
        record([&] {
            ops();
            map.end();
        });
    } catch (...) {
        map_ = nullptr;
        throw;
    }
    map_ = nullptr;
    return map.nodes();
}

void CudaDevice::begin_range(const std::string& name) {
    if (map_) map_->begin_range(name);
    cuda::begin_range(name);
}

void CudaDevice::end_range() { cuda::end_range(); }

} // namespace scene::cuda

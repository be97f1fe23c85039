// The device's side of a backend: memory, the stream, records, names.

#include "kernels/cuda/cuda_backend.h"

#include <algorithm>
#include <cmath>

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ranges.h"
#include "kernels/cuda/timing.h"
#include "kernels/error.h"
#include "kernels/legacy_ops.h"

namespace scene::cuda {
namespace {

constexpr size_t least_scratch = size_t{16} << 20;

/// A step as a graph that the device replays.
class Record {
public:
    Record(cudaStream_t stream, const std::function<void()>& ops) {
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
    ~Record() { (void)cudaGraphExecDestroy(executable_); }
    Record(const Record&) = delete;
    Record& operator=(const Record&) = delete;

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

struct Functions {
    template <template <class> class Op> static void call(Device& device, const Op<Tensor>& op) {
        auto& cuda = static_cast<CudaBackend&>(device);
        if constexpr (requires { run(op, cuda.context()); }) {
            run(op, cuda.context());
        } else {
            run(op, static_cast<Backend&>(cuda));
        }
    }
    template <template <class> class Op> static size_t bytes(const Planner& planner, const Op<TensorSpec>& op) {
        return static_cast<const CudaBackend&>(planner).planner().scratch_bytes(op);
    }
};

} // namespace

CudaBackend::CudaBackend(DType activation, std::unique_ptr<Convolutions> convolutions, std::unique_ptr<Gemm> gemm,
                         std::unique_ptr<FourierTransforms> transforms, Fusions fusions)
    : Backend(run_table<Functions>, scratch_table<Functions>), gemm_(std::move(gemm)),
      transforms_(std::move(transforms)),
      planner_(std::make_unique<TunedConvolutions>(activation, std::move(convolutions), fusions),
               gemm_->workspace_bytes(), &context_, transforms_.get()),
      log_mel_tables_([this](const void* host, size_t bytes) { return import(host, bytes); }),
      context_{.stream = stream_,
               .convolutions = &planner_.convolutions(),
               .gemm = gemm_.get(),
               .log_mel_tables = &log_mel_tables_,
               .transforms = transforms_.get()} {}

CudaBackend::~CudaBackend() {
    (void)cudaStreamSynchronize(stream_);
    for (const auto& [memory, bytes] : allocations_) (void)cudaFree(memory);
}

DeviceInfo CudaBackend::info() const {
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
            fmt::format("driver for CUDA {}, CUDA {}, {}, {}{}", version(driver), version(runtime),
                        planner_.libraries(), gemm_->version(), transforms_ ? ", " + transforms_->version() : ""),
            properties.totalGlobalMem, allocated};
}

void* CudaBackend::device_memory(size_t bytes) {
    SCENE_CHECK(!recording_, "memory is allocated while ops are recorded, which must have run before");
    void* memory = nullptr;
    const cudaError_t error = cudaMalloc(&memory, std::max<size_t>(bytes, 1));
    if (error == cudaErrorMemoryAllocation) fail_out_of_memory(bytes);
    SCENE_CUDA(error);
    allocations_[memory] = bytes;
    return memory;
}

void* CudaBackend::allocate(size_t bytes) {
    void* memory = device_memory(bytes);
    SCENE_CUDA(cudaMemsetAsync(memory, 0, bytes, stream_));
    return memory;
}

void CudaBackend::release(void* memory) {
    (void)cudaStreamSynchronize(stream_);
    (void)cudaFree(memory);
    allocations_.erase(memory);
}

void* CudaBackend::import(const void* host, size_t bytes) {
    void* memory = device_memory(bytes);
    upload(memory, host, bytes);
    return memory;
}

void CudaBackend::release_import(void* memory) { release(memory); }

void CudaBackend::upload(void* device, const void* host, size_t bytes) {
    if (bytes == 0) return;
    SCENE_CUDA(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_));
    SCENE_CUDA(cudaStreamSynchronize(stream_)); // the caller may change its memory now
}

void CudaBackend::download(void* host, const void* device, size_t bytes) {
    if (bytes > 0) SCENE_CUDA(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_));
    synchronize();
}

void CudaBackend::synchronize() { SCENE_CUDA(cudaStreamSynchronize(stream_)); }

std::function<void()> CudaBackend::record(std::function<void()> ops) {
    recording_ = true;
    try {
        auto made = std::make_shared<const Record>(stream_, ops);
        recording_ = false;
        return [this, made] { made->replay(stream_); };
    } catch (...) {
        recording_ = false;
        throw;
    }
}

double CudaBackend::seconds_of(const std::function<void()>& ops) { return cuda::seconds_of(stream_, ops); }

Tensor CudaBackend::scratch(size_t bytes) {
    if (bytes == 0) return {};
    if (scratch_.empty() || scratch_.back().bytes() < bytes) {
        SCENE_CHECK(!recording_, "a recorded op needs more scratch than when it ran first");
        const size_t grown = std::max({bytes, least_scratch, scratch_.empty() ? 0 : 2 * scratch_.back().bytes()});
        scratch_.push_back({device_memory(grown), DType::U8, {static_cast<int64_t>(grown)}});
    }
    return scratch_.back();
}

void CudaBackend::conv2d_norm_statistics(Tensor mean, Tensor variance, Tensor moments, Tensor x, Tensor w,
                                         Tensor scratch, const Conv2dShape& shape) {
    cuda::conv2d_norm_statistics(mean, variance, moments, x, w, scratch, shape, stream_);
}

size_t CudaBackend::conv2d_norm_statistics_scratch_bytes(const Conv2dShape& shape) const {
    return cuda::conv2d_norm_statistics_scratch_bytes(shape);
}

void CudaBackend::conv2d_norm_backward(Tensor dx, Tensor dw, Tensor dgamma, Tensor dbeta, Tensor da, Tensor a, Tensor x,
                                       Tensor w, Tensor moments, Tensor mean, Tensor inv_std, Tensor scale,
                                       Tensor scratch, const Conv2dShape& shape) {
    cuda::conv2d_norm_backward(dx, dw, dgamma, dbeta, da, a, x, w, moments, mean, inv_std, scale, scratch, shape,
                               stream_);
}

size_t CudaBackend::conv2d_norm_backward_scratch_bytes(const Conv2dShape& shape) const {
    return cuda::conv2d_norm_backward_scratch_bytes(shape);
}

void CudaBackend::begin_range(const std::string& name) { cuda::begin_range(name); }

void CudaBackend::end_range() { cuda::end_range(); }

} // namespace scene::cuda

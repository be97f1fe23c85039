// The roofline of a GPU, measured: a large matrix product and a large copy.

#include <functional>
#include <utility>
#include <vector>

#include "kernels/cuda/autotune/autotune_buffer.h"
#include "kernels/cuda/autotune/timing.h"
#include "kernels/cuda/cublas/gemm.h"
#include "kernels/cuda/gpu.h"
#include "kernels/median.h"

namespace scene {
namespace {

constexpr int64_t edge = 8192;             ///< of the square matrices
constexpr size_t copied = size_t{2} << 30; ///< bytes, far more than any cache holds
constexpr int warm_ups = 3, repetitions = 9;

/// The median of the device's times for what `work` queues on the default stream.
double median_seconds(const std::function<void()>& work) {
    std::vector<double> seconds;
    for (int run = 0; run < warm_ups; ++run) work();
    for (int run = 0; run < repetitions; ++run) {
        cuda::Event begin, end;
        begin.record(nullptr);
        work();
        end.record(nullptr);
        seconds.push_back(end.seconds_since(begin));
    }
    return median(std::move(seconds));
}

} // namespace

CudaRoofline measure_cuda_roofline(const CudaSettings& settings) {
    const DType type = activation_type_of(settings.precision);
    const auto gemm = cuda::make_cublas_gemm(settings.precision != Precision::Fp32);
    CudaRoofline roofline;
    {
        const Shape matrix{edge, edge};
        const cuda::AutotuneBuffer a(matrix, type), b(matrix, type), c(matrix, type),
            workspace(gemm->workspace_bytes());
        const cuda::Product product{.rows = edge, .columns = edge, .k = edge, .transpose_b = true, .type = type};
        const double seconds =
            median_seconds([&] { gemm->multiply(product, c.get(), a.get(), b.get(), workspace.get(), nullptr); });
        roofline.product_flops = 2.0 * edge * edge * edge / seconds;
    }
    const cuda::AutotuneBuffer from({static_cast<int64_t>(copied / sizeof(float))}, DType::F32), to(copied);
    const double seconds = median_seconds(
        [&] { SCENE_CUDA(cudaMemcpyAsync(to.get(), from.get(), copied, cudaMemcpyDeviceToDevice, nullptr)); });
    roofline.copy_bytes = 2.0 * static_cast<double>(copied) / seconds;
    return roofline;
}

} // namespace scene

#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <cuda_runtime.h>

#include "kernels/backend.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/libraries.h"
#include "kernels/cuda/planner.h"
#include "kernels/cuda/stream.h"
#include "kernels/log_mel/cuda_tables.h"

namespace scene::cuda {

/// The backend of an NVIDIA GPU: the kernels of this folder, and a library each for convolutions and matrix products.
/// With `transforms`, log_mel goes through them instead of its own kernel.
/// Ops are queued on one stream in the order of the calls. Convolutions, and the batch norms and pools between them,
/// work in the activation type; the encoder, the head and everything else in F32.
class CudaBackend final : public Backend {
public:
    CudaBackend(DType activation, std::unique_ptr<Convolutions> convolutions, std::unique_ptr<Gemm> gemm,
                std::unique_ptr<FourierTransforms> transforms = nullptr, Fusions fusions = Fusions::Quickest);
    ~CudaBackend() override;
    CudaBackend(const CudaBackend&) = delete;
    CudaBackend& operator=(const CudaBackend&) = delete;

    DeviceInfo info() const override;
    const Planner& planner() const override { return planner_; }
    void autotune(const std::vector<Conv2dShape>& shapes) override { planner_.autotune(shapes); }
    DType activation_type() const override { return planner_.activation_type(); }
    void* allocate(size_t bytes) override;
    void release(void* memory) override;
    void* import(const void* host, size_t bytes) override;
    void release_import(void* memory) override;
    void upload(void* device, const void* host, size_t bytes) override;
    void download(void* host, const void* device, size_t bytes) override;
    void synchronize() override;
    std::function<void()> record(std::function<void()> ops) override;
    double seconds_of(const std::function<void()>& ops) override;

    ConvFusion conv2d_fusion(const Conv2dShape& shape) const override { return planner_.conv2d_fusion(shape); }
    ConvReport conv2d_report() const override { return planner_.conv2d_report(); }
    std::string libraries() const override { return planner_.libraries(); }

    void conv2d_norm_statistics(Tensor mean, Tensor variance, Tensor moments, Tensor x, Tensor w, Tensor scratch,
                                const Conv2dShape& shape) override;
    size_t conv2d_norm_statistics_scratch_bytes(const Conv2dShape& shape) const override;
    void conv2d_norm_backward(Tensor dx, Tensor dw, Tensor dgamma, Tensor dbeta, Tensor da, Tensor a, Tensor x,
                              Tensor w, Tensor moments, Tensor mean, Tensor inv_std, Tensor scale, Tensor scratch,
                              const Conv2dShape& shape) override;
    size_t conv2d_norm_backward_scratch_bytes(const Conv2dShape& shape) const override;

    void begin_range(const std::string& name) override;
    void end_range() override;

    Context& context() { return context_; }

private:
    /// Memory for the op about to be queued, free again when the op is done; content unspecified.
    Tensor scratch(size_t bytes);
    void* device_memory(size_t bytes);

    Stream stream_; // the libraries' handles refer to it
    std::unique_ptr<Gemm> gemm_;
    std::unique_ptr<FourierTransforms> transforms_;
    CudaPlanner planner_;
    LogMelTables log_mel_tables_;
    Context context_;
    std::map<void*, size_t> allocations_; ///< all of it, scratch and tables too
    // Records refer to scratch, so memory that has become too small is kept until the end.
    std::vector<Tensor> scratch_;
    bool recording_ = false;
};

} // namespace scene::cuda

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/context.h"

namespace scene::cpu {

/// The backend that runs on the host: oneDNN for matrix products and convolutions it does best, our own loops
/// (OpenMP, SIMD) for the rest. Ops run when they are called. Work is cut into pieces by size, never by thread
/// count, wherever a reduction crosses pieces.
class CpuBackend : public Backend {
public:
    explicit CpuBackend(int threads);
    ~CpuBackend() override;
    CpuBackend(const CpuBackend&) = delete;
    CpuBackend& operator=(const CpuBackend&) = delete;

    DeviceInfo info() const override;
    DType activation_type() const override { return DType::F32; }
    void* allocate(size_t bytes) override;
    void release(void* memory) override;
    void* import(const void* host, size_t bytes) override;
    void release_import(void* memory) override;
    void upload(void* device, const void* host, size_t bytes) override;
    void download(void* host, const void* device, size_t bytes) override;
    void synchronize() override;
    std::function<void()> record(std::function<void()> ops) override;
    double seconds_of(const std::function<void()>& ops) override;

    ConvFusion conv2d_fusion(const Conv2dShape& shape) const override;
    PreparedWeights conv2d_prepared_weights(const Conv2dShape& shape) const override;

    void conv2d_norm_statistics(Tensor mean, Tensor variance, Tensor moments, Tensor x, Tensor w, Tensor scratch,
                                const Conv2dShape& shape) override;
    size_t conv2d_norm_statistics_scratch_bytes(const Conv2dShape& shape) const override;
    void conv2d_norm_backward(Tensor dx, Tensor dw, Tensor dgamma, Tensor dbeta, Tensor da, Tensor a, Tensor x,
                              Tensor w, Tensor moments, Tensor mean, Tensor inv_std, Tensor scale, Tensor scratch,
                              const Conv2dShape& shape) override;
    size_t conv2d_norm_backward_scratch_bytes(const Conv2dShape& shape) const override;





    Context& context() { return context_; }
    const Planning& planning() const { return planning_; }

private:
    int threads_;
    std::unique_ptr<ConvolutionPlans> convolutions_;
    std::unique_ptr<LogMelPlans> log_mels_;
    Planning planning_;
    Context context_;
};

} // namespace scene::cpu

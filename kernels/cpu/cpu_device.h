#pragma once

#include <map>
#include <memory>

#include "kernels/cpu/context.h"
#include "kernels/device.h"

namespace scene::cpu {

class CpuPlanner final : public Planner {
public:
    CpuPlanner(int threads, ConvolutionPlans& convolutions);

    DType activation_type() const override { return DType::F32; }
    ConvFusion conv2d_fusion(const Conv2dShape& shape) const override;
    PreparedWeights conv2d_prepared_weights(const Conv2dShape& shape) const override;

    const Planning& planning() const { return planning_; }

private:
    Planning planning_;
};

/// The host. oneDNN computes the convolutions at which it is fastest, our own loops (OpenMP, SIMD) everything else. An
/// op has run when its call returns. Reductions over several chunks split their work by size, never by thread count.
class CpuDevice final : public Device {
public:
    /// 0 threads: one for each processor.
    explicit CpuDevice(int threads);
    ~CpuDevice() override;
    CpuDevice(const CpuDevice&) = delete;
    CpuDevice& operator=(const CpuDevice&) = delete;

    DeviceInfo info() const override;
    const Planner& planner() const override { return planner_; }
    void* allocate(size_t bytes) override;
    void release(void* memory) override;
    void* import(const void* host, size_t bytes) override;
    void release_import(void* memory) override;
    void upload(void* device, const void* host, size_t bytes) override;
    void download(void* host, const void* device, size_t bytes) override;
    void synchronize() override;
    std::function<void()> record(std::function<void()> ops) override;
    double seconds_of(const std::function<void()>& ops) override;

    Context& context() { return context_; }

private:
    int threads_;
    std::unique_ptr<ConvolutionPlans> convolutions_;
    std::unique_ptr<LogMelPlans> log_mels_;
    CpuPlanner planner_;
    Context context_;
    std::map<void*, size_t> allocations_;
};

} // namespace scene::cpu

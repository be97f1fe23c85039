#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/autotune/tuned_convolutions.h"
#include "kernels/cuda/context.h"
#include "kernels/planner.h"

namespace scene::cuda {

/// The planner of a GPU that need not be present. It answers from what `autotune` decided.
class CudaPlanner final : public Planner {
public:
    /// `device` is null if there is none. The pointer is kept and first used by `autotune`.
    CudaPlanner(std::unique_ptr<TunedConvolutions> convolutions, size_t gemm_workspace_bytes,
                Context* device = nullptr);

    /// As Device::autotune. Without a device nothing is measured: the engine that the library's heuristics rank first
    /// is chosen, and the library's fusions are used only with Fusions::Always.
    void autotune(const std::vector<Conv2dShape>& shapes);

    DType activation_type() const override { return convolutions_->activation(); }
    ConvFusion conv2d_fusion(const Conv2dShape& shape) const override { return convolutions_->fusion(shape); }
    /// y has at least the precision of F16 (kernels/batch_norm/batch_norm.h).
    bool norm_backward_reads_output() const override {
        return activation_type() == DType::F32 || activation_type() == DType::F16;
    }
    ConvReport conv2d_report() const override { return convolutions_->report(); }
    std::string libraries() const override { return convolutions_->version(); }

    TunedConvolutions& convolutions() { return *convolutions_; }
    const Planning& planning() const { return planning_; }

private:
    std::unique_ptr<TunedConvolutions> convolutions_;
    Planning planning_;
    Context* device_;
};

} // namespace scene::cuda

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/autotune/tuned_convolutions.h"
#include "kernels/cuda/context.h"
#include "kernels/planner.h"

namespace scene::cuda {

/// Plans for a GPU, which need not be there. It answers from what `autotune` decided.
class CudaPlanner final : public Planner {
public:
    /// `device`: null where there is none. It is kept, and first used by `autotune`.
    CudaPlanner(std::unique_ptr<TunedConvolutions> convolutions, size_t gemm_workspace_bytes,
                Context* device = nullptr);

    /// Device::autotune; without a device, by what the library takes for best.
    void autotune(const std::vector<Conv2dShape>& shapes);

    DType activation_type() const override { return convolutions_->activation(); }
    ConvFusion conv2d_fusion(const Conv2dShape& shape) const override { return convolutions_->fusion(shape); }
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

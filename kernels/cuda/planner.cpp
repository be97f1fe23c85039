#include "kernels/cuda/planner.h"

#include <utility>

namespace scene::cuda {
namespace {

struct Functions {
    template <template <class> class Op> static size_t bytes(const Planner& planner, const Op<TensorSpec>& op) {
        if constexpr (requires(const Planning& planning) { scratch_bytes(op, planning); }) {
            return scratch_bytes(op, static_cast<const CudaPlanner&>(planner).planning());
        } else {
            return 0;
        }
    }
};

} // namespace

CudaPlanner::CudaPlanner(std::unique_ptr<TunedConvolutions> convolutions, size_t gemm_workspace_bytes, Context* device)
    : Planner(scratch_table<Functions>),
      convolutions_(std::move(convolutions)), planning_{.gemm_workspace_bytes = gemm_workspace_bytes,
                                                        .convolutions = convolutions_.get(),
                                                        .limits = convolutions_->limits()},
      device_(device) {}

void CudaPlanner::autotune(const std::vector<Conv2dShape>& shapes) { convolutions_->tune_step(shapes, device_); }

} // namespace scene::cuda

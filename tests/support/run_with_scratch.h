#pragma once

#include <cstdint>

#include "kernels/device.h"
#include "kernels/op_fields.h"

namespace scene::test {

/// Runs an op, whose scratch the caller leaves out, with as much scratch as the planner asks for. Waits for the op.
template <template <class> class Op> void run_with_scratch(Device& device, Op<Tensor> op) {
    const Op<TensorSpec> spec = rebound<TensorSpec>(op, [](const Tensor& tensor) { return spec_of(tensor); });
    const size_t bytes = device.planner().scratch_bytes(spec);
    void* scratch = bytes > 0 ? device.allocate(bytes) : nullptr;
    if (scratch) op.scratch = Tensor{scratch, DType::U8, {static_cast<int64_t>(bytes)}};
    device.run(op);
    device.synchronize();
    if (scratch) device.release(scratch);
}

} // namespace scene::test

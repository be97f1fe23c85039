#pragma once

#include "tests/support/forwarding_device.h"

namespace scene::test {

/// A planner of a device with this activation type, F16 or BF16.
template <DType type> class HalfWidthPlans : public ForwardingPlanner {
public:
    using ForwardingPlanner::ForwardingPlanner;
    DType activation_type() const override { return type; }
    PreparedWeights conv2d_prepared_weights(const Conv2dShape&) const override { return {}; } // the CPU's is of F32
    ConvFusion conv2d_fusion(const Conv2dShape&) const override {
        return {.normalize_input = true, .bias_relu = true, .narrow_bias = true};
    }
};

/// Programs can be built for it, but not run.
template <DType type> class HalfWidthDevice : public ForwardingDevice<HalfWidthDevice<type>, HalfWidthPlans<type>> {};

} // namespace scene::test

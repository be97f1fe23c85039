#pragma once

// What the ops' reference implementations share (kernels/<op>/reference.cpp): the naive versions, which are the oracle
// of all others. A reference works on host memory. Its floating-point operands are all F64 or all F32, and it computes
// in that type. Tests compare a device with the reference in F64. They allow an error relative to that of the reference
// in F32, the naive version in the device's own precision (tests/support/op_test.h).

#include "kernels/operands.h"
#include "kernels/philox.h"

namespace scene::reference {

/// The elements of an operand; null if it is absent.
template <typename Real> Real* values(const Tensor& tensor) { return tensor ? tensor.as<Real>() : nullptr; }

/// Calls work(Real()), where Real is double if the operand is F64, else float.
template <typename Work> void with_real(const Tensor& operand, Work&& work) {
    if (operand.dtype == DType::F64) {
        work(double());
    } else {
        work(float());
    }
}

/// The factor of dropout for element `index`: 0 or 1/(1 - p).
template <typename Real> Real dropout_factor(const Dropout& dropout, const Tensor& control, int64_t index) {
    if (dropout.p == 0) return 1;
    const StepControl& step = step_control(control);
    const uint32_t word = random_word(step.seed, dropout.stream, step.step, static_cast<uint64_t>(index));
    return word < dropout_threshold(dropout.p) ? Real(0) : 1 / (1 - static_cast<Real>(dropout.p));
}

} // namespace scene::reference

#pragma once

// What the references of the ops share: kernels/<op>/reference.cpp, the naive version that anybody can read and the
// oracle of all others. A reference works on host memory whose floating-point operands are all F64 or all F32, and
// computes in that type. In F32 it is the naive version in the devices' own precision, whose error theirs is measured
// by.

#include "kernels/operands.h"
#include "kernels/philox.h"

namespace scene::reference {

/// The elements of an operand as Real; null where it is absent.
template <typename Real> Real* values(const Tensor& tensor) { return tensor ? tensor.as<Real>() : nullptr; }

/// Calls work(Real()) with the type of an operand's elements.
template <typename Work> void with_real(const Tensor& operand, Work&& work) {
    if (operand.dtype == DType::F64) {
        work(double());
    } else {
        work(float());
    }
}

/// What dropout multiplies element `index` with.
template <typename Real> Real dropout_factor(const Dropout& dropout, const Tensor& control, int64_t index) {
    if (dropout.p == 0) return 1;
    const StepControl& step = step_control(control);
    const uint32_t word = random_word(step.seed, dropout.stream, step.step, static_cast<uint64_t>(index));
    return word < dropout_threshold(dropout.p) ? Real(0) : 1 / (1 - static_cast<Real>(dropout.p));
}

} // namespace scene::reference

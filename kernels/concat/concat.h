#pragma once

#include <array>

#include "kernels/op.h"

namespace scene {

constexpr size_t most_concat_parts = 4;

/// Concatenation along the last axis: y [N, sum of D_i] = parts [N, D_i], one to four of them, all F32 or all of the
/// activation type. Absent parts come last. Anything else throws std::logic_error.
template <class T> struct ConcatForward {
    static constexpr std::string_view name = "concat_forward";
    Out<T> y;
    std::array<OptionalIn<T>, most_concat_parts> parts;
};

/// The gradient of ConcatForward: dy [N, sum of D_i] split into dparts [N, D_i], in the same order.
template <class T> struct ConcatBackward {
    static constexpr std::string_view name = "concat_backward";
    std::array<OptionalOut<T>, most_concat_parts> dparts;
    In<T> dy;
};

namespace reference {
void run(const ConcatForward<Tensor>&);
void run(const ConcatBackward<Tensor>&);
} // namespace reference
namespace cpu {
void run(const ConcatForward<Tensor>&, Context&);
void run(const ConcatBackward<Tensor>&, Context&);
} // namespace cpu
namespace cuda {
void run(const ConcatForward<Tensor>&, Context&);
void run(const ConcatBackward<Tensor>&, Context&);
} // namespace cuda

} // namespace scene

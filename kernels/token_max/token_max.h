#pragma once

#include "kernels/op.h"

namespace scene {

/// y [N, D] = max over t of x [N, T, D] of the activation type or F32; y is F32 or of x's type. argmax I32 [N, D] is
/// the first maximum. A NaN is larger than any number, and the last NaN counts.
template <class T> struct TokenMaxForward {
    static constexpr std::string_view name = "token_max_forward";
    Out<T> y, argmax;
    In<T> x;
};

/// dx [N, T, D] = dy [N, D] where t is the argmax, 0 elsewhere. dy is F32 or of dx's type.
template <class T> struct TokenMaxBackward {
    static constexpr std::string_view name = "token_max_backward";
    Out<T> dx;
    In<T> dy, argmax;
};

namespace reference {
void run(const TokenMaxForward<Tensor>&);
void run(const TokenMaxBackward<Tensor>&);
} // namespace reference
namespace cpu {
void run(const TokenMaxForward<Tensor>&, Context&);
void run(const TokenMaxBackward<Tensor>&, Context&);
} // namespace cpu
namespace cuda {
void run(const TokenMaxForward<Tensor>&, Context&);
void run(const TokenMaxBackward<Tensor>&, Context&);
} // namespace cuda

} // namespace scene

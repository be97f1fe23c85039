#pragma once

#include "kernels/op.h"

namespace scene {

/// y [N, D] = the maximum of x [N, T, D] over the tokens t; argmax I32 [N, D] = the t of the first maximum. x is F32 or
/// of the activation type, y is F32 or of x's type. NaN is larger than any number, and of several NaNs the last is the
/// maximum.
template <class T> struct TokenMaxForward {
    static constexpr std::string_view name = "token_max_forward";
    Out<T> y, argmax;
    In<T> x;
};

/// dx [N, T, D] = dy [N, D] where t is the argmax, else 0. dx is F32 or of the activation type, dy is F32 or of dx's
/// type.
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

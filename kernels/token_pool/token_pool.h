#pragma once

#include "kernels/op.h"

namespace scene {

/// PyTorch's adaptive average pooling of x [N, H, W, C] to T x 1: y [N, T, C], where token t is the mean over all W
/// columns of rows floor(t*H/T) to ceil((t+1)*H/T) - 1. Tokens may overlap where T does not divide H. x is of the
/// activation type, y is F32 or of x's type.
template <class T> struct TokenPoolForward {
    static constexpr std::string_view name = "token_pool_forward";
    Out<T> y;
    In<T> x;
};

/// dx [N, H, W, C] from dy [N, T, C]: each position gets dy/(rows*W) of every token that averages its row, where `rows`
/// is the number of the token's rows. dx is of the activation type, dy is F32 or of dx's type.
template <class T> struct TokenPoolBackward {
    static constexpr std::string_view name = "token_pool_backward";
    Out<T> dx;
    In<T> dy;
};

namespace reference {
void run(const TokenPoolForward<Tensor>&);
void run(const TokenPoolBackward<Tensor>&);
} // namespace reference
namespace cpu {
void run(const TokenPoolForward<Tensor>&, Context&);
void run(const TokenPoolBackward<Tensor>&, Context&);
} // namespace cpu
namespace cuda {
void run(const TokenPoolForward<Tensor>&, Context&);
void run(const TokenPoolBackward<Tensor>&, Context&);
} // namespace cuda

} // namespace scene

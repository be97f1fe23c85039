#pragma once

#include "kernels/op.h"

namespace scene {

/// y [N, T, C] from x [N, H, W, C] of the activation type: token t is the mean over all W and over rows floor(t*H/T) to
/// ceil((t+1)*H/T) - 1 (PyTorch's adaptive average pooling to T x 1). y is F32 or of x's type.
template <class T> struct TokenPoolForward {
    static constexpr std::string_view name = "token_pool_forward";
    Out<T> y;
    In<T> x;
};

/// dx [N, H, W, C]: each position gets dy/(rows*W) of every token that averages its row. dy is F32 or of dx's type.
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

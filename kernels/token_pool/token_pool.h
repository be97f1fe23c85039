#pragma once

#include "kernels/op.h"

namespace scene {

/// y [N, T, C] f32 from x [N, H, W, C] of the activation type: token t is the mean over all W and rows floor(t*H/T) ..
/// ceil((t+1)*H/T) - 1 (PyTorch's adaptive average pooling to T x 1).
template <class T> struct TokenPoolForward {
    static constexpr std::string_view name = "token_pool_forward";
    Out<T> y;
    In<T> x;
};

template <class T> struct TokenPoolBackward {
    static constexpr std::string_view name = "token_pool_backward";
    Out<T> dx;
    In<T> dy;
};

} // namespace scene

#pragma once

#include "kernels/op.h"

namespace scene {

/// y [N, D] = max over t of x [N, T, D]; argmax [N, D] I32 is the first maximum.
template <class T> struct TokenMaxForward {
    static constexpr std::string_view name = "token_max_forward";
    Out<T> y, argmax;
    In<T> x;
};

/// dx [N, T, D] = dy where t is the maximum, 0 elsewhere.
template <class T> struct TokenMaxBackward {
    static constexpr std::string_view name = "token_max_backward";
    Out<T> dx;
    In<T> dy, argmax;
};

} // namespace scene

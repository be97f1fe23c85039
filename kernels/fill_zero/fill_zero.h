#pragma once

#include "kernels/op.h"

namespace scene {

/// x = 0, of any type.
template <class T> struct FillZero {
    static constexpr std::string_view name = "fill_zero";
    Out<T> x;
};

} // namespace scene

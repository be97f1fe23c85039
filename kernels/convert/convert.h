#pragma once

#include "kernels/op.h"

namespace scene {

/// y = x, rounded to the nearest, between F32 and F16, of one shape.
template <class T> struct Convert {
    static constexpr std::string_view name = "convert";
    Out<T> y;
    In<T> x;
};

} // namespace scene

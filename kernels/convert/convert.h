#pragma once

#include "kernels/op.h"

namespace scene {

/// y = x, rounded to the nearest (ties to even): F32 to F16 or F16 to F32, of one shape.
template <class T> struct Convert {
    static constexpr std::string_view name = "convert";
    Out<T> y;
    In<T> x;
};

namespace reference {
void run(const Convert<Tensor>&);
} // namespace reference
namespace cpu {
void run(const Convert<Tensor>&, Context&);
} // namespace cpu
namespace cuda {
void run(const Convert<Tensor>&, Context&);
} // namespace cuda

} // namespace scene

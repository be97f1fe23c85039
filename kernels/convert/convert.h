#pragma once

#include "kernels/op.h"

namespace scene {

/// y = x in the other of the types F32 and F16; both have one shape. F32 to F16 rounds to nearest, ties to even, and
/// overflows to infinity. F16 to F32 is exact. Other types throw std::logic_error.
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

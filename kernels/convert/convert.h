#pragma once

#include "kernels/op.h"

namespace scene {

/// y = x from F32 to F16 or BF16, or back; both have one shape. To F16 or BF16 it rounds to nearest, ties to even, and
/// overflows to infinity. To F32 it is exact. Other types throw std::logic_error.
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

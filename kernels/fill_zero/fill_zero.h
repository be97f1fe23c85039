#pragma once

#include "kernels/op.h"

namespace scene {

/// x = 0, of any type and shape.
template <class T> struct FillZero {
    static constexpr std::string_view name = "fill_zero";
    Out<T> x;
};

namespace reference {
void run(const FillZero<Tensor>&);
} // namespace reference
namespace cpu {
void run(const FillZero<Tensor>&, Context&);
} // namespace cpu
namespace cuda {
void run(const FillZero<Tensor>&, Context&);
} // namespace cuda

} // namespace scene

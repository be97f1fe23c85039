#pragma once

#include "kernels/op.h"

namespace scene {

/// mean, deviation f32 [N, F] over T, clip_mean f32 [N] over T and F of x f32 [N, T, F]. The deviation is
/// sqrt(biased variance + 1e-6).
template <class T> struct BandMoments {
    static constexpr std::string_view name = "band_moments";
    Out<T> mean, deviation, clip_mean;
    In<T> x;
    Scratch<T> scratch{};
};

namespace reference {
void run(const BandMoments<Tensor>&);
} // namespace reference
namespace cpu {
void run(const BandMoments<Tensor>&, Context&);
size_t scratch_bytes(const BandMoments<TensorSpec>&, const Planning&);
} // namespace cpu
namespace cuda {
void run(const BandMoments<Tensor>&, Context&);
} // namespace cuda

} // namespace scene

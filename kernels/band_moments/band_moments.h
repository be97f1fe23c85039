#pragma once

#include "kernels/op.h"

namespace scene {

/// Moments of each clip of x [N, T, F], all f32, for augment_features.
/// - mean [N, F]: over T
/// - deviation [N, F] = sqrt(biased variance over T + 1e-6)
/// - clip_mean [N]: over T and F
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

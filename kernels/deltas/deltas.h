#pragma once

#include "kernels/op.h"

namespace scene {

/// y [N, T, F, 3] = x [N, T, F], its delta and its delta-delta along the frames T; f32, T >= 9. Equals
/// librosa.feature.delta(width=9, mode="interp") of order 1 and 2, which are Savitzky-Golay filters: over the 9 frames
/// c - 4 .. c + 4 with c = t clamped to 4 .. T - 5, the delta is the slope of the least-squares line, the delta-delta
/// the second derivative of the least-squares parabola.
template <class T> struct Deltas {
    static constexpr std::string_view name = "deltas";
    Out<T> y;
    In<T> x;
};

namespace reference {
void run(const Deltas<Tensor>&);
} // namespace reference
namespace cpu {
void run(const Deltas<Tensor>&, Context&);
} // namespace cpu
namespace cuda {
void run(const Deltas<Tensor>&, Context&);
} // namespace cuda

} // namespace scene

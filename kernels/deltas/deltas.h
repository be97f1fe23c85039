#pragma once

#include "kernels/op.h"

namespace scene {

/// y [N, T, F, 3] from x [N, T, F], f32: x, its delta and its delta-delta along T, as librosa.feature.delta(width=9,
/// mode="interp") of order 1 and 2 (Savitzky-Golay, polynomial order = delta order). T >= 9.
template <class T> struct Deltas {
    static constexpr std::string_view name = "deltas";
    Out<T> y;
    In<T> x;
};

} // namespace scene

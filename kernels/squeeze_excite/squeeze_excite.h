#pragma once

// Squeeze and excitation (Hu et al., CVPR 2018) after a batch norm and before the relu: z = scale*x + shift, y = relu(z
// * gate[n, c]). x [N, H, W, C] of the activation type, scale and shift f32 [C], gate f32 [N, C] from two linear
// layers.

#include "kernels/op.h"

namespace scene {

/// pooled [N, C] f32 = mean over H, W of scale*x + shift.
template <class T> struct SqueezeExciteSqueeze {
    static constexpr std::string_view name = "se_squeeze";
    Out<T> pooled;
    In<T> x, scale, shift;
    Scratch<T> scratch{};
};

/// y = relu((scale*x + shift) * gate[n, c]), 2x2 average-pooled (floor) when asked.
template <class T> struct SqueezeExciteForward {
    static constexpr std::string_view name = "se_excite_forward";
    Out<T> y;
    In<T> x, scale, shift, gate;
    bool avg_pool;
};

/// dgate [N, C] f32 = sum over H, W of dy*[y > 0]*(scale*x + shift), with dy spread evenly over a pooled window.
template <class T> struct SqueezeExciteBackwardGate {
    static constexpr std::string_view name = "se_excite_backward_gate";
    Out<T> dgate;
    In<T> dy, x, scale, shift, gate;
    Scratch<T> scratch{};
    bool avg_pool;
};

/// dz [N, H, W, C] = dy*[y > 0]*gate + dpooled[n, c]/(H*W): the gradient of z = scale*x + shift. dpooled f32 [N, C] is
/// the gradient of se_squeeze's output.
template <class T> struct SqueezeExciteBackward {
    static constexpr std::string_view name = "se_excite_backward";
    Out<T> dz;
    In<T> dy, x, scale, shift, gate, dpooled;
    bool avg_pool;
};

} // namespace scene

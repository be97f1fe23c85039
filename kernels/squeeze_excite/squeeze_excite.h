#pragma once

// Squeeze and excitation (Hu et al., CVPR 2018) between a batch norm and its relu:
//   z = scale*x + shift                  the batch norm, recomputed from its input x
//   pooled[n, c] = mean of z over H, W   the squeeze
//   y = relu(z*gate[n, c])               the excitation; two linear layers compute gate from pooled
// With avg_pool, y is then average-pooled, 2x2 with stride 2: [N, floor(H/2), floor(W/2), C] instead of [N, H, W, C].
// x and dz [N, H, W, C], y and dy are of the activation type; scale, shift f32 [C]; pooled, gate, dpooled and
// dgate f32 [N, C].

#include "kernels/op.h"

namespace scene {

/// pooled [N, C] = the mean of z over H, W.
template <class T> struct SqueezeExciteSqueeze {
    static constexpr std::string_view name = "se_squeeze";
    Out<T> pooled;
    In<T> x, scale, shift;
    Scratch<T> scratch{};
};

/// y = relu(z*gate), average-pooled with avg_pool.
template <class T> struct SqueezeExciteForward {
    static constexpr std::string_view name = "se_excite_forward";
    Out<T> y;
    In<T> x, scale, shift, gate;
    bool avg_pool;
};

/// dgate [N, C] = the sum of du*z over H, W. du [N, H, W, C], the gradient of z*gate, is dy where z*gate > 0, else 0.
/// With avg_pool, each position gets a quarter of its window's dy; a last odd row or column gets 0.
template <class T> struct SqueezeExciteBackwardGate {
    static constexpr std::string_view name = "se_excite_backward_gate";
    Out<T> dgate;
    In<T> dy, x, scale, shift, gate;
    Scratch<T> scratch{};
    bool avg_pool;
};

/// The gradient of z, dz [N, H, W, C] = du*gate + dpooled[n, c]/(H*W), with du as above. dpooled [N, C] is the gradient
/// of pooled.
template <class T> struct SqueezeExciteBackward {
    static constexpr std::string_view name = "se_excite_backward";
    Out<T> dz;
    In<T> dy, x, scale, shift, gate, dpooled;
    bool avg_pool;
};

namespace reference {
void run(const SqueezeExciteSqueeze<Tensor>&);
void run(const SqueezeExciteForward<Tensor>&);
void run(const SqueezeExciteBackwardGate<Tensor>&);
void run(const SqueezeExciteBackward<Tensor>&);
} // namespace reference
namespace cpu {
void run(const SqueezeExciteSqueeze<Tensor>&, Context&);
void run(const SqueezeExciteForward<Tensor>&, Context&);
void run(const SqueezeExciteBackwardGate<Tensor>&, Context&);
void run(const SqueezeExciteBackward<Tensor>&, Context&);
size_t scratch_bytes(const SqueezeExciteSqueeze<TensorSpec>&, const Planning&);
size_t scratch_bytes(const SqueezeExciteBackwardGate<TensorSpec>&, const Planning&);
} // namespace cpu
namespace cuda {
void run(const SqueezeExciteSqueeze<Tensor>&, Context&);
void run(const SqueezeExciteForward<Tensor>&, Context&);
void run(const SqueezeExciteBackwardGate<Tensor>&, Context&);
void run(const SqueezeExciteBackward<Tensor>&, Context&);
size_t scratch_bytes(const SqueezeExciteSqueeze<TensorSpec>&, const Planning&);
size_t scratch_bytes(const SqueezeExciteBackwardGate<TensorSpec>&, const Planning&);
} // namespace cuda

} // namespace scene

#pragma once

// Squeeze and excitation (Hu et al., CVPR 2018) between a batch norm and its relu: z = scale*x + shift and y =
// relu(z*gate[n, c]). x [N, H, W, C] of the activation type; scale, shift f32 [C]. gate f32 [N, C] is what two linear
// layers make of the squeezed z. With avg_pool, y is 2x2 average-pooled with stride 2 (floor): [N, H/2, W/2, C] in
// place of [N, H, W, C].

#include "kernels/op.h"

namespace scene {

/// pooled f32 [N, C] = mean of z over H, W.
template <class T> struct SqueezeExciteSqueeze {
    static constexpr std::string_view name = "se_squeeze";
    Out<T> pooled;
    In<T> x, scale, shift;
    Scratch<T> scratch{};
};

/// y of the activation type.
template <class T> struct SqueezeExciteForward {
    static constexpr std::string_view name = "se_excite_forward";
    Out<T> y;
    In<T> x, scale, shift, gate;
    bool avg_pool;
};

/// dgate f32 [N, C] = sum over H, W of du*z. du [N, H, W, C], the gradient of z*gate, is dy where z*gate > 0, else 0.
/// With avg_pool, each position gets a quarter of its window's dy; a last odd row or column gets none.
template <class T> struct SqueezeExciteBackwardGate {
    static constexpr std::string_view name = "se_excite_backward_gate";
    Out<T> dgate;
    In<T> dy, x, scale, shift, gate;
    Scratch<T> scratch{};
    bool avg_pool;
};

/// dz [N, H, W, C] = du*gate + dpooled[n, c]/(H*W), the gradient of z with du as above. dpooled f32 [N, C] is the
/// gradient of se_squeeze's output.
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

#pragma once

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// y = layer_norm(x + dropout(branch))*gamma + beta over the last axis D (Ba et al., arXiv 1607.06450). moments [M, 2]
/// f32 = mean and 1/std of each of the M rows; gamma, beta f32 [D].
template <class T> struct LayerNormForward {
    static constexpr std::string_view name = "layer_norm_forward";
    Out<T> y, moments;
    In<T> x, branch, gamma, beta;
    OptionalIn<T> control{}; ///< where there is dropout
    Scratch<T> scratch{};
    float epsilon;
    Dropout dropout{};
};

/// dx (the residual's gradient), dbranch (after dropout's mask), dgamma, dbeta f32 [D], from dy. With g = dy*gamma and
/// xhat the normalised row: dx = (g - mean(g) - xhat*mean(g*xhat))/std.
template <class T> struct LayerNormBackward {
    static constexpr std::string_view name = "layer_norm_backward";
    Out<T> dx, dbranch, dgamma, dbeta;
    In<T> dy, moments, x, branch, gamma;
    OptionalIn<T> control{}; ///< where there is dropout
    Scratch<T> scratch{};
    Dropout dropout{};
};

namespace reference {
void run(const LayerNormForward<Tensor>&);
void run(const LayerNormBackward<Tensor>&);
} // namespace reference
namespace cpu {
void run(const LayerNormForward<Tensor>&, Context&);
void run(const LayerNormBackward<Tensor>&, Context&);
size_t scratch_bytes(const LayerNormForward<TensorSpec>&, const Planning&);
size_t scratch_bytes(const LayerNormBackward<TensorSpec>&, const Planning&);
} // namespace cpu
namespace cuda {
void run(const LayerNormForward<Tensor>&, Context&);
void run(const LayerNormBackward<Tensor>&, Context&);
size_t scratch_bytes(const LayerNormBackward<TensorSpec>&, const Planning&);
} // namespace cuda

} // namespace scene

#pragma once

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// y = layer_norm(x + dropout(branch))*gamma + beta over the last axis D (Ba et al., arXiv 1607.06450), a residual
/// connection followed by its norm. y, x and branch have the same shape [..., D] of M rows, and are of the activation
/// type; gamma, beta f32 [D]. moments f32 [M, 2] = each row's mean and 1/sqrt(variance + epsilon), with the biased
/// variance.
template <class T> struct LayerNormForward {
    static constexpr std::string_view name = "layer_norm_forward";
    Out<T> y, moments;
    In<T> x, branch, gamma, beta;
    OptionalIn<T> control{}; ///< required if dropout.p > 0
    Scratch<T> scratch{};
    float epsilon;
    Dropout dropout{};
};

/// The gradients of LayerNormForward from dy, with its moments. Let g = dy*gamma, xhat the normalised row:
///   dx = (g - mean(g) - xhat*mean(g*xhat))*inv_std
///   dbranch = dx with the dropout of the forward pass
///   dgamma, dbeta = the sums of dy*xhat and of dy over the M rows, f32 [D]
/// dx, dbranch and dy are as x.
template <class T> struct LayerNormBackward {
    static constexpr std::string_view name = "layer_norm_backward";
    Out<T> dx, dbranch, dgamma, dbeta;
    In<T> dy, moments, x, branch, gamma;
    OptionalIn<T> control{}; ///< required if dropout.p > 0
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

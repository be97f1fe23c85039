#pragma once

// Multi-head self-attention (Vaswani et al., NeurIPS 2017) over N clips of T tokens with D features. The last axis of
// qkv [N, T, 3D] is q, k, v, and each of these is [heads, D/heads]. All tensors but the control are of the activation
// type. D must be a multiple of heads: std::logic_error otherwise.

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// FLOPs of the forward pass's two matrix products, q k^T and p v. The backward pass has five of this size: q k^T
/// again, and one each for dp, dq, dk and dv.
inline double attention_flops(const Shape& qkv) {
    const int64_t features = qkv[2] / 3;
    return 4.0 * static_cast<double>(qkv[0] * qkv[1] * qkv[1] * features);
}

/// Per head: y [N, T, D] = dropout(p) v with the probabilities p = softmax(q k^T / sqrt(D/heads)). The dropout element
/// of clip n, head h, query i and key j is ((n*heads + h)*T + i)*T + j.
template <class T> struct AttentionForward {
    static constexpr std::string_view name = "attention_forward";
    Out<T> y;
    In<T> qkv;
    OptionalIn<T> control{}; ///< required if dropout.p > 0
    int heads;
    Dropout dropout{};
    Scratch<T> scratch{};

    double flops() const { return attention_flops(qkv.shape); }
};

/// dqkv [N, T, 3D] from dy [N, T, D], the gradient of y. The probabilities and their dropout mask are recomputed.
template <class T> struct AttentionBackward {
    static constexpr std::string_view name = "attention_backward";
    Out<T> dqkv;
    In<T> dy, qkv;
    OptionalIn<T> control{}; ///< required if dropout.p > 0
    int heads;
    Dropout dropout{};
    Scratch<T> scratch{};

    double flops() const { return 2.5 * attention_flops(qkv.shape); }
};

namespace reference {
void run(const AttentionForward<Tensor>&);
void run(const AttentionBackward<Tensor>&);
} // namespace reference
namespace cpu {
void run(const AttentionForward<Tensor>&, Context&);
void run(const AttentionBackward<Tensor>&, Context&);
size_t scratch_bytes(const AttentionForward<TensorSpec>&, const Planning&);
size_t scratch_bytes(const AttentionBackward<TensorSpec>&, const Planning&);
} // namespace cpu
namespace cuda {
/// A head must fit into a block's shared memory (227 KB on an H100): as floats, 3 x [T, D/heads] and 1 x [T, T]
/// forward, 4 x [T, D/heads] and 2 x [T, T] backward. At most 65535 clips. std::logic_error otherwise.
void run(const AttentionForward<Tensor>&, Context&);
void run(const AttentionBackward<Tensor>&, Context&);
} // namespace cuda

} // namespace scene

#pragma once

// Multi-head self-attention (Vaswani et al., 2017). qkv [N, T, 3D] holds q, k and v side by side, each split into
// heads.

#include "kernels/op.h"
#include "kernels/op_types.h"

namespace scene {

/// Arithmetic of q k^T and of its product with v; the backward pass has five such products where this has two.
inline double attention_flops(const Shape& qkv) {
    return 4.0 * static_cast<double>(qkv[0] * qkv[1] * qkv[1] * (qkv[2] / 3));
}

/// y [N, T, D] = softmax(q k^T / sqrt(D/heads)) v per head, with dropout on the probabilities. Dropout element index:
/// ((n*heads + h)*T + i)*T + j.
template <class T> struct AttentionForward {
    static constexpr std::string_view name = "attention_forward";
    Out<T> y;
    In<T> qkv;
    OptionalIn<T> control{}; ///< where there is dropout
    int heads;
    Dropout dropout{};
    Scratch<T> scratch{};

    double flops() const { return attention_flops(qkv.shape); }
};

/// dqkv [N, T, 3D] from dy; the probabilities are recomputed.
template <class T> struct AttentionBackward {
    static constexpr std::string_view name = "attention_backward";
    Out<T> dqkv;
    In<T> dy, qkv;
    OptionalIn<T> control{}; ///< where there is dropout
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
/// One head's vectors and T x T probabilities must fit into a block's 227 KB of shared memory.
void run(const AttentionForward<Tensor>&, Context&);
void run(const AttentionBackward<Tensor>&, Context&);
} // namespace cuda

} // namespace scene

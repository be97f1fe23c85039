#pragma once

#include "kernels/op.h"

namespace scene {

/// y [N, E] = table[index[n]], or zeros where the index is -1 (unknown). table f32 [V, E]; index I32 [N], -1 .. V - 1;
/// y is F32 or of the activation type. An index >= V throws std::logic_error on a CPU and gives NaN on a GPU.
template <class T> struct EmbeddingForward {
    static constexpr std::string_view name = "embedding_forward";
    Out<T> y;
    In<T> table, index;
};

/// dtable f32 [V, E]: dtable[v] = the sum of dy[n] over all n with index[n] = v, in batch order. dy [N, E] is F32 or of
/// the activation type. An index >= V throws std::logic_error on a CPU and is ignored on a GPU.
template <class T> struct EmbeddingBackward {
    static constexpr std::string_view name = "embedding_backward";
    Out<T> dtable;
    In<T> dy, index;
};

namespace reference {
void run(const EmbeddingForward<Tensor>&);
void run(const EmbeddingBackward<Tensor>&);
} // namespace reference
namespace cpu {
void run(const EmbeddingForward<Tensor>&, Context&);
void run(const EmbeddingBackward<Tensor>&, Context&);
} // namespace cpu
namespace cuda {
void run(const EmbeddingForward<Tensor>&, Context&);
void run(const EmbeddingBackward<Tensor>&, Context&);
} // namespace cuda

} // namespace scene

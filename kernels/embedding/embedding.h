#pragma once

#include "kernels/op.h"

namespace scene {

/// y [N, E] = table[index[n]], zeros where the index is -1 (unknown). table f32 [V, E], index I32 [N]; y is F32 or of
/// the activation type. An index beyond the table is refused by the CPU and gives NaN on a GPU, which cannot throw.
template <class T> struct EmbeddingForward {
    static constexpr std::string_view name = "embedding_forward";
    Out<T> y;
    In<T> table, index;
};

/// dtable f32 [V, E]: for each row of the table the rows of dy [N, E] that used it, summed in batch order. dy is F32 or
/// of the activation type.
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

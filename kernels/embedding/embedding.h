#pragma once

#include "kernels/op.h"

namespace scene {

/// y [N, E] = table[index[n]], zeros where index is -1 (unknown); table [V, E], index I32 [N].
template <class T> struct EmbeddingForward {
    static constexpr std::string_view name = "embedding_forward";
    Out<T> y;
    In<T> table, index;
};

/// dtable [V, E] f32: rows of dy summed in batch order, zero where unused.
template <class T> struct EmbeddingBackward {
    static constexpr std::string_view name = "embedding_backward";
    Out<T> dtable;
    In<T> dy, index;
};

} // namespace scene

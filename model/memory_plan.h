#pragma once

#include <limits>
#include <vector>

#include "model/program.h"

namespace scene {

/// Gives every transient tensor of the program its offset in the step's memory and sets `transient_bytes` and
/// `lower_bound`. A tensor occupies its place from the op that first writes it to the op that last uses it; tensors
/// whose times overlap do not overlap in memory. Greedy by size (Pisarchyk and Lee, arXiv 2001.03288): the largest
/// first, each at the lowest offset free for its whole life; several orders are tried and the smallest plan kept.
/// Offsets are multiples of 256 bytes.
void plan_memory(Program& program);

/// A transient buffer's size, a multiple of 256 bytes, and the first and last op that touch it.
struct Lifetime {
    size_t buffer = 0; ///< index of the tensor that owns the memory
    size_t bytes = 0;
    size_t first = std::numeric_limits<size_t>::max();
    size_t last = 0;

    size_t end(size_t offset) const { return offset + bytes; }
    bool overlaps(const Lifetime& other) const { return first <= other.last && other.first <= last; }
};
/// In order of buffer.
std::vector<Lifetime> lifetimes(const Program& program);

} // namespace scene

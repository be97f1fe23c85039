#pragma once

#include <limits>
#include <vector>

#include "model/program.h"

namespace scene {

/// Assigns every transient tensor an offset in the step's memory, a multiple of 256 bytes, and sets `transient_bytes`
/// and `lower_bound`. A buffer is live from the first op that touches it to the last; buffers that are live at the same
/// time do not overlap. Greedy by size (Pisarchyk and Lee, arXiv 2001.03288): the largest buffer first, each at the
/// lowest offset that is free for its whole lifetime. The orders by bytes*duration, by duration and by first use are
/// tried too; the smallest plan wins.
void plan_memory(Program& program);

/// The size of a transient buffer, and when it is live.
struct Lifetime {
    size_t buffer = 0;                                 ///< index of the tensor that owns the memory
    size_t bytes = 0;                                  ///< a multiple of 256
    size_t first = std::numeric_limits<size_t>::max(); ///< index of the first op that touches it
    size_t last = 0;                                   ///< of the last one

    size_t end(size_t offset) const { return offset + bytes; }
    bool overlaps(const Lifetime& other) const { return first <= other.last && other.first <= last; }
};
/// One entry per buffer that some op touches, ordered by buffer.
std::vector<Lifetime> lifetimes(const Program& program);

} // namespace scene

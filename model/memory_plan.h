#pragma once

#include "model/program.h"

namespace scene {

/// Gives every transient tensor of the program its offset in the step's memory and sets `transient_bytes` and
/// `lower_bound`. A tensor occupies its place from the op that first writes it to the op that last uses it; tensors
/// whose times overlap do not overlap in memory. Greedy by size (Pisarchyk and Lee, arXiv 2001.03288): the largest
/// first, each at the lowest offset free for its whole life; several orders are tried and the smallest plan kept.
/// Offsets are multiples of 256 bytes.
void plan_memory(Program& program);

} // namespace scene

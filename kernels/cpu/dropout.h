#pragma once

#include "kernels/cpu/thread_scratch.h"
#include "kernels/op_types.h"

namespace scene::cpu {

/// factor[i] = 0 where element first + i is dropped, else 1/(1 - p); `count` elements. Four-element Philox blocks
/// are drawn side by side, and the bits are those of `random_word` element by element.
void dropout_factors(float* factor, int64_t first, int64_t count, const Dropout& dropout, const StepControl& control);

/// The factors of one row after another; all ones when nothing is dropped. `control` may be absent then.
class DropoutRows {
public:
    static size_t scratch_bytes(int64_t longest_row, int threads) { return ThreadScratch{longest_row}.bytes(threads); }

    /// `memory`: scratch_bytes(longest_row, threads).
    DropoutRows(const Dropout& dropout, const Tensor& control, int64_t longest_row, int threads, float* memory);

    /// The factors of elements first to first + count - 1. Valid until the calling thread asks for another row.
    const float* row(int64_t first, int64_t count) const;

private:
    bool active() const { return dropout_.p > 0; }

    Dropout dropout_;
    StepControl control_;
    ThreadScratch scratch_;
    float* memory_;
};

} // namespace scene::cpu

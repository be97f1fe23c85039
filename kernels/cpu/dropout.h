#pragma once

#include <vector>

#include "kernels/device.h"

namespace scene::cpu {

/// factor[i] = 0 where element first + i is dropped, else 1/(1 - p); `count` elements. Four-element Philox blocks
/// are drawn side by side, and the bits are those of `random_word` element by element.
void dropout_factors(float* factor, int64_t first, int64_t count, const Dropout& dropout, const StepControl& control);

/// The factors of one row after another; all ones when nothing is dropped. `control` may be absent then.
class DropoutRows {
public:
    DropoutRows(const Dropout& dropout, const Tensor& control);

    bool active() const { return dropout_.p > 0; }
    /// Valid until the calling thread asks for another row.
    const float* row(int64_t first, int64_t count) const;

private:
    Dropout dropout_;
    StepControl control_;
};

} // namespace scene::cpu

#pragma once

#include "kernels/concat/concat.h"
#include "kernels/operands.h"

namespace scene {

/// The number of parts. Checks that absent parts come last and that the others have the type and rows of `whole` and
/// together its columns.
template <class Part> size_t count_parts(const std::array<Part, most_concat_parts>& parts, const Tensor& whole) {
    check_rank(whole, 2, "the whole");
    size_t count = 0;
    int64_t columns = 0;
    for (; count < parts.size() && parts[count]; ++count) {
        const Tensor& part = parts[count];
        check_rank(part, 2, "a part");
        check_tensor(part, whole.dtype, {whole.shape[0], part.shape[1]}, "a part");
        columns += part.shape[1];
    }
    for (size_t i = count; i < parts.size(); ++i)
        SCENE_CHECK(!parts[i], "part " + std::to_string(i) + " comes after an absent one");
    SCENE_CHECK(columns == whole.shape[1],
                "parts of " + std::to_string(columns) + " columns for " + std::to_string(whole.shape[1]) + " columns");
    return count;
}

} // namespace scene

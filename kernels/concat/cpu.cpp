#include "kernels/concat/concat.h"

#include <algorithm>

#include "kernels/concat/parts.h"
#include "kernels/cpu/context.h"

namespace scene::cpu {
namespace {

/// For every row of every part: calls copy(row of the part, the part's slice of that row of the whole, its columns).
template <class Part, typename Copy>
void for_each_part_row(const std::array<Part, most_concat_parts>& parts, const Tensor& whole, Copy&& copy) {
    const size_t count = count_parts(parts, whole);
    const int64_t rows = whole.shape[0], columns = whole.shape[1];
    float* row = floats(whole, whole.shape, "the whole");
    for (size_t p = 0; p < count; ++p) {
        const int64_t size = parts[p].shape[1];
        float* part = floats(parts[p], {rows, size}, "a part");
        for (int64_t n = 0; n < rows; ++n) copy(part + n * size, row + n * columns, size);
        row += size;
    }
}

} // namespace

void run(const ConcatForward<Tensor>& op, Context&) {
    for_each_part_row(op.parts, op.y,
                      [](const float* part, float* whole, int64_t size) { std::copy_n(part, size, whole); });
}

void run(const ConcatBackward<Tensor>& op, Context&) {
    for_each_part_row(op.dparts, op.dy,
                      [](float* part, const float* whole, int64_t size) { std::copy_n(whole, size, part); });
}

} // namespace scene::cpu

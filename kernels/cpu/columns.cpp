#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"

#include <algorithm>

namespace scene::cpu {
namespace {

/// Checks that the parts side by side have the columns of `whole`, and calls copy(part, row of part, row of whole,
/// columns) for every row of every part.
template <typename Copy> void for_each_part_row(const std::vector<Tensor>& parts, const Tensor& whole, Copy&& copy) {
    check_rank(whole, 2, "the whole");
    const int64_t rows = whole.shape[0], columns = whole.shape[1];
    float* all = floats(whole, whole.shape, "the whole");
    int64_t total = 0;
    for (const Tensor& part : parts) {
        check_rank(part, 2, "a part");
        check_tensor(part, DType::F32, {rows, part.shape[1]}, "a part");
        total += part.shape[1];
    }
    SCENE_CHECK(total == columns, fmt::format("parts of {} columns for {} columns", total, columns));
    int64_t first = 0;
    for (const Tensor& part : parts) {
        const int64_t size = part.shape[1];
        for (int64_t n = 0; n < rows; ++n) copy(part.as<float>() + n * size, all + n * columns + first, size);
        first += size;
    }
}

} // namespace

void CpuBackend::concat_columns(Tensor y, const std::vector<Tensor>& parts) {
    for_each_part_row(parts, y, [](const float* part, float* whole, int64_t size) { std::copy_n(part, size, whole); });
}

void CpuBackend::split_columns(const std::vector<Tensor>& parts, Tensor y) {
    for_each_part_row(parts, y, [](float* part, const float* whole, int64_t size) { std::copy_n(whole, size, part); });
}

} // namespace scene::cpu

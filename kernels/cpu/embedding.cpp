#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"

#include <algorithm>

namespace scene::cpu {
namespace {

const int32_t* checked_indices(const Tensor& index, int64_t count, int64_t vocabulary) {
    const int32_t* at = operand<int32_t>(index, {count}, "index");
    for (int64_t n = 0; n < count; ++n)
        SCENE_CHECK(at[n] >= -1 && at[n] < vocabulary,
                    fmt::format("index {} at {} is outside a table of {} rows", at[n], n, vocabulary));
    return at;
}

} // namespace

void CpuBackend::embedding_forward(Tensor y, Tensor table, Tensor index) {
    check_rank(y, 2, "y");
    check_rank(table, 2, "table");
    const int64_t count = y.shape[0], vocabulary = table.shape[0], size = table.shape[1];
    const float* rows = floats(table, table.shape, "table");
    float* out = floats(y, {count, size}, "y");
    const int32_t* at = checked_indices(index, count, vocabulary);
    for (int64_t n = 0; n < count; ++n) {
        if (at[n] < 0) {
            std::fill_n(out + n * size, size, 0.0f);
        } else {
            std::copy_n(rows + at[n] * size, size, out + n * size);
        }
    }
}

void CpuBackend::embedding_backward(Tensor dtable, Tensor dy, Tensor index) {
    check_rank(dtable, 2, "dtable");
    check_rank(dy, 2, "dy");
    const int64_t count = dy.shape[0], vocabulary = dtable.shape[0], size = dtable.shape[1];
    float* out = floats(dtable, dtable.shape, "dtable");
    const float* gradient = floats(dy, {count, size}, "dy");
    const int32_t* at = checked_indices(index, count, vocabulary);
    std::fill_n(out, vocabulary * size, 0.0f);
    for (int64_t n = 0; n < count; ++n) {
        if (at[n] < 0) continue;
        for (int64_t e = 0; e < size; ++e) out[at[n] * size + e] += gradient[n * size + e];
    }
}

} // namespace scene::cpu

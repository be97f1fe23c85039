#include "kernels/embedding/embedding.h"

#include <algorithm>

#include "kernels/cpu/context.h"
#include "kernels/operands.h"

namespace scene::cpu {
namespace {

const int32_t* checked_indices(const Tensor& index, int64_t count, int64_t vocabulary) {
    const int32_t* at = indices(index, {count}, "index");
    for (int64_t n = 0; n < count; ++n)
        SCENE_CHECK(at[n] >= -1 && at[n] < vocabulary,
                    fmt::format("index {} at {} is outside a table of {} rows", at[n], n, vocabulary));
    return at;
}

} // namespace

void run(const EmbeddingForward<Tensor>& op, Context&) {
    check_rank(op.y, 2, "y");
    check_rank(op.table, 2, "table");
    const int64_t count = op.y.shape[0], vocabulary = op.table.shape[0], size = op.table.shape[1];
    const float* rows = floats(op.table, op.table.shape, "table");
    float* out = floats(op.y, {count, size}, "y");
    const int32_t* at = checked_indices(op.index, count, vocabulary);
    for (int64_t n = 0; n < count; ++n) {
        if (at[n] < 0) {
            std::fill_n(out + n * size, size, 0.0f);
        } else {
            std::copy_n(rows + at[n] * size, size, out + n * size);
        }
    }
}

void run(const EmbeddingBackward<Tensor>& op, Context&) {
    check_rank(op.dtable, 2, "dtable");
    check_rank(op.dy, 2, "dy");
    const int64_t count = op.dy.shape[0], vocabulary = op.dtable.shape[0], size = op.dtable.shape[1];
    float* out = floats(op.dtable, op.dtable.shape, "dtable");
    const float* gradient = floats(op.dy, {count, size}, "dy");
    const int32_t* at = checked_indices(op.index, count, vocabulary);
    std::fill_n(out, vocabulary * size, 0.0f);
    for (int64_t n = 0; n < count; ++n) {
        if (at[n] < 0) continue;
        for (int64_t e = 0; e < size; ++e) out[at[n] * size + e] += gradient[n * size + e];
    }
}

} // namespace scene::cpu

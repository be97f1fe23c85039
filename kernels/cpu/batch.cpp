#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/parallel.h"

#include <cstring>

namespace scene::cpu {
namespace {

/// Which rows of the table make the batch, and how long a row is.
struct Selection {
    const int32_t* index;
    int64_t batch, row_elements;

    Selection(const Tensor& table, const Tensor& rows, const Tensor& order, const Tensor& control) {
        SCENE_CHECK(rows && table && rows.shape.rank() >= 1 && rows.shape.rank() == table.shape.rank(),
                    "rows and table have different numbers of axes");
        batch = rows.shape[0];
        row_elements = 1;
        for (int axis = 1; axis < rows.shape.rank(); ++axis) {
            SCENE_CHECK(rows.shape[axis] == table.shape[axis],
                        fmt::format("rows {} of a table {}", rows.shape.text(), table.shape.text()));
            row_elements *= rows.shape[axis];
        }
        check_rank(order, 1, "order");
        const int64_t cursor = step_control(control).cursor;
        SCENE_CHECK(cursor + batch <= order.shape[0],
                    fmt::format("positions {} to {} of an order of {}", cursor, cursor + batch - 1, order.shape[0]));
        index = operand<int32_t>(order, order.shape, "order") + cursor;
        for (int64_t n = 0; n < batch; ++n)
            SCENE_CHECK(index[n] < table.shape[0],
                        fmt::format("row {} of a table of {} rows", index[n], table.shape[0]));
    }
};

} // namespace

void CpuBackend::gather_rows(Tensor rows, Tensor table, Tensor order, Tensor control) {
    const Selection selection(table, rows, order, control);
    const int64_t size = selection.row_elements;
    const bool narrows = rows.dtype == DType::F16 && table.dtype == DType::F32;
    SCENE_CHECK(narrows || (rows.dtype == table.dtype && (rows.dtype == DType::F32 || rows.dtype == DType::I32)),
                fmt::format("rows {} of a table {}", name_of(rows.dtype), name_of(table.dtype)));
    for_pieces(threads_, selection.batch, grain_for(size), [&](int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; ++n) {
            if (selection.index[n] < 0) {
                // An empty place: zeros, or -1 for indices, whose bytes are all ones.
                std::memset(static_cast<std::byte*>(rows.data) + n * size * static_cast<int64_t>(size_of(rows.dtype)),
                            rows.dtype == DType::I32 ? 0xFF : 0, static_cast<size_t>(size) * size_of(rows.dtype));
                continue;
            }
            // F32 and I32 elements are both of four bytes.
            const float* from = static_cast<const float*>(table.data) + selection.index[n] * size;
            if (narrows) {
                auto* to = static_cast<_Float16*>(rows.data) + n * size;
                for (int64_t i = 0; i < size; ++i) to[i] = static_cast<_Float16>(from[i]);
            } else {
                std::memcpy(static_cast<float*>(rows.data) + n * size, from, static_cast<size_t>(size) * sizeof(float));
            }
        }
    });
}

void CpuBackend::scatter_rows(Tensor table, Tensor rows, Tensor order, Tensor control) {
    const Selection selection(table, rows, order, control);
    const int64_t size = selection.row_elements;
    float* to = floats(table, table.shape, "table");
    const float* from = floats(rows, rows.shape, "rows");
    for (int64_t n = 0; n < selection.batch; ++n)
        if (selection.index[n] >= 0) std::copy_n(from + n * size, size, to + selection.index[n] * size);
}

void CpuBackend::advance(Tensor control, uint32_t batch, uint32_t steps) {
    StepControl& state = step_control(control);
    state.cursor += batch;
    if (!state.nonfinite) state.step += steps;
}

void CpuBackend::convert(Tensor to, Tensor from) {
    const bool narrows = from && from.dtype == DType::F32;
    const float* floats_from = narrows ? floats(from, from.shape, "from") : nullptr;
    check_tensor(from, narrows ? DType::F32 : DType::F16, from.shape, "from");
    check_tensor(to, narrows ? DType::F16 : DType::F32, from.shape, "to");
    for_pieces(threads_, from.elements(), 65536, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            if (narrows) {
                static_cast<_Float16*>(to.data)[i] = static_cast<_Float16>(floats_from[i]);
            } else {
                static_cast<float*>(to.data)[i] = static_cast<float>(static_cast<const _Float16*>(from.data)[i]);
            }
        }
    });
}

void CpuBackend::fill_zero(Tensor x) {
    SCENE_CHECK(x, "fill_zero of an absent tensor");
    for_pieces(threads_, static_cast<int64_t>(x.bytes()), 1 << 18, [&](int64_t begin, int64_t end) {
        std::memset(static_cast<char*>(x.data) + begin, 0, static_cast<size_t>(end - begin));
    });
}

} // namespace scene::cpu

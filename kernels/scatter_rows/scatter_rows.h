#pragma once

#include "kernels/op.h"

namespace scene {

/// table[order[control.cursor + n], ...] = rows [N, ...], f32: the inverse of gather_rows, for predictions. order I32
/// [R], N <= R. Negative entries of the order (padding slots) are skipped. The other rows of the table are unchanged. A
/// CPU throws std::logic_error for positions beyond the order or the table; a GPU does not check them.
template <class T> struct ScatterRows {
    static constexpr std::string_view name = "scatter_rows";
    InOut<T> table;
    In<T> rows, order, control;

    /// Only the batch's rows of the table are written, and only its entries of the order are read.
    double bytes() const {
        return 2 * static_cast<double>(rows.bytes()) + static_cast<double>(rows.shape[0]) * size_of(order.dtype) +
               static_cast<double>(control.bytes());
    }
};

namespace reference {
void run(const ScatterRows<Tensor>&);
} // namespace reference
namespace cpu {
void run(const ScatterRows<Tensor>&, Context&);
} // namespace cpu
namespace cuda {
void run(const ScatterRows<Tensor>&, Context&);
} // namespace cuda

} // namespace scene

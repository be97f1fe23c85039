#pragma once

#include "kernels/op.h"

namespace scene {

/// rows [N, ...] = table[order[control.cursor + n], ...]: a batch from a table. rows and table are both F32 or both
/// I32; order I32 [R], N <= R. A negative entry of the order is a padding slot of the last batch: its row becomes 0
/// (F32) or -1 (I32). A CPU throws std::logic_error for positions beyond the order or the table; a GPU does not check
/// them.
template <class T> struct GatherRows {
    static constexpr std::string_view name = "gather_rows";
    Out<T> rows;
    In<T> table, order, control;

    /// Only the batch's rows of the table and its entries of the order are read.
    double bytes() const {
        return 2 * static_cast<double>(rows.bytes()) + static_cast<double>(rows.shape[0]) * size_of(order.dtype) +
               static_cast<double>(control.bytes());
    }
};

namespace reference {
void run(const GatherRows<Tensor>&);
} // namespace reference
namespace cpu {
void run(const GatherRows<Tensor>&, Context&);
} // namespace cpu
namespace cuda {
void run(const GatherRows<Tensor>&, Context&);
} // namespace cuda

} // namespace scene

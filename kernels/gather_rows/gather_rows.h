#pragma once

#include "kernels/op.h"

namespace scene {

/// rows [N, ...] = table[order[control.cursor + n], ...], of the same type (F32 or I32). order [R] I32. A negative
/// entry of the order is a padding slot of the last batch: its row is 0 (F32) or -1 (I32).
template <class T> struct GatherRows {
    static constexpr std::string_view name = "gather_rows";
    Out<T> rows;
    In<T> table, order, control;

    /// Of the table no more than the rows, of the order one entry for each.
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

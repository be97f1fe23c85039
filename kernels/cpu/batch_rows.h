#pragma once

#include "kernels/gather_rows/row_operands.h"

namespace scene::cpu {

/// The batch's `operands.batch` entries of `order`, from the control block's cursor on: rows of `table`, negative in
/// padding slots. Throws std::logic_error where the order ends before the batch does or a row is beyond the table.
inline const int32_t* batch_rows(const RowOperands& operands, const Tensor& table, const Tensor& order) {
    const int64_t cursor = operands.control->cursor;
    SCENE_CHECK(cursor + operands.batch <= order.shape[0], "positions " + std::to_string(cursor) + " to " +
                                                               std::to_string(cursor + operands.batch - 1) +
                                                               " of an order of " + std::to_string(order.shape[0]));
    const int32_t* rows = operands.order + cursor;
    for (int64_t n = 0; n < operands.batch; ++n)
        SCENE_CHECK(rows[n] < table.shape[0],
                    "row " + std::to_string(rows[n]) + " of a table of " + std::to_string(table.shape[0]) + " rows");
    return rows;
}

} // namespace scene::cpu

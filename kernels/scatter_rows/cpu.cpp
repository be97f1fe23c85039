#include "kernels/scatter_rows/scatter_rows.h"

#include <algorithm>

#include "kernels/cpu/batch_rows.h"
#include "kernels/cpu/context.h"

namespace scene::cpu {

void run(const ScatterRows<Tensor>& op, Context&) {
    const RowOperands operands(op.table, op.rows, op.order, op.control);
    float* table = floats(op.table, op.table.shape, "table");
    const float* rows = floats(op.rows, op.rows.shape, "rows");
    const int32_t* to = batch_rows(operands, op.table, op.order);
    const int64_t size = operands.row_elements;
    for (int64_t n = 0; n < operands.batch; ++n)
        if (to[n] >= 0) std::copy_n(rows + n * size, size, table + to[n] * size);
}

} // namespace scene::cpu

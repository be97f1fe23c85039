#include "kernels/gather_rows/gather_rows.h"

#include <cstring>

#include "kernels/cpu/batch_rows.h"
#include "kernels/cpu/context.h"
#include "kernels/cpu/parallel.h"

namespace scene::cpu {

void run(const GatherRows<Tensor>& op, Context& cpu) {
    const RowOperands operands(op.table, op.rows, op.order, op.control);
    check_gathered_type(op.rows, op.table);
    const int32_t* from = batch_rows(operands, op.table, op.order);
    const auto row_bytes = static_cast<size_t>(operands.row_elements) * size_of(op.rows.dtype);
    // All bytes of -1 are 0xFF.
    const int padding = op.rows.dtype == DType::I32 ? 0xFF : 0;
    for_chunks(cpu.threads, operands.batch, grain_for(operands.row_elements), [&](int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; ++n) {
            std::byte* row = static_cast<std::byte*>(op.rows.data) + static_cast<size_t>(n) * row_bytes;
            if (from[n] < 0) {
                std::memset(row, padding, row_bytes);
            } else {
                std::memcpy(row,
                            static_cast<const std::byte*>(op.table.data) + static_cast<size_t>(from[n]) * row_bytes,
                            row_bytes);
            }
        }
    });
}

} // namespace scene::cpu

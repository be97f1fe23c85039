#include "kernels/cuda/common/row_grid.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/gather_rows/gather_rows.h"

namespace scene::cuda {
namespace {

/// One thread for V elements of a row; rows along the grid's y. Integers are copied as floats of the same bits.
template <int V> __global__ void __launch_bounds__(block_threads)
    gather(float* rows, const float* table, const int32_t* order, const StepControl* control, int64_t row_elements,
           float padding) {
    const int64_t i = thread_in_grid() * V;
    if (i >= row_elements) return;
    const int32_t from = order[control->cursor + blockIdx.y];
    float values[V];
#pragma unroll
    for (int v = 0; v < V; ++v) values[v] = padding;
    if (from >= 0) load(values, table + from * row_elements + i);
    store(rows + blockIdx.y * row_elements + i, values);
}

} // namespace

void run(const GatherRows<Tensor>& op, Context& cuda) {
    const RowOperands operands(op.table, op.rows, op.order, op.control);
    check_gathered_type(op.rows, op.table);
    const float padding = op.rows.dtype == DType::I32 ? std::bit_cast<float>(int32_t{-1}) : 0.0f;
    with_pack_width<float>(operands.row_elements, {op.rows.data, op.table.data}, [&](auto width) {
        constexpr int V = decltype(width)::value;
        launch(gather<V>, row_grid(operands, V), dim3(block_threads), 0, cuda.stream, static_cast<float*>(op.rows.data),
               static_cast<const float*>(op.table.data), operands.order, operands.control, operands.row_elements,
               padding);
    });
}

} // namespace scene::cuda

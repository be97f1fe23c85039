#include "kernels/cuda/common/row_grid.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/scatter_rows/scatter_rows.h"

namespace scene::cuda {
namespace {

/// One thread for V elements of a row; rows along the grid's y.
template <int V> __global__ void __launch_bounds__(block_threads)
    scatter(float* table, const float* rows, const int32_t* order, const StepControl* control, int64_t row_elements) {
    const int64_t i = thread_in_grid() * V;
    const int32_t to = order[control->cursor + blockIdx.y];
    if (i >= row_elements || to < 0) return;
    float values[V];
    load(values, rows + blockIdx.y * row_elements + i);
    store(table + to * row_elements + i, values);
}

} // namespace

void run(const ScatterRows<Tensor>& op, Context& cuda) {
    const RowOperands operands(op.table, op.rows, op.order, op.control);
    float* table = floats(op.table, op.table.shape, "table");
    const float* rows = floats(op.rows, op.rows.shape, "rows");
    with_pack_width<float>(operands.row_elements, {table, rows}, [&](auto width) {
        constexpr int V = decltype(width)::value;
        launch(scatter<V>, row_grid(operands, V), dim3(block_threads), 0, cuda.stream, table, rows, operands.order,
               operands.control, operands.row_elements);
    });
}

} // namespace scene::cuda

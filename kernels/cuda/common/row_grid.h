#pragma once

#include "kernels/cuda/common/operands.h"
#include "kernels/gather_rows/row_operands.h"

namespace scene::cuda {

/// Blocks over the elements of a row, `width` elements a thread, by the rows of the batch.
inline dim3 row_grid(const RowOperands& operands, int width) {
    SCENE_CHECK(operands.batch <= 65535, "a grid over " + std::to_string(operands.batch) + " rows");
    dim3 grid = blocks_over(divide_up(operands.row_elements, width));
    grid.y = static_cast<unsigned>(operands.batch);
    return grid;
}

} // namespace scene::cuda

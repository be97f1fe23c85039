#pragma once

// Checks of the operands of gather_rows and scatter_rows, the same for every device.

#include "kernels/operands.h"

namespace scene {

/// The checked order and sizes of a batch of table rows.
struct RowOperands {
    const int32_t* order;
    const StepControl* control;
    int64_t batch, row_elements;

    RowOperands(const Tensor& table, const Tensor& rows, const Tensor& order_of_rows, const Tensor& step) {
        SCENE_CHECK(rows && table && rows.shape.rank() >= 1 && rows.shape.rank() == table.shape.rank(),
                    "rows and table have different numbers of axes");
        for (int axis = 1; axis < rows.shape.rank(); ++axis)
            SCENE_CHECK(rows.shape[axis] == table.shape[axis],
                        "rows " + rows.shape.text() + " of a table " + table.shape.text());
        check_rank(order_of_rows, 1, "order");
        batch = rows.shape[0];
        SCENE_CHECK(batch > 0 && batch <= order_of_rows.shape[0],
                    "a batch of " + std::to_string(batch) + " from an order " + order_of_rows.shape.text());
        row_elements = rows.elements() / batch;
        order = indices(order_of_rows, order_of_rows.shape, "order");
        control = &step_control(step);
    }
};

inline void check_gathered_type(const Tensor& rows, const Tensor& table) {
    SCENE_CHECK(rows.dtype == table.dtype && (rows.dtype == DType::F32 || rows.dtype == DType::I32),
                "rows " + std::string(name_of(rows.dtype)) + " of a table " + std::string(name_of(table.dtype)) +
                    ", expected both F32 or both I32");
}

} // namespace scene

#include "kernels/scatter_rows/scatter_rows.h"

#include "kernels/reference.h"

namespace scene::reference {

void run(const ScatterRows<Tensor>& op) {
    const int64_t batch = op.rows.shape[0], size = op.rows.elements() / batch;
    const int32_t* order = op.order.as<int32_t>() + step_control(op.control).cursor;
    with_real(op.rows, [&](auto real) {
        using Real = decltype(real);
        for (int64_t n = 0; n < batch; ++n)
            for (int64_t i = 0; i < size && order[n] >= 0; ++i)
                values<Real>(op.table)[order[n] * size + i] = values<Real>(op.rows)[n * size + i];
    });
}

} // namespace scene::reference

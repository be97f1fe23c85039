#include "kernels/gather_rows/gather_rows.h"

#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename T> void gather(const GatherRows<Tensor>& op, T padding) {
    const int64_t batch = op.rows.shape[0], size = op.rows.elements() / batch;
    const int32_t* order = op.order.as<int32_t>() + step_control(op.control).cursor;
    for (int64_t n = 0; n < batch; ++n)
        for (int64_t i = 0; i < size; ++i)
            op.rows.as<T>()[n * size + i] = order[n] < 0 ? padding : op.table.as<T>()[order[n] * size + i];
}

} // namespace

void run(const GatherRows<Tensor>& op) {
    if (op.table.dtype == DType::I32) {
        gather<int32_t>(op, -1);
    } else {
        with_real(op.table, [&](auto real) { gather<decltype(real)>(op, 0); });
    }
}

} // namespace scene::reference

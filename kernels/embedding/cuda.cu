#include "kernels/embedding/embedding.h"

#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

/// One thread for each element of y.
template <typename T> __global__ void __launch_bounds__(block_threads)
    look_up(T* y, const float* table, const int32_t* index, int64_t count, int vocabulary, int size) {
    const int64_t i = thread_in_grid();
    if (i >= count) return;
    const int32_t row = index[i / size];
    float value = 0;
    if (row >= vocabulary) value = __uint_as_float(0x7FC00000u);
    if (row >= 0 && row < vocabulary) value = table[static_cast<int64_t>(row) * size + i % size];
    y[i] = from_float<T>(value);
}

/// One thread for each element of the table, so that the sum needs no atomics and has a fixed order.
template <typename T> __global__ void __launch_bounds__(block_threads)
    gather_gradient(float* dtable, const T* dy, const int32_t* index, int64_t count, int batch, int size) {
    const int64_t i = thread_in_grid();
    if (i >= count) return;
    const int64_t row = i / size;
    float sum = 0;
    for (int n = 0; n < batch; ++n)
        if (index[n] == row) sum += to_float(dy[static_cast<int64_t>(n) * size + i % size]);
    dtable[i] = sum;
}

} // namespace

void run(const EmbeddingForward<Tensor>& op, Context& cuda) {
    check_rank(op.y, 2, "y");
    check_rank(op.table, 2, "table");
    const int64_t batch = op.y.shape[0], vocabulary = op.table.shape[0], size = op.table.shape[1];
    check_tensor(op.y, op.y.dtype, {batch, size}, "y");
    const float* rows = floats(op.table, op.table.shape, "table");
    const int32_t* at = indices(op.index, {batch}, "index");
    with_activation_type(op.y, [&](auto type) {
        using T = decltype(type);
        launch(look_up<T>, blocks_over(op.y.elements()), dim3(block_threads), 0, cuda.stream,
               static_cast<T*>(op.y.data), rows, at, op.y.elements(), static_cast<int>(vocabulary),
               static_cast<int>(size));
    });
}

void run(const EmbeddingBackward<Tensor>& op, Context& cuda) {
    check_rank(op.dtable, 2, "dtable");
    check_rank(op.dy, 2, "dy");
    const int64_t batch = op.dy.shape[0], size = op.dtable.shape[1], count = op.dtable.elements();
    check_tensor(op.dy, op.dy.dtype, {batch, size}, "dy");
    float* out = floats(op.dtable, op.dtable.shape, "dtable");
    const int32_t* at = indices(op.index, {batch}, "index");
    with_activation_type(op.dy, [&](auto type) {
        using T = decltype(type);
        launch(gather_gradient<T>, blocks_over(count), dim3(block_threads), 0, cuda.stream, out,
               static_cast<const T*>(op.dy.data), at, count, static_cast<int>(batch), static_cast<int>(size));
    });
}

} // namespace scene::cuda

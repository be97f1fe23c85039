#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/operands.h"

namespace scene::cuda {
namespace {

/// A thread for each element of y. An index beyond the table, which the host should have refused, gives NaN.
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

/// A thread for each element of the table adds the rows that used it, in batch order.
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

void embedding_forward(Tensor y, Tensor table, Tensor index, cudaStream_t stream) {
    check_rank(y, 2, "y");
    check_rank(table, 2, "table");
    const int64_t size = table.shape[1];
    check_tensor(y, y.dtype, {y.shape[0], size}, "y");
    const float* rows = floats(table, table.shape, "table");
    const int32_t* at = indices(index, {y.shape[0]}, "index");
    with_activation_type(y, [&](auto type) {
        using T = decltype(type);
        launch(look_up<T>, blocks_over(y.elements()), dim3(block_threads), 0, stream, static_cast<T*>(y.data), rows, at,
               y.elements(), static_cast<int>(table.shape[0]), static_cast<int>(size));
    });
}

void embedding_backward(Tensor dtable, Tensor dy, Tensor index, cudaStream_t stream) {
    check_rank(dtable, 2, "dtable");
    check_rank(dy, 2, "dy");
    const int64_t batch = dy.shape[0], size = dtable.shape[1];
    check_tensor(dy, dy.dtype, {batch, size}, "dy");
    float* out = floats(dtable, dtable.shape, "dtable");
    const int32_t* at = indices(index, {batch}, "index");
    with_activation_type(dy, [&](auto type) {
        using T = decltype(type);
        launch(gather_gradient<T>, blocks_over(dtable.elements()), dim3(block_threads), 0, stream, out,
               static_cast<const T*>(dy.data), at, dtable.elements(), static_cast<int>(batch), static_cast<int>(size));
    });
}

} // namespace scene::cuda

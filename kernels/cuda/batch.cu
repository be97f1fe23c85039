#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/operands.h"

namespace scene::cuda {
namespace {

/// Blocks along the elements of a row by the rows of the batch. `empty` is what an empty place gets.
template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    gather(T* rows, const float* table, const int32_t* order, const StepControl* control, int64_t row_elements,
           float empty) {
    const int64_t i = thread_in_grid() * V;
    if (i >= row_elements) return;
    const int32_t from = order[control->cursor + blockIdx.y];
    float values[V];
#pragma unroll
    for (int v = 0; v < V; ++v) values[v] = empty;
    if (from >= 0) load(values, table + from * row_elements + i);
    store(rows + blockIdx.y * row_elements + i, values);
}

template <int V> __global__ void __launch_bounds__(block_threads)
    scatter(float* table, const float* rows, const int32_t* order, const StepControl* control, int64_t row_elements) {
    const int64_t i = thread_in_grid() * V;
    const int32_t to = order[control->cursor + blockIdx.y];
    if (i >= row_elements || to < 0) return;
    float values[V];
    load(values, rows + blockIdx.y * row_elements + i);
    store(table + to * row_elements + i, values);
}

__global__ void move_on(StepControl* control, uint32_t batch, uint32_t steps) {
    control->cursor += batch;
    if (!control->nonfinite) control->step += steps;
}

/// Which rows of the table make the batch, and how long a row is.
struct Selection {
    const int32_t* order;
    const StepControl* control;
    int64_t batch, row_elements;

    Selection(const Tensor& table, const Tensor& rows, const Tensor& order_, const Tensor& control_) {
        SCENE_CHECK(rows && table && rows.shape.rank() >= 1 && rows.shape.rank() == table.shape.rank(),
                    "rows and table have different numbers of axes");
        batch = rows.shape[0];
        row_elements = rows.elements() / std::max<int64_t>(batch, 1);
        for (int axis = 1; axis < rows.shape.rank(); ++axis)
            SCENE_CHECK(rows.shape[axis] == table.shape[axis],
                        "rows " + rows.shape.text() + " of a table " + table.shape.text());
        check_rank(order_, 1, "order");
        SCENE_CHECK(batch > 0 && batch <= 65535 && batch <= order_.shape[0],
                    "a batch of " + std::to_string(batch) + " from an order " + order_.shape.text());
        order = indices(order_, order_.shape, "order");
        control = &step_control(control_);
    }
    dim3 grid(int width) const {
        dim3 blocks = blocks_over(divide_up(row_elements, width));
        blocks.y = static_cast<unsigned>(batch);
        return blocks;
    }
};

template <typename T>
void launch_gather(const Tensor& rows, const Tensor& table, const Selection& from, float empty, cudaStream_t stream) {
    with_pack_width<T>(from.row_elements, {rows.data, table.data}, [&](auto width) {
        constexpr int V = decltype(width)::value;
        launch(gather<T, V>, from.grid(V), dim3(block_threads), 0, stream, static_cast<T*>(rows.data),
               static_cast<const float*>(table.data), from.order, from.control, from.row_elements, empty);
    });
}

} // namespace

void gather_rows(Tensor rows, Tensor table, Tensor order, Tensor control, cudaStream_t stream) {
    const Selection selection(table, rows, order, control);
    if (rows.dtype == DType::F16 && table.dtype == DType::F32) {
        launch_gather<half>(rows, table, selection, 0.0f, stream);
        return;
    }
    SCENE_CHECK(rows.dtype == table.dtype && (rows.dtype == DType::F32 || rows.dtype == DType::I32),
                "rows " + std::string(name_of(rows.dtype)) + " of a table " + std::string(name_of(table.dtype)));
    // Integers travel as the bits of a float; -1 is one bit pattern of NaN.
    const float minus_one = std::bit_cast<float>(int32_t{-1});
    launch_gather<float>(rows, table, selection, rows.dtype == DType::I32 ? minus_one : 0.0f, stream);
}

void scatter_rows(Tensor table, Tensor rows, Tensor order, Tensor control, cudaStream_t stream) {
    const Selection selection(table, rows, order, control);
    float* to = floats(table, table.shape, "table");
    const float* from = floats(rows, rows.shape, "rows");
    with_pack_width<float>(selection.row_elements, {to, from}, [&](auto width) {
        constexpr int V = decltype(width)::value;
        launch(scatter<V>, selection.grid(V), dim3(block_threads), 0, stream, to, from, selection.order,
               selection.control, selection.row_elements);
    });
}

void advance(Tensor control, uint32_t batch, uint32_t steps, cudaStream_t stream) {
    launch(move_on, dim3(1), dim3(1), 0, stream, &step_control(control), batch, steps);
}

void fill_zero(Tensor x, cudaStream_t stream) {
    SCENE_CHECK(x, "fill_zero of an absent tensor");
    if (x.bytes() > 0) SCENE_CUDA(cudaMemsetAsync(x.data, 0, x.bytes(), stream));
}

} // namespace scene::cuda

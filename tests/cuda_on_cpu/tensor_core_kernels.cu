#include "tests/cuda_on_cpu/tensor_core_kernels.h"

#include "kernels/cuda/common/patch_tile.h"
#include "kernels/cuda/launch.h"

namespace scene::test {
namespace {

using namespace cuda;

constexpr int pitch = matrix_pitch(matrix_extent);

template <typename T>
__global__ void multiply(float* c, const T* a, const T* b, MatrixOrder order, TensorCoreFault fault) {
    T* of_a = dynamic_shared<T>();                  // [16, pitch]
    T* of_b = of_a + matrix_extent * pitch;         // [16, pitch]
    const int lane = static_cast<int>(threadIdx.x); // also the number of a column of both
    if (lane < matrix_extent) {
        for (int i = 0; i < matrix_extent; ++i) {
            const T zero = from_float<T>(0);
            of_a[i * pitch + lane] =
                order == MatrixOrder::AsIs ? a[i * matrix_extent + lane] : a[lane * matrix_extent + i];
            // Of B both orders have 16 x 16 elements, zeros beyond column 8.
            const int k = order == MatrixOrder::AsIs ? lane : i, column = order == MatrixOrder::AsIs ? i : lane;
            of_b[i * pitch + lane] = column < matrix_columns ? b[k * matrix_columns + column] : zero;
        }
    }
    if (fault != TensorCoreFault::NoBarrier) __syncthreads();
    if (fault == TensorCoreFault::LaneLeaves && lane == 3) return;
    uint32_t left[4], right[4];
    const T* corner = of_a + (fault == TensorCoreFault::Misaligned ? 1 : 0);
    if (order == MatrixOrder::AsIs) {
        load_matrices(left, row_of_left_quarters(corner, pitch, lane));
        load_matrices(right, row_of_upper_quarters(of_b, pitch, lane));
    } else {
        load_transposed_matrices(left, row_of_upper_quarters(corner, pitch, lane));
        load_transposed_matrices(right, row_of_left_quarters(of_b, pitch, lane));
    }
    const FragmentLane at(lane);
    float sum[4];
    for (int i = 0; i < 4; ++i) sum[i] = c[(at.group + i / 2 * 8) * matrix_columns + 2 * at.in_group + i % 2];
    mma_m16n8k16<T>(sum, left, right[0], right[1]);
    for (int i = 0; i < 4; ++i) c[(at.group + i / 2 * 8) * matrix_columns + 2 * at.in_group + i % 2] = sum[i];
}

} // namespace

void multiply_on_tensor_core(const Tensor& c, const Tensor& a, const Tensor& b, MatrixOrder order,
                             TensorCoreFault fault, int threads) {
    with_half_width_type(a.dtype, [&](auto type) {
        using T = decltype(type);
        launch(multiply<T>, dim3(1), dim3(static_cast<unsigned>(threads)), 2 * matrix_extent * pitch * sizeof(T),
               nullptr, c.as<float>(), static_cast<const T*>(a.data), static_cast<const T*>(b.data), order, fault);
    });
}

} // namespace scene::test

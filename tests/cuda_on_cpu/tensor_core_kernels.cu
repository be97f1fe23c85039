#include "tests/cuda_on_cpu/tensor_core_kernels.h"

#include "kernels/cuda/common/patch_tile.h"
#include "kernels/cuda/launch.h"

namespace scene::test {
namespace {

using namespace cuda;

constexpr int pitch = matrix_pitch(matrix_extent);

__global__ void multiply(float* c, const half* a, const half* b, MatrixOrder order, TensorCoreFault fault) {
    half* of_a = dynamic_shared<half>();            // [16, pitch]
    half* of_b = of_a + matrix_extent * pitch;      // [16, pitch]
    const int lane = static_cast<int>(threadIdx.x); // also the number of a column of both
    if (lane < matrix_extent) {
        for (int i = 0; i < matrix_extent; ++i) {
            const half zero = __float2half_rn(0);
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
    const half* corner = of_a + (fault == TensorCoreFault::Misaligned ? 1 : 0);
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
    mma_m16n8k16<half>(sum, left, right[0], right[1]);
    for (int i = 0; i < 4; ++i) c[(at.group + i / 2 * 8) * matrix_columns + 2 * at.in_group + i % 2] = sum[i];
}

} // namespace

void multiply_on_tensor_core(float* c, const half* a, const half* b, MatrixOrder order, TensorCoreFault fault,
                             int threads) {
    launch(multiply, dim3(1), dim3(static_cast<unsigned>(threads)), 2 * matrix_extent * pitch * sizeof(half), nullptr,
           c, a, b, order, fault);
}

} // namespace scene::test

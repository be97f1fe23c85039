#pragma once

// A product of two small matrices on tensor cores, right and with faults, for tests (tensor_core_kernels.cu).

#include "kernels/tensor.h"

namespace scene::test {

enum class TensorCoreFault {
    None,
    LaneLeaves, ///< a lane ends before the product
    Misaligned, ///< a row of a matrix begins at no multiple of 16 bytes
    NoBarrier,  ///< the matrices are read while lanes still write them
};

/// How A and B lie in shared memory: in rows as the matrices are, or transposed.
enum class MatrixOrder { AsIs, Transposed };

/// c [16, 8] += a [16, 16] * b [16, 8], by one block of `threads` threads. a and b are F16 or BF16, c is F32.
void multiply_on_tensor_core(const Tensor& c, const Tensor& a, const Tensor& b, MatrixOrder order,
                             TensorCoreFault fault, int threads);

} // namespace scene::test

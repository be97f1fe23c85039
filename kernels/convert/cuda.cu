#include "kernels/convert/convert.h"
#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

template <typename To, typename From> __global__ void __launch_bounds__(block_threads)
    convert(To* to, const From* from, int64_t count) {
    const int64_t i = thread_in_grid();
    if (i < count) to[i] = from_float<To>(to_float(from[i]));
}

template <typename To, typename From> void launch_convert(const Tensor& y, const Tensor& x, cudaStream_t stream) {
    launch(convert<To, From>, blocks_over(x.elements()), dim3(block_threads), 0, stream, static_cast<To*>(y.data),
           static_cast<const From*>(x.data), x.elements());
}

} // namespace

void run(const Convert<Tensor>& op, Context& cuda) {
    const bool narrows = op.x.dtype == DType::F32;
    check_tensor(op.x, narrows ? DType::F32 : DType::F16, op.x.shape, "x");
    check_tensor(op.y, narrows ? DType::F16 : DType::F32, op.x.shape, "y");
    if (narrows) {
        launch_convert<half, float>(op.y, op.x, cuda.stream);
    } else {
        launch_convert<float, half>(op.y, op.x, cuda.stream);
    }
}

} // namespace scene::cuda

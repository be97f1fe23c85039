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
    const Tensor &x = op.x, &y = op.y;
    check_half_width(narrows ? y : x, x.shape, narrows ? "y" : "x");
    check_tensor(narrows ? x : y, DType::F32, x.shape, narrows ? "x" : "y");
    with_half_width_type(narrows ? y.dtype : x.dtype, [&](auto type) {
        using Half = decltype(type);
        if (narrows) {
            launch_convert<Half, float>(y, x, cuda.stream);
        } else {
            launch_convert<float, Half>(y, x, cuda.stream);
        }
    });
}

} // namespace scene::cuda

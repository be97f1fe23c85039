// Elementwise passes between element types.

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/operands.h"

namespace scene::cuda {
namespace {

template <typename To, typename From> __global__ void __launch_bounds__(block_threads)
    convert_elements(To* to, const From* from, int64_t count) {
    const int64_t i = thread_in_grid();
    if (i >= count) return;
    to[i] = from_float<To>(to_float(from[i]));
}

} // namespace

void convert(Tensor to, Tensor from, cudaStream_t stream) {
    SCENE_CHECK(to && from && to.shape == from.shape, "convert between different shapes");
    with_activation_type(to, [&](auto to_type) {
        with_activation_type(from, [&](auto from_type) {
            using To = decltype(to_type);
            using From = decltype(from_type);
            launch(convert_elements<To, From>, blocks_over(to.elements()), dim3(block_threads), 0, stream,
                   static_cast<To*>(to.data), static_cast<const From*>(from.data), to.elements());
        });
    });
}

} // namespace scene::cuda

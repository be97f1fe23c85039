// Elementwise passes between element types.

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/operands.h"

namespace scene::cuda {
namespace {

/// Each `group` of elements has a factor of its own; none where `factor` is null.
template <typename To, typename From> __global__ void __launch_bounds__(block_threads)
    scale_elements(To* to, const From* from, const float* factor, int64_t count, int64_t group) {
    const int64_t i = thread_in_grid();
    if (i >= count) return;
    to[i] = from_float<To>(to_float(from[i]) * (factor ? factor[i / group] : 1.0f));
}

void launch_scale(const Tensor& to, const Tensor& from, const float* factor, int64_t group, cudaStream_t stream) {
    with_activation_type(to, [&](auto to_type) {
        with_activation_type(from, [&](auto from_type) {
            using To = decltype(to_type);
            using From = decltype(from_type);
            launch(scale_elements<To, From>, blocks_over(to.elements()), dim3(block_threads), 0, stream,
                   static_cast<To*>(to.data), static_cast<const From*>(from.data), factor, to.elements(), group);
        });
    });
}

} // namespace

void fold_conv_weights(Tensor folded_w, Tensor w, Tensor scale, cudaStream_t stream) {
    check_rank(w, 4, "w");
    check_tensor(folded_w, folded_w.dtype, w.shape, "folded_w");
    launch_scale(folded_w, w, floats(scale, {w.shape[0]}, "scale"), w.elements() / w.shape[0], stream);
}

} // namespace scene::cuda

#include "kernels/concat/concat.h"

#include "kernels/concat/parts.h"
#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

template <typename T> struct Parts {
    T* part[most_concat_parts];
    int first[most_concat_parts + 1]; ///< where each begins in a row of the whole; then where the last ends
};

/// One thread per element of the whole. `split` copies from the whole to the parts, else from the parts to the whole.
template <typename T, bool split> __global__ void __launch_bounds__(block_threads)
    copy_parts(T* whole, const __grid_constant__ Parts<T> parts, int64_t elements, int columns) {
    const int64_t i = thread_in_grid();
    if (i >= elements) return;
    const int column = static_cast<int>(i % columns);
    int p = 0;
    while (column >= parts.first[p + 1]) ++p;
    const int size = parts.first[p + 1] - parts.first[p];
    T* at = parts.part[p] + i / columns * size + (column - parts.first[p]);
    if (split) {
        *at = whole[i];
    } else {
        whole[i] = *at;
    }
}

template <bool split, class Part>
void launch_copy(const std::array<Part, most_concat_parts>& tensors, const Tensor& whole, Context& cuda) {
    const size_t count = count_parts(tensors, whole);
    with_activation_type(whole, [&](auto type) {
        using T = decltype(type);
        Parts<T> parts{};
        for (size_t p = 0; p < count; ++p) {
            parts.part[p] = static_cast<T*>(tensors[p].data);
            parts.first[p + 1] = parts.first[p] + static_cast<int>(tensors[p].shape[1]);
        }
        launch(copy_parts<T, split>, blocks_over(whole.elements()), dim3(block_threads), 0, cuda.stream,
               static_cast<T*>(whole.data), parts, whole.elements(), static_cast<int>(whole.shape[1]));
    });
}

} // namespace

void run(const ConcatForward<Tensor>& op, Context& cuda) { launch_copy<false>(op.parts, op.y, cuda); }

void run(const ConcatBackward<Tensor>& op, Context& cuda) { launch_copy<true>(op.dparts, op.dy, cuda); }

} // namespace scene::cuda

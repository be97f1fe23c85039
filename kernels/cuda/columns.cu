#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/operands.h"

namespace scene::cuda {
namespace {

constexpr int most_parts = 8;

/// The parts and where each begins in a row of the whole.
template <typename T> struct Parts {
    T* part[most_parts];
    int first[most_parts + 1];
    int count;
};

/// A thread for each element of the whole, which is read if it is split and written otherwise.
template <typename T, bool split> __global__ void __launch_bounds__(block_threads)
    copy_columns(T* whole, const __grid_constant__ Parts<T> parts, int64_t elements, int columns) {
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

template <bool split> void launch_copy(const std::vector<Tensor>& tensors, const Tensor& whole, cudaStream_t stream) {
    check_rank(whole, 2, "the whole");
    SCENE_CHECK(!tensors.empty() && tensors.size() <= most_parts,
                std::to_string(tensors.size()) + " parts, expected 1 to " + std::to_string(most_parts));
    with_activation_type(whole, [&](auto type) {
        using T = decltype(type);
        Parts<T> parts{};
        for (const Tensor& tensor : tensors) {
            check_rank(tensor, 2, "a part");
            check_tensor(tensor, whole.dtype, {whole.shape[0], tensor.shape[1]}, "a part");
            parts.part[parts.count] = static_cast<T*>(tensor.data);
            parts.first[parts.count + 1] = parts.first[parts.count] + static_cast<int>(tensor.shape[1]);
            ++parts.count;
        }
        SCENE_CHECK(parts.first[parts.count] == whole.shape[1], "parts of " + std::to_string(parts.first[parts.count]) +
                                                                    " columns for " + std::to_string(whole.shape[1]) +
                                                                    " columns");
        launch(copy_columns<T, split>, blocks_over(whole.elements()), dim3(block_threads), 0, stream,
               static_cast<T*>(whole.data), parts, whole.elements(), static_cast<int>(whole.shape[1]));
    });
}

} // namespace

void concat_columns(Tensor y, const std::vector<Tensor>& parts, cudaStream_t stream) {
    launch_copy<false>(parts, y, stream);
}

void split_columns(const std::vector<Tensor>& parts, Tensor y, cudaStream_t stream) {
    launch_copy<true>(parts, y, stream);
}

} // namespace scene::cuda

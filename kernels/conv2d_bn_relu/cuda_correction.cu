// The correction of dx by what the batch norm subtracts from it, on tensor cores.

#include "kernels/conv2d_bn_relu/cuda_shared.h"
#include "kernels/cuda/common/col2im_tensor_core.h"

namespace scene::cuda {
namespace {

/// Threads of a block: a warp for each 8 elements of the FCNN's patches.
constexpr int correction_threads = 128;

/// dx = dx_sum - the correction: a GEMM [positions, T + 1] x [T + 1, T] of (patch, 1) with its weights, and col2im.
template <typename T> __global__ void __launch_bounds__(correction_threads, 4)
    correct_gradient(T* dx, const float* dx_sum, const T* x, const float* correction, int correction_pitch,
                     StemSizes size, ChunkTiling tiling) {
    const int depth = size.patch() + 1;
    const Chunk chunk(size, tiling);
    char* shared = dynamic_shared<char>();
    PatchTile<T> patches(shared, x, size, depth);
    TensorCol2im<T> col2im(shared + PatchLayout(size, depth).bytes(1), size, depth, chunk);
    patches.begin(0, 1);
    col2im.begin();
    col2im.split_weights(depth, reinterpret_cast<float*>(patches.patches()),
                         [&](int element, int k) { return correction[element * correction_pitch + k]; });
    const auto write = [&](int row, int column, float value) {
        const int64_t at = (chunk.clip * size.height + row) * size.width * size.channels + column;
        dx[at] = from_float<T>(dx_sum[at] - value);
    };
    TilePosition tile{chunk.clip, chunk.halo_first, 0}, next = tile;
    patches.fetch(tile);
    patches.put(tile);
    __syncthreads();
    patches.build(tile.q);
    next.advance(size);
    if (next.p < chunk.halo_end) patches.fetch(next);
    __syncthreads();
    while (tile.p < chunk.halo_end) {
        if (next.p < chunk.halo_end) patches.put(next);
        if (tile.q == 0) col2im.retire_before(tile.p, write);
        col2im.multiply(patches.patches(), patches.pitch());
        __syncthreads(); // the patches have been read, and the products are there
        col2im.gather(tile);
        if (next.p < chunk.halo_end) patches.build(next.q);
        if (next.p != tile.p) col2im.next_output_row();
        tile = next;
        next.advance(size);
        if (next.p < chunk.halo_end) patches.fetch(next);
        __syncthreads(); // the next patches are there, and the products have been read
    }
    col2im.retire_rest(write);
}

size_t correction_bytes(const StemSizes& size) {
    const int depth = size.patch() + 1;
    return static_cast<size_t>(PatchLayout(size, depth).bytes(1) + TensorCol2imLayout(size, depth).bytes(size));
}

} // namespace

bool correction_suits_tensor_cores(const StemSizes& size) { return correction_bytes(size) <= least_block_shared_bytes; }

void correct_gradient_on_tensor_cores(Tensor dx, const float* dx_sum, Tensor x, const float* correction,
                                      int correction_pitch, const StemSizes& size, cudaStream_t stream) {
    const ChunkTiling tiling(size);
    with_half_width_type(x.dtype, [&](auto type) {
        using T = decltype(type);
        launch(correct_gradient<T>, dim3(static_cast<unsigned>(tiling.chunks(size))), dim3(correction_threads),
               correction_bytes(size), stream, static_cast<T*>(dx.data), dx_sum, static_cast<const T*>(x.data),
               correction, correction_pitch, size, tiling);
    });
}

} // namespace scene::cuda

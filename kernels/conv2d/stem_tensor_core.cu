#include "kernels/conv2d/stem_tensor_core.h"

#include "kernels/cuda/common/col2im_tensor_core.h"

namespace scene::cuda {
namespace {

/// Threads of a block: at most 16 warps of 16 output channels. Up to 144 channels two blocks fit into a
/// multiprocessor's registers.
constexpr int most_threads = 512, two_block_threads = 288;

/// A warp has 16 output channels. With few channels two warps share them, and each takes half of a tile's positions.
struct ChannelTiling {
    int tiles, splits;

    __host__ __device__ explicit ChannelTiling(const StemSizes& size)
        : tiles((size.out_channels + matrix_extent - 1) / matrix_extent), splits(tiles <= 4 ? 2 : 1) {}
    __host__ __device__ int threads() const { return tiles * splits * warp_lanes; }
};

// ---- forward ------------------------------------------------------------------------------------------------------

/// While one buffer of patches is multiplied, the next one is built.
constexpr int forward_buffers = 2;

/// y = a GEMM [positions, T] x [T, K] of tiles of positions. A warp keeps the weights of its 16 channels in registers.
/// D: T in multiples of 16.
template <typename T, int D, int Threads>
__global__ void __launch_bounds__(Threads, D <= 5 && Threads == two_block_threads ? 2 : 1)
    convolve(T* y, const T* x, const T* w, const float* bias, bool relu, StemSizes size, int64_t rows_per_block) {
    const ChannelTiling tiling(size);
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes, warp = static_cast<int>(threadIdx.x) / warp_lanes;
    const int patch = size.patch(), split = warp / tiling.tiles;
    const FragmentLane at(lane);
    // The two matrices' columns are dealt out so that a lane's sums are four neighbouring channels.
    const int first_channel = warp % tiling.tiles * matrix_extent, channel = first_channel + 4 * at.in_group;
    uint32_t weight[2][D][2];
#pragma unroll
    for (int matrix = 0; matrix < 2; ++matrix) {
        const int k = first_channel + at.group / 2 * 4 + 2 * matrix + at.group % 2;
#pragma unroll
        for (int d = 0; d < D; ++d) {
#pragma unroll
            for (int part = 0; part < 2; ++part) {
                const int element = d * matrix_extent + part * 8 + 2 * at.in_group;
                T pair[2];
#pragma unroll
                for (int i = 0; i < 2; ++i)
                    pair[i] =
                        k < size.out_channels && element + i < patch ? w[k * patch + element + i] : from_float<T>(0.0f);
                weight[matrix][d][part] = pair_of(pair[0], pair[1]);
            }
        }
    }
    float add[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) add[i] = bias && channel + i < size.out_channels ? bias[channel + i] : 0.0f;
    const bool whole = size.out_channels % 4 == 0;

    PatchTile<T> patches(dynamic_shared<char>(), x, size, D * matrix_extent);
    patches.begin(0, forward_buffers);
    const int64_t first_row = blockIdx.x * rows_per_block;
    const int64_t rows = first_row + rows_per_block < size.out_rows ? rows_per_block : size.out_rows - first_row;
    const int segments = (size.out_width + tile_positions - 1) / tile_positions;
    const auto tiles = static_cast<int>(rows) * segments;
    TilePosition tile{first_row / size.out_height, static_cast<int>(first_row % size.out_height), 0}, next = tile;
    const auto advance = [&](TilePosition& position) {
        position.advance(size);
        if (position.p < size.out_height) return;
        position.p = 0;
        ++position.clip;
    };
    // What is built in step i was put in step i - 1.
    patches.fetch(next);
    patches.put(next, 0);
    __syncthreads();
    patches.build(next.q, 0);
    advance(next);
    if (tiles > 1) {
        patches.fetch(next);
        patches.put(next, 1);
    }
    __syncthreads();
    for (int i = 0; i < tiles; ++i) {
        const int current = i % 2;
        TilePosition after = next;
        advance(after);
        if (i + 2 < tiles) patches.fetch(after);
        if (i + 1 < tiles) patches.build(next.q, 1 - current);
        for (int upper = split; upper < 2; upper += tiling.splits) {
            const T* of_lane = row_of_left_quarters(patches.patches(current) + upper * matrix_extent * patches.pitch(),
                                                    patches.pitch(), lane);
            float sum[2][4] = {};
#pragma unroll
            for (int d = 0; d < D; ++d) {
                uint32_t values[4];
                load_matrices(values, of_lane + d * matrix_extent);
#pragma unroll
                for (int matrix = 0; matrix < 2; ++matrix)
                    mma_m16n8k16<T>(sum[matrix], values, weight[matrix][d][0], weight[matrix][d][1]);
            }
#pragma unroll
            for (int lower = 0; lower < 2; ++lower) {
                const int q = tile.q + upper * matrix_extent + lower * 8 + at.group;
                if (q >= size.out_width) continue;
                float result[4];
#pragma unroll
                for (int c = 0; c < 4; ++c) {
                    result[c] = sum[c / 2][2 * lower + c % 2] + add[c];
                    if (relu) result[c] = rectified(result[c]);
                }
                T* to = y + ((tile.clip * size.out_height + tile.p) * size.out_width + q) * size.out_channels + channel;
                if (whole) {
                    if (channel < size.out_channels) store(to, result);
                } else {
#pragma unroll
                    for (int c = 0; c < 4; ++c)
                        if (channel + c < size.out_channels) to[c] = from_float<T>(result[c]);
                }
            }
        }
        if (i + 2 < tiles) patches.put(after, current);
        __syncthreads(); // this step's patches have been read, the next ones and the input of those after are there
        tile = next;
        next = after;
    }
}

// ---- gradients ----------------------------------------------------------------------------------------------------

template <typename T, typename W, typename X> struct GradientOperands {
    const T *dy, *a, *x;
    const W* w;
    const float* scale; ///< with a mask
    X* dx;              ///< null if not wanted
    float* partial;     ///< [chunks, K, columns]; null if not wanted
    int columns;        ///< T, or T + 1 with the sums of dy
};

/// Shared memory of a block: dy's tile, then patches of `group` elements, then what the data gradient needs.
struct GradientLayout {
    int pitch, dy_bytes, patch_bytes, col2im_bytes;

    __host__ __device__ GradientLayout(const StemSizes& size, int group, bool wants_sums, bool wants_dx) {
        pitch = matrix_pitch(size.out_channels);
        dy_bytes = tile_positions * pitch * 2;
        patch_bytes = wants_sums ? PatchLayout(size, group).bytes(1) : 0;
        col2im_bytes = wants_dx ? TensorCol2imLayout(size, size.out_channels).bytes(size) : 0;
    }
    int bytes() const { return dy_bytes + patch_bytes + col2im_bytes; }
};

/// This thread's part of dy's tiles, 16 bytes of one position or of two: read ahead, then masked and put into shared
/// memory.
template <typename T, bool Masked> class GradientTile {
public:
    T* values; ///< [tile_positions, pitch], zeros behind the channels and the row

    __device__ GradientTile(char* shared, const T* dy, const T* a, const StemSizes& size, const ChannelTiling& tiling)
        : dy_(dy), a_(a), size_(size), pitch_(matrix_pitch(size.out_channels)), count_(2 / tiling.splits) {
        values = reinterpret_cast<T*>(shared);
        const int thread = static_cast<int>(threadIdx.x), vectors = tiling.tiles * matrix_extent / element_vector;
        position_ = thread / vectors;
        channel_ = thread % vectors * element_vector;
        whole_vectors_ = size.out_channels % element_vector == 0;
        const int columns = pitch_ - tiling.tiles * matrix_extent; // behind the whole matrices
#pragma unroll 1
        for (int i = thread; i < tile_positions * columns; i += static_cast<int>(blockDim.x))
            values[i / columns * pitch_ + pitch_ - columns + i % columns] = from_float<T>(0.0f);
    }

    /// Starts to read a tile.
    __device__ void fetch(const TilePosition& tile) {
        const int64_t row = (tile.clip * size_.out_height + tile.p) * size_.out_width + tile.q;
        const int64_t first = row * size_.out_channels + (position_ * size_.out_channels + channel_);
        const int inside = size_.out_width - tile.q; // positions of the tile
        if (whole_vectors_) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                if (i >= count_) continue;
                const int64_t at = first + i * matrix_extent * size_.out_channels;
                of_dy_[i] = of_a_[i] = Pairs{};
                if (position_ + i * matrix_extent >= inside || channel_ >= size_.out_channels) continue;
                of_dy_[i] = vector(dy_ + at);
                if constexpr (Masked) of_a_[i] = vector(a_ + at);
            }
            return;
        }
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            if (i >= count_) continue;
            const int64_t at = first + i * matrix_extent * size_.out_channels;
            const int channels = position_ + i * matrix_extent < inside ? size_.out_channels - channel_ : 0;
            of_dy_[i] = elements(dy_ + at, channels);
            if constexpr (Masked) of_a_[i] = elements(a_ + at, channels);
        }
    }
    /// `values` = what was fetched.
    __device__ void put() {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            if (i >= count_) continue;
            if constexpr (Masked) {
#pragma unroll
                for (int pair = 0; pair < 4; ++pair)
                    of_dy_[i].element[pair] = where_positive<T>(of_dy_[i].element[pair], of_a_[i].element[pair]);
            }
            auto* to = reinterpret_cast<T*>(values) + (position_ + i * matrix_extent) * pitch_ + channel_;
            *reinterpret_cast<Pairs*>(vector_at<element_vector>(to)) = of_dy_[i];
        }
    }

private:
    using Pairs = AlignedVector<uint32_t, element_vector / 2>;

    __device__ static Pairs vector(const T* from) {
        return *reinterpret_cast<const Pairs*>(vector_at<element_vector>(const_cast<T*>(from)));
    }
    /// `count` elements, at most 8, then zeros.
    __device__ static Pairs elements(const T* from, int count) {
        Pairs pairs;
#pragma unroll
        for (int pair = 0; pair < element_vector / 2; ++pair) {
            const T zero = from_float<T>(0.0f);
            pairs.element[pair] =
                pair_of(2 * pair < count ? from[2 * pair] : zero, 2 * pair + 1 < count ? from[2 * pair + 1] : zero);
        }
        return pairs;
    }

    const T *dy_, *a_;
    const StemSizes& size_;
    int pitch_, count_, position_, channel_;
    bool whole_vectors_;
    Pairs of_dy_[2], of_a_[2];
};

/// One pass over dy. The weight gradient is a GEMM [K, positions] x [positions, columns], the data gradient a GEMM
/// [positions, K] x [K, T] and col2im. N: the patch elements of a block's weight gradient, in multiples of 8.
/// Masked: dy counts only where a > 0.
template <typename T, typename W, typename X, bool Masked, int N, int Threads>
__global__ void __launch_bounds__(Threads, N <= 4 && Threads == two_block_threads ? 2 : 1)
    gradients(GradientOperands<T, W, X> op, StemSizes size, ChunkTiling chunks) {
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes, warp = static_cast<int>(threadIdx.x) / warp_lanes;
    const ChannelTiling tiling(size);
    const Chunk chunk(size, chunks);
    const bool wants_sums = op.partial, wants_dx = op.dx && blockIdx.y == 0;
    const int first_element = static_cast<int>(blockIdx.y) * N * matrix_columns, patch = size.patch();
    const GradientLayout layout(size, N * matrix_columns, wants_sums, op.dx);
    char* shared = dynamic_shared<char>();
    GradientTile<T, Masked> dz(shared, op.dy, op.a, size, tiling);
    PatchTile<T> patches(shared + layout.dy_bytes, op.x, size, N * matrix_columns);
    TensorCol2im<T> col2im(shared + layout.dy_bytes + layout.patch_bytes, size, size.out_channels, chunk);
    if (wants_sums) patches.begin(first_element, 1);
    if (wants_dx) {
        col2im.begin();
        col2im.split_weights(size.out_channels, reinterpret_cast<float*>(shared), [&](int element, int k) {
            const float weight = to_float(op.w[k * patch + element]);
            return Masked ? op.scale[k] * weight : weight;
        });
    }
    const auto write = [&](int row, int column, float value) {
        op.dx[((chunk.clip * size.height + row) * size.width) * size.channels + column] = from_float<X>(value);
    };

    const int end = wants_dx ? chunk.halo_end : chunk.end_out;
    TilePosition tile{chunk.clip, wants_dx ? chunk.halo_first : chunk.first_out, 0}, next = tile;
    const int channels = warp % tiling.tiles * matrix_extent, split = warp / tiling.tiles;
    float sum[N][4] = {};
    const bool any = tile.p < end; // no output row reaches input rows far below the last one
    if (any) dz.fetch(tile);
    if (any && wants_sums) {
        patches.fetch(tile);
        patches.put(tile);
    }
    __syncthreads();
    if (any) dz.put();
    if (any && wants_sums) patches.build(tile.q);
    next.advance(size);
    if (wants_sums && next.p < end) patches.fetch(next);
    __syncthreads();
    while (tile.p < end) {
        const bool more = next.p < end;
        if (more) dz.fetch(next);
        if (wants_sums && more) patches.put(next);
        if (wants_dx && tile.q == 0) col2im.retire_before(tile.p, write);
        if (wants_sums && tile.p >= chunk.first_out && tile.p < chunk.end_out) {
            for (int part = split; part < 2; part += tiling.splits) {
                uint32_t of_dz[4];
                load_transposed_matrices(
                    of_dz, row_of_upper_quarters(dz.values + part * matrix_extent * layout.pitch + channels,
                                                 layout.pitch, lane));
                const T* of_lane = row_of_left_quarters(patches.patches() + part * matrix_extent * patches.pitch(),
                                                        patches.pitch(), lane);
#pragma unroll
                for (int n = 0; n < N; n += 2) {
                    uint32_t of_patches[4];
                    load_transposed_matrices(of_patches, of_lane + n * matrix_columns);
                    mma_m16n8k16<T>(sum[n], of_dz, of_patches[0], of_patches[1]);
                    mma_m16n8k16<T>(sum[n + 1], of_dz, of_patches[2], of_patches[3]);
                }
            }
        }
        if (wants_dx) col2im.multiply(dz.values, layout.pitch);
        __syncthreads(); // the tiles have been read, and the products are there
        if (wants_dx) col2im.gather(tile);
        if (more) dz.put();
        if (wants_sums && more) patches.build(next.q);
        if (wants_dx && next.p != tile.p) col2im.next_output_row();
        tile = next;
        next.advance(size);
        if (wants_sums && next.p < end) patches.fetch(next);
        __syncthreads(); // the next tiles are there, and the products have been read
    }
    if (wants_dx) col2im.retire_rest(write);
    if (!wants_sums) return;

    // The splits' sums are added in order.
    auto* of_splits = reinterpret_cast<float*>(shared) + warp % tiling.tiles * N * 4 * warp_lanes + lane;
    if (tiling.splits == 2) {
        __syncthreads(); // the input rows have been written
        if (split == 1) {
#pragma unroll
            for (int i = 0; i < N * 4; ++i) of_splits[i * warp_lanes] = sum[i / 4][i % 4];
        }
        __syncthreads();
        if (split == 1) return;
    }
    const FragmentLane at(lane);
    float* to = op.partial + static_cast<int64_t>(blockIdx.x) * size.out_channels * op.columns;
#pragma unroll
    for (int i = 0; i < N * 4; ++i) {
        const int k = channels + at.group + i % 4 / 2 * 8;
        const int element = first_element + i / 4 * matrix_columns + 2 * at.in_group + i % 2;
        float total = sum[i / 4][i % 4];
        if (tiling.splits == 2) total += of_splits[i * warp_lanes];
        if (k < size.out_channels && element < op.columns) to[k * op.columns + element] = total;
    }
}

// ---- host ---------------------------------------------------------------------------------------------------------

/// Calls work(Width<N>{}, Width<Threads>{}): the patch elements of a block's weight gradient in multiples of 8, and the
/// limit of its threads.
template <typename Work> void with_element_tiles(const StemSizes& size, int columns, Work&& work) {
    if (ChannelTiling(size).threads() > two_block_threads) return work(Width<4>{}, Width<most_threads>{});
    if (columns <= 16) return work(Width<2>{}, Width<two_block_threads>{});
    if (columns <= 32) return work(Width<4>{}, Width<two_block_threads>{});
    work(Width<10>{}, Width<two_block_threads>{});
}

size_t gradient_bytes(const StemSizes& size, int columns, bool wants_sums, bool wants_dx) {
    size_t bytes = 0;
    with_element_tiles(size, columns, [&](auto tiles, auto) {
        const int elements = decltype(tiles)::value * matrix_columns;
        const ChannelTiling tiling(size);
        const int splits = tiling.splits == 2 ? tiling.tiles * elements * matrix_extent * 4 : 0;
        bytes = static_cast<size_t>(std::max(GradientLayout(size, elements, wants_sums, wants_dx).bytes(), splits));
    });
    return bytes;
}

template <typename T, typename W, typename X, bool Masked>
void launch_gradients(const StemGradients& op, const StemSizes& size, cudaStream_t stream) {
    const bool wants_sums = op.partial, wants_dx = op.dx.data;
    const int columns = size.patch() + (op.with_sum ? 1 : 0);
    const ChunkTiling tiling(size);
    const GradientOperands<T, W, X> operands{.dy = static_cast<const T*>(op.dy.data),
                                             .a = static_cast<const T*>(op.a.data),
                                             .x = static_cast<const T*>(op.x.data),
                                             .w = static_cast<const W*>(op.w.data),
                                             .scale = op.scale,
                                             .dx = static_cast<X*>(op.dx.data),
                                             .partial = op.partial,
                                             .columns = columns};
    with_element_tiles(size, columns, [&](auto tiles, auto threads) {
        constexpr int n = decltype(tiles)::value;
        const dim3 grid(static_cast<unsigned>(tiling.chunks(size)),
                        wants_sums ? static_cast<unsigned>(divide_up(columns, n * matrix_columns)) : 1);
        launch(gradients<T, W, X, Masked, n, decltype(threads)::value>, grid,
               dim3(static_cast<unsigned>(ChannelTiling(size).threads())),
               gradient_bytes(size, columns, wants_sums, wants_dx), stream, operands, size, tiling);
    });
}

/// Calls work(Width<D>{}, Width<Threads>{}): the patch elements in multiples of 16, and the limit of a block's threads.
template <typename Work> void with_patch_depth(const StemSizes& size, Work&& work) {
    const int patch = size.patch();
    if (ChannelTiling(size).threads() > two_block_threads)
        return patch <= 80 ? work(Width<5>{}, Width<most_threads>{}) : work(Width<13>{}, Width<most_threads>{});
    if (patch <= 16) return work(Width<1>{}, Width<two_block_threads>{});
    if (patch <= 32) return work(Width<2>{}, Width<two_block_threads>{});
    if (patch <= 80) return work(Width<5>{}, Width<two_block_threads>{});
    work(Width<13>{}, Width<two_block_threads>{});
}

size_t forward_bytes(const StemSizes& size, int depth) {
    return static_cast<size_t>(PatchLayout(size, depth * matrix_extent).bytes(forward_buffers));
}

} // namespace

bool stem_suits_tensor_cores(const Conv2dShape& shape) {
    const StemSizes size(shape);
    bool suits = gradient_bytes(size, size.patch() + 1, true, true) <= least_block_shared_bytes;
    with_patch_depth(size, [&](auto depth, auto) {
        suits = suits && forward_bytes(size, decltype(depth)::value) <= least_block_shared_bytes;
    });
    return suits;
}

void stem_forward_on_tensor_cores(Tensor y, Tensor x, Tensor w, const float* bias, bool relu, const Conv2dShape& shape,
                                  cudaStream_t stream) {
    const StemSizes size(shape);
    const int64_t rows_per_block = divide_up(size.out_rows, 16 * multiprocessors);
    const auto blocks = static_cast<unsigned>(divide_up(size.out_rows, rows_per_block));
    with_half_width_type(x.dtype, [&](auto type) {
        using T = decltype(type);
        with_patch_depth(size, [&](auto depth, auto threads) {
            constexpr int d = decltype(depth)::value;
            launch(convolve<T, d, decltype(threads)::value>, dim3(blocks),
                   dim3(static_cast<unsigned>(ChannelTiling(size).threads())), forward_bytes(size, d), stream,
                   static_cast<T*>(y.data), static_cast<const T*>(x.data), static_cast<const T*>(w.data), bias, relu,
                   size, rows_per_block);
        });
    });
}

void stem_gradients_on_tensor_cores(const StemGradients& op, const Conv2dShape& shape, cudaStream_t stream) {
    const StemSizes size(shape);
    with_half_width_type(op.dy.dtype, [&](auto type) {
        using T = decltype(type);
        if (op.a) return launch_gradients<T, float, float, true>(op, size, stream);
        launch_gradients<T, T, T, false>(op, size, stream);
    });
}

} // namespace scene::cuda

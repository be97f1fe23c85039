#pragma once

// The host's side of an op: the choice of a kernel by element type and vector width, and the layout of blocks over
// rows x channels.

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "kernels/cuda/common/device_code.h"
#include "kernels/cuda/device_limits.h"
#include "kernels/operands.h"

namespace scene::cuda {

/// The mask of `dropout`. `control` may be absent without dropout.
inline DropoutMask mask_of(const Dropout& dropout, const Tensor& control) {
    SCENE_CHECK(dropout.p >= 0 && dropout.p < 1,
                "dropout probability " + std::to_string(dropout.p) + " is not in [0, 1)");
    DropoutMask mask;
    if (dropout.p == 0) return mask;
    mask.threshold = dropout_threshold(dropout.p);
    mask.stream = dropout.stream;
    mask.kept = 1.0f / (1.0f - dropout.p);
    mask.control = &step_control(control);
    return mask;
}

/// Calls work(T{}) with the element type of F16 or BF16.
template <typename Work> void with_half_width_type(DType type, Work&& work) {
    SCENE_CHECK(is_half_width(type), "a tensor is " + std::string(name_of(type)) + ", expected F16 or BF16");
    if (type == DType::F16) {
        work(half{});
    } else {
        work(bfloat16{});
    }
}

/// Calls work(T{}) with the element type of an activation.
template <typename Work> void with_activation_type(const Tensor& x, Work&& work) {
    SCENE_CHECK(x.dtype == DType::F32 || is_half_width(x.dtype),
                "an activation is " + std::string(name_of(x.dtype)) + ", expected F32, F16 or BF16");
    if (x.dtype == DType::F32) {
        work(float{});
    } else {
        with_half_width_type(x.dtype, work);
    }
}

template <int V> struct Width { static constexpr int value = V; };

/// Whether rows of `channels` elements of T at all these addresses allow access by vectors of 16 bytes.
template <typename T> bool packs_fit(int64_t channels, std::initializer_list<const void*> addresses) {
    if (channels % full_vector<T> != 0) return false;
    return std::all_of(addresses.begin(), addresses.end(),
                       [](const void* address) { return reinterpret_cast<uintptr_t>(address) % 16 == 0; });
}

/// Calls work(Width<V>{}): V elements are 16 bytes where all rows allow it, else V = 1.
template <typename T, typename Work>
void with_pack_width(int64_t channels, std::initializer_list<const void*> addresses, Work&& work) {
    if (packs_fit<T>(channels, addresses)) {
        work(Width<full_vector<T>>{});
    } else {
        work(Width<1>{});
    }
}

/// Calls work(Width<4>{}) where all rows allow access by vectors of 4 elements, else work(Width<1>{}). For kernels with
/// many operands per channel, whose registers vectors of 8 halves would take.
template <typename T, typename Work>
void with_vectors_of_4(int64_t channels, std::initializer_list<const void*> addresses, Work&& work) {
    const bool fit = std::all_of(addresses.begin(), addresses.end(),
                                 [](const void* address) { return reinterpret_cast<uintptr_t>(address) % 16 == 0; });
    if (fit && channels % 4 == 0) {
        work(Width<4>{});
    } else {
        work(Width<1>{});
    }
}

constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Streaming multiprocessors of an H100. Reductions are split for it on every device, so that their order, and with it
/// the bits of their results, does not depend on the device.
constexpr int64_t multiprocessors = 132;

/// How blocks share `groups` matrices [rows, channels]. A block is x vectors of `width` channels by y rows, so that its
/// threads read consecutive memory and each keeps its channels. It works on a chunk of the rows of one group, of which
/// each thread has a multiple of `least_rows_per_thread`.
struct RowBlocks {
    dim3 block, grid; ///< grid: chunks of rows, tiles of vectors, groups
    int64_t rows_per_chunk = 0;

    RowBlocks(int64_t groups, int64_t rows, int64_t channels, int width, int64_t blocks_per_multiprocessor,
              int64_t least_rows_per_thread, int64_t multiprocessors = cuda::multiprocessors) {
        const int64_t vectors = channels / width, x = std::min<int64_t>(vectors, block_threads), y = block_threads / x;
        const int64_t tiles = divide_up(vectors, x);
        const int64_t wanted = std::max<int64_t>(1, multiprocessors * blocks_per_multiprocessor / (groups * tiles));
        rows_per_chunk = divide_up(divide_up(rows, wanted * y), least_rows_per_thread) * least_rows_per_thread * y;
        const int64_t chunks = divide_up(rows, rows_per_chunk);
        SCENE_CHECK(groups <= 65535 && tiles <= 65535 && chunks <= 0x7FFFFFFF, "too many rows or channels for a grid");
        block = dim3(static_cast<unsigned>(x), static_cast<unsigned>(y));
        grid = dim3(static_cast<unsigned>(chunks), static_cast<unsigned>(tiles), static_cast<unsigned>(groups));
    }
    int64_t chunks() const { return grid.x; }
};

/// Floats from one array to the next, if each thread of a block of `across` x `down` threads keeps a float of several
/// arrays in shared memory: value [array][y*across + x]. Then the threads' stores have no bank conflicts, nor have
/// loads of y's values by threads that count x first and arrays behind it.
__host__ __device__ inline int shared_pitch(int across, int down) {
    return (across * down + warp_lanes - 1) / warp_lanes * warp_lanes + across;
}
inline size_t shared_arrays_bytes(const dim3& block, int arrays) {
    return static_cast<size_t>(arrays) *
           static_cast<size_t>(shared_pitch(static_cast<int>(block.x), static_cast<int>(block.y))) * sizeof(float);
}

/// For elementwise passes, which have no order: many short blocks for the multiprocessors that there are.
inline RowBlocks elementwise_blocks(const DeviceLimits& limits, int64_t rows, int64_t channels, int width,
                                    int64_t groups = 1) {
    return {groups, rows, channels, width, 32, 4, limits.multiprocessors};
}

/// A grid of blocks of `block_threads` threads, one thread for each of `count` items.
inline dim3 blocks_over(int64_t count) {
    const int64_t blocks = divide_up(count, block_threads);
    SCENE_CHECK(count > 0 && blocks <= 0x7FFFFFFF, "a grid over " + std::to_string(count) + " items");
    return dim3(static_cast<unsigned>(blocks));
}

} // namespace scene::cuda

#pragma once

// What kernels share: element types, vectorised access, reductions of fixed order, dropout.

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "kernels/op_types.h"
#include "kernels/philox.h"

namespace scene::cuda {

constexpr int warp_lanes = 32;
constexpr unsigned all_lanes = 0xFFFFFFFFu;
/// Threads of most blocks.
constexpr int block_threads = 256;

/// This block's dynamic shared memory, 16-byte aligned.
template <typename T> __device__ inline T* dynamic_shared() {
#if defined(__CUDACC__)
    extern __shared__ uint4 shared_memory_of_block[];
    return reinterpret_cast<T*>(shared_memory_of_block);
#else
    return static_cast<T*>(emulator::shared_memory());
#endif
}

// ---- element types: arithmetic is in float, storage in float, half or bfloat16 -----------------------------------

using bfloat16 = __nv_bfloat16;

__device__ inline float to_float(float value) { return value; }
__device__ inline float to_float(half value) { return __half2float(value); }
__device__ inline float to_float(bfloat16 value) { return __bfloat162float(value); }

template <typename T> __device__ inline T from_float(float value);
template <> __device__ inline float from_float<float>(float value) { return value; }
template <> __device__ inline half from_float<half>(float value) { return __float2half_rn(value); }
template <> __device__ inline bfloat16 from_float<bfloat16>(float value) { return __float2bfloat16_rn(value); }

/// V consecutive elements for vectorised access. A load or store instruction moves 16 bytes, or the whole vector where
/// that is smaller; addresses are multiples of that size.
template <typename T, int V> struct alignas(sizeof(T) * V < 16 ? sizeof(T) * V : 16) AlignedVector { T element[V]; };

/// Elements of a vector of 16 bytes.
template <typename T> constexpr int full_vector = 16 / sizeof(T);

/// The vector at this address. The emulator checks its alignment.
template <int V, typename T> __device__ inline AlignedVector<T, V>* vector_at(T* address) {
#if !defined(__CUDACC__)
    emulator::check_vector(address, alignof(AlignedVector<T, V>), sizeof(AlignedVector<T, V>));
#endif
    return reinterpret_cast<AlignedVector<T, V>*>(address);
}

template <int V, typename T> __device__ inline void unpack(float (&to)[V], const AlignedVector<T, V>& from) {
#pragma unroll
    for (int v = 0; v < V; ++v) to[v] = to_float(from.element[v]);
}

/// The vector as it lies in memory. It takes fewer registers than its values in float, so several can be on their way
/// before the first is used.
template <int V, typename T> __device__ inline AlignedVector<T, V> load_packed(const T* from) {
    return *vector_at<V>(const_cast<T*>(from));
}

template <int V, typename T> __device__ inline void load(float (&to)[V], const T* from) {
    unpack(to, load_packed<V>(from));
}

template <int V, typename T> __device__ inline void store(T* to, const float (&from)[V]) {
    AlignedVector<T, V> vector;
#pragma unroll
    for (int v = 0; v < V; ++v) vector.element[v] = from_float<T>(from[v]);
    *vector_at<V>(to) = vector;
}

// ---- rows -------------------------------------------------------------------------------------------------------

template <int N> struct Count { static constexpr int value = N; };

/// Calls work(Count<n>{}, row) for this thread's rows `row`, row + step, ... below `end`, in order: n = `together` rows
/// at once, whose loads `work` issues before it uses the first, then the rest one by one.
template <int together, typename Work>
__device__ inline void for_rows(int64_t row, int64_t end, int step, Work&& work) {
    for (; row + (together - 1) * step < end; row += together * step) work(Count<together>{}, row);
    for (; row < end; row += step) work(Count<1>{}, row);
}

// ---- reductions: the order of additions depends on nothing but the layout ---------------------------------------

/// The sum over the 32 lanes, in every lane.
template <typename T> __device__ inline T warp_sum(T value) {
    for (int lanes = warp_lanes / 2; lanes > 0; lanes /= 2) value += __shfl_xor_sync(all_lanes, value, lanes);
    return value;
}

/// The maximum, NaN if either is: a maximum that hides a NaN hides a bug.
__device__ inline float larger(float a, float b) { return a > b || a != a ? a : b; }

__device__ inline float warp_max(float value) {
    for (int lanes = warp_lanes / 2; lanes > 0; lanes /= 2)
        value = larger(value, __shfl_xor_sync(all_lanes, value, lanes));
    return value;
}

/// The sum over a block of whole warps, in every thread. `shared` has one T for each warp; it may be reused after the
/// next barrier.
template <typename T> __device__ inline T block_sum(T value, T* shared) {
    const int thread = static_cast<int>(threadIdx.x), warps = static_cast<int>(blockDim.x) / warp_lanes;
    value = warp_sum(value);
    if (thread % warp_lanes == 0) shared[thread / warp_lanes] = value;
    __syncthreads();
    T sum = shared[0];
    for (int warp = 1; warp < warps; ++warp) sum += shared[warp];
    return sum;
}

/// The maximum over a block, NaN if any value is; `shared` as for block_sum.
__device__ inline float block_max(float value, float* shared) {
    const int thread = static_cast<int>(threadIdx.x), warps = static_cast<int>(blockDim.x) / warp_lanes;
    value = warp_max(value);
    if (thread % warp_lanes == 0) shared[thread / warp_lanes] = value;
    __syncthreads();
    float largest = shared[0];
    for (int warp = 1; warp < warps; ++warp) largest = larger(largest, shared[warp]);
    return largest;
}

/// This thread's index in a one-dimensional grid.
__device__ inline int64_t thread_in_grid() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

/// relu that propagates NaN.
__device__ inline float rectified(float z) { return 0.0f > z ? 0.0f : z; }

// ---- dropout ----------------------------------------------------------------------------------------------------

/// What a thread needs to draw dropout masks. Made on the host; `read_control` completes it on the device.
struct DropoutMask {
    uint32_t threshold = 0, stream = 0;
    float kept = 1; ///< 1/(1 - p)
    const StepControl* control = nullptr;
    uint64_t seed = 0;
    uint32_t step = 0;

    __device__ void read_control() {
        if (threshold == 0) return;
        seed = control->seed;
        step = control->step;
    }
    /// 0 or 1/(1 - p) for element `index`.
    __device__ float factor(int64_t index) const {
        if (threshold == 0) return 1.0f;
        return random_word(seed, stream, step, static_cast<uint64_t>(index)) < threshold ? 0.0f : kept;
    }
    /// The factors of V elements from `first` on, which is a multiple of V.
    template <int V> __device__ void factors(float (&factor_of)[V], int64_t first) const {
        if constexpr (V % 4 != 0) {
#pragma unroll
            for (int v = 0; v < V; ++v) factor_of[v] = factor(first + v);
        } else {
#pragma unroll
            for (int v = 0; v < V; ++v) factor_of[v] = 1.0f;
            if (threshold == 0) return;
#pragma unroll
            for (int block = 0; block < V / 4; ++block) {
                const PhiloxBlock drawn = random_block(seed, stream, step, static_cast<uint64_t>(first / 4 + block));
#pragma unroll
                for (int i = 0; i < 4; ++i) factor_of[4 * block + i] = drawn.word[i] < threshold ? 0.0f : kept;
            }
        }
    }
};

} // namespace scene::cuda

#include "tests/counters/known_kernels.h"

#include "kernels/cuda/common/device_code.h"
#include "kernels/cuda/launch.h"

namespace scene::test {
namespace {

using cuda::launch;

__device__ inline int thread_of_grid() { return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); }

__global__ void copy_strided(float* out, const float* in, int n, int stride) {
    const int i = thread_of_grid();
    if (i < n) out[i] = in[i * stride];
}

__global__ void transpose_tile(float* out, const float* in, int padding) {
    float* tile = cuda::dynamic_shared<float>();
    const int x = static_cast<int>(threadIdx.x), pitch = 32 + padding;
    for (int y = static_cast<int>(threadIdx.y); y < 32; y += 8) tile[y * pitch + x] = in[y * 32 + x];
    __syncthreads();
    for (int y = static_cast<int>(threadIdx.y); y < 32; y += 8) out[y * 32 + x] = tile[x * pitch + y];
}

__global__ void branch_by_lane(float* out, const float* in, const float* other) {
    const int i = thread_of_grid();
    if (threadIdx.x % 2 == 1) {
        out[i] += in[i];
    } else {
        out[i] -= other[i];
    }
}

__global__ void add_other_turns(float* out, const float* in, int turns) {
    const int lane = static_cast<int>(threadIdx.x);
    float sum = 0;
    for (int turn = 0; turn < turns; ++turn) {
        if ((turn + lane) % 2 == 0) continue;
        sum += in[turn * 32 + lane];
    }
    out[lane] = sum;
}

__global__ void add_as_many(float* out, const float* in) {
    const int lane = static_cast<int>(threadIdx.x);
    float sum = 0;
    for (int i = 0; i <= lane; ++i) sum += in[i * 32 + lane];
    out[lane] = sum;
}

__global__ void copy_first(float* out, const float* in) { out[thread_of_grid()] = in[0]; }

template <typename T, int V> __global__ void copy_by_vectors(T* out, const T* in, bool through_shared) {
    const int i = thread_of_grid();
    float values[V];
    cuda::load(values, in + i * V);
    if (through_shared) {
        T* shared = cuda::dynamic_shared<T>();
        cuda::store(shared + i * V, values);
        cuda::load(values, shared + i * V);
    }
    cuda::store(out + i * V, values);
}

__global__ void copy_doubles(double2* out, const double2* in, bool through_shared) {
    const int i = thread_of_grid();
    double2 value = in[i];
    if (through_shared) {
        double2* shared = cuda::dynamic_shared<double2>();
        shared[i] = value;
        value = shared[i];
    }
    out[i] = value;
}

__global__ void copy_through_columns(float4* out, const float4* in) {
    const int lane = static_cast<int>(threadIdx.x);
    float4* shared = cuda::dynamic_shared<float4>();
    float4* mine = shared + lane % 8 * 8 + lane / 8; // a row has 8 vectors, all banks
    *mine = in[lane];
    out[lane] = *mine;
}

__global__ void count_threads_of(int* count, int n, int counters) {
    const int i = thread_of_grid();
    if (i < n) atomicAdd(count + i % counters, 1);
}

__global__ void copy_after_reading(float* out, const float* in, int times) {
    const int i = thread_of_grid();
    float sum = 0;
    for (int time = 0; time <= times; ++time) sum += in[i ^ time];
    out[i] = sum;
}

__global__ void blur_rows(float* out, const float* in, int rows) {
    const int x = static_cast<int>(threadIdx.x), first = static_cast<int>(blockIdx.x) * 16;
    for (int row = first + static_cast<int>(threadIdx.y); row < first + 16; row += 4) {
        if (row >= rows) continue;
        const int above = row > 0 ? row - 1 : row, below = row < rows - 1 ? row + 1 : row;
        out[row * 64 + x] = (in[above * 64 + x] + in[row * 64 + x] + in[below * 64 + x]) / 3;
    }
}

__global__ void copy_slowly(float* out, const float* in, int n, Slowness slowness) {
    float* shared = cuda::dynamic_shared<float>();
    const int i = thread_of_grid(), threads = static_cast<int>(gridDim.x * blockDim.x);
    const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
    if (slowness == Slowness::UncoalescedStore) {
        for (int k = 0; k < n / threads; ++k) out[i * (n / threads) + k] = in[k * threads + i];
        return;
    }
    for (int at = i; at < n; at += threads) {
        float value = 0;
        if (slowness == Slowness::Divergence) {
            for (int turn = 0; turn < 32; ++turn)
                if (turn == lane) out[at] = in[at];
            continue;
        }
        for (int time = 0; time < (slowness == Slowness::ReRead ? 4 : 1); ++time) value += in[at ^ time];
        if (slowness == Slowness::BankConflict) {
            shared[thread * 32] = value;
            value = shared[thread * 32];
        }
        out[at] = value;
    }
}

dim3 blocks_of(int n, int threads) { return dim3(static_cast<unsigned>((n + threads - 1) / threads)); }

template <typename T, int V> void launch_copy(void* out, const void* in, int threads, bool through_shared) {
    launch(copy_by_vectors<T, V>, dim3(1), dim3(static_cast<unsigned>(threads)),
           static_cast<size_t>(threads) * V * sizeof(T), nullptr, static_cast<T*>(out), static_cast<const T*>(in),
           through_shared);
}

} // namespace

void strided_copy(float* out, const float* in, int n, int stride, int threads) {
    launch(copy_strided, blocks_of(n, threads), dim3(static_cast<unsigned>(threads)), 0, nullptr, out, in, n, stride);
}

void transpose(float* out, const float* in, int padding) {
    launch(transpose_tile, dim3(1), dim3(32, 8), static_cast<size_t>(32 * (32 + padding)) * sizeof(float), nullptr, out,
           in, padding);
}

void branch(float* out, const float* in, const float* other, int n) {
    launch(branch_by_lane, blocks_of(n, 128), dim3(128), 0, nullptr, out, in, other);
}

void skip_turns(float* out, const float* in, int turns) {
    launch(add_other_turns, dim3(1), dim3(32), 0, nullptr, out, in, turns);
}

void loop_as_long_as_lane(float* out, const float* in) { launch(add_as_many, dim3(1), dim3(32), 0, nullptr, out, in); }

void broadcast(float* out, const float* in, int n) {
    launch(copy_first, blocks_of(n, 128), dim3(128), 0, nullptr, out, in);
}

void copy_vectors(void* out, const void* in, int threads, Vector vector, bool through_shared) {
    switch (vector) {
    case Vector::Float4: return launch_copy<float, 4>(out, in, threads, through_shared);
    case Vector::Half8: return launch_copy<half, 8>(out, in, threads, through_shared);
    case Vector::Float8: return launch_copy<float, 8>(out, in, threads, through_shared);
    case Vector::Half4: return launch_copy<half, 4>(out, in, threads, through_shared);
    case Vector::Double2:
        launch(copy_doubles, dim3(1), dim3(static_cast<unsigned>(threads)),
               static_cast<size_t>(threads) * sizeof(double2), nullptr, static_cast<double2*>(out),
               static_cast<const double2*>(in), through_shared);
    }
}

void copy_vectors_through_columns(void* out, const void* in) {
    launch(copy_through_columns, dim3(1), dim3(32), 64 * sizeof(float4), nullptr, static_cast<float4*>(out),
           static_cast<const float4*>(in));
}

void count_atomically(int* count, int n, int counters) {
    launch(count_threads_of, blocks_of(n, 128), dim3(128), 0, nullptr, count, n, counters);
}

void read_again(float* out, const float* in, int n, int times) {
    launch(copy_after_reading, blocks_of(n, 128), dim3(128), 0, nullptr, out, in, times);
}

void blur(float* out, const float* in, int rows) {
    launch(blur_rows, blocks_of(rows, 16), dim3(64, 4), 0, nullptr, out, in, rows);
}

void slow_copy(float* out, const float* in, int n, Slowness slowness) {
    launch(copy_slowly, dim3(8), dim3(256), 256 * 32 * sizeof(float), nullptr, out, in, n, slowness);
}

} // namespace scene::test

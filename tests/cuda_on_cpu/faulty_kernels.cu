#include "tests/cuda_on_cpu/faulty_kernels.h"

#include "kernels/cuda/common/device_code.h"
#include "kernels/cuda/launch.h"

namespace scene::test {
namespace {

using cuda::all_lanes;
using cuda::launch;

__global__ void reverse_kernel(float* out, const float* in, Fault fault) {
    float* shared = cuda::dynamic_shared<float>();
    const int threads = static_cast<int>(blockDim.x), i = static_cast<int>(threadIdx.x);
    const int at = static_cast<int>(blockIdx.x) * threads + i;
    if (fault == Fault::BarrierInBranch && i >= threads / 2) return;
    if (fault == Fault::DeviceBefore) shared[i] = in[at - 1];
    if (fault == Fault::Misaligned) {
        float values[4];
        cuda::load(values, in + 1);
        shared[i] = values[0];
    }
    if (fault == Fault::WrongMask) {
        if (i == 3) return;
        shared[i] = __shfl_xor_sync(all_lanes, in[at], 1);
    }
    if (fault == Fault::MissingLanes) shared[i] = __shfl_xor_sync(all_lanes, in[at], 1);
    if (fault != Fault::UninitialisedShared) shared[i] = in[at];
    if (fault == Fault::SharedBeyond && i == 0) shared[threads] = 1;
    if (fault == Fault::TwoBarriers && i % 2 == 0) {
        __syncthreads();
    } else if (fault != Fault::NoBarrier) {
        __syncthreads();
    }
    const float value = shared[threads - 1 - i];
    if (fault == Fault::ReadersAndWriter) shared[i] = value;
    if (fault == Fault::NoWarpBarrier) {
        __syncthreads();
        shared[i] = value;
        out[at] = shared[i ^ 1];
    }
    if (fault == Fault::DeviceBeyond && i == 0 && blockIdx.x == 0) out[gridDim.x * blockDim.x] = value;
    if (fault == Fault::BlocksCollide) {
        out[i] = value;
    } else {
        out[at] = value;
    }
}

__global__ void exchange_kernel(int* out, Exchange kind) {
    const int lane = static_cast<int>(threadIdx.x);
    int got = 0;
    switch (kind) {
    case Exchange::Up3: got = __shfl_up_sync(all_lanes, lane, 3); break;
    case Exchange::Down3: got = __shfl_down_sync(all_lanes, lane, 3); break;
    case Exchange::Xor5: got = __shfl_xor_sync(all_lanes, lane, 5); break;
    case Exchange::Broadcast2: got = __shfl_sync(all_lanes, lane, 2); break;
    case Exchange::Down3Of8: got = __shfl_down_sync(all_lanes, lane, 3, 8); break;
    case Exchange::Ballot: got = static_cast<int>(__ballot_sync(all_lanes, lane % 3 == 0)); break;
    case Exchange::Count: got = __syncthreads_count(lane % 3 == 0); break;
    }
    out[lane] = got;
}

__global__ void count_kernel(int* out) { atomicAdd(out, 1); }

__global__ void order_kernel(int* order, int* counter) {
    order[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(counter, 1);
}

__global__ void sums_kernel(float* out) {
    float* shared = cuda::dynamic_shared<float>();
    const auto value = static_cast<float>(threadIdx.x);
    const float of_warp = cuda::warp_sum(value), of_block = cuda::block_sum(value, shared);
    if (threadIdx.x == 0) out[0] = of_warp, out[1] = of_block;
}

__global__ void nothing() {}

} // namespace

void reverse(float* out, const float* in, int blocks, int threads, Fault fault) {
    launch(reverse_kernel, dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)),
           static_cast<size_t>(threads) * sizeof(float), nullptr, out, in, fault);
}

void exchange(int* out, int threads, Exchange kind) {
    launch(exchange_kernel, dim3(1), dim3(static_cast<unsigned>(threads)), 0, nullptr, out, kind);
}

void count_threads(int* out, int blocks, int threads) {
    launch(count_kernel, dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)), 0, nullptr, out);
}

void running_order(int* order, int* counter, int blocks, int threads) {
    launch(order_kernel, dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)), 0, nullptr, order,
           counter);
}

void sums(float* out, int threads) {
    launch(sums_kernel, dim3(1), dim3(static_cast<unsigned>(threads)), 32 * sizeof(float), nullptr, out);
}

void launch_with(dim3 grid, dim3 block, size_t shared_bytes) { launch(nothing, grid, block, shared_bytes, nullptr); }

} // namespace scene::test

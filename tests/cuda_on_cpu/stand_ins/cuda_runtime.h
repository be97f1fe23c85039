#pragma once

// Stands in for CUDA's <cuda_runtime.h>, so that g++ compiles the .cu files and the emulator runs them. It has what
// those files use and nothing else. Floating-point atomics and __shared__ variables are left out on purpose, so that
// they do not compile: a reduction has a fixed order, and shared memory is dynamic, so that its bounds are known.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <source_location>
#include <type_traits>
#include <vector>

#include "tests/cuda_on_cpu/access_checker.h"
#include "tests/cuda_on_cpu/emulator.h"

#define __global__
// Inlined for the access checker, which does not see what a call returns or takes by value.
#define __device__ __attribute__((always_inline))
#define __host__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

// ---- built-in types and variables ------------------------------------------------------------------------------

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x = 1, y = 1, z = 1;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

// A vector is loaded and stored as one, which the access counter is told.
#define EMULATED_VECTOR_2(name, Scalar)                                                                                \
    struct alignas(2 * sizeof(Scalar)) name {                                                                          \
        Scalar x, y;                                                                                                   \
        name() = default;                                                                                              \
        __forceinline__ name(Scalar x_, Scalar y_) : x(x_), y(y_) {}                                                   \
        __forceinline__ name(const name& of) : x(of.noted().x), y(of.y) {}                                             \
        __forceinline__ name& operator=(const name& of) {                                                              \
            noted();                                                                                                   \
            return x = of.noted().x, y = of.y, *this;                                                                  \
        }                                                                                                              \
        __forceinline__ const name& noted() const {                                                                    \
            emulator::note_vector(this, sizeof(name), sizeof(name));                                                   \
            return *this;                                                                                              \
        }                                                                                                              \
    }
#define EMULATED_VECTOR_4(name, Scalar)                                                                                \
    struct alignas(4 * sizeof(Scalar)) name {                                                                          \
        Scalar x, y, z, w;                                                                                             \
        name() = default;                                                                                              \
        __forceinline__ name(Scalar x_, Scalar y_, Scalar z_, Scalar w_) : x(x_), y(y_), z(z_), w(w_) {}               \
        __forceinline__ name(const name& of) : x(of.noted().x), y(of.y), z(of.z), w(of.w) {}                           \
        __forceinline__ name& operator=(const name& of) {                                                              \
            noted();                                                                                                   \
            return x = of.noted().x, y = of.y, z = of.z, w = of.w, *this;                                              \
        }                                                                                                              \
        __forceinline__ const name& noted() const {                                                                    \
            emulator::note_vector(this, sizeof(name), sizeof(name));                                                   \
            return *this;                                                                                              \
        }                                                                                                              \
    }
EMULATED_VECTOR_2(float2, float);
EMULATED_VECTOR_2(uint2, unsigned);
EMULATED_VECTOR_2(double2, double);
EMULATED_VECTOR_4(float4, float);
EMULATED_VECTOR_4(uint4, unsigned);
__forceinline__ float2 make_float2(float x, float y) { return {x, y}; }
__forceinline__ double2 make_double2(double x, double y) { return {x, y}; }

static constexpr const emulator::Index3& threadIdx = emulator::thread_index;
static constexpr const emulator::Index3& blockIdx = emulator::block_index;
static constexpr const emulator::Extent3& blockDim = emulator::block_extent;
static constexpr const emulator::Extent3& gridDim = emulator::grid_extent;

// ---- the host's side -------------------------------------------------------------------------------------------

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorLaunchFailure = 719
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
struct CUstream_st;
using cudaStream_t = CUstream_st*;
struct cudaLaunchAttribute {};
struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes = 0;
    cudaStream_t stream = nullptr;
    cudaLaunchAttribute* attrs = nullptr;
    unsigned numAttrs = 0;
};

inline const char* cudaGetErrorName(cudaError_t error) {
    switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    }
    return "?";
}
/// The emulator's own message about the last failure.
inline const char* cudaGetErrorString(cudaError_t) { return emulator::last_error().c_str(); }

inline cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}

inline cudaError_t cudaGetLastError() { return cudaSuccess; }

struct cudaDeviceProp {
    char name[256] = "emulator";
    size_t totalGlobalMem = 0;
    int major = 9, minor = 0, multiProcessorCount = emulator::limits.multiprocessors;
    size_t sharedMemPerBlockOptin = emulator::limits.shared;
};
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    *properties = {};
    return cudaSuccess;
}
inline cudaError_t cudaDriverGetVersion(int* version) {
    *version = 0;
    return cudaSuccess;
}
inline cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

// While a graph is captured, work is stored and not run. What a device cannot do in a capture fails. Each node of a
// graph depends on the one before.
enum cudaGraphNodeType {
    cudaGraphNodeTypeKernel = 0,
    cudaGraphNodeTypeMemcpy = 1,
    cudaGraphNodeTypeMemset = 2,
    cudaGraphNodeTypeHost = 3
};
struct CUgraphNode_st {
    cudaGraphNodeType type = cudaGraphNodeTypeHost; ///< a library's stand-in
    CUgraphNode_st* before = nullptr;
    dim3 grid, block;
    size_t shared_bytes = 0;
};
using cudaGraphNode_t = CUgraphNode_st*;
struct cudaGraphEdgeData {};
struct CUgraph_st {
    std::vector<std::function<cudaError_t()>> work;
    std::deque<CUgraphNode_st> nodes; ///< of `work`, while it is captured
};
using cudaGraph_t = CUgraph_st*;
using cudaGraphExec_t = CUgraph_st*;
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
constexpr unsigned cudaStreamNonBlocking = 1;

namespace emulator {

inline std::unique_ptr<CUgraph_st> capture; ///< the graph that is being captured, or null
inline int streams = 0;                     ///< created and not yet destroyed

/// Runs the work, or stores it in the graph that is being captured.
inline cudaError_t enqueue(std::function<cudaError_t()> work, CUgraphNode_st node = {}) {
    if (!capture) return work();
    if (!capture->nodes.empty()) node.before = &capture->nodes.back();
    capture->nodes.push_back(node);
    capture->work.push_back(std::move(work));
    return cudaSuccess;
}

} // namespace emulator

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    *stream = nullptr;
    ++emulator::streams;
    return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t) {
    --emulator::streams;
    return cudaSuccess;
}
inline cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
    if (emulator::capture) return cudaErrorStreamCaptureUnsupported;
    emulator::capture = std::make_unique<CUgraph_st>();
    return cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
    *graph = emulator::capture.release();
    return *graph ? cudaSuccess : cudaErrorInvalidValue;
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
    *executable = new CUgraph_st{graph->work, {}};
    return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    delete executable;
    return cudaSuccess;
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t) {
    for (const auto& work : executable->work)
        if (const cudaError_t error = work(); error != cudaSuccess) return error;
    return cudaSuccess;
}

enum cudaStreamCaptureStatus { cudaStreamCaptureStatusNone = 0, cudaStreamCaptureStatusActive = 1 };
/// The node that the next one will depend on, if there is one.
inline cudaError_t cudaStreamGetCaptureInfo(cudaStream_t, cudaStreamCaptureStatus* status, unsigned long long*,
                                            cudaGraph_t*, const cudaGraphNode_t** last, const cudaGraphEdgeData**,
                                            size_t* count) {
    static cudaGraphNode_t node;
    *status = emulator::capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    *count = emulator::capture && !emulator::capture->nodes.empty();
    if (*count) node = &emulator::capture->nodes.back();
    *last = &node;
    return cudaSuccess;
}
inline cudaError_t cudaGraphNodeGetDependencies(cudaGraphNode_t node, cudaGraphNode_t* before, cudaGraphEdgeData*,
                                                size_t* count) {
    *count = node->before != nullptr;
    if (before && node->before) *before = node->before;
    return cudaSuccess;
}
inline cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
    *type = node->type;
    return cudaSuccess;
}

enum cudaDriverEntryPointQueryResult { cudaDriverEntryPointSuccess = 0, cudaDriverEntryPointSymbolNotFound = 1 };
constexpr unsigned long long cudaEnableDefault = 0;

struct CUevent_st;
using cudaEvent_t = CUevent_st*;
inline cudaError_t cudaEventCreate(cudaEvent_t* event) {
    *event = nullptr;
    return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
/// There is no clock.
inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
    *milliseconds = 0;
    return cudaSuccess;
}

inline cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
    *available = *total = emulator::device_bytes();
    return cudaSuccess;
}
inline cudaError_t cudaMalloc(void** memory, size_t bytes) {
    if (emulator::capture) return cudaErrorStreamCaptureUnsupported;
    *memory = emulator::allocate(bytes);
    return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}
inline cudaError_t cudaFree(void* memory) {
    return !memory || emulator::release(memory) ? cudaSuccess : cudaErrorInvalidValue;
}
/// Synchronous, as all work is: it runs before the call returns.
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t) {
    if (emulator::capture) return cudaErrorStreamCaptureUnsupported; // the host's memory may change before a replay
    if (kind != cudaMemcpyHostToDevice && !emulator::check_range(from, bytes)) return cudaErrorInvalidValue;
    if (kind != cudaMemcpyDeviceToHost && !emulator::check_range(to, bytes)) return cudaErrorInvalidValue;
    std::memcpy(to, from, bytes);
    if (kind != cudaMemcpyDeviceToHost) emulator::mark_written(to, bytes);
    return cudaSuccess;
}
inline cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}
inline cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t) {
    return emulator::enqueue(
        [=] {
            if (!emulator::check_range(memory, bytes)) return cudaErrorInvalidValue;
            emulator::fill(memory, value, bytes);
            emulator::mark_written(memory, bytes);
            return cudaSuccess;
        },
        {.type = cudaGraphNodeTypeMemset, .grid = {}, .block = {}});
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) {
    return emulator::capture ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

template <typename... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute, int value) {
    emulator::allow_shared(reinterpret_cast<const void*>(kernel), static_cast<size_t>(value));
    return cudaSuccess;
}

template <typename... Parameters, typename... Arguments> cudaError_t
cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), Arguments&&... arguments) {
    const auto extent = [](dim3 d) { return emulator::Extent3{d.x, d.y, d.z}; };
    return emulator::enqueue(
        [=, grid = extent(config->gridDim), block = extent(config->blockDim), shared_bytes = config->dynamicSmemBytes] {
            const bool done = emulator::run(reinterpret_cast<const void*>(kernel), grid, block, shared_bytes,
                                            [&] { kernel(static_cast<Parameters>(arguments)...); });
            return done ? cudaSuccess : cudaErrorLaunchFailure;
        },
        {.type = cudaGraphNodeTypeKernel,
         .grid = config->gridDim,
         .block = config->blockDim,
         .shared_bytes = config->dynamicSmemBytes});
}

// ---- the device's side -----------------------------------------------------------------------------------------

inline void __syncthreads(std::source_location place = std::source_location::current()) {
    emulator::block_barrier(0, place);
}
inline int __syncthreads_or(int predicate, std::source_location place = std::source_location::current()) {
    return emulator::block_barrier(predicate != 0, place) != 0;
}
inline int __syncthreads_count(int predicate, std::source_location place = std::source_location::current()) {
    return emulator::block_barrier(predicate != 0, place);
}
inline void __syncwarp(unsigned mask = emulator::full_warp,
                       std::source_location place = std::source_location::current()) {
    uint64_t values[emulator::warp_size];
    emulator::warp_exchange(emulator::WarpOp::Sync, mask, 0, values, place);
}

namespace emulator {

/// The value of lane `source`, which the mask must name; the lane's own value unless `inside`, that is, if `source` is
/// outside the segment of `width` lanes.
template <typename T> T shuffle(unsigned mask, T value, bool inside, unsigned source, std::source_location place) {
    static_assert(std::is_arithmetic_v<T> && sizeof(T) <= 8);
    uint64_t bits = 0, values[warp_size];
    std::memcpy(&bits, &value, sizeof value);
    warp_exchange(WarpOp::Shuffle, mask, bits, values, place);
    if (!inside) return value;
    if (!(mask >> source & 1)) fail_thread("shuffles from a lane outside the mask");
    std::memcpy(&value, &values[source], sizeof value);
    return value;
}

} // namespace emulator

template <typename T> T __shfl_sync(unsigned mask, T value, int lane, int width = 32,
                                    std::source_location place = std::source_location::current()) {
    const unsigned w = static_cast<unsigned>(width), first = emulator::lane_index() / w * w;
    return emulator::shuffle(mask, value, true, first + static_cast<unsigned>(lane) % w, place);
}
template <typename T> T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32,
                                        std::source_location place = std::source_location::current()) {
    const unsigned w = static_cast<unsigned>(width), self = emulator::lane_index();
    const unsigned source = self ^ static_cast<unsigned>(lanes);
    return emulator::shuffle(mask, value, source / w <= self / w && source < 32, source, place);
}
template <typename T> T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = 32,
                                         std::source_location place = std::source_location::current()) {
    const unsigned w = static_cast<unsigned>(width), self = emulator::lane_index();
    return emulator::shuffle(mask, value, self % w + lanes < w, self + lanes, place);
}
template <typename T> T __shfl_up_sync(unsigned mask, T value, unsigned lanes, int width = 32,
                                       std::source_location place = std::source_location::current()) {
    const unsigned w = static_cast<unsigned>(width), self = emulator::lane_index();
    return emulator::shuffle(mask, value, self % w >= lanes, self - lanes, place);
}
inline unsigned __ballot_sync(unsigned mask, int predicate,
                              std::source_location place = std::source_location::current()) {
    uint64_t values[emulator::warp_size];
    emulator::warp_exchange(emulator::WarpOp::Ballot, mask, predicate != 0, values, place);
    unsigned votes = 0;
    for (unsigned lane = 0; lane < emulator::warp_size; ++lane) votes |= unsigned{values[lane] == 1} << lane;
    return votes;
}
inline int __any_sync(unsigned mask, int predicate, std::source_location place = std::source_location::current()) {
    return __ballot_sync(mask, predicate, place) != 0;
}
inline int __all_sync(unsigned mask, int predicate, std::source_location place = std::source_location::current()) {
    return __ballot_sync(mask, predicate, place) == mask;
}

namespace emulator {

/// Not instrumented, so that the access checker sees one atomic access and not a read and a write.
template <typename T, typename Change>
__attribute__((noinline, no_sanitize("thread"))) T change_atomically(T* at, Change&& change) {
    static_assert(std::is_integral_v<T> && sizeof(T) >= 4);
    note_access(at, sizeof(T), Access::Atomic, __builtin_return_address(0));
    T before;
    std::memcpy(&before, at, sizeof before);
    const T after = change(before);
    std::memcpy(at, &after, sizeof after);
    return before;
}

} // namespace emulator

template <typename T> T atomicAdd(T* at, T value) {
    return emulator::change_atomically(at, [&](T before) { return before + value; });
}
template <typename T> T atomicOr(T* at, T value) {
    return emulator::change_atomically(at, [&](T before) { return before | value; });
}
template <typename T> T atomicMax(T* at, T value) {
    return emulator::change_atomically(at, [&](T before) { return before > value ? before : value; });
}

template <typename T> __forceinline__ T __ldg(const T* at) { return *at; }
inline void __threadfence() {}
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __uint_as_float(unsigned bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
inline unsigned __float_as_uint(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

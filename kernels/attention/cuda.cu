#include "kernels/attention/attention.h"

#include "kernels/attention/extents.h"
#include "kernels/cuda/common/operands.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

/// One block computes one head of one clip. Its queries, keys, values and all T x T probabilities are in shared memory.
/// The pitch of their rows is odd, so that reading a column has no bank conflicts.
struct Head {
    int tokens, size, features; ///< T, D/heads, D
    float scale;                ///< 1/sqrt(D/heads)

    __host__ __device__ int vector_stride() const { return size | 1; }
    __host__ __device__ int score_stride() const { return tokens | 1; }
    __host__ __device__ int vectors() const { return tokens * vector_stride(); }
    __host__ __device__ int scores() const { return tokens * score_stride(); }
};

/// to [T, vector_stride] = this head's D/heads columns of T rows that are `stride` elements apart.
template <typename T> __device__ void load_rows(float* to, const T* from, const Head& head, int stride) {
    for (int i = static_cast<int>(threadIdx.x); i < head.tokens * head.size; i += static_cast<int>(blockDim.x)) {
        const int t = i / head.size, d = i % head.size;
        to[t * head.vector_stride() + d] = to_float(from[static_cast<int64_t>(t) * stride + d]);
    }
}

__device__ float dot(const float* a, const float* b, int count) {
    float sum = 0;
    for (int i = 0; i < count; ++i) sum = fmaf(a[i], b[i], sum);
    return sum;
}

/// p [T, score_stride] = softmax over j of q_i k_j*scale. The caller has a barrier between writing q and k and this
/// call; it ends with a barrier.
__device__ void probabilities(float* p, const float* q, const float* k, const Head& head) {
    const int tokens = head.tokens, stride = head.vector_stride();
    for (int i = static_cast<int>(threadIdx.x); i < tokens * tokens; i += static_cast<int>(blockDim.x)) {
        const int row = i / tokens, column = i % tokens;
        p[row * head.score_stride() + column] = dot(q + row * stride, k + column * stride, head.size) * head.scale;
    }
    __syncthreads();
    for (int row = static_cast<int>(threadIdx.x); row < tokens; row += static_cast<int>(blockDim.x)) {
        float* scores = p + row * head.score_stride();
        float largest = scores[0], sum = 0;
        for (int j = 1; j < tokens; ++j) largest = larger(largest, scores[j]);
        for (int j = 0; j < tokens; ++j) sum += scores[j] = expf(scores[j] - largest);
        const float reciprocal = 1.0f / sum;
        for (int j = 0; j < tokens; ++j) scores[j] *= reciprocal;
    }
    __syncthreads();
}

template <typename T> __global__ void __launch_bounds__(block_threads)
    attend(T* out, const T* qkv, Head head, DropoutMask mask) {
    float* q = dynamic_shared<float>();
    float* k = q + head.vectors();
    float* v = k + head.vectors();
    float* p = v + head.vectors();
    const int heads = static_cast<int>(gridDim.x), h = static_cast<int>(blockIdx.x), n = static_cast<int>(blockIdx.y);
    const int tokens = head.tokens, stride = head.vector_stride();
    const T* from = qkv + static_cast<int64_t>(n) * tokens * 3 * head.features + h * head.size;
    mask.read_control();
    load_rows(q, from, head, 3 * head.features);
    load_rows(k, from + head.features, head, 3 * head.features);
    load_rows(v, from + 2 * head.features, head, 3 * head.features);
    __syncthreads();
    probabilities(p, q, k, head);
    const int64_t first_element = (static_cast<int64_t>(n) * heads + h) * tokens * tokens;
    for (int i = static_cast<int>(threadIdx.x); i < tokens * tokens; i += static_cast<int>(blockDim.x))
        p[i / tokens * head.score_stride() + i % tokens] *= mask.factor(first_element + i);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < tokens * head.size; i += static_cast<int>(blockDim.x)) {
        const int t = i / head.size, d = i % head.size;
        float sum = 0;
        for (int j = 0; j < tokens; ++j) sum = fmaf(p[t * head.score_stride() + j], v[j * stride + d], sum);
        out[(static_cast<int64_t>(n) * tokens + t) * head.features + h * head.size + d] = from_float<T>(sum);
    }
}

template <typename T> __global__ void __launch_bounds__(block_threads)
    attend_backward(T* dqkv, const T* dout, const T* qkv, Head head, DropoutMask mask) {
    float* q = dynamic_shared<float>();
    float* k = q + head.vectors();
    float* v = k + head.vectors();
    float* dy = v + head.vectors();
    float* p = dy + head.vectors();
    float* dscore = p + head.scores();
    const int heads = static_cast<int>(gridDim.x), h = static_cast<int>(blockIdx.x), n = static_cast<int>(blockIdx.y);
    const int tokens = head.tokens, stride = head.vector_stride(), score_stride = head.score_stride();
    const int64_t start = static_cast<int64_t>(n) * tokens * 3 * head.features + h * head.size;
    mask.read_control();
    load_rows(q, qkv + start, head, 3 * head.features);
    load_rows(k, qkv + start + head.features, head, 3 * head.features);
    load_rows(v, qkv + start + 2 * head.features, head, 3 * head.features);
    load_rows(dy, dout + static_cast<int64_t>(n) * tokens * head.features + h * head.size, head, head.features);
    __syncthreads();
    probabilities(p, q, k, head);

    // dscore first holds dp, the gradient of the probabilities before dropout.
    const int64_t first_element = (static_cast<int64_t>(n) * heads + h) * tokens * tokens;
    for (int i = static_cast<int>(threadIdx.x); i < tokens * tokens; i += static_cast<int>(blockDim.x)) {
        const int row = i / tokens, column = i % tokens;
        dscore[row * score_stride + column] =
            dot(dy + row * stride, v + column * stride, head.size) * mask.factor(first_element + i);
    }
    __syncthreads();
    // Then dscore = p*(dp - sum_j p_j dp_j)*scale, and p becomes the probabilities after dropout.
    for (int row = static_cast<int>(threadIdx.x); row < tokens; row += static_cast<int>(blockDim.x)) {
        float* of_row = dscore + row * score_stride;
        float* p_row = p + row * score_stride;
        const float inner = dot(p_row, of_row, tokens);
        for (int j = 0; j < tokens; ++j) {
            of_row[j] = p_row[j] * (of_row[j] - inner) * head.scale;
            p_row[j] *= mask.factor(first_element + static_cast<int64_t>(row) * tokens + j);
        }
    }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < tokens * head.size; i += static_cast<int>(blockDim.x)) {
        const int t = i / head.size, d = i % head.size;
        float dquery = 0, dkey = 0, dvalue = 0;
        for (int j = 0; j < tokens; ++j) {
            dquery = fmaf(dscore[t * score_stride + j], k[j * stride + d], dquery);
            dkey = fmaf(dscore[j * score_stride + t], q[j * stride + d], dkey);
            dvalue = fmaf(p[j * score_stride + t], dy[j * stride + d], dvalue);
        }
        T* to = dqkv + start + static_cast<int64_t>(t) * 3 * head.features + d;
        to[0] = from_float<T>(dquery);
        to[head.features] = from_float<T>(dkey);
        to[2 * head.features] = from_float<T>(dvalue);
    }
}

Head head_of(const AttentionExtents& e) {
    const auto size = static_cast<int>(e.size());
    return {static_cast<int>(e.tokens), size, static_cast<int>(e.features), 1.0f / std::sqrt(static_cast<float>(size))};
}

/// One block per head and clip.
dim3 grid_of(const AttentionExtents& e) {
    SCENE_CHECK(e.clips > 0 && e.clips <= 65535, "attention over " + std::to_string(e.clips) + " clips");
    return dim3(static_cast<unsigned>(e.heads), static_cast<unsigned>(e.clips));
}

/// For `vectors` arrays [T, D/heads] and `scores` arrays [T, T], with padded rows.
size_t shared_bytes(const Head& head, int vectors, int scores, const DeviceLimits& limits) {
    const size_t bytes = (static_cast<size_t>(vectors) * static_cast<size_t>(head.vectors()) +
                          static_cast<size_t>(scores) * static_cast<size_t>(head.scores())) *
                         sizeof(float);
    SCENE_CHECK(bytes <= limits.block_shared_bytes,
                "attention over " + std::to_string(head.tokens) + " tokens needs more shared memory than a block has");
    return bytes;
}

} // namespace

void run(const AttentionForward<Tensor>& op, Context& cuda) {
    const AttentionExtents e = checked_extents(op);
    const Head head = head_of(e);
    const DropoutMask mask = mask_of(op.dropout, op.control);
    with_activation_type(op.qkv, [&](auto type) {
        using T = decltype(type);
        launch(attend<T>, grid_of(e), dim3(block_threads), shared_bytes(head, 3, 1, cuda.limits), cuda.stream,
               static_cast<T*>(op.y.data), static_cast<const T*>(op.qkv.data), head, mask);
    });
}

void run(const AttentionBackward<Tensor>& op, Context& cuda) {
    const AttentionExtents e = checked_extents(op);
    const Head head = head_of(e);
    const DropoutMask mask = mask_of(op.dropout, op.control);
    with_activation_type(op.qkv, [&](auto type) {
        using T = decltype(type);
        launch(attend_backward<T>, grid_of(e), dim3(block_threads), shared_bytes(head, 4, 2, cuda.limits), cuda.stream,
               static_cast<T*>(op.dqkv.data), static_cast<const T*>(op.dy.data), static_cast<const T*>(op.qkv.data),
               head, mask);
    });
}

} // namespace scene::cuda

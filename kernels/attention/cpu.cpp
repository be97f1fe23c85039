#include "kernels/attention/attention.h"

#include <cmath>

#include "kernels/attention/extents.h"
#include "kernels/cpu/context.h"
#include "kernels/cpu/dropout.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/thread_scratch.h"

namespace scene::cpu {
namespace {

/// One head of one clip. Row t of q is at q + t*3D; those of k and v are D and 2D floats behind it.
struct Head {
    const float* q;
    int64_t tokens, size, row, features; ///< T, D/heads, 3D, D
    float scale;                         ///< 1/sqrt(D/heads)

    const float* query(int64_t t) const { return q + t * row; }
    const float* key(int64_t t) const { return q + t * row + features; }
    const float* value(int64_t t) const { return q + t * row + 2 * features; }
};

float dot(const float* a, const float* b, int64_t count) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
    return sum;
}

void add_scaled(float* to, const float* from, float factor, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) to[i] += factor * from[i];
}

/// p [T] = softmax over j of q_i k_j * scale.
void probabilities(float* p, const Head& head, int64_t i) {
    float largest = -INFINITY;
    for (int64_t j = 0; j < head.tokens; ++j) {
        p[j] = dot(head.query(i), head.key(j), head.size) * head.scale;
        largest = std::max(largest, p[j]);
    }
    float sum = 0;
    for (int64_t j = 0; j < head.tokens; ++j) sum += p[j] = std::exp(p[j] - largest);
    const float reciprocal = 1.0f / sum;
    for (int64_t j = 0; j < head.tokens; ++j) p[j] *= reciprocal;
}

Head head_of(const float* qkv, const AttentionExtents& e, int64_t n, int64_t h) {
    return {qkv + n * e.tokens * 3 * e.features + h * e.size(), e.tokens, e.size(), 3 * e.features, e.features,
            1.0f / std::sqrt(static_cast<float>(e.size()))};
}

/// For each thread: a row of probabilities.
ThreadScratch forward_scratch(int64_t tokens) { return {tokens}; }

/// For each thread: a row of probabilities and one of their gradients.
ThreadScratch backward_scratch(int64_t tokens) { return {2 * tokens}; }

} // namespace

size_t scratch_bytes(const AttentionForward<TensorSpec>& op, const Planning& planning) {
    const int64_t tokens = op.qkv.shape[1];
    return forward_scratch(tokens).bytes(planning.threads) + DropoutRows::scratch_bytes(tokens, planning.threads);
}

void run(const AttentionForward<Tensor>& op, Context& cpu) {
    const AttentionExtents e = checked_extents(op);
    const int64_t tokens = e.tokens, features = e.features, heads = e.heads, size = e.size();
    const float* qkv = op.qkv.as<float>();
    float* y = op.y.as<float>();
    const ThreadScratch scratch = forward_scratch(tokens);
    const size_t bytes = scratch.bytes(cpu.threads);
    auto* memory = scratch_of<float>(op.scratch, bytes + DropoutRows::scratch_bytes(tokens, cpu.threads));
    const DropoutRows drop(op.dropout, op.control, tokens, cpu.threads, memory + bytes / sizeof(float));
    for_chunks(cpu.threads, e.clips * heads, 1, [&](int64_t item, int64_t) {
        float* p = scratch.own(memory);
        const int64_t n = item / heads, h = item % heads;
        const Head head = head_of(qkv, e, n, h);
        for (int64_t i = 0; i < tokens; ++i) {
            probabilities(p, head, i);
            const float* factor = drop.row((item * tokens + i) * tokens, tokens);
            float* to = y + (n * tokens + i) * features + h * size;
            std::fill_n(to, size, 0.0f);
            for (int64_t j = 0; j < tokens; ++j) add_scaled(to, head.value(j), p[j] * factor[j], size);
        }
    });
}

size_t scratch_bytes(const AttentionBackward<TensorSpec>& op, const Planning& planning) {
    const int64_t tokens = op.qkv.shape[1];
    return backward_scratch(tokens).bytes(planning.threads) + DropoutRows::scratch_bytes(tokens, planning.threads);
}

void run(const AttentionBackward<Tensor>& op, Context& cpu) {
    const AttentionExtents e = checked_extents(op);
    const int64_t tokens = e.tokens, features = e.features, heads = e.heads, size = e.size();
    const float *qkv = op.qkv.as<float>(), *dy = op.dy.as<float>();
    float* dqkv = op.dqkv.as<float>();
    const ThreadScratch scratch = backward_scratch(tokens);
    const size_t bytes = scratch.bytes(cpu.threads);
    auto* memory = scratch_of<float>(op.scratch, bytes + DropoutRows::scratch_bytes(tokens, cpu.threads));
    const DropoutRows drop(op.dropout, op.control, tokens, cpu.threads, memory + bytes / sizeof(float));
    for_chunks(cpu.threads, e.clips * heads, 1, [&](int64_t item, int64_t) {
        float* p = scratch.own(memory);
        float* dp = p + tokens;
        const int64_t n = item / heads, h = item % heads;
        const Head head = head_of(qkv, e, n, h);
        float* base = dqkv + n * tokens * 3 * features + h * size;
        for (int64_t t = 0; t < tokens; ++t)
            for (int64_t part = 0; part < 3; ++part) std::fill_n(base + (3 * t + part) * features, size, 0.0f);
        for (int64_t i = 0; i < tokens; ++i) {
            probabilities(p, head, i);
            const float* factor = drop.row((item * tokens + i) * tokens, tokens);
            const float* gradient = dy + (n * tokens + i) * features + h * size;
            float inner = 0;
            for (int64_t j = 0; j < tokens; ++j) {
                float* dvalue = base + (3 * j + 2) * features;
                add_scaled(dvalue, gradient, p[j] * factor[j], size);
                dp[j] = dot(gradient, head.value(j), size) * factor[j];
                inner += p[j] * dp[j];
            }
            float* dquery = base + 3 * i * features;
            for (int64_t j = 0; j < tokens; ++j) {
                const float dscore = p[j] * (dp[j] - inner) * head.scale;
                add_scaled(dquery, head.key(j), dscore, size);
                add_scaled(base + (3 * j + 1) * features, head.query(i), dscore, size);
            }
        }
    });
}

} // namespace scene::cpu

#include "kernels/attention/attention.h"

#include <algorithm>
#include <cmath>

#include <omp.h>

#include "kernels/cpu/context.h"
#include "kernels/cpu/dropout.h"
#include "kernels/cpu/parallel.h"
#include "kernels/operands.h"

namespace scene::cpu {
namespace {

/// One head of one clip: row t of q, k, v is at base + t*3D (+ D, + 2D).
struct Head {
    const float* q;
    int64_t tokens, size, row, features;
    float scale; ///< 1/sqrt(D/heads)

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

struct Sizes {
    int64_t clips, tokens, features, heads, size;

    Sizes(const Tensor& qkv, int heads_) : heads(heads_) {
        check_rank(qkv, 3, "qkv");
        clips = qkv.shape[0], tokens = qkv.shape[1], features = qkv.shape[2] / 3;
        SCENE_CHECK(heads > 0 && qkv.shape[2] % (3 * heads) == 0,
                    "qkv " + qkv.shape.text() + " does not split into q, k, v of " + std::to_string(heads) + " heads");
        size = features / heads;
    }
    Head head(const float* qkv, int64_t n, int64_t h) const {
        return {qkv + n * tokens * 3 * features + h * size, tokens, size, 3 * features, features,
                1.0f / std::sqrt(static_cast<float>(size))};
    }
};

/// Of a thread: the probabilities of a query and, in the backward pass, their gradients.
size_t row_bytes(const Planning& cpu, const Shape& qkv, int64_t rows) {
    return static_cast<size_t>(cpu.threads * rows * qkv[1]) * sizeof(float);
}

} // namespace

size_t scratch_bytes(const AttentionForward<TensorSpec>& op, const Planning& cpu) {
    return row_bytes(cpu, op.qkv.shape, 1);
}

void run(const AttentionForward<Tensor>& op, Context& cpu) {
    const Sizes sizes(op.qkv, op.heads);
    const float* in = floats(op.qkv, op.qkv.shape, "qkv");
    float* result = floats(op.y, {sizes.clips, sizes.tokens, sizes.features}, "y");
    auto* rows = scratch_of<float>(op.scratch, static_cast<size_t>(cpu.threads * sizes.tokens) * sizeof(float));
    const DropoutRows drop(op.dropout, op.control);
    for_pieces(cpu.threads, sizes.clips * sizes.heads, 1, [&](int64_t item, int64_t) {
        float* p = rows + omp_get_thread_num() * sizes.tokens;
        const int64_t n = item / sizes.heads, h = item % sizes.heads;
        const Head head = sizes.head(in, n, h);
        for (int64_t i = 0; i < sizes.tokens; ++i) {
            probabilities(p, head, i);
            const float* factor = drop.row((item * sizes.tokens + i) * sizes.tokens, sizes.tokens);
            float* to = result + (n * sizes.tokens + i) * sizes.features + h * sizes.size;
            std::fill_n(to, sizes.size, 0.0f);
            for (int64_t j = 0; j < sizes.tokens; ++j) add_scaled(to, head.value(j), p[j] * factor[j], sizes.size);
        }
    });
}

size_t scratch_bytes(const AttentionBackward<TensorSpec>& op, const Planning& cpu) {
    return row_bytes(cpu, op.qkv.shape, 2);
}

void run(const AttentionBackward<Tensor>& op, Context& cpu) {
    const Sizes sizes(op.qkv, op.heads);
    const int64_t tokens = sizes.tokens, features = sizes.features, size = sizes.size;
    const float* in = floats(op.qkv, op.qkv.shape, "qkv");
    const float* gradient = floats(op.dy, {sizes.clips, tokens, features}, "dy");
    float* result = floats(op.dqkv, op.qkv.shape, "dqkv");
    auto* rows = scratch_of<float>(op.scratch, static_cast<size_t>(cpu.threads * 2 * tokens) * sizeof(float));
    const DropoutRows drop(op.dropout, op.control);
    for_pieces(cpu.threads, sizes.clips * sizes.heads, 1, [&](int64_t item, int64_t) {
        float* p = rows + omp_get_thread_num() * 2 * tokens;
        float* dp = p + tokens;
        const int64_t n = item / sizes.heads, h = item % sizes.heads;
        const Head head = sizes.head(in, n, h);
        float* base = result + n * tokens * 3 * features + h * size;
        for (int64_t t = 0; t < tokens; ++t)
            for (int64_t part = 0; part < 3; ++part) std::fill_n(base + (3 * t + part) * features, size, 0.0f);
        for (int64_t i = 0; i < tokens; ++i) {
            probabilities(p, head, i);
            const float* factor = drop.row((item * tokens + i) * tokens, tokens);
            const float* dy = gradient + (n * tokens + i) * features + h * size;
            float inner = 0;
            for (int64_t j = 0; j < tokens; ++j) {
                float* dvalue = base + (3 * j + 2) * features;
                add_scaled(dvalue, dy, p[j] * factor[j], size);
                dp[j] = dot(dy, head.value(j), size) * factor[j];
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

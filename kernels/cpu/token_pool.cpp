#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/parallel.h"

namespace scene::cpu {
namespace {

/// Rows [first, last) of H that token t of T averages.
struct TokenRows {
    int64_t first, last;
    TokenRows(int64_t t, int64_t tokens, int64_t height)
        : first(t * height / tokens), last(((t + 1) * height + tokens - 1) / tokens) {}
};

} // namespace

void CpuBackend::token_pool_forward(Tensor y, Tensor x) {
    check_rank(x, 4, "x");
    check_rank(y, 3, "y");
    const int64_t clips = x.shape[0], height = x.shape[1], line = x.shape[2], channels = x.shape[3];
    const int64_t tokens = y.shape[1];
    const float* in = floats(x, x.shape, "x");
    float* out = floats(y, {clips, tokens, channels}, "y");
    for_pieces(threads_, clips * tokens, 1, [&](int64_t item, int64_t) {
        const TokenRows rows(item % tokens, tokens, height);
        const float* from = in + (item / tokens * height + rows.first) * line * channels;
        const int64_t positions = (rows.last - rows.first) * line;
        float* to = out + item * channels;
        std::fill_n(to, channels, 0.0f);
        for (int64_t i = 0; i < positions; ++i, from += channels) {
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) to[c] += from[c];
        }
        const float share = 1.0f / static_cast<float>(positions);
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) to[c] *= share;
    });
}

void CpuBackend::token_pool_backward(Tensor dx, Tensor dy) {
    check_rank(dx, 4, "dx");
    check_rank(dy, 3, "dy");
    const int64_t clips = dx.shape[0], height = dx.shape[1], width = dx.shape[2], channels = dx.shape[3];
    const int64_t tokens = dy.shape[1];
    float* out = floats(dx, dx.shape, "dx");
    const float* gradient = floats(dy, {clips, tokens, channels}, "dy");
    for_pieces(threads_, clips * height, 1, [&](int64_t item, int64_t) {
        const int64_t h = item % height;
        float* to = out + item * width * channels;
        std::fill_n(to, channels, 0.0f);
        // From the first token that reaches beyond row h; neighbours overlap by a row where T does not divide H.
        for (int64_t t = h * tokens / height; t < tokens; ++t) {
            const TokenRows rows(t, tokens, height);
            if (rows.first > h) break;
            const float share = 1.0f / static_cast<float>((rows.last - rows.first) * width);
            const float* from = gradient + (item / height * tokens + t) * channels;
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) to[c] += from[c] * share;
        }
        for (int64_t w = 1; w < width; ++w) std::copy_n(to, channels, to + w * channels);
    });
}

void CpuBackend::token_max_forward(Tensor y, Tensor argmax, Tensor x) {
    check_rank(x, 3, "x");
    const int64_t clips = x.shape[0], tokens = x.shape[1], features = x.shape[2];
    SCENE_CHECK(tokens > 0, "the maximum over no tokens");
    const float* in = floats(x, x.shape, "x");
    float* out = floats(y, {clips, features}, "y");
    int32_t* at = operand<int32_t>(argmax, {clips, features}, "argmax");
    for_pieces(threads_, clips, grain_for(tokens * features), [&](int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; ++n) {
            const float* from = in + n * tokens * features;
            float* largest = out + n * features;
            int32_t* where = at + n * features;
            std::copy_n(from, features, largest);
            std::fill_n(where, features, 0);
            for (int64_t t = 1; t < tokens; ++t) {
                from += features;
#pragma omp simd
                for (int64_t d = 0; d < features; ++d) {
                    where[d] = from[d] > largest[d] ? static_cast<int32_t>(t) : where[d];
                    largest[d] = from[d] > largest[d] ? from[d] : largest[d];
                }
            }
        }
    });
}

void CpuBackend::token_max_backward(Tensor dx, Tensor dy, Tensor argmax) {
    check_rank(dx, 3, "dx");
    const int64_t clips = dx.shape[0], tokens = dx.shape[1], features = dx.shape[2];
    float* out = floats(dx, dx.shape, "dx");
    const float* gradient = floats(dy, {clips, features}, "dy");
    const int32_t* at = operand<int32_t>(argmax, {clips, features}, "argmax");
    for_pieces(threads_, clips * tokens, grain_for(features), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const auto t = static_cast<int32_t>(i % tokens);
            const float* from = gradient + i / tokens * features;
            const int32_t* where = at + i / tokens * features;
            float* to = out + i * features;
#pragma omp simd
            for (int64_t d = 0; d < features; ++d) to[d] = where[d] == t ? from[d] : 0.0f;
        }
    });
}

} // namespace scene::cpu

#include "kernels/token_pool/token_pool.h"

#include "kernels/cpu/context.h"
#include "kernels/cpu/parallel.h"
#include "kernels/operands.h"

namespace scene::cpu {
namespace {

/// Rows [first, last) of H that token t of T averages.
struct TokenRows {
    int64_t first, last;
    TokenRows(int64_t t, int64_t tokens, int64_t height)
        : first(t * height / tokens), last(((t + 1) * height + tokens - 1) / tokens) {}
};

} // namespace

void run(const TokenPoolForward<Tensor>& op, Context& cpu) {
    check_rank(op.x, 4, "x");
    check_rank(op.y, 3, "y");
    const Shape& shape = op.x.shape;
    const int64_t clips = shape[0], height = shape[1], line = shape[2], channels = shape[3];
    const int64_t tokens = op.y.shape[1];
    const float* in = floats(op.x, shape, "x");
    float* out = floats(op.y, {clips, tokens, channels}, "y");
    for_chunks(cpu.threads, clips * tokens, 1, [&](int64_t item, int64_t) {
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

void run(const TokenPoolBackward<Tensor>& op, Context& cpu) {
    check_rank(op.dx, 4, "dx");
    check_rank(op.dy, 3, "dy");
    const Shape& shape = op.dx.shape;
    const int64_t clips = shape[0], height = shape[1], width = shape[2], channels = shape[3];
    const int64_t tokens = op.dy.shape[1];
    float* out = floats(op.dx, shape, "dx");
    const float* gradient = floats(op.dy, {clips, tokens, channels}, "dy");
    for_chunks(cpu.threads, clips * height, 1, [&](int64_t item, int64_t) {
        const int64_t h = item % height;
        float* to = out + item * width * channels;
        std::fill_n(to, channels, 0.0f);
        // Begins with the first token that averages row h. Tokens may overlap where T does not divide H.
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

} // namespace scene::cpu

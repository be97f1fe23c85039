#include "kernels/token_max/token_max.h"

#include "kernels/cpu/context.h"
#include "kernels/cpu/parallel.h"
#include "kernels/operands.h"

namespace scene::cpu {

void run(const TokenMaxForward<Tensor>& op, Context& cpu) {
    check_rank(op.x, 3, "x");
    const int64_t clips = op.x.shape[0], tokens = op.x.shape[1], features = op.x.shape[2];
    SCENE_CHECK(tokens > 0, "the maximum over no tokens");
    const float* in = floats(op.x, op.x.shape, "x");
    float* out = floats(op.y, {clips, features}, "y");
    int32_t* at = indices(op.argmax, {clips, features}, "argmax");
    for_chunks(cpu.threads, clips, grain_for(tokens * features), [&](int64_t begin, int64_t end) {
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
                    const bool takes = from[d] > largest[d] || from[d] != from[d];
                    where[d] = takes ? static_cast<int32_t>(t) : where[d];
                    largest[d] = takes ? from[d] : largest[d];
                }
            }
        }
    });
}

void run(const TokenMaxBackward<Tensor>& op, Context& cpu) {
    check_rank(op.dx, 3, "dx");
    const int64_t clips = op.dx.shape[0], tokens = op.dx.shape[1], features = op.dx.shape[2];
    float* out = floats(op.dx, op.dx.shape, "dx");
    const float* gradient = floats(op.dy, {clips, features}, "dy");
    const int32_t* at = indices(op.argmax, {clips, features}, "argmax");
    for_chunks(cpu.threads, clips * tokens, grain_for(features), [&](int64_t begin, int64_t end) {
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

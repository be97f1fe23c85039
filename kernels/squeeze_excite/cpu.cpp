#include "kernels/squeeze_excite/squeeze_excite.h"

#include "kernels/cpu/context.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/prefetch.h"
#include "kernels/operands.h"

namespace scene::cpu {
namespace {

/// The checked operands of z = scale*x + shift.
struct Input {
    const float *x, *scale, *shift;
    int64_t clips, height, width, channels;

    template <class Op> explicit Input(const Op& op) {
        check_rank(op.x, 4, "x");
        channels = channels_of(op.x, "x");
        clips = op.x.shape[0], height = op.x.shape[1], width = op.x.shape[2];
        x = floats(op.x, op.x.shape, "x");
        scale = floats(op.scale, {channels}, "scale");
        shift = floats(op.shift, {channels}, "shift");
    }
    int64_t positions() const { return height * width; }
    Shape per_clip() const { return {clips, channels}; }
    const float* at(int64_t clip, int64_t position) const { return x + (clip * positions() + position) * channels; }
};

Shape output_shape(const Shape& x, bool avg_pool) { return avg_pool ? pooled_shape(x) : x; }

/// The reduction over a clip's positions, for each clip and channel.
GroupedSum clip_sums(const Shape& x) { return {x[0], x[1] * x[2], x[3], 1}; }

/// The gradient that reaches a position of the unpooled output: share*dy[c]. `dy` is null beyond the last whole pooling
/// window.
struct Incoming {
    const float* dy;
    float share;
};

Incoming incoming(const float* dy, const Input& in, bool avg_pool, int64_t clip, int64_t position) {
    if (!avg_pool) return {dy + (clip * in.positions() + position) * in.channels, 1.0f};
    const int64_t p = position / in.width / 2, q = position % in.width / 2;
    const int64_t out_height = in.height / 2, out_width = in.width / 2;
    if (p >= out_height || q >= out_width) return {nullptr, 0.0f};
    return {dy + ((clip * out_height + p) * out_width + q) * in.channels, 0.25f};
}

void excite(float* y, const Input& in, const float* gate, int threads) {
    const int64_t channels = in.channels;
    for_chunks(threads, in.clips * in.positions(), grain_for(channels), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const float* x = in.at(0, i);
            const float* g = gate + i / in.positions() * channels;
            float* to = y + i * channels;
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) {
                const float u = (in.scale[c] * x[c] + in.shift[c]) * g[c];
                to[c] = 0.0f > u ? 0.0f : u;
            }
        }
    });
}

/// Work items are rows of the output, each from two rows of the input.
void excite_and_average(float* y, const Input& in, const float* gate, int threads) {
    const int64_t channels = in.channels, line = in.width * channels;
    const int64_t out_height = in.height / 2, out_width = in.width / 2;
    for_chunks(threads, in.clips * out_height, grain_for(2 * line), [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) {
            const int64_t clip = p / out_height;
            const float* x = in.at(clip, p % out_height * 2 * in.width);
            const float* g = gate + clip * channels;
            float* to = y + p * out_width * channels;
            const float* ahead = x + 2 * line;
            for (int64_t q = 0; q < out_width; ++q, x += 2 * channels, to += channels) {
                prefetch(ahead + q * 4 * channels, 4 * channels);
#pragma omp simd
                for (int64_t c = 0; c < channels; ++c) {
                    const auto excited = [&](float value) {
                        const float u = (in.scale[c] * value + in.shift[c]) * g[c];
                        return 0.0f > u ? 0.0f : u;
                    };
                    to[c] = 0.25f * ((excited(x[c]) + excited(x[c + channels])) +
                                     (excited(x[c + line]) + excited(x[c + line + channels])));
                }
            }
        }
    });
}

} // namespace

size_t scratch_bytes(const SqueezeExciteSqueeze<TensorSpec>& op, const Planning&) {
    return clip_sums(op.x.shape).scratch_bytes();
}

void run(const SqueezeExciteSqueeze<Tensor>& op, Context& cpu) {
    const Input in(op);
    const int64_t channels = in.channels;
    float* pooled = floats(op.pooled, in.per_clip(), "pooled");
    const auto add = [&](int64_t clip, int64_t begin, int64_t end, float* into) {
        for (int64_t i = begin; i < end; ++i) {
            const float* x = in.at(clip, i);
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) into[c] += in.scale[c] * x[c] + in.shift[c];
        }
    };
    const double* sums = clip_sums(op.x.shape).run(cpu.threads, op.scratch, add);
    for (int64_t i = 0; i < in.clips * channels; ++i)
        pooled[i] = static_cast<float>(sums[i] / static_cast<double>(in.positions()));
}

void run(const SqueezeExciteForward<Tensor>& op, Context& cpu) {
    const Input in(op);
    const float* gate = floats(op.gate, in.per_clip(), "gate");
    float* y = floats(op.y, output_shape(op.x.shape, op.avg_pool), "y");
    if (op.avg_pool) {
        excite_and_average(y, in, gate, cpu.threads);
    } else {
        excite(y, in, gate, cpu.threads);
    }
}

size_t scratch_bytes(const SqueezeExciteBackwardGate<TensorSpec>& op, const Planning&) {
    return clip_sums(op.x.shape).scratch_bytes();
}

void run(const SqueezeExciteBackwardGate<Tensor>& op, Context& cpu) {
    const Input in(op);
    const int64_t channels = in.channels;
    const float* gate = floats(op.gate, in.per_clip(), "gate");
    const float* dy = floats(op.dy, output_shape(op.x.shape, op.avg_pool), "dy");
    float* dgate = floats(op.dgate, in.per_clip(), "dgate");
    const auto add = [&](int64_t clip, int64_t begin, int64_t end, float* into) {
        const float* g = gate + clip * channels;
        for (int64_t i = begin; i < end; ++i) {
            const Incoming from = incoming(dy, in, op.avg_pool, clip, i);
            if (!from.dy) continue;
            const float* x = in.at(clip, i);
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) {
                const float z = in.scale[c] * x[c] + in.shift[c];
                into[c] += z * g[c] > 0 ? from.dy[c] * from.share * z : 0.0f;
            }
        }
    };
    const double* sums = clip_sums(op.x.shape).run(cpu.threads, op.scratch, add);
    for (int64_t i = 0; i < in.clips * channels; ++i) dgate[i] = static_cast<float>(sums[i]);
}

void run(const SqueezeExciteBackward<Tensor>& op, Context& cpu) {
    const Input in(op);
    const int64_t channels = in.channels;
    const float* gate = floats(op.gate, in.per_clip(), "gate");
    const float* dpooled = floats(op.dpooled, in.per_clip(), "dpooled");
    const float* dy = floats(op.dy, output_shape(op.x.shape, op.avg_pool), "dy");
    float* dz = floats(op.dz, op.x.shape, "dz");
    const float mean_share = 1.0f / static_cast<float>(in.positions());
    for_chunks(cpu.threads, in.clips * in.positions(), grain_for(channels), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t clip = i / in.positions();
            const float* x = in.at(0, i);
            const float* g = gate + clip * channels;
            const float* d = dpooled + clip * channels;
            const Incoming from = incoming(dy, in, op.avg_pool, clip, i % in.positions());
            float* to = dz + i * channels;
            if (!from.dy) {
#pragma omp simd
                for (int64_t c = 0; c < channels; ++c) to[c] = d[c] * mean_share;
                continue;
            }
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) {
                const float u = (in.scale[c] * x[c] + in.shift[c]) * g[c];
                to[c] = (u > 0 ? from.dy[c] * from.share * g[c] : 0.0f) + d[c] * mean_share;
            }
        }
    });
}

} // namespace scene::cpu

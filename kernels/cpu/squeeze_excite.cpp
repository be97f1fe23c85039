#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/prefetch.h"

namespace scene::cpu {
namespace {

/// Shapes and operands that the ops share; z = scale*x + shift, and the unpooled output is relu(z*gate).
struct Operands {
    const float *x, *scale, *shift;
    int64_t clips, height, width, channels;

    Operands(const Tensor& x_, const Tensor& scale_, const Tensor& shift_) {
        check_rank(x_, 4, "x");
        channels = channels_of(x_, "x");
        clips = x_.shape[0], height = x_.shape[1], width = x_.shape[2];
        x = floats(x_, x_.shape, "x");
        scale = floats(scale_, {channels}, "scale");
        shift = floats(shift_, {channels}, "shift");
    }
    int64_t positions() const { return height * width; }
    const float* at(int64_t clip, int64_t position) const { return x + (clip * positions() + position) * channels; }
};

Shape output_shape(const Tensor& x, bool avg_pool) { return avg_pool ? pooled_shape(x.shape) : x.shape; }

/// The gradient that reaches position (h, w) of the unpooled output: `dy` there and its share, or null beyond
/// the last whole window.
struct Incoming {
    const float* dy;
    float share;
};

Incoming incoming(const float* dy, const Operands& op, bool avg_pool, int64_t clip, int64_t position) {
    if (!avg_pool) return {dy + (clip * op.positions() + position) * op.channels, 1.0f};
    const int64_t p = position / op.width / 2, q = position % op.width / 2;
    const int64_t out_height = op.height / 2, out_width = op.width / 2;
    if (p >= out_height || q >= out_width) return {nullptr, 0.0f};
    return {dy + ((clip * out_height + p) * out_width + q) * op.channels, 0.25f};
}

} // namespace

void CpuBackend::se_squeeze(Tensor pooled, Tensor x, Tensor scale, Tensor shift) {
    const Operands op(x, scale, shift);
    const int64_t channels = op.channels;
    float* out = floats(pooled, {op.clips, channels}, "pooled");
    const GroupedSum reduction{op.clips, op.positions(), channels, 1};
    const double* sums = reduction.run(threads_, partial_memory(reduction.partials()),
                                       [&](int64_t clip, int64_t begin, int64_t end, float* into) {
                                           for (int64_t i = begin; i < end; ++i) {
                                               const float* in = op.at(clip, i);
#pragma omp simd
                                               for (int64_t c = 0; c < channels; ++c)
                                                   into[c] += op.scale[c] * in[c] + op.shift[c];
                                           }
                                       });
    for (int64_t i = 0; i < op.clips * channels; ++i)
        out[i] = static_cast<float>(sums[i] / static_cast<double>(op.positions()));
}

void CpuBackend::se_excite_forward(Tensor y, Tensor x, Tensor scale, Tensor shift, Tensor gate, bool avg_pool) {
    const Operands op(x, scale, shift);
    const int64_t channels = op.channels;
    const float* gates = floats(gate, {op.clips, channels}, "gate");
    float* out = floats(y, output_shape(x, avg_pool), "y");

    if (!avg_pool) {
        for_pieces(threads_, op.clips * op.positions(), grain_for(channels), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                const float* in = op.at(0, i);
                const float* g = gates + i / op.positions() * channels;
                float* to = out + i * channels;
#pragma omp simd
                for (int64_t c = 0; c < channels; ++c) {
                    const float u = (op.scale[c] * in[c] + op.shift[c]) * g[c];
                    to[c] = 0.0f > u ? 0.0f : u;
                }
            }
        });
        return;
    }

    const int64_t out_height = op.height / 2, out_width = op.width / 2, line = op.width * channels;
    for_pieces(threads_, op.clips * out_height, grain_for(2 * line), [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) {
            const int64_t clip = p / out_height;
            const float* in = op.at(clip, p % out_height * 2 * op.width);
            const float* g = gates + clip * channels;
            float* to = out + p * out_width * channels;
            const float* ahead = in + 2 * line;
            for (int64_t q = 0; q < out_width; ++q, in += 2 * channels, to += channels) {
                prefetch(ahead + q * 4 * channels, 4 * channels);
#pragma omp simd
                for (int64_t c = 0; c < channels; ++c) {
                    const auto excited = [&](float value) {
                        const float u = (op.scale[c] * value + op.shift[c]) * g[c];
                        return 0.0f > u ? 0.0f : u;
                    };
                    to[c] = 0.25f * ((excited(in[c]) + excited(in[c + channels])) +
                                     (excited(in[c + line]) + excited(in[c + line + channels])));
                }
            }
        }
    });
}

void CpuBackend::se_excite_backward_gate(Tensor dgate, Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor gate,
                                         bool avg_pool) {
    const Operands op(x, scale, shift);
    const int64_t channels = op.channels;
    const float* gates = floats(gate, {op.clips, channels}, "gate");
    const float* gradient = floats(dy, output_shape(x, avg_pool), "dy");
    float* out = floats(dgate, {op.clips, channels}, "dgate");
    const GroupedSum reduction{op.clips, op.positions(), channels, 1};
    const double* sums = reduction.run(threads_, partial_memory(reduction.partials()),
                                       [&](int64_t clip, int64_t begin, int64_t end, float* into) {
                                           const float* g = gates + clip * channels;
                                           for (int64_t i = begin; i < end; ++i) {
                                               const Incoming from = incoming(gradient, op, avg_pool, clip, i);
                                               if (!from.dy) continue;
                                               const float* in = op.at(clip, i);
#pragma omp simd
                                               for (int64_t c = 0; c < channels; ++c) {
                                                   const float z = op.scale[c] * in[c] + op.shift[c];
                                                   into[c] += z * g[c] > 0 ? from.dy[c] * from.share * z : 0.0f;
                                               }
                                           }
                                       });
    for (int64_t i = 0; i < op.clips * channels; ++i) out[i] = static_cast<float>(sums[i]);
}

void CpuBackend::se_excite_backward(Tensor dz, Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor gate,
                                    Tensor dpooled, bool avg_pool) {
    const Operands op(x, scale, shift);
    const int64_t channels = op.channels;
    const float* gates = floats(gate, {op.clips, channels}, "gate");
    const float* squeezed = floats(dpooled, {op.clips, channels}, "dpooled");
    const float* gradient = floats(dy, output_shape(x, avg_pool), "dy");
    float* out = floats(dz, x.shape, "dz");
    const float mean_share = 1.0f / static_cast<float>(op.positions());
    for_pieces(threads_, op.clips * op.positions(), grain_for(channels), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t clip = i / op.positions();
            const float* in = op.at(0, i);
            const float* g = gates + clip * channels;
            const float* d = squeezed + clip * channels;
            const Incoming from = incoming(gradient, op, avg_pool, clip, i % op.positions());
            float* to = out + i * channels;
            if (!from.dy) {
#pragma omp simd
                for (int64_t c = 0; c < channels; ++c) to[c] = d[c] * mean_share;
                continue;
            }
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) {
                const float u = (op.scale[c] * in[c] + op.shift[c]) * g[c];
                to[c] = (u > 0 ? from.dy[c] * from.share * g[c] : 0.0f) + d[c] * mean_share;
            }
        }
    });
}

} // namespace scene::cpu

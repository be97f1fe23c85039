#include "kernels/batch_norm/pooled_output.h"

#include <limits>

#include "kernels/cpu/context.h"
#include "kernels/cpu/dropout.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/prefetch.h"
#include "kernels/operands.h"

namespace scene::cpu {
namespace {

/// Operands of both passes. Pass 1 sums dz and dz*(x - mean) for each channel; pass 2 writes
/// dx = scale*(dz - mean_dz - (x - mean)*slope), with slope = inv_std * mean(dz*xhat).
struct Operands {
    float* dx;
    const float *dy, *x, *mean, *scale, *shift;
    int64_t channels;
    float floor; ///< gradients pass where z is above it: 0 for the relu, else -infinity
};

void add_rows(float* sums, const Operands& op, const DropoutRows& dropout, int64_t begin, int64_t end) {
    const int64_t channels = op.channels;
    float* sum_dz = sums;
    float* sum_dz_x = sums + channels;
    for (int64_t r = begin; r < end; ++r) {
        const float* x = op.x + r * channels;
        const float* dy = op.dy + r * channels;
        const float* factor = dropout.row(r * channels, channels);
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) {
            const float z = op.scale[c] * x[c] + op.shift[c];
            const float dz = z > op.floor ? dy[c] * factor[c] : 0.0f;
            sum_dz[c] += dz;
            sum_dz_x[c] += dz * (x[c] - op.mean[c]);
        }
    }
}

void write_rows(const Operands& op, const DropoutRows& dropout, const float* mean_dz, const float* slope, int64_t begin,
                int64_t end) {
    const int64_t channels = op.channels;
    for (int64_t r = begin; r < end; ++r) {
        const float* x = op.x + r * channels;
        const float* dy = op.dy + r * channels;
        float* dx = op.dx + r * channels;
        const float* factor = dropout.row(r * channels, channels);
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) {
            const float z = op.scale[c] * x[c] + op.shift[c];
            const float dz = z > op.floor ? dy[c] * factor[c] : 0.0f;
            dx[c] = op.scale[c] * (dz - mean_dz[c] - (x[c] - op.mean[c]) * slope[c]);
        }
    }
}

/// The geometry of the 2x2 pooling. A line is a row of pixels; `p` counts the pooled lines of all clips.
struct PooledLines {
    int64_t height, width, out_height, out_width;
    int64_t first_input_line(int64_t p) const { return p / out_height * height + p % out_height * 2; }
};

void add_pooled_lines(float* sums, const Operands& op, const PooledLines& lines, int64_t begin, int64_t end) {
    const int64_t channels = op.channels, line = lines.width * channels;
    float* sum_dz = sums;
    float* sum_dz_x = sums + channels;
    for (int64_t p = begin; p < end; ++p) {
        const float* x = op.x + lines.first_input_line(p) * line;
        const float* dy = op.dy + p * lines.out_width * channels;
        const float* ahead = x + 2 * line;
        for (int64_t q = 0; q < lines.out_width; ++q, x += 2 * channels, dy += channels) {
            prefetch(ahead + q * 4 * channels, 4 * channels);
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) {
                const float a = op.scale[c], b = op.shift[c];
                float largest = a * x[c] + b, at = x[c];
                const auto challenge = [&](float value) {
                    const float z = a * value + b;
                    at = z > largest ? value : at;
                    largest = z > largest ? z : largest;
                };
                challenge(x[c + channels]);
                challenge(x[c + line]);
                challenge(x[c + line + channels]);
                const float dz = largest > op.floor ? dy[c] : 0.0f;
                sum_dz[c] += dz;
                sum_dz_x[c] += dz * (at - op.mean[c]);
            }
        }
    }
}

/// dx where dz = 0: at positions beyond the last complete pooling window.
void write_beyond(const Operands& op, const float* mean_dz, const float* slope, int64_t first, int64_t positions) {
    const int64_t channels = op.channels;
    for (int64_t r = first; r < first + positions; ++r) {
        const float* x = op.x + r * channels;
        float* dx = op.dx + r * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) dx[c] = op.scale[c] * (-mean_dz[c] - (x[c] - op.mean[c]) * slope[c]);
    }
}

void write_pooled_lines(const Operands& op, const PooledLines& lines, const float* mean_dz, const float* slope,
                        int64_t begin, int64_t end) {
    const int64_t channels = op.channels, line = lines.width * channels;
    const int64_t right = channels, below = line, below_right = line + channels;
    for (int64_t p = begin; p < end; ++p) {
        const int64_t first_line = lines.first_input_line(p);
        const float* x = op.x + first_line * line;
        float* dx = op.dx + first_line * line;
        const float* dy = op.dy + p * lines.out_width * channels;
        const float* ahead = x + 2 * line;
        for (int64_t q = 0; q < lines.out_width; ++q, x += 2 * channels, dx += 2 * channels, dy += channels) {
            prefetch(ahead + q * 4 * channels, 4 * channels);
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) {
                const float a = op.scale[c], b = op.shift[c];
                const float x00 = x[c], x01 = x[c + right], x10 = x[c + below], x11 = x[c + below_right];
                const float z00 = a * x00 + b, z01 = a * x01 + b, z10 = a * x10 + b, z11 = a * x11 + b;
                const float above = z01 > z00 ? z01 : z00, under = z11 > z10 ? z11 : z10;
                const float largest = under > above ? under : above;
                const float dz = largest > op.floor ? dy[c] : 0.0f;
                // The first position whose z is the largest takes dz.
                const float dz00 = z00 == largest ? dz : 0.0f;
                const float dz01 = (z00 != largest && z01 == largest) ? dz : 0.0f;
                const float dz10 = (above != largest && z10 == largest) ? dz : 0.0f;
                const float dz11 = (above != largest && z10 != largest) ? dz : 0.0f;
                dx[c] = a * (dz00 - mean_dz[c] - (x00 - op.mean[c]) * slope[c]);
                dx[c + right] = a * (dz01 - mean_dz[c] - (x01 - op.mean[c]) * slope[c]);
                dx[c + below] = a * (dz10 - mean_dz[c] - (x10 - op.mean[c]) * slope[c]);
                dx[c + below_right] = a * (dz11 - mean_dz[c] - (x11 - op.mean[c]) * slope[c]);
            }
        }
        const int64_t last_column = lines.width - 1;
        if (lines.width % 2 == 1) {
            write_beyond(op, mean_dz, slope, first_line * lines.width + last_column, 1);
            write_beyond(op, mean_dz, slope, (first_line + 1) * lines.width + last_column, 1);
        }
        if (lines.height % 2 == 1 && p % lines.out_height == lines.out_height - 1)
            write_beyond(op, mean_dz, slope, (first_line + 2) * lines.width, lines.width);
    }
}

/// The sums of pass 1, over the rows of x or its pooled lines.
GroupedSum sums_of(const Shape& x, bool max_pool) {
    const int64_t channels = x[x.rank() - 1];
    if (max_pool) return {1, x[0] * (x[1] / 2), 2 * channels, x[2] / 2};
    return {1, x.elements() / channels, 2 * channels, 1};
}

/// The sums of pass 1, then mean_dz and slope, then the rows of dropout factors.
struct ScratchLayout {
    size_t mean_dz, factors, bytes;

    ScratchLayout(const Shape& x, bool max_pool, int threads) : mean_dz(sums_of(x, max_pool).scratch_bytes()) {
        const int64_t channels = x[x.rank() - 1];
        factors = aligned_bytes(mean_dz + 2 * static_cast<size_t>(channels) * sizeof(float));
        bytes = factors + DropoutRows::scratch_bytes(channels, threads);
    }
};

} // namespace

size_t scratch_bytes(const BatchNormBackward<TensorSpec>& op, const Planning& planning) {
    return ScratchLayout(op.x.shape, op.epilogue.max_pool, planning.threads).bytes;
}

void run(const BatchNormBackward<Tensor>& op, Context& cpu) {
    const Shape& shape = op.x.shape;
    const int64_t channels = channels_of(op.x, "x"), rows = op.x.elements() / channels;
    const Shape per_channel{channels};
    const bool max_pool = op.epilogue.max_pool;
    const Operands operands{.dx = optional_floats(op.dx, shape, "dx"),
                            .dy = floats(op.dy, epilogue_shape(shape, op.epilogue), "dy"),
                            .x = floats(op.x, shape, "x"),
                            .mean = floats(op.mean, per_channel, "mean"),
                            .scale = floats(op.scale, per_channel, "scale"),
                            .shift = floats(op.shift, per_channel, "shift"),
                            .channels = channels,
                            .floor = op.epilogue.relu ? 0.0f : -std::numeric_limits<float>::infinity()};
    check_pooled_output(op);
    const float* inv_std = floats(op.inv_std, per_channel, "inv_std");
    float* dgamma = floats(op.dgamma, per_channel, "dgamma");
    float* dbeta = floats(op.dbeta, per_channel, "dbeta");
    const ScratchLayout layout(shape, max_pool, cpu.threads);
    auto* scratch = scratch_of<std::byte>(op.scratch, layout.bytes);
    const DropoutRows dropout(op.epilogue.dropout, op.control, channels, cpu.threads,
                              reinterpret_cast<float*>(scratch + layout.factors));
    const PooledLines lines = max_pool ? PooledLines{shape[1], shape[2], shape[1] / 2, shape[2] / 2} : PooledLines{};

    const GroupedSum reduction = sums_of(shape, max_pool);
    const double* sums = reduction.run(cpu.threads, op.scratch, [&](int64_t, int64_t begin, int64_t end, float* into) {
        if (max_pool) {
            add_pooled_lines(into, operands, lines, begin, end);
        } else {
            add_rows(into, operands, dropout, begin, end);
        }
    });
    auto* mean_dz = reinterpret_cast<float*>(scratch + layout.mean_dz);
    float* slope = mean_dz + channels;
    for (int64_t c = 0; c < channels; ++c) {
        const double inverse = static_cast<double>(inv_std[c]), dz_xhat = sums[channels + c] * inverse;
        dbeta[c] = static_cast<float>(sums[c]);
        dgamma[c] = static_cast<float>(dz_xhat);
        mean_dz[c] = static_cast<float>(sums[c] / static_cast<double>(rows));
        slope[c] = static_cast<float>(dz_xhat / static_cast<double>(rows) * inverse);
    }

    if (!operands.dx) return;
    if (max_pool) {
        for_chunks(
            cpu.threads, shape[0] * lines.out_height, grain_for(2 * lines.width * channels),
            [&](int64_t begin, int64_t end) { write_pooled_lines(operands, lines, mean_dz, slope, begin, end); });
    } else {
        for_chunks(cpu.threads, rows, grain_for(channels),
                   [&](int64_t begin, int64_t end) { write_rows(operands, dropout, mean_dz, slope, begin, end); });
    }
}

void run(const BatchNormApplyGradient<Tensor>& op, Context& cpu) {
    const int64_t channels = channels_of(op.x, "x"), rows = op.x.elements() / channels;
    const Shape per_channel{channels};
    const float* dz = floats(op.dz, op.x.shape, "dz");
    const float* x = floats(op.x, op.x.shape, "x");
    const float* mean = floats(op.mean, per_channel, "mean");
    const float* inv_std = floats(op.inv_std, per_channel, "inv_std");
    const float* scale = floats(op.scale, per_channel, "scale");
    const float* dgamma = floats(op.dgamma, per_channel, "dgamma");
    const float* dbeta = floats(op.dbeta, per_channel, "dbeta");
    float* dx = floats(op.dx, op.x.shape, "dx");
    const float one_row = 1.0f / static_cast<float>(rows);
    for_chunks(cpu.threads, rows, grain_for(channels), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const int64_t first = r * channels;
#pragma omp simd
            for (int64_t c = 0; c < channels; ++c) {
                const float xhat = (x[first + c] - mean[c]) * inv_std[c];
                dx[first + c] = scale[c] * (dz[first + c] - dbeta[c] * one_row - xhat * dgamma[c] * one_row);
            }
        }
    });
}

} // namespace scene::cpu

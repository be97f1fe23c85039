#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/dropout.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/prefetch.h"

#include <cmath>
#include <limits>

namespace scene::cpu {
namespace {

/// Mean and sum of squared deviations of some rows, [C] doubles each.
struct Moments {
    double* mean;
    double* squares;
};

/// Chan, Golub and LeVeque's update: the moments of `count` rows become those of count + other_count rows.
void merge(Moments moments, double count, const double* other_mean, const double* other_squares, double other_count,
           int64_t channels) {
    const double share = other_count / (count + other_count), weight = count * share;
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
        const double difference = other_mean[c] - moments.mean[c];
        moments.mean[c] += difference * share;
        moments.squares[c] += other_squares[c] + difference * difference * weight;
    }
}

/// Two passes over rows that fit the first-level cache, each relative to a value near the mean. The next tile's rows
/// are on their way while the second pass works in the cache.
void tile_moments(Moments moments, float* work, const float* x, int64_t rows, int64_t channels) {
    float* sum = work;
    float* mean = work + channels;
    std::fill_n(sum, channels, 0.0f);
    for (int64_t r = 0; r < rows; ++r) {
        const float* row = x + r * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) sum[c] += row[c] - x[c];
    }
    const float reciprocal = 1.0f / static_cast<float>(rows);
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
        mean[c] = x[c] + sum[c] * reciprocal;
        moments.mean[c] = static_cast<double>(mean[c]);
        sum[c] = 0;
    }
    for (int64_t r = 0; r < rows; ++r) {
        const float* row = x + r * channels;
        prefetch(row + rows * channels, channels);
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) sum[c] += (row[c] - mean[c]) * (row[c] - mean[c]);
    }
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) moments.squares[c] = static_cast<double>(sum[c]);
}

} // namespace

void CpuBackend::batch_norm_statistics(Tensor mean, Tensor variance, Tensor x) {
    const int64_t channels = channels_of(x, "x"), rows = x.elements() / channels;
    const float* in = floats(x, x.shape, "x");
    float* out_mean = floats(mean, {channels}, "mean");
    float* out_variance = floats(variance, {channels}, "variance");

    // Memory is read once: a tile is visited twice while it is in the cache, then merged into its piece.
    constexpr int64_t most_pieces = 64;
    const int64_t tile = std::clamp<int64_t>(4096 / channels, 1, 64);
    const int64_t piece_tiles = std::max<int64_t>((rows + tile * most_pieces - 1) / (tile * most_pieces), 8);
    const int64_t piece_rows = piece_tiles * tile;
    const int64_t pieces = (rows + piece_rows - 1) / piece_rows;
    double* partial = partial_memory(static_cast<size_t>(pieces * 2 * channels));
    for_pieces(threads_, rows, piece_rows, [&](int64_t begin, int64_t end) {
        static thread_local std::vector<float> work;
        static thread_local std::vector<double> tile_memory;
        work.resize(static_cast<size_t>(2 * channels));
        tile_memory.resize(static_cast<size_t>(2 * channels));
        const Moments of_tile{tile_memory.data(), tile_memory.data() + channels};
        double* base = partial + begin / piece_rows * 2 * channels;
        const Moments of_piece{base, base + channels};
        for (int64_t first = begin; first < end; first += tile) {
            const int64_t count = std::min(tile, end - first);
            const Moments target = first == begin ? of_piece : of_tile;
            tile_moments(target, work.data(), in + first * channels, count, channels);
            if (first != begin) {
                merge(of_piece, static_cast<double>(first - begin), of_tile.mean, of_tile.squares,
                      static_cast<double>(count), channels);
            }
        }
    });
    const Moments all{partial, partial + channels};
    for (int64_t piece = 1; piece < pieces; ++piece) {
        const double* other = partial + piece * 2 * channels;
        const int64_t before = piece * piece_rows;
        merge(all, static_cast<double>(before), other, other + channels,
              static_cast<double>(std::min(piece_rows, rows - before)), channels);
    }
    for (int64_t c = 0; c < channels; ++c) {
        out_mean[c] = static_cast<float>(all.mean[c]);
        out_variance[c] = static_cast<float>(all.squares[c] / static_cast<double>(rows));
    }
}

void CpuBackend::batch_norm_finalize(Tensor scale, Tensor shift, Tensor inv_std, Tensor running_mean,
                                     Tensor running_variance, Tensor mean, Tensor variance, Tensor gamma, Tensor beta,
                                     int64_t rows, float momentum, float epsilon) {
    SCENE_CHECK(rows > 1, fmt::format("batch norm in training over {} row, expected at least 2", rows));
    const int64_t channels = channels_of(mean, "mean");
    const Shape per_channel{channels};
    float* out_scale = floats(scale, per_channel, "scale");
    float* out_shift = floats(shift, per_channel, "shift");
    float* out_inv_std = floats(inv_std, per_channel, "inv_std");
    float* out_mean = floats(running_mean, per_channel, "running_mean");
    float* out_variance = floats(running_variance, per_channel, "running_variance");
    const float* batch_mean = floats(mean, per_channel, "mean");
    const float* batch_variance = floats(variance, per_channel, "variance");
    const float* weight = floats(gamma, per_channel, "gamma");
    const float* bias = floats(beta, per_channel, "beta");
    const float unbiased = static_cast<float>(static_cast<double>(rows) / static_cast<double>(rows - 1));
    for (int64_t c = 0; c < channels; ++c) {
        const float inverse = 1.0f / std::sqrt(batch_variance[c] + epsilon);
        out_inv_std[c] = inverse;
        out_scale[c] = weight[c] * inverse;
        out_shift[c] = bias[c] - batch_mean[c] * out_scale[c];
        out_mean[c] = (1 - momentum) * out_mean[c] + momentum * batch_mean[c];
        out_variance[c] = (1 - momentum) * out_variance[c] + momentum * (batch_variance[c] * unbiased);
    }
}

void CpuBackend::batch_norm_fold(Tensor scale, Tensor shift, Tensor running_mean, Tensor running_variance, Tensor gamma,
                                 Tensor beta, float epsilon) {
    const int64_t channels = channels_of(running_mean, "running_mean");
    const Shape per_channel{channels};
    float* out_scale = floats(scale, per_channel, "scale");
    float* out_shift = floats(shift, per_channel, "shift");
    const float* mean = floats(running_mean, per_channel, "running_mean");
    const float* variance = floats(running_variance, per_channel, "running_variance");
    const float* weight = floats(gamma, per_channel, "gamma");
    const float* bias = floats(beta, per_channel, "beta");
    for (int64_t c = 0; c < channels; ++c) {
        out_scale[c] = weight[c] / std::sqrt(variance[c] + epsilon);
        out_shift[c] = bias[c] - mean[c] * out_scale[c];
    }
}

void CpuBackend::batch_norm_forward(Tensor y, Tensor x, Tensor scale, Tensor shift, const NormEpilogue& epilogue,
                                    Tensor control) {
    const int64_t channels = channels_of(x, "x");
    const float* in = floats(x, x.shape, "x");
    const float* a = floats(scale, {channels}, "scale");
    const float* b = floats(shift, {channels}, "shift");
    const DropoutRows dropout(epilogue.dropout, control);
    // max(z, floor) is the relu, or z itself; with z as the second operand a NaN stays one.
    const float floor = epilogue.relu ? 0.0f : -std::numeric_limits<float>::infinity();

    if (!epilogue.max_pool) {
        float* out = floats(y, x.shape, "y");
        for_pieces(threads_, x.elements() / channels, grain_for(channels), [&](int64_t begin, int64_t end) {
            for (int64_t r = begin; r < end; ++r) {
                const float* row = in + r * channels;
                float* out_row = out + r * channels;
                const float* factor = dropout.row(r * channels, channels);
#pragma omp simd
                for (int64_t c = 0; c < channels; ++c) {
                    const float z = a[c] * row[c] + b[c];
                    out_row[c] = (floor > z ? floor : z) * factor[c];
                }
            }
        });
        return;
    }

    SCENE_CHECK(!dropout.active(), "batch norm with both dropout and pooling");
    float* out = floats(y, pooled_shape(x.shape), "y");
    const int64_t height = x.shape[1], width = x.shape[2], out_height = height / 2, out_width = width / 2;
    const int64_t line = width * channels;
    for_pieces(threads_, x.shape[0] * out_height, grain_for(2 * line), [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) {
            const float* upper = in + (p / out_height * height + p % out_height * 2) * line;
            float* out_line = out + p * out_width * channels;
            const float* ahead = upper + 2 * line;
            for (int64_t q = 0; q < out_width; ++q, upper += 2 * channels, out_line += channels) {
                prefetch(ahead + q * 4 * channels, 4 * channels);
#pragma omp simd
                for (int64_t c = 0; c < channels; ++c) {
                    const float z00 = a[c] * upper[c] + b[c];
                    const float z01 = a[c] * upper[c + channels] + b[c];
                    const float z10 = a[c] * upper[c + line] + b[c];
                    const float z11 = a[c] * upper[c + line + channels] + b[c];
                    const float above = z01 > z00 ? z01 : z00, below = z11 > z10 ? z11 : z10;
                    const float largest = below > above ? below : above;
                    out_line[c] = floor > largest ? floor : largest;
                }
            }
        }
    });
}

} // namespace scene::cpu

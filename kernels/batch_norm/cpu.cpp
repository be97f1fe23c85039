#include "kernels/batch_norm/batch_norm.h"

#include <cmath>
#include <limits>

#include "kernels/cpu/context.h"
#include "kernels/cpu/dropout.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/prefetch.h"
#include "kernels/cpu/simd.h"
#include "kernels/operands.h"

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

/// Two passes over a tile of rows that fits into the L1 cache. The first gives the mean, relative to the first row; the
/// second sums the squared deviations from it and prefetches the next tile.
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

/// Rows are split into chunks, and chunks into tiles. A tile is passed over twice while it is in the cache, so memory
/// is read once; its moments are then merged into those of its chunk. The threads share the chunks, whose moments are
/// merged in order.
struct Tiling {
    int64_t rows, channels, tile_rows, chunk_rows, chunks;

    explicit Tiling(const Shape& x) : rows(0), channels(x[x.rank() - 1]), tile_rows(0), chunk_rows(0), chunks(0) {
        constexpr int64_t most_chunks = 64, least_tiles = 8;
        rows = x.elements() / channels;
        tile_rows = std::clamp<int64_t>(4096 / channels, 1, 64);
        const int64_t tiles = (rows + tile_rows * most_chunks - 1) / (tile_rows * most_chunks);
        chunk_rows = std::max(tiles, least_tiles) * tile_rows;
        chunks = (rows + chunk_rows - 1) / chunk_rows;
    }
    /// The chunk's moments and those of a tile in double, a tile's sums and mean in float. Whole cache lines.
    size_t chunk_bytes() const {
        constexpr size_t cache_line = 64;
        const size_t bytes = static_cast<size_t>(channels) * (4 * sizeof(double) + 2 * sizeof(float));
        return (bytes + cache_line - 1) / cache_line * cache_line;
    }
    size_t scratch_bytes() const { return static_cast<size_t>(chunks) * chunk_bytes(); }
    Moments of_chunk(std::byte* scratch, int64_t chunk) const {
        auto* mean = reinterpret_cast<double*>(scratch + static_cast<size_t>(chunk) * chunk_bytes());
        return {mean, mean + channels};
    }
};

} // namespace

size_t scratch_bytes(const BatchNormStatistics<TensorSpec>& op, const Planning&) {
    return Tiling(op.x.shape).scratch_bytes();
}

void run(const BatchNormStatistics<Tensor>& op, Context& cpu) {
    const int64_t channels = channels_of(op.x, "x");
    const float* x = floats(op.x, op.x.shape, "x");
    float* mean = floats(op.mean, {channels}, "mean");
    float* variance = floats(op.variance, {channels}, "variance");
    const Tiling tiling(op.x.shape);
    auto* scratch = scratch_of<std::byte>(op.scratch, tiling.scratch_bytes());
    for_chunks(cpu.threads, tiling.rows, tiling.chunk_rows, [&](int64_t begin, int64_t end) {
        const Moments of_chunk = tiling.of_chunk(scratch, begin / tiling.chunk_rows);
        const Moments of_tile{of_chunk.squares + channels, of_chunk.squares + 2 * channels};
        auto* work = reinterpret_cast<float*>(of_tile.squares + channels);
        for (int64_t first = begin; first < end; first += tiling.tile_rows) {
            const int64_t count = std::min(tiling.tile_rows, end - first);
            const Moments target = first == begin ? of_chunk : of_tile;
            tile_moments(target, work, x + first * channels, count, channels);
            if (first != begin) {
                merge(of_chunk, static_cast<double>(first - begin), of_tile.mean, of_tile.squares,
                      static_cast<double>(count), channels);
            }
        }
    });
    const Moments all = tiling.of_chunk(scratch, 0);
    for (int64_t chunk = 1; chunk < tiling.chunks; ++chunk) {
        const Moments other = tiling.of_chunk(scratch, chunk);
        const int64_t before = chunk * tiling.chunk_rows;
        merge(all, static_cast<double>(before), other.mean, other.squares,
              static_cast<double>(std::min(tiling.chunk_rows, tiling.rows - before)), channels);
    }
    for (int64_t c = 0; c < channels; ++c) {
        mean[c] = static_cast<float>(all.mean[c]);
        variance[c] = static_cast<float>(all.squares[c] / static_cast<double>(tiling.rows));
    }
}

void run(const BatchNormFinalize<Tensor>& op, Context&) {
    const int64_t channels = channels_of(op.mean, "mean");
    const Shape per_channel{channels};
    float* scale = floats(op.scale, per_channel, "scale");
    float* shift = floats(op.shift, per_channel, "shift");
    float* inv_std = floats(op.inv_std, per_channel, "inv_std");
    float* running_mean = floats(op.running_mean, per_channel, "running_mean");
    float* running_variance = floats(op.running_variance, per_channel, "running_variance");
    const float* mean = floats(op.mean, per_channel, "mean");
    const float* variance = floats(op.variance, per_channel, "variance");
    const float* gamma = floats(op.gamma, per_channel, "gamma");
    const float* beta = floats(op.beta, per_channel, "beta");
    const float momentum = op.momentum, correction = op.bessel_correction();
    for (int64_t c = 0; c < channels; ++c) {
        const float inverse = 1.0f / std::sqrt(variance[c] + op.epsilon);
        inv_std[c] = inverse;
        scale[c] = gamma[c] * inverse;
        shift[c] = beta[c] - mean[c] * scale[c];
        running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c];
        running_variance[c] = (1 - momentum) * running_variance[c] + momentum * (variance[c] * correction);
    }
}

void run(const BatchNormFold<Tensor>& op, Context&) {
    const int64_t channels = channels_of(op.running_mean, "running_mean");
    const Shape per_channel{channels};
    float* scale = floats(op.scale, per_channel, "scale");
    float* shift = floats(op.shift, per_channel, "shift");
    const float* mean = floats(op.running_mean, per_channel, "running_mean");
    const float* variance = floats(op.running_variance, per_channel, "running_variance");
    const float* gamma = floats(op.gamma, per_channel, "gamma");
    const float* beta = floats(op.beta, per_channel, "beta");
    for (int64_t c = 0; c < channels; ++c) {
        scale[c] = gamma[c] / std::sqrt(variance[c] + op.epsilon);
        shift[c] = beta[c] - mean[c] * scale[c];
    }
}

size_t scratch_bytes(const BatchNormForward<TensorSpec>& op, const Planning& planning) {
    if (op.epilogue.max_pool) return 0; // without dropout
    return DropoutRows::scratch_bytes(op.x.shape[op.x.shape.rank() - 1], planning.threads);
}

void run(const BatchNormForward<Tensor>& op, Context& cpu) {
    const int64_t channels = channels_of(op.x, "x");
    const Shape& shape = op.x.shape;
    const float* in = floats(op.x, shape, "x");
    const float* a = floats(op.scale, {channels}, "scale");
    const float* b = floats(op.shift, {channels}, "shift");
    float* out = floats(op.y, epilogue_shape(shape, op.epilogue), "y");
    // max(z, floor) is the relu, or z itself if the floor is -infinity. `floor > z ? floor : z` keeps a NaN.
    const float floor = op.epilogue.relu ? 0.0f : -std::numeric_limits<float>::infinity();

    if (!op.epilogue.max_pool) {
        auto* memory = scratch_of<float>(op.scratch, DropoutRows::scratch_bytes(channels, cpu.threads));
        const DropoutRows dropout(op.epilogue.dropout, op.control, channels, cpu.threads, memory);
        for_chunks(cpu.threads, shape.elements() / channels, grain_for(channels), [&](int64_t begin, int64_t end) {
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

    const int64_t height = shape[1], width = shape[2], out_height = height / 2, out_width = width / 2;
    const int64_t line = width * channels;
    for_chunks(cpu.threads, shape[0] * out_height, grain_for(2 * line), [&](int64_t begin, int64_t end) {
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
                    const float largest = larger(larger(z11, z10), larger(z01, z00));
                    out_line[c] = floor > largest ? floor : largest;
                }
            }
        }
    });
}

} // namespace scene::cpu

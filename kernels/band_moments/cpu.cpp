#include "kernels/band_moments/band_moments.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/context.h"
#include "kernels/cpu/parallel.h"
#include "kernels/operands.h"

namespace scene::cpu {
namespace {

constexpr double variance_floor = 1e-6;

/// For each clip and band a sum and a sum of squares, in double.
size_t sums_bytes(const Shape& x) { return static_cast<size_t>(x[0] * 2 * x[2]) * sizeof(double); }

} // namespace

size_t scratch_bytes(const BandMoments<TensorSpec>& op, const Planning&) { return sums_bytes(op.x.shape); }

void run(const BandMoments<Tensor>& op, Context& cpu) {
    check_rank(op.x, 3, "x");
    const int64_t batch = op.x.shape[0], frames = op.x.shape[1], bands = op.x.shape[2];
    const float* values = floats(op.x, op.x.shape, "x");
    float* means = floats(op.mean, {batch, bands}, "mean");
    float* deviations = floats(op.deviation, {batch, bands}, "deviation");
    float* clip_means = floats(op.clip_mean, {batch}, "clip_mean");
    auto* sums = scratch_of<double>(op.scratch, sums_bytes(op.x.shape));
    for_chunks(cpu.threads, batch, 1, [&](int64_t n, int64_t) {
        double *sum = sums + n * 2 * bands, *squares = sum + bands;
        std::fill_n(sum, 2 * bands, 0.0);
        const float* clip = values + n * frames * bands;
        for (int64_t t = 0; t < frames; ++t) {
            // Relative to the first frame, so that E[d^2] - E[d]^2 does not cancel where the mean is large.
            const float* row = clip + t * bands;
#pragma omp simd
            for (int64_t f = 0; f < bands; ++f) {
                const double value = static_cast<double>(row[f]) - static_cast<double>(clip[f]);
                sum[f] += value;
                squares[f] += value * value;
            }
        }
        double all = 0;
        const auto count = static_cast<double>(frames);
        for (int64_t f = 0; f < bands; ++f) {
            const double above = sum[f] / count, band = static_cast<double>(clip[f]) + above;
            const double variance = std::max(0.0, squares[f] / count - above * above);
            means[n * bands + f] = static_cast<float>(band);
            deviations[n * bands + f] = static_cast<float>(std::sqrt(variance + variance_floor));
            all += band;
        }
        clip_means[n] = static_cast<float>(all / static_cast<double>(bands));
    });
}

} // namespace scene::cpu

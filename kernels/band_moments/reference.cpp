#include "kernels/band_moments/band_moments.h"

#include <cmath>

#include "kernels/reference.h"

namespace scene::reference {
namespace {

template <typename Real> void moments(const BandMoments<Tensor>& op) {
    const int64_t clips = op.x.shape[0], frames = op.x.shape[1], bands = op.x.shape[2];
    for (int64_t n = 0; n < clips; ++n) {
        Real sum_of_means = 0;
        for (int64_t f = 0; f < bands; ++f) {
            const auto x = [&](int64_t t) { return values<Real>(op.x)[(n * frames + t) * bands + f]; };
            Real sum = 0, squares = 0;
            for (int64_t t = 0; t < frames; ++t) sum += x(t);
            const Real mean = sum / static_cast<Real>(frames);
            for (int64_t t = 0; t < frames; ++t) squares += (x(t) - mean) * (x(t) - mean);
            values<Real>(op.mean)[n * bands + f] = mean;
            values<Real>(op.deviation)[n * bands + f] =
                std::sqrt(squares / static_cast<Real>(frames) + static_cast<Real>(1e-6));
            sum_of_means += mean;
        }
        values<Real>(op.clip_mean)[n] = sum_of_means / static_cast<Real>(bands);
    }
}

} // namespace

void run(const BandMoments<Tensor>& op) {
    with_real(op.x, [&](auto real) { moments<decltype(real)>(op); });
}

} // namespace scene::reference

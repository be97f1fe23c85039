#include "kernels/log_mel/log_mel.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <numbers>
#include <vector>

#include "kernels/log_mel/mel_filter_bank.h"
#include "kernels/reference.h"

namespace scene::reference {
namespace {

/// The magnitudes S[t, k] of one frame, by the definition of the DFT. In double for any Real, as the contract demands.
std::vector<double> magnitudes(const std::vector<double>& windowed, const std::vector<std::complex<double>>& roots) {
    const size_t n = windowed.size();
    std::vector<double> magnitude;
    for (size_t k = 0; k <= n / 2; ++k) {
        std::complex<double> sum = 0;
        for (size_t i = 0, turn = 0; i < n; ++i) {
            sum += windowed[i] * roots[turn]; // turn = i k mod n
            turn += turn + k < n ? k : k - n;
        }
        magnitude.push_back(std::abs(sum));
    }
    return magnitude;
}

template <typename Real> void log_mel(const LogMel<Tensor>& op) {
    const LogMelSpec& spec = op.spec;
    const MelFilterBank bank = mel_filter_bank(spec);
    const int n = spec.n_fft, first = (n - spec.window) / 2;
    std::vector<std::complex<double>> roots;
    for (int i = 0; i < n; ++i) roots.push_back(std::polar(1.0, -2 * std::numbers::pi * i / n));
    for (int64_t clip = 0; clip < op.wave.shape[0]; ++clip) {
        const Real* wave = values<Real>(op.wave) + clip * spec.samples;
        Real* out = values<Real>(op.out) + clip * spec.frames * spec.bands;
        Real peak = -std::numeric_limits<Real>::infinity();
        for (int frame = 0; frame < spec.all_frames(); ++frame) {
            std::vector<double> windowed(static_cast<size_t>(n), 0.0);
            for (int i = 0; i < spec.window; ++i) {
                const int sample = frame * spec.hop - n / 2 + first + i;
                const double hann = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / spec.window);
                if (sample >= 0 && sample < spec.samples)
                    windowed[static_cast<size_t>(first + i)] = hann * wave[sample];
            }
            const std::vector<double> magnitude = magnitudes(windowed, roots);
            for (int band = 0; band < spec.bands; ++band) {
                Real sum = 0;
                for (int32_t i = bank.offset[band], k = bank.first_bin[band]; i < bank.offset[band + 1]; ++i, ++k)
                    sum += static_cast<Real>(bank.weights[i]) * static_cast<Real>(magnitude[k]);
                const Real decibels = 10 * std::log10(std::max(sum, static_cast<Real>(1e-10)));
                peak = std::max(peak, decibels);
                if (frame < spec.frames) out[frame * spec.bands + band] = decibels;
            }
        }
        for (int64_t i = 0; i < int64_t{spec.frames} * spec.bands; ++i)
            out[i] = std::max(out[i], peak - static_cast<Real>(spec.top_db));
    }
}

} // namespace

void run(const LogMel<Tensor>& op) {
    with_real(op.wave, [&](auto real) { log_mel<decltype(real)>(op); });
}

} // namespace scene::reference

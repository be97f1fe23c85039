#include "kernels/log_mel/mel_filter_bank.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"

namespace scene {
namespace {

// Slaney's scale (Auditory Toolbox): 200/3 Hz per mel up to 1000 Hz, then 27 mels per factor of 6.4.
constexpr double hz_per_mel = 200.0 / 3.0;
constexpr double bend_hz = 1000;
constexpr double bend_mel = bend_hz / hz_per_mel;
const double log_step = std::log(6.4) / 27.0;

double hz_to_mel(double hz) { return hz < bend_hz ? hz / hz_per_mel : bend_mel + std::log(hz / bend_hz) / log_step; }

double mel_to_hz(double mel) {
    return mel < bend_mel ? mel * hz_per_mel : bend_hz * std::exp((mel - bend_mel) * log_step);
}

} // namespace

MelFilterBank mel_filter_bank(const LogMelSpec& spec) {
    const double nyquist = spec.sample_rate / 2.0;
    const double low_hz = spec.low_hz;
    SCENE_CHECK(spec.sample_rate > 0 && spec.n_fft > 0 && spec.bands > 0, "a log-mel spec has positive sizes");
    SCENE_CHECK(low_hz >= 0 && low_hz < nyquist, "the lowest band begins between 0 Hz and half the sample rate");

    const double low_mel = hz_to_mel(low_hz);
    const double mel_step = (hz_to_mel(nyquist) - low_mel) / (spec.bands + 1);
    const auto edge_hz = [&](int point) { return mel_to_hz(low_mel + mel_step * point); };
    const double bin_hz = static_cast<double>(spec.sample_rate) / spec.n_fft;
    const int32_t bins = spec.n_fft / 2 + 1;

    MelFilterBank bank;
    bank.offset.push_back(0);
    for (int band = 0; band < spec.bands; ++band) {
        const double left = edge_hz(band), centre = edge_hz(band + 1), right = edge_hz(band + 2);
        const double height = 2.0 / (right - left);
        int32_t bin = static_cast<int32_t>(left / bin_hz) + 1; // the first bin right of the left foot
        bank.first_bin.push_back(std::min(bin, bins));
        for (; bin < bins && bin * bin_hz < right; ++bin) {
            const double hz = bin * bin_hz;
            bank.weights.push_back(height * std::min((hz - left) / (centre - left), (right - hz) / (right - centre)));
        }
        bank.offset.push_back(static_cast<int32_t>(bank.weights.size()));
    }
    return bank;
}

} // namespace scene

#pragma once

#include <cstdint>
#include <limits>

namespace scene {

/// Settings of the log-mel front end, saved in feature stores and checkpoints. The defaults are the paper's.
///
/// Let x be a clip's samples, zero-padded by n_fft/2 on both sides, and w the periodic Hann window of `window` samples,
/// centred in n_fft samples. The magnitude spectrum of frame t is
///   S[t, k] = |sum_n w[n] x[t*hop + n] exp(-2 pi i k n / n_fft)|, n = 0 .. n_fft - 1, k = 0 .. n_fft/2.
/// With M the mel filter bank on Slaney's scale, from low_hz to sample_rate/2 with filters of area 1,
///   out[t, b] = max(10 log10(max(sum_k M[b, k] S[t, k], 1e-10)), peak - top_db)
/// where peak is the clip's largest value over all its 1 + floor(samples/hop) frames, of which only the first `frames`
/// are kept. This equals librosa.power_to_db(librosa.feature.melspectrogram(y, ..., power=1.0)).
///
/// The DFT is computed in double: 80 dB of 10 log10(magnitude) are a factor of 1e-8, below the rounding of float. An
/// FFT in float moved quiet bands of ESC-10 clips by up to 2.2 dB.
struct LogMelSpec {
    int32_t sample_rate = 44100;
    int32_t n_fft = 2048;  ///< samples; a power of two from 32 to 8192
    int32_t window = 1764; ///< samples, at most n_fft
    int32_t hop = 882;     ///< samples from frame to frame
    int32_t bands = 64;
    float low_hz = 50;
    float top_db = 80;
    int32_t frames = 500;     ///< kept of each clip
    int32_t samples = 441000; ///< clip length after padding or cropping

    bool operator==(const LogMelSpec&) const = default;

    /// Frames of a whole clip, of which the first `frames` are kept.
    int32_t all_frames() const { return 1 + samples / hop; }

    /// Whether log_mel can compute these settings.
    bool is_possible() const {
        const bool power_of_two = n_fft > 0 && (n_fft & (n_fft - 1)) == 0;
        return power_of_two && n_fft >= 32 && n_fft <= 8192 && window > 0 && window <= n_fft && hop > 0 && bands > 0 &&
               sample_rate > 0 && low_hz >= 0 && low_hz < static_cast<float>(sample_rate) / 2 && top_db > 0 &&
               top_db <= std::numeric_limits<float>::max() && samples > 0 && frames > 0 && frames - 1 <= samples / hop;
    }
};

} // namespace scene

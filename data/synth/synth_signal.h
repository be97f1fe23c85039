#pragma once

// Signal primitives of the synthetic scenes. Waves are spans of samples at `synth_rate`. All randomness comes from a
// RandomSequence. They are written for speed, because a clip takes tens of milliseconds.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "data/random_sequence.h"

namespace scene {

inline constexpr int synth_rate = 44100;

/// 10^(db/20)
float from_decibels(float db);

/// Second-order filter sections (R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients").
struct Biquad {
    float b0 = 1, b1 = 0, b2 = 0, a1 = 0, a2 = 0;

    static Biquad low_pass(float hz, float q = 0.707f);
    static Biquad high_pass(float hz, float q = 0.707f);
    static Biquad band_pass(float hz, float q); ///< peak gain 1
    static Biquad peak(float hz, float q, float db);
    static Biquad low_shelf(float hz, float db);
    static Biquad high_shelf(float hz, float db);
};

/// Filters in place with a cascade of up to six sections.
void filter(std::span<float> wave, std::span<const Biquad> sections);
/// wave = sum_k weights[k] * sections[k](wave), up to four sections. Band-passes give formants.
void filter_parallel(std::span<float> wave, std::span<const Biquad> sections, std::span<const float> weights);

/// Uniform white noise in [-1, 1).
void fill_noise(std::span<float> wave, RandomSequence& random);

/// A value every 10 ms with linear interpolation between them; one value more than the clip needs.
class Contour {
public:
    static constexpr size_t step = synth_rate / 100;

    explicit Contour(size_t samples, float value = 0) : values_(samples / step + 2, value) {}
    size_t size() const { return values_.size(); }
    float& operator[](size_t i) { return values_[i]; }
    float operator[](size_t i) const { return values_[i]; }

    /// Smooth random values with mean 0 and standard deviation 1 that change at about `hz`.
    static Contour random(size_t samples, float hz, RandomSequence& random);

private:
    std::vector<float> values_;
};

/// wave *= gain
void modulate(std::span<float> wave, const Contour& gain);
/// Scales the wave to this root mean square (a silent one stays silent).
void set_level(std::span<float> wave, float rms);
float root_mean_square(std::span<const float> wave);
/// mix += gain * wave
void add(std::span<float> mix, std::span<const float> wave, float gain);

/// One period of a sum of harmonics, for oscillators whose cost does not depend on the number of harmonics.
class WaveTable {
public:
    /// amplitudes[k] belongs to harmonic k + 1; phases are random.
    WaveTable(std::span<const float> amplitudes, RandomSequence& random);
    /// wave += amplitude * oscillator at hz[i], from phase 0; both contours run over the wave.
    void add(std::span<float> wave, const Contour& hz, const Contour& amplitude) const;

private:
    static constexpr unsigned bits = 11;
    std::array<float, (1u << bits) + 1> period_;
};

struct Partial {
    float hz = 440, weight = 1, decay_seconds = 0.1f;
};
/// From sample `at` on: wave += amplitude * sum_k weight_k exp(-t/decay_k) sin(2 pi hz_k t). Bells, clinks, thumps.
void add_decaying(std::span<float> wave, size_t at, std::span<const Partial> partials, float amplitude);

/// Adds a sine gliding from hz0 to hz1 under a raised-cosine envelope.
void add_chirp(std::span<float> wave, size_t at, float hz0, float hz1, float seconds, float amplitude);

/// Adds decaying noise through a band-pass: clicks, hits, steps.
void add_burst(std::span<float> wave, size_t at, float hz, float q, float decay_seconds, float amplitude,
               RandomSequence& random);

/// First samples of events, `per_second` on average: a Poisson process with `regularity` 0, evenly spaced with 1.
std::vector<size_t> event_times(size_t samples, float per_second, float regularity, RandomSequence& random);

struct Tap {
    size_t delay = 0; ///< samples
    float gain = 0;
};
/// Early reflections of a room: out[n] = wave[n] + sum over taps of gain * wave[n - delay].
std::vector<float> reflected(std::span<const float> wave, std::span<const Tap> taps);

/// Approximately standard normal: a sum of four uniforms, so at most 3.5 in magnitude.
float normal(RandomSequence& random);

} // namespace scene

#include "data/synth/synth_signal.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/error.h"

namespace scene {
namespace {

constexpr float two_pi = 2 * std::numbers::pi_v<float>;

struct Angle {
    float sine, cosine, alpha;
    Angle(float hz, float q) {
        const float w = two_pi * std::clamp(hz, 5.0f, 0.45f * synth_rate) / synth_rate;
        sine = std::sin(w);
        cosine = std::cos(w);
        alpha = sine / (2 * q);
    }
};

Biquad normalised(float b0, float b1, float b2, float a0, float a1, float a2) {
    return {b0 / a0, b1 / a0, b2 / a0, a1 / a0, a2 / a0};
}

Biquad shelf(float hz, float db, float sign) {
    const Angle w(hz, 0.707f);
    const float a = std::pow(10.0f, db / 40), root = 2 * std::sqrt(a) * w.alpha, c = sign * w.cosine;
    return normalised(a * ((a + 1) - c * (a - 1) + root), sign * 2 * a * ((a - 1) - c * (a + 1)),
                      a * ((a + 1) - c * (a - 1) - root), (a + 1) + c * (a - 1) + root,
                      sign * -2 * ((a - 1) + c * (a + 1)), (a + 1) + c * (a - 1) - root);
}

/// Transposed direct form II; the states of all sections advance together so that their latencies overlap.
template <size_t count> void cascade(std::span<float> wave, const Biquad* sections) {
    std::array<Biquad, count> f;
    std::copy_n(sections, count, f.begin());
    std::array<float, count> s1{}, s2{};
    for (float& sample : wave) {
        float x = sample;
#pragma GCC unroll 6
        for (size_t k = 0; k < count; ++k) {
            const float y = f[k].b0 * x + s1[k];
            s1[k] = f[k].b1 * x - f[k].a1 * y + s2[k];
            s2[k] = f[k].b2 * x - f[k].a2 * y;
            x = y;
        }
        sample = x;
    }
}

} // namespace

float from_decibels(float db) { return std::pow(10.0f, db / 20); }

Biquad Biquad::low_pass(float hz, float q) {
    const Angle w(hz, q);
    const float b = (1 - w.cosine) / 2;
    return normalised(b, 2 * b, b, 1 + w.alpha, -2 * w.cosine, 1 - w.alpha);
}

Biquad Biquad::high_pass(float hz, float q) {
    const Angle w(hz, q);
    const float b = (1 + w.cosine) / 2;
    return normalised(b, -2 * b, b, 1 + w.alpha, -2 * w.cosine, 1 - w.alpha);
}

Biquad Biquad::band_pass(float hz, float q) {
    const Angle w(hz, q);
    return normalised(w.alpha, 0, -w.alpha, 1 + w.alpha, -2 * w.cosine, 1 - w.alpha);
}

Biquad Biquad::peak(float hz, float q, float db) {
    const Angle w(hz, q);
    const float a = std::pow(10.0f, db / 40);
    return normalised(1 + w.alpha * a, -2 * w.cosine, 1 - w.alpha * a, 1 + w.alpha / a, -2 * w.cosine, 1 - w.alpha / a);
}

Biquad Biquad::low_shelf(float hz, float db) { return shelf(hz, db, 1); }
Biquad Biquad::high_shelf(float hz, float db) { return shelf(hz, db, -1); }

void filter(std::span<float> wave, std::span<const Biquad> sections) {
    switch (sections.size()) {
    case 0: return;
    case 1: return cascade<1>(wave, sections.data());
    case 2: return cascade<2>(wave, sections.data());
    case 3: return cascade<3>(wave, sections.data());
    case 4: return cascade<4>(wave, sections.data());
    case 5: return cascade<5>(wave, sections.data());
    case 6: return cascade<6>(wave, sections.data());
    default: SCENE_CHECK(false, "at most six sections");
    }
}

void filter_parallel(std::span<float> wave, std::span<const Biquad> sections, std::span<const float> weights) {
    constexpr size_t count = 4;
    SCENE_CHECK(sections.size() <= count && sections.size() == weights.size(), "at most four sections with weights");
    std::array<Biquad, count> f;
    std::array<float, count> weight{}, s1{}, s2{};
    std::copy(sections.begin(), sections.end(), f.begin());
    std::copy(weights.begin(), weights.end(), weight.begin());
    for (float& sample : wave) {
        const float x = sample;
        float sum = 0;
#pragma GCC unroll 6
        for (size_t k = 0; k < count; ++k) {
            const float y = f[k].b0 * x + s1[k];
            s1[k] = f[k].b1 * x - f[k].a1 * y + s2[k];
            s2[k] = f[k].b2 * x - f[k].a2 * y;
            sum += weight[k] * y;
        }
        sample = sum;
    }
}

void fill_noise(std::span<float> wave, RandomSequence& random) {
    // A hash of the sample's number (C. Wellons' lowbias32), which the compiler turns into vector code.
    const uint32_t seed = random.next();
    for (size_t i = 0; i < wave.size(); ++i) {
        uint32_t x = seed + static_cast<uint32_t>(i) * 0x9E3779B9u;
        x = (x ^ (x >> 16)) * 0x7FEB352Du;
        x = (x ^ (x >> 15)) * 0x846CA68Bu;
        x ^= x >> 16;
        wave[i] = static_cast<float>(static_cast<int32_t>(x)) * 0x1p-31f;
    }
}

Contour Contour::random(size_t samples, float hz, RandomSequence& random) {
    Contour out(samples);
    // Normal values at the knots, cosines between them.
    const float knots_per_value = std::min(hz * static_cast<float>(step) / synth_rate * 2, 1.0f);
    float position = random.uniform(), from = normal(random), to = normal(random);
    for (size_t i = 0; i < out.size(); ++i) {
        out[i] = from + (to - from) * 0.5f * (1 - std::cos(std::numbers::pi_v<float> * position));
        position += knots_per_value;
        if (position >= 1) {
            position -= 1;
            from = to;
            to = normal(random);
        }
    }
    return out;
}

void modulate(std::span<float> wave, const Contour& gain) {
    for (size_t begin = 0, k = 0; begin < wave.size(); begin += Contour::step, ++k) {
        const size_t end = std::min(begin + Contour::step, wave.size());
        const float slope = (gain[k + 1] - gain[k]) / Contour::step;
        for (size_t i = begin; i < end; ++i) wave[i] *= gain[k] + slope * static_cast<float>(i - begin);
    }
}

float root_mean_square(std::span<const float> wave) {
    std::array<float, 16> sums{}; // independent sums, which the compiler keeps in one vector
    size_t i = 0;
    for (; i + 16 <= wave.size(); i += 16)
        for (size_t k = 0; k < 16; ++k) sums[k] += wave[i + k] * wave[i + k];
    double sum = 0;
    for (float partial : sums) sum += static_cast<double>(partial);
    for (; i < wave.size(); ++i) sum += static_cast<double>(wave[i]) * static_cast<double>(wave[i]);
    return wave.empty() ? 0 : static_cast<float>(std::sqrt(sum / static_cast<double>(wave.size())));
}

void set_level(std::span<float> wave, float rms) {
    const float now = root_mean_square(wave);
    if (now < 1e-12f) return;
    const float gain = rms / now;
    for (float& sample : wave) sample *= gain;
}

void add(std::span<float> mix, std::span<const float> wave, float gain) {
    for (size_t i = 0; i < wave.size(); ++i) mix[i] += gain * wave[i];
}

WaveTable::WaveTable(std::span<const float> amplitudes, RandomSequence& random) : period_{} {
    constexpr size_t size = 1u << bits;
    for (size_t k = 0; k < amplitudes.size(); ++k) {
        const double phase = 2 * std::numbers::pi * static_cast<double>(random.uniform());
        const double angle = 2 * std::numbers::pi * static_cast<double>(k + 1) / size;
        const double cosine = std::cos(angle), sine = std::sin(angle);
        double re = std::cos(phase), im = std::sin(phase); // rotated by `angle` per entry
        for (size_t i = 0; i < size; ++i) {
            period_[i] += amplitudes[k] * static_cast<float>(im);
            const double turned = re * cosine - im * sine;
            im = re * sine + im * cosine;
            re = turned;
        }
    }
    period_[size] = period_[0];
}

void WaveTable::add(std::span<float> wave, const Contour& hz, const Contour& amplitude) const {
    constexpr float turn = 4294967296.0f, per_sample = turn / synth_rate;
    constexpr unsigned fraction_bits = 32 - bits;
    uint32_t phase = 0;
    for (size_t begin = 0, k = 0; begin < wave.size(); begin += Contour::step, ++k) {
        const size_t end = std::min(begin + Contour::step, wave.size());
        const auto increment =
            static_cast<uint32_t>(std::clamp(0.5f * (hz[k] + hz[k + 1]), 0.0f, 20000.0f) * per_sample);
        const float slope = (amplitude[k + 1] - amplitude[k]) / Contour::step;
        for (size_t i = begin; i < end; ++i) {
            const uint32_t now = phase + static_cast<uint32_t>(i - begin) * increment;
            const uint32_t entry = now >> fraction_bits;
            const float part = static_cast<float>(now & ((1u << fraction_bits) - 1)) * (1.0f / (1u << fraction_bits));
            const float value = period_[entry] + part * (period_[entry + 1] - period_[entry]);
            wave[i] += (amplitude[k] + slope * static_cast<float>(i - begin)) * value;
        }
        phase += static_cast<uint32_t>(end - begin) * increment;
    }
}

void add_decaying(std::span<float> wave, size_t at, std::span<const Partial> partials, float amplitude) {
    for (const Partial& partial : partials) {
        if (partial.hz > 0.45f * synth_rate) continue;
        const auto length = static_cast<size_t>(6 * partial.decay_seconds * synth_rate);
        const float turn = two_pi * partial.hz / synth_rate;
        const float shrink = std::exp(-1 / (partial.decay_seconds * synth_rate));
        // y[n] = 2 r cos(w) y[n-1] - r^2 y[n-2] gives r^n sin(w n).
        const float a1 = 2 * shrink * std::cos(turn), a2 = shrink * shrink;
        float before = 0, now = shrink * std::sin(turn) * amplitude * partial.weight;
        for (size_t i = at; i < std::min(at + length, wave.size()); ++i) {
            wave[i] += now;
            const float next = a1 * now - a2 * before;
            before = now;
            now = next;
        }
    }
}

void add_chirp(std::span<float> wave, size_t at, float hz0, float hz1, float seconds, float amplitude) {
    const auto length = static_cast<size_t>(seconds * synth_rate);
    if (length < 2) return;
    // Phase, frequency and envelope are complex numbers that are rotated, so that no sample needs a sine.
    const float slope = two_pi * (hz1 - hz0) / synth_rate / static_cast<float>(length);
    float re = 1, im = 0;
    float step_re = std::cos(two_pi * hz0 / synth_rate), step_im = std::sin(two_pi * hz0 / synth_rate);
    const float bend_re = std::cos(slope), bend_im = std::sin(slope);
    const float swell = two_pi / static_cast<float>(length), swell_re = std::cos(swell), swell_im = std::sin(swell);
    float envelope_re = 1, envelope_im = 0;
    const auto turn = [](float& a_re, float& a_im, float b_re, float b_im) {
        const float next = a_re * b_re - a_im * b_im;
        a_im = a_re * b_im + a_im * b_re;
        a_re = next;
    };
    for (size_t i = at; i < std::min(at + length, wave.size()); ++i) {
        wave[i] += amplitude * 0.5f * (1 - envelope_re) * im;
        turn(re, im, step_re, step_im);
        turn(step_re, step_im, bend_re, bend_im);
        turn(envelope_re, envelope_im, swell_re, swell_im);
    }
}

void add_burst(std::span<float> wave, size_t at, float hz, float q, float decay_seconds, float amplitude,
               RandomSequence& random) {
    const size_t length = std::min(static_cast<size_t>(5 * decay_seconds * synth_rate), wave.size() - at);
    std::vector<float> burst(length);
    fill_noise(burst, random);
    const float shrink = std::exp(-1 / (decay_seconds * synth_rate));
    float gain = amplitude * std::sqrt(q); // a narrow band keeps less of the noise
    for (float& sample : burst) {
        sample *= gain;
        gain *= shrink;
    }
    const Biquad band = Biquad::band_pass(hz, q);
    filter(burst, {&band, 1});
    add(wave.subspan(at, length), burst, 1);
}

std::vector<size_t> event_times(size_t samples, float per_second, float regularity, RandomSequence& random) {
    std::vector<size_t> times;
    const float mean = synth_rate / per_second;
    float at = mean * random.uniform();
    while (at < static_cast<float>(samples)) {
        times.push_back(static_cast<size_t>(at));
        const float waiting = -std::log(1 - random.uniform()) * mean;
        at += std::max(regularity * mean + (1 - regularity) * waiting, 1.0f);
    }
    return times;
}

std::vector<float> reflected(std::span<const float> wave, std::span<const Tap> taps) {
    std::vector<float> out(wave.begin(), wave.end());
    for (const Tap& tap : taps)
        for (size_t i = tap.delay; i < wave.size(); ++i) out[i] += tap.gain * wave[i - tap.delay];
    return out;
}

float normal(RandomSequence& random) {
    float sum = -2;
    for (int i = 0; i < 4; ++i) sum += random.uniform();
    return sum * std::numbers::sqrt3_v<float>;
}

} // namespace scene

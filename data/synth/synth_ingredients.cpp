#include "data/synth/synth_ingredients.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/error.h"

namespace scene {
namespace {

using Wave = std::vector<float>;
using Context = IngredientContext;

/// Filtered noise with slow changes of loudness of `depth`, at level 1.
void coloured_noise(Wave& wave, std::span<const Biquad> sections, float swell_hz, float depth, RandomSequence& random) {
    fill_noise(wave, random);
    filter(wave, sections);
    Contour gain = Contour::random(wave.size(), swell_hz, random);
    for (size_t i = 0; i < gain.size(); ++i) gain[i] = std::exp(depth * gain[i]);
    modulate(wave, gain);
    set_level(wave, 1);
}

/// around * (1 + depth * slow random)
Contour wandering(size_t samples, float around, float depth, float hz, RandomSequence& random) {
    Contour out = Contour::random(samples, hz, random);
    for (size_t i = 0; i < out.size(); ++i) out[i] = around * (1 + depth * out[i]);
    return out;
}

std::vector<float> harmonics(size_t count, float roll_off, float roughness, RandomSequence& random) {
    std::vector<float> out;
    for (size_t k = 1; k <= count; ++k)
        out.push_back(std::pow(static_cast<float>(k), -roll_off) * std::exp(roughness * normal(random)));
    return out;
}

void rumble(Wave& wave, const Context& c) {
    const float cut = c.character.uniform(70, 260);
    const std::array<Biquad, 3> sections = {Biquad::high_pass(25), Biquad::low_pass(cut), Biquad::low_pass(cut)};
    coloured_noise(wave, sections, 0.8f, 0.3f, c.random);
}

void air(Wave& wave, const Context& c) {
    const std::array<Biquad, 3> sections = {
        Biquad::high_pass(c.character.uniform(150, 500)), Biquad::low_pass(c.character.uniform(2500, 9000)),
        Biquad::peak(c.character.uniform(400, 3000), 1.5f, 6 * normal(c.character))};
    coloured_noise(wave, sections, 0.3f, 0.08f, c.random);
}

void engine(Wave& wave, const Context& c) {
    const float hz = c.character.uniform(24, 62) * c.pitch;
    const WaveTable table(harmonics(28, 0.8f, 0.6f, c.character), c.character);
    Contour loudness = Contour::random(wave.size(), 6, c.random);
    for (size_t i = 0; i < loudness.size(); ++i) loudness[i] = std::exp(0.25f * loudness[i]);
    table.add(wave, wandering(wave.size(), hz, 0.07f * c.rate, 0.3f, c.random), loudness);
    set_level(wave, 1);
}

void whine(Wave& wave, const Context& c) {
    const float hz = c.character.uniform(160, 520) * c.pitch;
    const WaveTable table(harmonics(7, 0.7f, 0.5f, c.character), c.character);
    Contour pitch = Contour::random(wave.size(), 0.2f * c.rate, c.random);
    Contour loudness = Contour::random(wave.size(), 0.4f, c.random);
    for (size_t i = 0; i < pitch.size(); ++i) {
        pitch[i] = hz * std::exp2(0.7f * pitch[i]);
        loudness[i] = std::exp(0.5f * loudness[i]);
    }
    table.add(wave, pitch, loudness);
    set_level(wave, 1);
}

/// Several people at once, in two groups with the formants of one vowel each.
void voices(Wave& wave, const Context& c, int people, float pauses) {
    Wave group(wave.size());
    for (int g = 0; g < std::min(people, 2); ++g) {
        std::fill(group.begin(), group.end(), 0.0f);
        const WaveTable table(harmonics(24, 1.1f, 0.2f, c.random), c.random);
        for (int i = g; i < people; i += 2) {
            const float hz = c.random.uniform(95, 235) * c.pitch;
            Contour loudness = Contour::random(wave.size(), 4.0f, c.random);     // syllables
            const Contour phrase = Contour::random(wave.size(), 0.4f, c.random); // and sentences
            const float level = std::exp(0.4f * normal(c.random));
            for (size_t k = 0; k < loudness.size(); ++k)
                loudness[k] =
                    level * std::max(0.0f, 0.4f + loudness[k]) * std::clamp(1 + 2 * (phrase[k] - pauses), 0.0f, 1.0f);
            table.add(group, wandering(wave.size(), hz, 0.12f, 2, c.random), loudness);
        }
        const std::array<Biquad, 4> formants = {Biquad::band_pass(c.random.uniform(330, 800) * c.pitch, 4),
                                                Biquad::band_pass(c.random.uniform(950, 2200), 6),
                                                Biquad::band_pass(c.random.uniform(2300, 3000), 8),
                                                Biquad::low_pass(900)};
        filter_parallel(group, formants, std::array{1.0f, 0.7f, 0.4f, 0.15f});
        add(wave, group, 1);
    }
    set_level(wave, 1);
}

void babble(Wave& wave, const Context& c) {
    voices(wave, c, std::clamp(static_cast<int>(4 * c.rate + c.random.uniform(0, 3)), 2, 8), -0.6f);
}

void talk(Wave& wave, const Context& c) { voices(wave, c, 1, 0.5f); }

void clinks(Wave& wave, const Context& c) {
    const float brightness = c.character.uniform(1900, 3600) * c.pitch;
    for (size_t at : event_times(wave.size(), 1.3f * c.rate, 0, c.random)) {
        const float hz = brightness * c.random.uniform(0.8f, 1.7f), decay = c.random.uniform(0.015f, 0.1f);
        const std::array<Partial, 3> partials = {Partial{hz, 1, decay},
                                                 Partial{hz * c.random.uniform(1.5f, 1.7f), 0.6f, decay},
                                                 Partial{hz * c.random.uniform(2.2f, 2.8f), 0.4f, 0.6f * decay}};
        add_decaying(wave, at, partials, 1.5f * std::exp(0.6f * normal(c.random)));
    }
}

void steps(Wave& wave, const Context& c) {
    const float hz = c.character.uniform(220, 1100), q = c.character.uniform(0.8f, 2.5f);
    const int people = 1 + static_cast<int>(c.random.below(3));
    for (int i = 0; i < people; ++i) {
        const float level = 3 * std::exp(0.5f * normal(c.random)), own = hz * std::exp(0.2f * normal(c.random));
        for (size_t at : event_times(wave.size(), c.random.uniform(1.6f, 2.3f) * std::sqrt(c.rate), 0.94f, c.random))
            add_burst(wave, at, own, q, 0.018f, level * std::exp(0.2f * normal(c.random)), c.random);
    }
}

void birds(Wave& wave, const Context& c) {
    const int kinds = 1 + static_cast<int>(c.character.below(3));
    for (int i = 0; i < kinds; ++i) {
        const float hz = c.character.uniform(2300, 5600) * c.pitch, glide = c.character.uniform(-0.35f, 0.35f);
        const float length = c.character.uniform(0.04f, 0.16f), gap = length + c.character.uniform(0.02f, 0.12f);
        const uint32_t longest = 2 + c.character.below(7);
        for (size_t at : event_times(wave.size(), 0.5f * c.rate, 0.2f, c.random)) {
            const float level = 2 * std::exp(0.5f * normal(c.random)), own = hz * std::exp(0.05f * normal(c.random));
            for (uint32_t k = 0, count = 1 + c.random.below(longest); k < count; ++k)
                add_chirp(wave, at + static_cast<size_t>(static_cast<float>(k) * gap * synth_rate), own,
                          own * (1 + glide), length, level);
        }
    }
}

void leaves(Wave& wave, const Context& c) {
    const std::array<Biquad, 2> sections = {Biquad::high_pass(c.character.uniform(500, 2500)),
                                            Biquad::low_pass(c.character.uniform(4000, 10000))};
    coloured_noise(wave, sections, 0.5f * c.rate, 0.6f, c.random);
}

void music(Wave& wave, const Context& c) {
    const float beat = 60 / c.character.uniform(84, 136), root = c.character.uniform(98, 196);
    const float drums = std::min(c.rate, 1.2f), offset = c.random.uniform() * beat;
    const float seconds = static_cast<float>(wave.size()) / synth_rate;
    const WaveTable table(harmonics(9, 1.3f, 0.4f, c.character), c.character);
    constexpr std::array<int, 8> scale = {0, 3, 5, 7, 8, 10, 12, 15};
    for (const float octave : {1.0f, 0.5f, 2.0f}) {
        Contour hz(wave.size(), root * octave), loudness(wave.size(), 0);
        float note = root * octave;
        int last = -1;
        for (size_t i = 0; i < hz.size(); ++i) {
            const float position = (static_cast<float>(i) * 0.01f + offset) / (beat * (octave == 1.0f ? 2 : 1));
            if (static_cast<int>(position) != last) {
                last = static_cast<int>(position);
                note = root * octave * std::exp2(static_cast<float>(scale[c.random.below(scale.size())]) / 12);
            }
            hz[i] = note;
            loudness[i] = 0.6f * std::exp(-2 * (position - std::floor(position)));
        }
        table.add(wave, hz, loudness);
    }
    for (float at = beat - offset; at < seconds; at += beat) {
        const std::array<Partial, 2> kick = {Partial{52, 1, 0.09f}, Partial{105, 0.5f, 0.03f}};
        add_decaying(wave, static_cast<size_t>(at * synth_rate), kick, 2.5f * drums);
        const auto hat = static_cast<size_t>((at + 0.5f * beat) * synth_rate);
        if (hat < wave.size()) add_burst(wave, hat, 7000, 1, 0.02f, 0.8f * drums, c.random);
    }
    set_level(wave, 1);
}

void pass_bys(Wave& wave, const Context& c) {
    Contour gain(wave.size(), 0.06f);
    for (size_t at : event_times(wave.size(), 0.3f * c.rate, 0.3f, c.random)) {
        const float centre = static_cast<float>(at) / Contour::step, width = c.random.uniform(50, 150);
        const float level = std::exp(0.4f * normal(c.random));
        for (size_t i = 0; i < gain.size(); ++i) {
            const float distance = (static_cast<float>(i) - centre) / width;
            gain[i] += level / (1 + 4 * distance * distance * distance * distance);
        }
    }
    fill_noise(wave, c.random);
    const std::array<Biquad, 3> tyres = {Biquad::high_pass(60), Biquad::low_pass(c.character.uniform(500, 1800)),
                                         Biquad::peak(c.character.uniform(700, 1200), 0.8f, 6)};
    filter(wave, tyres);
    set_level(wave, 1);
    const WaveTable table(harmonics(20, 0.9f, 0.5f, c.random), c.random);
    table.add(wave, wandering(wave.size(), c.random.uniform(35, 90) * c.pitch, 0.1f, 0.3f, c.random),
              Contour(wave.size(), 0.4f));
    modulate(wave, gain);
    set_level(wave, 1);
}

void impacts(Wave& wave, const Context& c) {
    const bool drill = c.character.uniform() < 0.45f;
    const float hz = c.character.uniform(300, 1500) * c.pitch, ring = c.character.uniform(900, 2600) * c.pitch;
    const float per_second = drill ? c.character.uniform(12, 22) : c.character.uniform(1.2f, 2.6f) * c.rate;
    const Contour working = Contour::random(wave.size(), 0.35f * c.rate, c.random);
    for (size_t at : event_times(wave.size(), per_second, drill ? 0.97f : 0.75f, c.random)) {
        if (working[at / Contour::step] < -0.4f) continue;
        const float level = (drill ? 1.5f : 3.0f) * std::exp((drill ? 0.1f : 0.4f) * normal(c.random));
        add_burst(wave, at, hz, 1.2f, drill ? 0.012f : 0.035f, level, c.random);
        if (drill) continue;
        const std::array<Partial, 2> metal = {Partial{ring, 1, 0.06f}, Partial{ring * 2.32f, 0.5f, 0.04f}};
        add_decaying(wave, at, metal, 0.5f * level);
    }
}

/// A reversing lorry, a door, a till; sometimes the chime before an announcement.
void beeps(Wave& wave, const Context& c) {
    const float hz = c.character.uniform(600, 1900) * c.pitch, period = c.character.uniform(0.5f, 1.5f);
    const bool chime = c.character.uniform() < 0.5f;
    if (chime) {
        for (size_t at : event_times(wave.size(), 0.25f * c.rate, 0.5f, c.random))
            for (size_t k = 0; k < 3; ++k) {
                const float note = hz * std::exp2(-static_cast<float>(k) / 3);
                const std::array<Partial, 2> bell = {Partial{note, 1, 0.25f}, Partial{note * 2.76f, 0.3f, 0.1f}};
                const size_t start = at + k * synth_rate * 2 / 5;
                if (start < wave.size()) add_decaying(wave, start, bell, 1.5f);
            }
        return;
    }
    const WaveTable table(harmonics(3, 1, 0.4f, c.character), c.character);
    Contour on(wave.size(), 0);
    const float phase = c.random.uniform();
    const Contour active = Contour::random(wave.size(), 0.2f * c.rate, c.random);
    for (size_t i = 0; i < on.size(); ++i) {
        const float position = static_cast<float>(i) * 0.01f * c.rate / period + phase;
        on[i] = position - std::floor(position) < 0.4f && active[i] > -0.3f ? 1.2f : 0.0f;
    }
    table.add(wave, Contour(wave.size(), hz), on);
}

void rattle(Wave& wave, const Context& c) {
    fill_noise(wave, c.random);
    const std::array<Biquad, 2> sections = {Biquad::band_pass(c.character.uniform(700, 3500) * c.pitch, 0.9f),
                                            Biquad::high_pass(200)};
    filter(wave, sections);
    Contour speed = Contour::random(wave.size(), 0.3f, c.random);
    const float hz = c.character.uniform(5, 11) * c.rate;
    float phase = c.random.uniform();
    for (size_t i = 0; i < speed.size(); ++i) {
        phase += 0.01f * hz * std::exp2(0.3f * speed[i]);
        const float knock = phase - std::floor(phase);
        speed[i] = 0.12f + std::exp(-9 * knock);
    }
    modulate(wave, speed);
    set_level(wave, 1);
}

void water(Wave& wave, const Context& c) {
    const std::array<Biquad, 2> sections = {Biquad::high_pass(c.character.uniform(500, 1600)),
                                            Biquad::low_pass(c.character.uniform(5000, 12000))};
    coloured_noise(wave, sections, 18, 0.35f, c.random);
    const float hz = c.character.uniform(500, 1300) * c.pitch;
    for (size_t at : event_times(wave.size(), 14 * c.rate, 0, c.random)) {
        const float own = hz * std::exp(0.4f * normal(c.random));
        add_chirp(wave, at, own, own * 1.3f, 0.03f, 2 * std::exp(0.4f * normal(c.random)));
    }
    set_level(wave, 1);
}

} // namespace

void render_ingredient(Ingredient kind, Wave& wave, const Context& context) {
    switch (kind) {
    case Ingredient::Rumble: return rumble(wave, context);
    case Ingredient::Air: return air(wave, context);
    case Ingredient::Engine: return engine(wave, context);
    case Ingredient::Whine: return whine(wave, context);
    case Ingredient::Babble: return babble(wave, context);
    case Ingredient::Talk: return talk(wave, context);
    case Ingredient::Clinks: return clinks(wave, context);
    case Ingredient::Steps: return steps(wave, context);
    case Ingredient::Birds: return birds(wave, context);
    case Ingredient::Leaves: return leaves(wave, context);
    case Ingredient::Music: return music(wave, context);
    case Ingredient::PassBys: return pass_bys(wave, context);
    case Ingredient::Impacts: return impacts(wave, context);
    case Ingredient::Beeps: return beeps(wave, context);
    case Ingredient::Rattle: return rattle(wave, context);
    case Ingredient::Water: return water(wave, context);
    }
    SCENE_CHECK(false, "every ingredient has a recipe");
}

} // namespace scene

#include "data/synth/synth_scene.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/synth/synth_ingredients.h"
#include "kernels/error.h"

namespace scene {

const std::vector<std::string> synth_class_names = {
    "Bus",           "Airport",    "Metro",          "Restaurant",        "Shopping mall",
    "Public square", "Urban park", "Traffic street", "Construction site", "Bar"};
const std::vector<std::string> synth_city_names = {"Xi'an",     "Luoyang", "Hefei",    "Shanghai",
                                                   "Chongqing", "Jinan",   "Shangrao", "Liupanshui"};

namespace {

// Streams of the random draws (kernels/philox.h): per session, per clip, and per ingredient of each.
constexpr uint32_t session_stream = 0x5C3E0100, clip_stream = 0x5C3E0200, city_stream = 0x5C3E0300,
                   character_stream = 0x5C3E0400, event_stream = 0x5C3E0500;

struct Share {
    Ingredient kind;
    float probability, level_db, rate;
};
using I = Ingredient;

/// In the order of synth_class_names. The first two ingredients of a recipe are its signature.
const std::array<std::vector<Share>, synth_classes> recipes = {{
    {{I::Engine, 0.97f, -2, 1},
     {I::Rumble, 0.95f, -2, 1},
     {I::Rattle, 0.4f, -12, 0.7f},
     {I::Talk, 0.3f, -10, 1},
     {I::Beeps, 0.2f, -14, 0.6f},
     {I::Air, 0.5f, -10, 1},
     {I::PassBys, 0.2f, -10, 0.7f}},
    {{I::Air, 0.97f, -3, 1},
     {I::Rattle, 0.9f, -7, 0.6f},
     {I::Babble, 0.5f, -9, 0.7f},
     {I::Beeps, 0.4f, -9, 0.6f},
     {I::Steps, 0.35f, -13, 0.8f},
     {I::Rumble, 0.5f, -7, 1},
     {I::Talk, 0.25f, -11, 1}},
    {{I::Whine, 0.97f, -6, 1},
     {I::Rattle, 0.95f, -5, 1.7f},
     {I::Rumble, 0.8f, -4, 1},
     {I::Air, 0.4f, -9, 1},
     {I::Beeps, 0.25f, -12, 1},
     {I::Babble, 0.3f, -12, 0.6f},
     {I::Talk, 0.25f, -11, 1}},
    {{I::Clinks, 0.97f, -8, 1.8f},
     {I::Babble, 0.97f, -3, 1.1f},
     {I::Air, 0.5f, -9, 1},
     {I::Music, 0.2f, -14, 0.3f},
     {I::Steps, 0.3f, -15, 0.7f},
     {I::Talk, 0.35f, -7, 1},
     {I::Rumble, 0.25f, -9, 1}},
    {{I::Steps, 0.97f, -9, 1.5f},
     {I::Music, 0.9f, -8, 0.15f},
     {I::Babble, 0.8f, -6, 0.8f},
     {I::Air, 0.7f, -7, 1},
     {I::Beeps, 0.25f, -13, 1.3f},
     {I::Rattle, 0.2f, -13, 0.9f},
     {I::Clinks, 0.1f, -14, 0.5f}},
    {{I::Water, 0.95f, -6, 1},
     {I::Talk, 0.95f, -6, 1},
     {I::Steps, 0.45f, -11, 1},
     {I::PassBys, 0.3f, -11, 0.6f},
     {I::Birds, 0.2f, -14, 0.6f},
     {I::Leaves, 0.3f, -9, 1},
     {I::Rumble, 0.4f, -8, 1}},
    {{I::Birds, 0.97f, -8, 1.4f},
     {I::Leaves, 0.95f, -4, 1},
     {I::Water, 0.2f, -11, 0.8f},
     {I::PassBys, 0.2f, -13, 0.5f},
     {I::Steps, 0.25f, -13, 0.8f},
     {I::Talk, 0.25f, -11, 1},
     {I::Rumble, 0.4f, -10, 1}},
    {{I::PassBys, 0.98f, -1, 1.4f},
     {I::Rumble, 0.8f, -6, 1},
     {I::Engine, 0.3f, -11, 1.3f},
     {I::Beeps, 0.3f, -9, 0.8f},
     {I::Leaves, 0.2f, -12, 1},
     {I::Steps, 0.2f, -14, 1},
     {I::Birds, 0.1f, -15, 0.5f}},
    {{I::Impacts, 0.98f, -2, 1.2f},
     {I::Engine, 0.6f, -8, 0.6f},
     {I::Beeps, 0.35f, -9, 1.2f},
     {I::Rattle, 0.25f, -11, 1.2f},
     {I::Rumble, 0.6f, -6, 1},
     {I::PassBys, 0.2f, -11, 0.8f},
     {I::Talk, 0.2f, -10, 1}},
    {{I::Music, 0.98f, -3, 1.2f},
     {I::Babble, 0.95f, -3, 1.3f},
     {I::Clinks, 0.25f, -13, 0.8f},
     {I::Talk, 0.4f, -7, 1},
     {I::Air, 0.35f, -10, 1},
     {I::Rumble, 0.3f, -8, 1},
     {I::Steps, 0.15f, -15, 0.8f}},
}};
constexpr size_t signature = 2;

/// Level and rate of an ingredient that a recipe does not mention.
constexpr Share unmentioned = {I::Rumble, 0, -12, 1};

Share share_of(int label, Ingredient kind, const SceneDifficulty& difficulty) {
    const std::vector<Share>& recipe = recipes[static_cast<size_t>(label)];
    for (size_t i = 0; i < recipe.size(); ++i) {
        if (recipe[i].kind != kind) continue;
        Share share = recipe[i];
        if (i < signature) share.level_db += difficulty.prominence_db;
        return share;
    }
    return {kind, difficulty.distractors, unmentioned.level_db, unmentioned.rate};
}

/// The recipe's entry, moved towards the mean of all recipes.
Share blended(int label, Ingredient kind, const SceneDifficulty& difficulty) {
    const Share own = share_of(label, kind, difficulty);
    Share mean = {kind, 0, 0, 0};
    for (int other = 0; other < synth_classes; ++other) {
        const Share share = share_of(other, kind, difficulty);
        mean.probability += share.probability / synth_classes;
        mean.level_db += share.level_db / synth_classes;
        mean.rate += share.rate / synth_classes;
    }
    const auto mix = [&](float a, float b) { return a + difficulty.overlap * (b - a); };
    return {kind, mix(own.probability, mean.probability), mix(own.level_db, mean.level_db), mix(own.rate, mean.rate)};
}

/// Room, microphone and recording level of a session.
struct Recorder {
    std::vector<Tap> room;
    std::array<Biquad, 6> response;
    float level_db;

    Recorder(uint64_t seed, int64_t session, const SceneDifficulty& difficulty) {
        RandomSequence random(seed, session_stream, static_cast<uint32_t>(session));
        const float effect = difficulty.session_effect;
        // A value between `low` and `high`, its distance from their middle scaled by the effect.
        const auto draw = [&](float low, float high) {
            const float value = random.uniform(low, high);
            return std::max(0.2f * low, std::lerp(0.5f * (low + high), value, effect));
        };
        const float size = random.uniform(0.25f, 1), wetness = std::min(effect, 1.0f) * random.uniform(0.2f, 0.7f);
        for (int i = 0; i < 8; ++i) {
            const float seconds = size * random.uniform(0.002f, 0.06f);
            const float sign = random.below(2) ? 1.0f : -1.0f;
            room.push_back({static_cast<size_t>(seconds * synth_rate), sign * wetness * std::exp(-25 * seconds)});
        }
        const auto gain = [&] { return effect * difficulty.coloration_db * normal(random); };
        response = {Biquad::high_pass(draw(25, 110)),
                    Biquad::low_shelf(random.uniform(120, 400), gain()),
                    Biquad::peak(random.uniform(400, 1200), 0.8f, gain()),
                    Biquad::peak(random.uniform(1200, 3500), 0.8f, gain()),
                    Biquad::high_shelf(random.uniform(3000, 7000), gain()),
                    Biquad::low_pass(std::min(draw(8000, 18000), 20000.0f))};
        level_db = std::lerp(-26.0f, random.uniform(-34, -18), effect);
    }
};

/// x/sqrt(1 + x^6): about x for small |x|, at most 0.73 in magnitude, and back towards 0 beyond |x| = 0.9.
float limited(float x) { return x / std::sqrt(1 + x * x * x * x * (x < 0 ? -x : x) * (x < 0 ? -x : x)); }

} // namespace

std::vector<float> render_scene(const SceneClip& clip, uint64_t seed, size_t samples,
                                const SceneDifficulty& difficulty) {
    SCENE_CHECK(clip.label >= 0 && clip.label < synth_classes, "a class of the synthetic scenes");
    const auto session = static_cast<uint32_t>(clip.session), number = static_cast<uint32_t>(clip.clip);
    RandomSequence random(seed, clip_stream, number);
    RandomSequence city(seed, city_stream, static_cast<uint32_t>(clip.city));
    const float pitch = std::exp(0.06f * normal(city));

    std::vector<float> mix(samples), wave(samples);
    for (size_t k = 0; k < ingredient_count; ++k) {
        const Share share = blended(clip.label, static_cast<Ingredient>(k), difficulty);
        const float level = share.level_db + difficulty.level_spread_db * normal(random);
        if (random.uniform() >= share.probability) continue;
        RandomSequence character(seed, character_stream + static_cast<uint32_t>(k), session);
        RandomSequence events(seed, event_stream + static_cast<uint32_t>(k), number);
        const float rate = share.rate * std::exp(0.2f * normal(events));
        std::fill(wave.begin(), wave.end(), 0.0f);
        render_ingredient(share.kind, wave, {character, events, pitch, rate});
        add(mix, wave, from_decibels(level));
    }

    const Recorder recorder(seed, clip.session, difficulty);
    mix = reflected(mix, recorder.room);
    set_level(mix, 1);
    fill_noise(wave, random);
    add(mix, wave, from_decibels(difficulty.noise_floor_db) * 1.7f); // uniform noise has a level of 1/1.7
    filter(mix, recorder.response);
    set_level(mix, from_decibels(recorder.level_db + 2 * normal(random)));
    for (float& sample : mix) sample = limited(sample);
    return mix;
}

} // namespace scene

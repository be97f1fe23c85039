#pragma once

// A store small enough for a short training. Every class is a pattern over the bands with noise, which a network learns
// from a few dozen clips.

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <numbers>
#include <string>
#include <vector>

#include "data/random_sequence.h"
#include "data/store/feature_store.h"
#include "train/config/config.h"
#include "train/progress.h"

namespace scene::test {

struct SmallStoreOptions {
    int classes = 3;
    int clips = 60;
    int labelled_of_ten = 5; ///< labelled clips of every ten
    float noise = 6;         ///< dB
    bool places = false;     ///< with cities and times
    bool groups = false;     ///< with three folds, sessions of one class each, two devices
    uint64_t seed = 7;
};

inline constexpr int small_frames = 32, small_bands = 16;

/// The environment variable SCENE_TEST_SEED, or 0. Another seed gives other noise and initial parameters, so that every
/// training takes another course. All tests must pass with any seed.
inline uint64_t test_seed() {
    const char* given = std::getenv("SCENE_TEST_SEED");
    return given ? std::strtoull(given, nullptr, 10) : 0;
}

inline FeatureStore small_store(const std::filesystem::path& file, const SmallStoreOptions& options = {}) {
    StoreColumns columns;
    columns.dataset = "table";
    columns.source = "made for a test";
    columns.fit = "loop";
    columns.spec.frames = small_frames;
    columns.spec.bands = small_bands;
    columns.spec.samples = 882 * small_frames;
    for (int label = 0; label < options.classes; ++label) columns.classes.push_back("class " + std::to_string(label));
    if (options.places) columns.cities = {"Xi'an", "Jinan"};

    RandomSequence random(options.seed + test_seed(), 1);
    std::vector<float> logmel;
    for (int clip = 0; clip < options.clips; ++clip) {
        const int truth = clip % options.classes;
        columns.names.push_back("clip" + std::to_string(clip));
        const int turn = clip / options.classes;
        columns.sessions.push_back(options.groups ? "s" + std::to_string(truth) + "-" + std::to_string(turn % 7)
                                                  : std::string());
        columns.devices.push_back(!options.groups ? "" : turn % 2 ? "phone" : "recorder");
        columns.label.push_back((clip / options.classes) % 10 < options.labelled_of_ten ? truth : -1);
        columns.fold.push_back(options.groups ? turn % 3 : -1);
        columns.city.push_back(options.places ? clip % 3 - 1 : -1);
        columns.has_time.push_back(options.places);
        for (int i = 0; i < time_feature_count; ++i)
            columns.time.push_back(options.places ? random.uniform(-1, 1) : 0.0f);
        for (int frame = 0; frame < small_frames; ++frame) {
            for (int band = 0; band < small_bands; ++band) {
                const double phase = 2 * std::numbers::pi * (truth + 1) * band / small_bands;
                logmel.push_back(static_cast<float>(-40 + 4 * std::cos(phase)) +
                                 random.uniform(-options.noise, options.noise));
            }
        }
    }
    write_feature_store(file, columns, logmel);
    return FeatureStore::open(file);
}

/// The configuration of a run of a few seconds.
inline RunConfig small_config(int system = 2) {
    RunConfig config = system_config(system);
    config.model.width = 0.05;
    config.training.batch = 8;
    config.training.epochs = 3;
    config.training.learning_rate = 3e-3;
    config.training.seed += test_seed();
    return config;
}

/// Records the calls.
class Recorder final : public Progress {
public:
    void epoch(const EpochRecord& record, const std::string&) override {
        epochs.push_back(record);
        if (after_epoch) after_epoch(record);
    }
    void message(const std::string& line) override { messages.push_back(line); }

    std::vector<EpochRecord> epochs;
    std::vector<std::string> messages;
    std::function<void(const EpochRecord&)> after_epoch;
};

inline Split split_of(const FeatureStore& store, const RunConfig& config) {
    return make_split(store.clip_columns(), split_options(config.split));
}

} // namespace scene::test

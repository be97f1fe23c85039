#include "train/run/stages.h"

#include <algorithm>
#include <set>

#include "data/random_sequence.h"
#include "data/splits/grouped_splits.h"
#include "kernels/error.h"

namespace scene {
namespace {

// Random streams. Dropout layers use small numbers.
constexpr uint32_t order_stream = 0x4F524452, stage_stream = 0x53544147;

/// The split ("session" or "city") whose groups the validation keeps whole; empty: none.
std::string_view kept_whole(Validation validation, const Split& split) {
    switch (validation) {
    case Validation::Auto: return split.name == "session" || split.name == "city" ? split.name : std::string_view();
    case Validation::Clips: return "";
    case Validation::Sessions: return "session";
    case Validation::Cities: break;
    }
    return "city";
}

void hold_out_clips(TrainingClips& clips, const FeatureStore& store, const Split& split,
                    const TrainingSettings& settings) {
    std::vector<int32_t> label(static_cast<size_t>(store.clips()), -1);
    for (int32_t clip : split.labelled)
        label[static_cast<size_t>(clip)] = store.columns().label[static_cast<size_t>(clip)];
    clips.labelled = validation_split(split.labelled, label, settings.validation_share, settings.seed);
    clips.unlabelled = validation_split(split.unlabelled, label, settings.validation_share, settings.seed);
}

/// Fails if the labelled clips have fewer than two classes: there would be nothing to learn.
void require_two_classes(const FeatureStore& store, const Split& split) {
    const StoreColumns& columns = store.columns();
    std::set<int32_t> classes;
    for (const int32_t clip : split.labelled) classes.insert(columns.label[static_cast<size_t>(clip)]);
    if (classes.empty())
        fail("split '{}': no clip has a label to train on; prepare the store anew from data with labels, or choose "
             "another split",
             split.name);
    if (classes.size() == 1 && *classes.begin() >= 0)
        fail("split '{}': only one class, '{}', has labelled clips ({} of them); label clips of another class and "
             "prepare the store anew",
             split.name, columns.classes.at(static_cast<size_t>(*classes.begin())), split.labelled.size());
}

} // namespace

Split split_of(const StoreColumns& columns, const SplitSettings& settings) {
    if (settings.name.ends_with(".json")) return load_split(settings.name, columns.clips());
    return make_split(columns.clip_columns(), split_options(settings));
}

std::string fit_stages(RunConfig& config, const Split& split) {
    if (config.training.stages < 2 || !split.unlabelled.empty()) return "";
    config.training.stages = 1;
    return fmt::format("split '{}' has no unlabelled clips: stage 1 only", split.name);
}

std::vector<int32_t> TrainingClips::train(int64_t stage) const {
    std::vector<int32_t> clips = labelled.train;
    if (stage >= 2) clips.insert(clips.end(), unlabelled.train.begin(), unlabelled.train.end());
    return clips;
}

std::vector<int64_t> TrainingClips::batches(const TrainingSettings& settings) const {
    std::vector<int64_t> sizes;
    for (int64_t stage = 1; stage <= settings.stages; ++stage) {
        const auto clips = static_cast<int64_t>(train(stage).size());
        if (clips >= settings.batch) sizes.push_back(settings.batch);
        if (clips % settings.batch != 0) sizes.push_back(clips % settings.batch);
    }
    std::sort(sizes.begin(), sizes.end());
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
    return sizes;
}

TrainingClips divide_training_clips(const FeatureStore& store, const Split& split, const TrainingSettings& settings) {
    require_two_classes(store, split);
    TrainingClips clips;
    const std::string_view kept = kept_whole(settings.validation, split);
    if (!kept.empty()) {
        const SplitOptions options{
            .name = std::string(kept), .seed = settings.seed, .test_share = settings.validation_share};
        try {
            auto [labelled, unlabelled] =
                grouped_validation(store.columns().clip_columns(), split.labelled, split.unlabelled, options);
            clips.labelled = std::move(labelled);
            clips.unlabelled = std::move(unlabelled);
        } catch (const Error& error) {
            if (settings.validation != Validation::Auto)
                fail("training.validation = {}: {}", kept == "city" ? "cities" : "sessions", error.what());
            clips.note = fmt::format("validation by clips, not by {}: {}", kept, error.what());
        }
    }
    if (clips.labelled.train.empty()) hold_out_clips(clips, store, split, settings);
    if (clips.labelled.train.empty() || clips.labelled.validation.empty())
        fail("split '{}': {} labelled clips are too few for training.validation_share = {}; label more clips or change "
             "the share",
             split.name, split.labelled.size(), settings.validation_share);
    if (settings.stages < 2) clips.unlabelled = {};
    return clips;
}

std::vector<int32_t> epoch_order(std::span<const int32_t> clips, uint64_t seed, int64_t stage, int64_t epoch) {
    std::vector<int32_t> order(clips.begin(), clips.end());
    RandomSequence random(seed, order_stream, static_cast<uint32_t>(stage << 28 | epoch));
    shuffle(order, random);
    return order;
}

uint64_t stage_seed(uint64_t seed, int64_t stage) {
    const PhiloxBlock block = random_block(seed, stage_stream, static_cast<uint32_t>(stage), 0);
    return static_cast<uint64_t>(block.word[0]) << 32 | block.word[1];
}

std::vector<float> stage_targets(const FeatureStore& store, const Split& split, std::span<const Prediction> pseudo,
                                 std::span<const float> distributions) {
    const auto classes = static_cast<size_t>(store.classes_count());
    std::vector<float> targets(static_cast<size_t>(store.clips()) * classes);
    for (int32_t clip : split.labelled) {
        const int32_t label = store.columns().label[static_cast<size_t>(clip)];
        if (label < 0) fail("split '{}': clip {} trains with its label but has none", split.name, clip);
        targets[static_cast<size_t>(clip) * classes + static_cast<size_t>(label)] = 1;
    }
    for (const Prediction& one : pseudo) {
        const size_t row = static_cast<size_t>(one.clip) * classes;
        if (distributions.empty())
            targets[row + static_cast<size_t>(one.label)] = 1;
        else
            std::copy_n(distributions.begin() + static_cast<std::ptrdiff_t>(row), classes,
                        targets.begin() + static_cast<std::ptrdiff_t>(row));
    }
    return targets;
}

} // namespace scene

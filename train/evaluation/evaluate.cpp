#include "train/evaluation/evaluate.h"

#include <algorithm>

#include "data/store/feature_store.h"
#include "model/checkpoint.h"
#include "train/config/config.h"
#include "train/evaluation/predictions.h"
#include "train/training_session.h"

namespace scene {
namespace {

void check_features(const std::filesystem::path& checkpoint, const CheckpointInfo& info, const FeatureStore& store) {
    if (info.features != store.spec())
        fail("{}: the features of {} were computed with other settings than this model's; prepare the store anew",
             checkpoint.string(), store.path().string());
}

/// The index in `known` of each of `names`; -1 if it is not there.
std::vector<int32_t> places_in(const std::vector<std::string>& known, const std::vector<std::string>& names) {
    std::vector<int32_t> places;
    for (const std::string& name : names) {
        const auto found = std::find(known.begin(), known.end(), name);
        places.push_back(found == known.end() ? -1 : static_cast<int32_t>(found - known.begin()));
    }
    return places;
}

/// The store's columns with the model's classes instead of its own. Fails if a clip in `rows` has a class that the
/// model does not know: it could only be counted as wrong, and the score would say nothing about the model.
StoreColumns with_classes_of(const CheckpointInfo& info, const std::filesystem::path& checkpoint,
                             const FeatureStore& store, std::span<const int32_t> rows) {
    StoreColumns columns = store.columns();
    const std::vector<int32_t> place_of = places_in(info.classes, columns.classes);
    std::vector<std::string> unknown;
    int64_t clips = 0;
    for (int32_t row : rows) {
        const int32_t label = columns.label.at(static_cast<size_t>(row));
        if (label < 0 || place_of.at(static_cast<size_t>(label)) >= 0) continue;
        const std::string& name = columns.classes[static_cast<size_t>(label)];
        if (std::find(unknown.begin(), unknown.end(), name) == unknown.end()) unknown.push_back(name);
        ++clips;
    }
    if (!unknown.empty())
        fail(
            "{}: the model does not know the class{} {} of {} ({} of the {} clips to evaluate); it knows {}; prepare a "
            "store without them or with the model's names",
            checkpoint.string(), unknown.size() == 1 ? "" : "es", fmt::join(unknown, ", "), store.path().string(),
            clips, rows.size(), fmt::join(info.classes, ", "));
    for (int32_t& label : columns.label)
        if (label >= 0) label = place_of.at(static_cast<size_t>(label));
    columns.classes = info.classes;
    return columns;
}

/// The model's city index of every clip; -1: unknown to store or model.
std::vector<int32_t> cities_of(const CheckpointInfo& info, const StoreColumns& columns) {
    const std::vector<int32_t> index_of = places_in(info.cities, columns.cities);
    std::vector<int32_t> out;
    for (int32_t city : columns.city) out.push_back(city < 0 ? -1 : index_of.at(static_cast<size_t>(city)));
    return out;
}

/// Selects rows of a table with `clips` rows.
std::vector<float> rows_of(const std::vector<float>& table, std::span<const int32_t> rows, int64_t clips) {
    const auto width = static_cast<std::ptrdiff_t>(table.size()) / clips;
    std::vector<float> out;
    for (int32_t row : rows) out.insert(out.end(), table.begin() + row * width, table.begin() + (row + 1) * width);
    return out;
}

} // namespace

std::filesystem::path find_checkpoint(const std::filesystem::path& path) {
    if (!std::filesystem::is_directory(path)) {
        if (!std::filesystem::exists(path)) fail("{}: there is no such checkpoint or run folder", path.string());
        return path;
    }
    for (int64_t stage = most_stages; stage >= 1; --stage) {
        const auto model = path / fmt::format("best_model_{}.safetensors", stage);
        if (std::filesystem::exists(model)) return model;
    }
    fail("{}: no best_model_2.safetensors or best_model_1.safetensors in it; train first", path.string());
}

Evaluation evaluate(Device& device, const std::filesystem::path& checkpoint, const FeatureStore& store,
                    std::span<const int32_t> rows, const Session& session, int64_t batch, bool embeddings) {
    const SafetensorsFile file(find_checkpoint(checkpoint));
    const CheckpointInfo info = read_checkpoint_info(file);
    check_features(file.path(), info, store);
    require_finite_weights(file);
    const StoreColumns columns = with_classes_of(info, file.path(), store, rows);

    StepConfig settings;
    settings.model = info.model;
    settings.embeddings = embeddings;
    settings.batch = std::max<int64_t>(1, std::min(batch, static_cast<int64_t>(rows.size())));
    TrainingSession inference(device, store, settings, {}, cities_of(info, columns));
    load_checkpoint(file, inference.executor());
    inference.prepare_inference();
    session.progress.begin("predict", static_cast<int64_t>(rows.size()));
    inference.infer(rows, [&](int64_t done) {
        if (session.stop) throw Interrupted("stopped; run the same command again");
        session.progress.advance(done);
    });
    session.progress.end();

    const std::vector<float> table = inference.probabilities();
    const std::vector<Prediction> predictions = predictions_of(table, rows, info.model.classes);
    Evaluation out{info.classes,
                   confusion_of(predictions, columns),
                   scores_by_city(predictions, columns),
                   scores_by_device(predictions, columns),
                   {},
                   rows_of(table, rows, store.clips()),
                   {}};
    for (int32_t row : rows) out.truth.push_back(columns.label[static_cast<size_t>(row)]);
    if (embeddings) out.embeddings = rows_of(inference.embeddings(), rows, store.clips());
    return out;
}

} // namespace scene

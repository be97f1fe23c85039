#include "train/evaluate.h"

#include <algorithm>

#include "data/feature_store.h"
#include "model/checkpoint.h"
#include "train/config.h"
#include "train/learner.h"
#include "train/predictions.h"

namespace scene {
namespace {

std::string list(const std::vector<std::string>& names) {
    std::string out;
    for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
    return out;
}

void check_store(const std::filesystem::path& checkpoint, const CheckpointInfo& info, const FeatureStore& store) {
    if (info.features != store.spec())
        fail("{}: the features of {} were computed with other settings than this model's; prepare the store anew",
             checkpoint.string(), store.path().string());
    if (info.classes != store.columns().classes)
        fail("{}: the model's classes ({}) are not those of {} ({})", checkpoint.string(), list(info.classes),
             store.path().string(), list(store.columns().classes));
}

/// The store's cities as the model counts them.
std::vector<int32_t> cities_of(const CheckpointInfo& info, const StoreColumns& columns) {
    std::vector<int32_t> index_of;
    for (const std::string& city : columns.cities) {
        const auto found = std::find(info.cities.begin(), info.cities.end(), city);
        index_of.push_back(found == info.cities.end() ? -1 : static_cast<int32_t>(found - info.cities.begin()));
    }
    std::vector<int32_t> out;
    for (int32_t city : columns.city) out.push_back(city < 0 ? -1 : index_of.at(static_cast<size_t>(city)));
    return out;
}

/// The rows of these clips, of a table with one row for each of `clips`.
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

Evaluation evaluate(Backend& backend, const std::filesystem::path& checkpoint, const FeatureStore& store,
                    std::span<const int32_t> rows, const Session& session, int64_t batch, bool embeddings) {
    const SafetensorsFile file(find_checkpoint(checkpoint));
    const CheckpointInfo info = read_checkpoint_info(file);
    check_store(file.path(), info, store);
    require_finite_weights(file);

    StepConfig settings;
    settings.model = info.model;
    settings.embeddings = embeddings;
    settings.batch = std::max<int64_t>(1, std::min(batch, static_cast<int64_t>(rows.size())));
    Learner learner(backend, store, settings, {}, cities_of(info, store.columns()));
    load_checkpoint(file, learner.executor());
    learner.prepare_inference();
    session.progress.begin("predict", static_cast<int64_t>(rows.size()));
    learner.infer(rows, [&](int64_t done) {
        if (session.stop) throw Interrupted("stopped; run the same command again");
        session.progress.advance(done);
    });
    session.progress.end();

    const std::vector<float> table = learner.probabilities();
    const std::vector<Prediction> predictions = predictions_of(table, rows, info.model.classes);
    Evaluation out{info.classes,
                   confusion_of(predictions, store),
                   scores_by_city(predictions, store),
                   scores_by_device(predictions, store),
                   rows_of(table, rows, store.clips()),
                   {}};
    if (embeddings) out.embeddings = rows_of(learner.embeddings(), rows, store.clips());
    return out;
}

} // namespace scene

#include "train/breakdown.h"

#include <map>

namespace scene {
namespace {

/// `name_of(clip)` is empty where it is not known.
template <typename NameOf>
std::vector<PartScore> scores_by(std::span<const Prediction> predictions, const FeatureStore& store, NameOf&& name_of) {
    std::map<std::string, Confusion> parts;
    for (const Prediction& one : predictions) {
        const auto clip = static_cast<size_t>(one.clip);
        const int32_t truth = store.columns().label[clip];
        if (truth < 0) continue;
        parts.try_emplace(name_of(clip), store.classes_count()).first->second.add(truth, one.label);
    }
    const auto nameless = parts.extract("");
    std::vector<PartScore> out;
    for (auto& [name, confusion] : parts) out.push_back({name, std::move(confusion)});
    if (nameless && !out.empty()) out.push_back({"(unknown)", nameless.mapped()});
    return out;
}

} // namespace

std::vector<PartScore> scores_by_city(std::span<const Prediction> predictions, const FeatureStore& store) {
    const StoreColumns& columns = store.columns();
    return scores_by(predictions, store, [&](size_t clip) {
        return columns.city[clip] < 0 ? std::string() : columns.cities[static_cast<size_t>(columns.city[clip])];
    });
}

std::vector<PartScore> scores_by_device(std::span<const Prediction> predictions, const FeatureStore& store) {
    return scores_by(predictions, store, [&](size_t clip) { return store.columns().devices[clip]; });
}

} // namespace scene

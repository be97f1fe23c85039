#include "train/evaluation/breakdown.h"

#include <map>

namespace scene {
namespace {

/// One entry per name_of(clip), which is "" if it is unknown.
template <typename NameOf> std::vector<PartScore> scores_by(std::span<const Prediction> predictions,
                                                            const StoreColumns& columns, NameOf&& name_of) {
    const auto classes = static_cast<int64_t>(columns.classes.size());
    std::map<std::string, Confusion> parts;
    for (const Prediction& one : predictions) {
        const auto clip = static_cast<size_t>(one.clip);
        const int32_t truth = columns.label[clip];
        if (truth < 0) continue;
        parts.try_emplace(name_of(clip), classes).first->second.add(truth, one.label);
    }
    const auto nameless = parts.extract("");
    std::vector<PartScore> out;
    for (auto& [name, confusion] : parts) out.push_back({name, std::move(confusion)});
    if (nameless && !out.empty()) out.push_back({"(unknown)", nameless.mapped()});
    return out;
}

} // namespace

std::vector<PartScore> scores_by_city(std::span<const Prediction> predictions, const StoreColumns& columns) {
    return scores_by(predictions, columns, [&](size_t clip) {
        return columns.city[clip] < 0 ? std::string() : columns.cities[static_cast<size_t>(columns.city[clip])];
    });
}

std::vector<PartScore> scores_by_device(std::span<const Prediction> predictions, const StoreColumns& columns) {
    return scores_by(predictions, columns, [&](size_t clip) { return columns.devices[clip]; });
}

} // namespace scene

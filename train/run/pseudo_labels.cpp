#include "train/run/pseudo_labels.h"

#include <algorithm>
#include <fstream>
#include <map>

#include "data/formats/csv.h"
#include "kernels/files/atomic_file.h"

namespace scene {

std::vector<Prediction> PseudoLabels::used_predictions() const {
    std::vector<Prediction> out;
    for (size_t i = 0; i < predictions.size(); ++i)
        if (used[i]) out.push_back(predictions[i]);
    return out;
}

PseudoLabels choose_pseudo_labels(std::vector<Prediction> predictions, std::span<const int32_t> train,
                                  const PseudoSettings& settings) {
    PseudoLabels labels{std::move(predictions), {}};
    std::vector<int32_t> sorted_train(train.begin(), train.end());
    std::sort(sorted_train.begin(), sorted_train.end());
    std::map<int32_t, std::vector<size_t>> by_class; // training clips that reach the threshold
    float highest = 0;
    for (size_t i = 0; i < labels.predictions.size(); ++i) {
        const Prediction& one = labels.predictions[i];
        const bool sure = static_cast<double>(one.confidence) >= settings.threshold;
        labels.used.push_back(sure);
        if (!std::binary_search(sorted_train.begin(), sorted_train.end(), one.clip)) continue;
        highest = std::max(highest, one.confidence);
        if (sure) by_class[one.label].push_back(i);
    }
    if (by_class.empty())
        fail("pseudo.threshold = {}: none of {} pseudo labels is that confident, the most confident has {:.4f}; start "
             "a new run with a lower threshold or with training.stages = 1",
             settings.threshold, train.size(), highest);
    if (settings.class_cap == 0) return labels;
    for (auto& [label, places] : by_class) {
        std::stable_sort(places.begin(), places.end(), [&](size_t a, size_t b) {
            return labels.predictions[a].confidence > labels.predictions[b].confidence;
        });
        for (size_t i = static_cast<size_t>(settings.class_cap); i < places.size(); ++i) labels.used[places[i]] = 0;
    }
    return labels;
}

TrainingClips with_targets(TrainingClips clips, std::span<const float> targets, int64_t classes) {
    const auto has_none = [&](int32_t clip) {
        const auto row = targets.subspan(static_cast<size_t>(clip * classes), static_cast<size_t>(classes));
        return std::all_of(row.begin(), row.end(), [](float value) { return value == 0; });
    };
    std::erase_if(clips.unlabelled.train, has_none);
    std::erase_if(clips.unlabelled.validation, has_none);
    return clips;
}

void weigh_by_confidence(std::vector<float>& weights, std::span<const Prediction> pseudo,
                         std::span<const int32_t> members) {
    std::vector<double> product(weights.begin(), weights.end());
    for (const Prediction& one : pseudo) product[static_cast<size_t>(one.clip)] *= static_cast<double>(one.confidence);
    double sum = 0;
    for (int32_t clip : members) sum += product[static_cast<size_t>(clip)];
    const double scale = static_cast<double>(members.size()) / sum;
    for (int32_t clip : members)
        weights[static_cast<size_t>(clip)] = static_cast<float>(product[static_cast<size_t>(clip)] * scale);
}

void write_pseudo_labels(const std::filesystem::path& file, int64_t stage, const PseudoLabels& labels,
                         const StoreColumns& columns) {
    const std::string ending = fmt::format(",{}", stage);
    std::string text = "filename,scene_label,confidence,used,stage\n";
    std::ifstream before(file);
    std::string line;
    std::getline(before, line);
    while (std::getline(before, line))
        if (!line.ends_with(ending)) text += line + "\n";
    for (size_t i = 0; i < labels.predictions.size(); ++i) {
        const Prediction& one = labels.predictions[i];
        text += fmt::format("{},{},{:.6f},{}{}\n", csv_field(columns.names.at(static_cast<size_t>(one.clip))),
                            csv_field(columns.classes.at(static_cast<size_t>(one.label))), one.confidence,
                            int{labels.used[i]}, ending);
    }
    write_file(file, text);
}

} // namespace scene

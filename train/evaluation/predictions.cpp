#include "train/evaluation/predictions.h"

#include <algorithm>
#include <fstream>

#include "data/formats/csv.h"
#include "kernels/files/atomic_file.h"

namespace scene {
namespace {

const std::string& name_of(const StoreColumns& columns, int32_t clip) {
    return columns.names.at(static_cast<size_t>(clip));
}

bool of_stage(const std::string& line, int64_t stage) { return line.starts_with(std::to_string(stage) + ","); }

} // namespace

std::vector<Prediction> predictions_of(std::span<const float> probabilities, std::span<const int32_t> clips,
                                       int64_t classes) {
    std::vector<Prediction> out;
    out.reserve(clips.size());
    for (int32_t clip : clips) {
        const auto row = probabilities.subspan(static_cast<size_t>(clip * classes), static_cast<size_t>(classes));
        const auto largest = std::max_element(row.begin(), row.end());
        out.push_back({clip, static_cast<int32_t>(largest - row.begin()), *largest});
    }
    return out;
}

Confusion confusion_of(std::span<const Prediction> predictions, const StoreColumns& columns) {
    Confusion confusion(static_cast<int64_t>(columns.classes.size()));
    for (const Prediction& prediction : predictions) {
        const int32_t truth = columns.label[static_cast<size_t>(prediction.clip)];
        if (truth >= 0) confusion.add(truth, prediction.label);
    }
    return confusion;
}

void write_predictions(const std::filesystem::path& file, std::span<const Prediction> predictions,
                       const StoreColumns& columns) {
    std::string text = "filename,scene_label\n";
    for (const Prediction& one : predictions)
        text += csv_field(name_of(columns, one.clip)) + "," +
                csv_field(columns.classes.at(static_cast<size_t>(one.label))) + "\n";
    write_file(file, text);
}

void write_hard_samples(const std::filesystem::path& file, int64_t stage, std::span<const HardClip> clips,
                        const StoreColumns& columns) {
    std::string text = "stage,filename,confidence,weight\n";
    std::ifstream before(file);
    std::string line;
    std::getline(before, line);
    while (std::getline(before, line))
        if (!of_stage(line, stage)) text += line + "\n";
    for (const HardClip& one : clips)
        text += fmt::format("{},{},{:.6f},{:.6f}\n", stage, csv_field(name_of(columns, one.clip)), one.confidence,
                            one.weight);
    write_file(file, text);
}

int64_t count_hard_samples(const std::filesystem::path& file, int64_t stage) {
    std::ifstream stream(file);
    int64_t count = 0;
    for (std::string line; std::getline(stream, line);) count += of_stage(line, stage);
    return count;
}

} // namespace scene

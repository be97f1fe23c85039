// TAU Urban Acoustic Scenes (DCASE task 1): a tab-separated `meta.csv` with `filename scene_label identifier
// source_label`, or the first two alone as in `evaluation_setup`. City and device also stand in names like
// airport-barcelona-0-0-a.wav.

#include "data/dataset_format.h"

namespace scene {
namespace {

bool recognises(const CsvTable& header, const DatasetOptions&) {
    return header.delimiter == '\t' && header.find("filename") >= 0 && header.find("scene_label") >= 0;
}

/// "barcelona" and "a" of "audio/airport-barcelona-0-0-a.wav" (the device is not in the names of every edition).
struct NameParts {
    std::string city, device;
};

NameParts parts_of(const std::string& name) {
    std::vector<std::string> parts(1);
    for (char c : std::filesystem::path(name).stem().string())
        if (c == '-')
            parts.emplace_back();
        else
            parts.back() += c;
    if (parts.size() < 4) return {};
    return {parts[1], parts.size() > 4 ? parts.back() : ""};
}

Dataset read(const CsvTable& table, const DatasetOptions& options) {
    const int name = table.find("filename"), label = table.find("scene_label");
    const int identifier = table.find("identifier"), device = table.find("source_label");
    Dataset dataset;
    dataset.format = "tau";
    dataset.source = table.name;
    UniqueNames names(table);
    MissingAudio missing(table, options);
    std::vector<std::string> labels;
    for (const CsvRow& row : table.rows) {
        Clip clip;
        clip.line = row.line;
        clip.name = field_of(row, name);
        names.add(clip.name, row);
        clip.file = find_audio(clip.name, table, options);
        if (clip.file.empty()) missing.add(clip.name, row);
        labels.emplace_back(field_of(row, label));
        const NameParts parts = parts_of(clip.name);
        clip.city = parts.city;
        clip.device = device >= 0 ? std::string(field_of(row, device)) : parts.device;
        clip.session = field_of(row, identifier);
        dataset.clips.push_back(std::move(clip));
    }
    number_labels(dataset, labels);
    number_cities(dataset);
    missing.report();
    return dataset;
}

} // namespace

const TableFormat tau_format = {"tau", "filename scene_label identifier source_label (separated by tabs)", recognises,
                                read};

} // namespace scene

// TAU Urban Acoustic Scenes (DCASE task 1): a tab-separated `meta.csv` with `filename scene_label identifier
// source_label`, or the first two alone as in `evaluation_setup`. File names such as airport-barcelona-0-0-a.wav hold
// city and device too.

#include "data/formats/dataset_format.h"

namespace scene {
namespace {

bool recognises(const CsvTable& header, const DatasetOptions&) {
    const bool named = header.find("filename") >= 0 && header.find("scene_label") >= 0;
    const bool full = header.find("identifier") >= 0 && header.find("source_label") >= 0; // saved by a spreadsheet
    return named && (header.delimiter == '\t' || full);
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
    ClipRows rows(table, options);
    std::vector<std::string> labels;
    for (const CsvRow& row : table.rows) {
        Clip clip = rows.add(row, name);
        labels.emplace_back(field_of(row, label));
        const NameParts parts = parts_of(clip.name);
        clip.city = parts.city;
        clip.device = device >= 0 ? std::string(field_of(row, device)) : parts.device;
        clip.session = field_of(row, identifier);
        dataset.clips.push_back(std::move(clip));
    }
    number_labels(dataset, labels);
    number_cities(dataset);
    rows.report_missing();
    note_labels(dataset);
    return dataset;
}

} // namespace

const TableFormat tau_format = {
    "tau", "filename scene_label identifier source_label (separated by tabs where it is the first two alone)",
    recognises, read};

} // namespace scene

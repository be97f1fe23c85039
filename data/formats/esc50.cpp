// ESC-50 (Piczak, 2015) and subsets of it: `filename,fold,target,category`, with more columns allowed. Clips from
// one Freesound recording (`src_file`, or the number in `fold-recording-take` file names) are one session.

#include <charconv>
#include <map>

#include "data/formats/dataset_format.h"
#include "kernels/error.h"

namespace scene {
namespace {

bool recognises(const CsvTable& header, const DatasetOptions&) {
    return header.find("filename") >= 0 && header.find("fold") >= 0 && header.find("target") >= 0 &&
           header.find("category") >= 0;
}

int target_of(std::string_view cell, const CsvTable& table, const CsvRow& row) {
    int target = -1;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), target);
    if (error != std::errc() || end != cell.data() + cell.size() || target < 0)
        fail("{}: '{}' is not a target; write a whole number from 0", table.place(row), cell);
    return target;
}

/// "100032" of "1-100032-A-0.wav"; empty for names of another form.
std::string recording_of(const std::string& name) {
    const size_t first = name.find('-'), second = name.find('-', first + 1);
    if (first == std::string::npos || second == std::string::npos) return "";
    const std::string middle = name.substr(first + 1, second - first - 1);
    return !middle.empty() && middle.find_first_not_of("0123456789") == std::string::npos ? middle : "";
}

Dataset read(const CsvTable& table, const DatasetOptions& options) {
    const int name = table.find("filename"), fold = table.find("fold"), target = table.find("target");
    const int category = table.find("category"), source = table.find("src_file");
    Dataset dataset;
    dataset.format = "esc50";
    dataset.source = table.name;
    ClipRows rows(table, options);
    std::map<int, std::string> category_of; // by target, so in index order
    std::vector<int> targets;
    for (const CsvRow& row : table.rows) {
        Clip clip = rows.add(row, name);
        clip.fold = parse_fold(field_of(row, fold), table, row);
        targets.push_back(target_of(field_of(row, target), table, row));
        if (field_of(row, category).empty()) fail("{}: the category is empty; fill it in", table.place(row));
        const auto [known, fresh] = category_of.emplace(targets.back(), field_of(row, category));
        if (known->second != field_of(row, category))
            fail("{}: target {} is '{}' here and '{}' before; make them agree", table.place(row), targets.back(),
                 field_of(row, category), known->second);
        clip.session = source >= 0 ? std::string(field_of(row, source)) : recording_of(clip.name);
        dataset.clips.push_back(std::move(clip));
    }
    std::map<int, int> index_of;
    std::map<std::string, int> target_named;
    for (const auto& [number, label] : category_of) {
        if (const auto [other, fresh] = target_named.emplace(label, number); !fresh)
            fail("{}: category '{}' has targets {} and {}; give it one", table.name, label, other->second, number);
        index_of[number] = static_cast<int>(dataset.classes.size());
        dataset.classes.push_back(label);
    }
    for (size_t i = 0; i < targets.size(); ++i) dataset.clips[i].label = index_of[targets[i]];
    rows.report_missing();
    note_labels(dataset);
    return dataset;
}

} // namespace

const TableFormat esc50_format = {"esc50", "filename,fold,target,category", recognises, read};

} // namespace scene

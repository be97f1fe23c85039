// The CAS2023 dataset: `filename,location,record_time,scene_label` (APSIPA ASC 2025) or `filename,scene_label`
// (ICME 2024). The file of clip FILENAME is the one called *FILENAME*.wav.

#include <algorithm>
#include <array>
#include <map>

#include "data/audio/audio_files.h"
#include "data/formats/audio_finder.h"
#include "data/formats/dataset_format.h"
#include "kernels/error.h"

namespace scene {
namespace {

namespace fs = std::filesystem;

/// In the index order of the challenge.
const std::vector<std::string> cas2023_classes = {
    "Bus",           "Airport",    "Metro",          "Restaurant",        "Shopping mall",
    "Public square", "Urban park", "Traffic street", "Construction site", "Bar"};
const std::vector<std::string> cas2023_cities = {
    "Xi'an",    "Xianyang",  "Changchun", "Jinan",      "Hefei",    "Sanya",   "Nanning", "Haikou",
    "Guilin",   "Guangzhou", "Chongqing", "Shenyang",   "Beijing",  "Baishan", "Taiyuan", "Tianjin",
    "Nanchang", "Shanghai",  "Luoyang",   "Liupanshui", "Shangrao", "Dandong"};

/// The audio files below a folder (none for an empty path), found by part of their name.
class AudioIndex {
public:
    explicit AudioIndex(fs::path folder) : folder_(std::move(folder)) {
        if (folder_.empty()) return;
        AudioFiles found = audio_files_below(folder_);
        files_ = std::move(found.files);
        unreadable_ = found.left_out.folders_text();
        for (const fs::path& file : files_) stems_.push_back(file.stem().string());
        for (size_t i = 0; i < stems_.size(); ++i) by_stem_.emplace(stems_[i], i);
    }

    /// A sentence on folders that cannot be read; empty if there are none.
    const std::string& unreadable() const { return unreadable_; }

    /// The file whose stem is `name`, else the only one whose stem contains it; empty if there is none.
    fs::path find(const std::string& name, const std::string& place) {
        const auto exact = by_stem_.equal_range(name);
        if (exact.first != exact.second) return only(exact, name, place);
        return only(parts_of_length(name.size()).equal_range(name), name, place);
    }

private:
    using Parts = std::unordered_multimap<std::string_view, size_t>;
    using Range = std::pair<Parts::const_iterator, Parts::const_iterator>;

    /// All substrings of that length of all stems. Built once per length; the names in metadata have few lengths.
    const Parts& parts_of_length(size_t length) {
        Parts& parts = parts_[length];
        if (!parts.empty() || length == 0) return parts;
        for (size_t i = 0; i < stems_.size(); ++i)
            for (size_t begin = 0; begin + length <= stems_[i].size(); ++begin)
                parts.emplace(std::string_view(stems_[i]).substr(begin, length), i);
        return parts;
    }
    fs::path only(const Range& range, const std::string& name, const std::string& place) const {
        if (range.first == range.second) return {};
        size_t lowest = range.first->second, highest = lowest; // a stem may contain the name twice
        for (auto match = range.first; match != range.second; ++match) {
            lowest = std::min(lowest, match->second);
            highest = std::max(highest, match->second);
        }
        if (lowest != highest)
            fail("{}: both {} and {} match '{}'; keep one of them", place, files_[lowest].string(),
                 files_[highest].string(), name);
        return files_[lowest];
    }

    fs::path folder_;
    std::string unreadable_;
    std::vector<fs::path> files_;
    std::vector<std::string> stems_;
    Parts by_stem_;
    std::map<size_t, Parts> parts_;
};

/// A clip's name without folder and extension, which some metadata have.
std::string name_in_files(const std::string& clip) {
    const fs::path file = portable_path(clip);
    return is_audio_name(file) ? file.stem().string() : clip;
}

fs::path audio_folder(const CsvTable& table, const DatasetOptions& options) {
    if (!options.audio.empty()) return options.audio;
    fs::path beside = fs::path(table.name).parent_path();
    if (beside.empty()) beside = ".";
    std::error_code ignored;
    return fs::is_directory(beside / "audio", ignored) ? beside / "audio" : beside;
}

int label_index(std::string_view cell, const CsvTable& table, const CsvRow& row) {
    const std::string folded = folded_name(cell);
    if (folded.empty()) return -1;
    for (size_t i = 0; i < cas2023_classes.size(); ++i)
        if (folded_name(cas2023_classes[i]) == folded) return static_cast<int>(i);
    fail("{}: unknown scene_label '{}'; known are {}; for classes of your own add --format csv", table.place(row), cell,
         listed(cas2023_classes));
}

/// The challenge's spelling of a city it knows, the text itself otherwise.
std::string city_name(std::string_view cell) {
    const std::string folded = folded_name(cell);
    for (const std::string& city : cas2023_cities)
        if (folded_name(city) == folded) return city;
    return std::string(cell);
}

/// Whether a table with the two columns may be CAS2023's. Other datasets have this header too, so one label must be the
/// challenge's, unless there are no labels.
bool may_have_the_labels(const CsvTable& table) {
    const int label = table.find("scene_label");
    bool other = false;
    for (const CsvRow& row : table.rows) {
        const std::string folded = folded_name(field_of(row, label));
        const bool known = std::any_of(cas2023_classes.begin(), cas2023_classes.end(),
                                       [&](const std::string& name) { return folded_name(name) == folded; });
        if (known) return true;
        other |= !folded.empty();
    }
    return !other;
}

bool recognises(const CsvTable& table, const DatasetOptions& options) {
    if (table.delimiter == '\t' || table.find("filename") < 0 || table.find("scene_label") < 0) return false;
    const bool full = table.header.size() == 4 && table.find("location") >= 0 && table.find("record_time") >= 0;
    return full || (table.header.size() == 2 && (options.format != "auto" || may_have_the_labels(table)));
}

Dataset read(const CsvTable& table, const DatasetOptions& options) {
    const int name = table.find("filename"), label = table.find("scene_label");
    const int location = table.find("location"), record_time = table.find("record_time");
    Dataset dataset;
    dataset.format = "cas2023";
    dataset.classes = cas2023_classes;
    dataset.cities = cas2023_cities;
    dataset.source = table.name;
    const bool search = options.require_audio || !options.audio.empty();
    AudioIndex audio(search ? audio_folder(table, options) : fs::path());
    if (!audio.unreadable().empty()) dataset.notes.push_back(audio.unreadable());
    ClipRows rows(table, options, [&](const std::string& clip, const std::string& place) {
        return audio.find(name_in_files(clip), place);
    });
    for (const CsvRow& row : table.rows) {
        Clip clip = rows.add(row, name);
        clip.label = label_index(field_of(row, label), table, row);
        clip.city = city_name(field_of(row, location));
        clip.time = parse_time(field_of(row, record_time), table, row);
        if (!clip.city.empty() && clip.time) clip.session = clip.city + " " + std::string(field_of(row, record_time));
        dataset.clips.push_back(std::move(clip));
    }
    rows.report_missing();
    note_labels(dataset);
    return dataset;
}

} // namespace

const TableFormat cas2023_format = {"cas2023", "filename,location,record_time,scene_label or filename,scene_label",
                                    recognises, read};

} // namespace scene

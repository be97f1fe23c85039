#include "data/dataset_format.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>

#include "kernels/error.h"

namespace scene {

namespace fs = std::filesystem;

bool is_audio_name(const fs::path& file) {
    std::string extension = file.extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return extension == ".wav" || extension == ".flac" || extension == ".ogg";
}

std::string folded_name(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i).starts_with("\xE2\x80\x99")) { // the typographic apostrophe
            i += 2;
            continue;
        }
        const auto c = static_cast<unsigned char>(text[i]);
        if (c != ' ' && c != '_' && c != '-' && c != '\'') out += static_cast<char>(std::tolower(c));
    }
    return out;
}

std::string listed(std::span<const std::string> items, size_t limit) {
    std::string out;
    for (size_t i = 0; i < std::min(items.size(), limit); ++i) out += (i ? ", " : "") + items[i];
    return items.size() > limit ? out + " and " + std::to_string(items.size() - limit) + " more" : out;
}

std::string_view field_of(const CsvRow& row, int column) {
    return column < 0 ? std::string_view() : std::string_view(row.fields[static_cast<size_t>(column)]);
}

void UniqueNames::add(const std::string& name, const CsvRow& row) {
    if (name.empty()) fail("{}: the name of the clip is empty; fill it in", table_.place(row));
    const auto [found, fresh] = line_of_.emplace(name, row.line);
    if (!fresh)
        fail("{}: '{}' already stands in row {}; remove one of the two rows", table_.place(row), name, found->second);
}

void MissingAudio::add(const std::string& name, const CsvRow& row) {
    if (++count_ <= 10) first_.push_back("row " + std::to_string(row.line) + " '" + name + "'");
}

void MissingAudio::report() const {
    if (count_ == 0 || !options_.require_audio) return;
    const std::string where = options_.audio.empty() ? "beside it" : "in " + options_.audio.string();
    const std::string more = count_ > first_.size() ? " and " + std::to_string(count_ - first_.size()) + " more" : "";
    fail("{}: no audio file {} for {}{}; put the files there or name their folder with --audio", table_.name, where,
         listed(first_), more);
}

fs::path find_audio(const std::string& cell, const CsvTable& table, const DatasetOptions& options) {
    std::error_code ignored;
    const fs::path named(cell), beside = fs::path(table.name).parent_path();
    std::vector<fs::path> places;
    if (named.is_absolute())
        places = {named};
    else if (!options.audio.empty())
        places = {options.audio / named, options.audio / named.filename()};
    else
        places = {beside / named, beside / "audio" / named, beside / ".." / named, beside / ".." / "audio" / named};
    for (const fs::path& place : places)
        if (fs::is_regular_file(place, ignored)) return place.lexically_normal();
    return {};
}

int parse_fold(std::string_view cell, const CsvTable& table, const CsvRow& row) {
    if (cell.empty()) return -1;
    int fold = -1;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), fold);
    if (error != std::errc() || end != cell.data() + cell.size() || fold < 0)
        fail("{}: '{}' is not a fold; write a whole number from 0", table.place(row), cell);
    return fold;
}

std::optional<RecordTime> parse_time(std::string_view cell, const CsvTable& table, const CsvRow& row) {
    if (cell.empty()) return {};
    const std::optional<RecordTime> time = parse_record_time(cell);
    if (!time) fail("{}: '{}' is not a time; write YYYY-MM-DD HH:MM:SS or leave it empty", table.place(row), cell);
    return time;
}

void number_labels(Dataset& dataset, const std::vector<std::string>& labels, const std::vector<std::string>& classes) {
    dataset.classes = classes;
    if (classes.empty()) {
        std::set<std::string> found(labels.begin(), labels.end());
        found.erase("");
        dataset.classes.assign(found.begin(), found.end());
    }
    std::unordered_map<std::string, int> index_of;
    for (size_t i = 0; i < dataset.classes.size(); ++i) index_of.emplace(dataset.classes[i], static_cast<int>(i));
    for (size_t i = 0; i < labels.size(); ++i)
        if (!labels[i].empty()) dataset.clips[i].label = index_of.at(labels[i]);
}

void number_cities(Dataset& dataset) {
    std::set<std::string> found;
    for (const Clip& clip : dataset.clips) found.insert(clip.city);
    found.erase("");
    dataset.cities.assign(found.begin(), found.end());
}

} // namespace scene

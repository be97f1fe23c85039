#include "data/formats/dataset_format.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <memory>
#include <set>

#include <sys/stat.h>

#include "data/formats/audio_finder.h"
#include "kernels/error.h"

namespace scene {

namespace fs = std::filesystem;

bool means_unlabelled(std::string_view name) {
    const std::string folded = folded_name(name);
    return folded == "unlabelled" || folded == "unlabeled";
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

ClipRows::ClipRows(const CsvTable& table, const DatasetOptions& options) : table_(table), options_(options) {
    const auto finder = std::make_shared<AudioFinder>(table, options);
    find_ = [finder](const std::string& name, const std::string& place) { return finder->find(name, place); };
    namesake_ = [finder](const std::string& name, const std::string&) { return finder->namesake(name); };
}

ClipRows::ClipRows(const CsvTable& table, const DatasetOptions& options, Find find)
    : table_(table), options_(options), find_(std::move(find)) {}

Clip ClipRows::add(const CsvRow& csv_row, int name_column) {
    const Row row{csv_row.line, std::string(field_of(csv_row, name_column))};
    require_new_name(row);
    Clip clip;
    clip.line = row.line;
    clip.name = row.name;
    clip.file = find_(row.name, place(row));
    if (clip.file.empty())
        note_missing(row);
    else
        require_new_file(row, clip.file);
    return clip;
}

void ClipRows::require_new_name(const Row& row) {
    if (row.name.empty()) fail("{}: the name of the clip is empty; fill it in", place(row));
    const auto [other, fresh] = row_of_name_.emplace(portable_path(row.name).lexically_normal().string(), row);
    if (fresh) return;
    if (other->second.name == row.name)
        fail("{}: '{}' already stands in row {}; remove one of the two rows", place(row), row.name, other->second.line);
    fail("{}: '{}' is '{}' of row {} in other words; remove one of the two rows", place(row), row.name,
         other->second.name, other->second.line);
}

void ClipRows::require_new_file(const Row& row, const fs::path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) return; // reading it will say why
    const auto [other, fresh] = row_of_file_.emplace(std::pair{uint64_t{status.st_dev}, uint64_t{status.st_ino}}, row);
    if (!fresh)
        fail("{}: '{}' and '{}' of row {} are one file, {}; give each row a file of its own, or remove one of the two",
             place(row), row.name, other->second.name, other->second.line, file.string());
}

void ClipRows::note_missing(const Row& row) {
    if (++missing_ > 10) return;
    const fs::path other = namesake_ ? namesake_(row.name, place(row)) : fs::path();
    first_missing_.push_back("row " + std::to_string(row.line) + " '" + row.name + "'" +
                             (other.empty() ? "" : " (there is " + other.string() + ")"));
}

void ClipRows::report_missing() const {
    if (missing_ == 0 || !options_.require_audio || options_.keep_missing) return;
    const std::string where = options_.audio.empty() ? "beside it" : "in " + options_.audio.string();
    const std::string more =
        missing_ > first_missing_.size() ? " and " + std::to_string(missing_ - first_missing_.size()) + " more" : "";
    fail("{}: no audio file {} for {}{}; put the files there or name their folder with --audio", table_.name, where,
         listed(first_missing_), more);
}

std::string ClipRows::place(const Row& row) const { return table_.name + ":" + std::to_string(row.line); }

std::optional<int> fold_in(std::string_view cell) {
    int fold = -1;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), fold);
    if (error != std::errc() || end != cell.data() + cell.size() || fold < 0) return {};
    return fold;
}

int parse_fold(std::string_view cell, const CsvTable& table, const CsvRow& row) {
    if (cell.empty()) return -1;
    const std::optional<int> fold = fold_in(cell);
    if (!fold) fail("{}: '{}' is not a fold; write a whole number from 0", table.place(row), cell);
    return *fold;
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

namespace {

/// "'Rain' and 'rain'; 'a b' and 'a  b'": names that differ only in case, spaces, dashes and underscores.
std::string look_alikes(const std::vector<std::string>& names) {
    std::map<std::string, std::vector<std::string>> alike;
    for (const std::string& name : names) alike[folded_name(name)].push_back("'" + name + "'");
    std::string out;
    for (const auto& [folded, spellings] : alike) {
        if (spellings.size() < 2) continue;
        out += out.empty() ? "" : "; ";
        for (size_t i = 0; i < spellings.size(); ++i)
            out += (i == 0 ? "" : i + 1 == spellings.size() ? " and " : ", ") + spellings[i];
    }
    return out;
}

} // namespace

void note_labels(Dataset& dataset, const std::string& why) {
    std::set<int> used;
    for (const Clip& clip : dataset.clips) used.insert(clip.label);
    used.erase(-1);
    const std::string reason = why.empty() ? "" : " (" + why + ")";
    if (used.empty())
        dataset.notes.push_back("no clip has a label" + reason + "; nothing can be trained or scored on it");
    if (used.size() == 1)
        dataset.notes.push_back("all labelled clips are of one class, '" +
                                dataset.classes[static_cast<size_t>(*used.begin())] + "'" + reason +
                                "; training needs two");
    const std::string alike = look_alikes(dataset.classes);
    if (!alike.empty())
        dataset.notes.push_back("classes that differ only in case, spaces or dashes stay apart: " + alike +
                                "; write them alike if they are one");
}

void number_cities(Dataset& dataset) {
    std::set<std::string> found;
    for (const Clip& clip : dataset.clips) found.insert(clip.city);
    found.erase("");
    dataset.cities.assign(found.begin(), found.end());
    const std::string alike = look_alikes(dataset.cities);
    if (!alike.empty())
        dataset.notes.push_back("cities that differ only in case, spaces or dashes stay apart: " + alike +
                                "; write them alike if they are one");
}

} // namespace scene

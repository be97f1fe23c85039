#pragma once

// What the readers of dataset formats share; read_dataset (data/dataset.h) chooses among them.

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/csv.h"
#include "data/dataset.h"

namespace scene {

/// A format whose metadata is a table.
struct TableFormat {
    std::string_view name;
    std::string_view expected_header; ///< for errors
    bool (*recognises)(const CsvTable& header, const DatasetOptions& options);
    Dataset (*read)(const CsvTable& table, const DatasetOptions& options);
};

extern const TableFormat cas2023_format, esc50_format, tau_format, table_format;

/// One folder of audio per class; a folder `unlabelled` holds clips without a label.
Dataset read_class_folders(const std::filesystem::path& folder, const DatasetOptions& options);
bool has_class_folders(const std::filesystem::path& folder);

/// .wav, .flac or .ogg in any case.
bool is_audio_name(const std::filesystem::path& file);

/// Lower case without spaces, underscores, hyphens and apostrophes: "Xi'an" and "xian", "Shopping mall" and
/// "shopping_mall" are the same.
std::string folded_name(std::string_view text);

/// "a, b, c", the first `limit` of them.
std::string listed(std::span<const std::string> items, size_t limit = 30);

/// Field of a row by column index; empty where the column is -1.
std::string_view field_of(const CsvRow& row, int column);

/// Refuses a name that has been used, naming both rows.
class UniqueNames {
public:
    explicit UniqueNames(const CsvTable& table) : table_(table) {}
    void add(const std::string& name, const CsvRow& row);

private:
    const CsvTable& table_;
    std::unordered_map<std::string, size_t> line_of_;
};

/// Gathers the rows whose audio file was not found; `report` fails if there are any and audio is required.
class MissingAudio {
public:
    MissingAudio(const CsvTable& table, const DatasetOptions& options) : table_(table), options_(options) {}
    void add(const std::string& name, const CsvRow& row);
    void report() const;

private:
    const CsvTable& table_;
    const DatasetOptions& options_;
    std::vector<std::string> first_;
    size_t count_ = 0;
};

/// The file that a metadata cell names, looked for as it stands, in DatasetOptions::audio, or beside and above the
/// metadata and in folders `audio` there; empty if it is nowhere.
std::filesystem::path find_audio(const std::string& cell, const CsvTable& table, const DatasetOptions& options);

/// A fold number from 0; -1 for an empty cell; Error naming the row otherwise.
int parse_fold(std::string_view cell, const CsvTable& table, const CsvRow& row);
/// The time in a cell; nothing for an empty cell; Error naming the row if it is not a time.
std::optional<RecordTime> parse_time(std::string_view cell, const CsvTable& table, const CsvRow& row);

/// Sets every clip's label from `labels` [clips] (empty: unlabelled) and `dataset.classes` to `classes`, or to the
/// labels found, sorted, if `classes` is empty.
void number_labels(Dataset& dataset, const std::vector<std::string>& labels,
                   const std::vector<std::string>& classes = {});
/// Sorted cities found become `dataset.cities`.
void number_cities(Dataset& dataset);

} // namespace scene

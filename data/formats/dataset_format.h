#pragma once

// What the readers of the dataset formats share. read_dataset (data/formats/dataset.h) chooses the reader.

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/formats/csv.h"
#include "data/formats/dataset.h"

namespace scene {

/// A format whose metadata is a table.
struct TableFormat {
    std::string_view name;
    std::string_view expected_header; ///< for errors
    bool (*recognises)(const CsvTable& header, const DatasetOptions& options);
    Dataset (*read)(const CsvTable& table, const DatasetOptions& options);
};

extern const TableFormat cas2023_format, esc50_format, tau_format, table_format;

/// Reads the format "folder" (data/formats/dataset.h).
Dataset read_class_folders(const std::filesystem::path& folder, const DatasetOptions& options);
/// Whether at least so many folders directly in `folder` have audio files below them.
bool has_class_folders(const std::filesystem::path& folder, int at_least = 1);

/// "unlabelled", also with one l, in any case.
bool means_unlabelled(std::string_view name);

/// Lower case without spaces, underscores, hyphens and apostrophes: "Xi'an" and "xian", "Shopping mall" and
/// "shopping_mall" are the same.
std::string folded_name(std::string_view text);

/// "a, b, c and 2 more": the first `limit` items.
std::string listed(std::span<const std::string> items, size_t limit = 30);

/// Field of a row by column index; empty where the column is -1.
std::string_view field_of(const CsvRow& row, int column);

/// Makes clips of a table's rows: their name, file and line. Refuses two rows with the same name or file.
class ClipRows {
public:
    /// Returns the file of a clip, or an empty path if there is none.
    using Find = std::function<std::filesystem::path(const std::string& name, const std::string& place)>;
    /// Finds files with AudioFinder.
    ClipRows(const CsvTable& table, const DatasetOptions& options);
    ClipRows(const CsvTable& table, const DatasetOptions& options, Find find);

    /// Error: the name is empty, or another row has the same name (after portable_path and normalisation) or the same
    /// file (the same device and inode).
    Clip add(const CsvRow& row, int name_column);
    /// Error, with the first rows: files were not found although the options require them.
    void report_missing() const;

private:
    struct Row {
        size_t line;
        std::string name;
    };

    void require_new_name(const Row& row);
    void require_new_file(const Row& row, const std::filesystem::path& file);
    void note_missing(const Row& row);
    std::string place(const Row& row) const;

    const CsvTable& table_;
    const DatasetOptions& options_;
    Find find_, namesake_;
    std::unordered_map<std::string, Row> row_of_name_;
    std::map<std::pair<uint64_t, uint64_t>, Row> row_of_file_; ///< by device and inode
    std::vector<std::string> first_missing_;
    size_t missing_ = 0;
};

/// A fold number from 0; nullopt for other text.
std::optional<int> fold_in(std::string_view cell);
/// A fold number from 0; -1 for an empty cell. Error, with the row: any other text.
int parse_fold(std::string_view cell, const CsvTable& table, const CsvRow& row);
/// The time in a cell; nullopt for an empty cell. Error, with the row: any other text.
std::optional<RecordTime> parse_time(std::string_view cell, const CsvTable& table, const CsvRow& row);

/// Sets every clip's label from `labels` [clips] (empty: unlabelled) and `dataset.classes` to `classes`, or to the
/// labels found, sorted, if `classes` is empty.
void number_labels(Dataset& dataset, const std::vector<std::string>& labels,
                   const std::vector<std::string>& classes = {});
/// Notes oddities of the labels: no label, one class only (both followed by `why`, if it is not empty), classes that
/// differ only in case, spaces or dashes.
void note_labels(Dataset& dataset, const std::string& why = "");
/// Sets `dataset.cities` to the clips' cities, sorted, and notes those that differ only in case, spaces or dashes.
void number_cities(Dataset& dataset);

} // namespace scene

#pragma once

// What the readers of dataset formats share; read_dataset (data/formats/dataset.h) chooses among them.

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

/// One folder of audio per class; a folder `unlabelled` holds clips without a label.
Dataset read_class_folders(const std::filesystem::path& folder, const DatasetOptions& options);
bool has_class_folders(const std::filesystem::path& folder, int at_least = 1);

/// "unlabelled", also with one l, in any case.
bool means_unlabelled(std::string_view name);

/// Lower case without spaces, underscores, hyphens and apostrophes: "Xi'an" and "xian", "Shopping mall" and
/// "shopping_mall" are the same.
std::string folded_name(std::string_view text);

/// "a, b, c", the first `limit` of them.
std::string listed(std::span<const std::string> items, size_t limit = 30);

/// Field of a row by column index; empty where the column is -1.
std::string_view field_of(const CsvRow& row, int column);

/// Gives the rows of a table their clips: name, file and line. Refuses what two rows share, naming both.
class ClipRows {
public:
    /// The file of a clip, empty if there is none.
    using Find = std::function<std::filesystem::path(const std::string& name, const std::string& place)>;
    /// Looks for files as AudioFinder does.
    ClipRows(const CsvTable& table, const DatasetOptions& options);
    ClipRows(const CsvTable& table, const DatasetOptions& options, Find find);

    /// Fails if the name is empty, or if it or its file is another row's already, however it is spelt or linked.
    Clip add(const CsvRow& row, int name_column);
    /// Fails, naming rows, if files were not found and all are required.
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

/// A fold number from 0; nothing for other text.
std::optional<int> fold_in(std::string_view cell);
/// A fold number from 0; -1 for an empty cell; Error naming the row otherwise.
int parse_fold(std::string_view cell, const CsvTable& table, const CsvRow& row);
/// The time in a cell; nothing for an empty cell; Error naming the row if it is not a time.
std::optional<RecordTime> parse_time(std::string_view cell, const CsvTable& table, const CsvRow& row);

/// Sets every clip's label from `labels` [clips] (empty: unlabelled) and `dataset.classes` to `classes`, or to the
/// labels found, sorted, if `classes` is empty.
void number_labels(Dataset& dataset, const std::vector<std::string>& labels,
                   const std::vector<std::string>& classes = {});
/// Adds to the notes what is odd about the labels: none at all (`why` follows, if it is not empty), one class only,
/// classes that differ only in case or spaces.
void note_labels(Dataset& dataset, const std::string& why = "");
/// Sorted cities found become `dataset.cities`.
void number_cities(Dataset& dataset);

} // namespace scene

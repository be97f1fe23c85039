#pragma once

#include <array>
#include <string>
#include <string_view>

#include "data/formats/csv.h"
#include "data/formats/dataset.h"

namespace scene {

/// What a column of a user's own table may hold.
enum class Role { File, Label, City, Time, Fold, Session, Device };
constexpr std::array<std::string_view, 7> role_names = {"file", "label", "city", "time", "fold", "session", "device"};

/// Assigns a column to each role. The first rule that finds a column decides:
/// 1. the column that --column names,
/// 2. the column with the role's name,
/// 3. the column with one of the role's usual names (`filename`, `path`, `class`, `category` ...). Case, spaces,
///    dashes and underscores do not count. Of several, the one whose name comes first in the list of usual names.
///
/// Rule 3 skips a column for time or fold if a cell of it is neither empty nor a time or fold.
class TableColumns {
public:
    /// Error: an unknown role in the options, a named column that does not exist, two columns with the deciding name.
    TableColumns(const CsvTable& table, const DatasetOptions& options);

    /// Index of the role's column; -1: none.
    int of(Role role) const { return column_[static_cast<size_t>(role)]; }
    /// A sentence on what rule 3 decided; empty if nothing.
    std::string note() const;

private:
    void find(Role role, const CsvTable& table, const DatasetOptions& options);
    bool holds(Role role, int column, const CsvTable& table);

    std::array<int, role_names.size()> column_{};
    std::string chosen_, unused_;
};

/// Whether a table with this header has a column for the role.
bool has_column(Role role, const CsvTable& header, const DatasetOptions& options);

} // namespace scene

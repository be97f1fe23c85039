#pragma once

#include <array>
#include <string>
#include <string_view>

#include "data/formats/csv.h"
#include "data/formats/dataset.h"

namespace scene {

/// What a column of one's own table may hold.
enum class Role { File, Label, City, Time, Fold, Session, Device };
constexpr std::array<std::string_view, 7> role_names = {"file", "label", "city", "time", "fold", "session", "device"};

/// Which column holds what. For each role the first of these decides:
/// 1. the column that --column names,
/// 2. the column called as the role,
/// 3. the column with one of the role's usual names (`filename`, `path`, `class`, `category` ...), compared without
///    case, spaces, dashes and underscores; of several the one whose name is usual for it before the others'.
/// Where 3 gives a column for time or fold in which something else stands, it is not used.
class TableColumns {
public:
    /// Errors: a role that there is not, a column that there is not, two columns of the name that decides.
    TableColumns(const CsvTable& table, const DatasetOptions& options);

    /// -1: none.
    int of(Role role) const { return column_[static_cast<size_t>(role)]; }
    /// What rule 3 has decided, in a sentence; empty if nothing.
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

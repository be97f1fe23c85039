// One's own CSV or TSV: DatasetOptions::columns says which column holds what.

#include <algorithm>
#include <array>

#include "data/dataset_format.h"
#include "kernels/error.h"

namespace scene {
namespace {

constexpr std::array<std::string_view, 7> roles = {"file", "label", "city", "time", "fold", "session", "device"};

/// Index of the column for a role, -1 if it is not mentioned and there is none of that name.
int column_for(std::string_view role, const CsvTable& table, const DatasetOptions& options) {
    const auto mentioned = options.columns.find(std::string(role));
    if (mentioned == options.columns.end()) return table.find(role);
    const int column = table.find(mentioned->second);
    if (column < 0)
        fail("{}: has no column '{}' for {}; the columns are {}", table.name, mentioned->second, role,
             table.header_text());
    return column;
}

void require_known_roles(const DatasetOptions& options) {
    for (const auto& [role, column] : options.columns)
        if (std::find(roles.begin(), roles.end(), role) == roles.end())
            fail("--column {}={}: '{}' is not one of file, label, city, time, fold, session, device", role, column,
                 role);
}

bool recognises(const CsvTable& header, const DatasetOptions& options) {
    const auto mentioned = options.columns.find("file");
    return header.find(mentioned == options.columns.end() ? "file" : mentioned->second) >= 0;
}

Dataset read(const CsvTable& table, const DatasetOptions& options) {
    require_known_roles(options);
    const auto column = [&](std::string_view role) { return column_for(role, table, options); };
    const int file = column("file"), label = column("label"), city = column("city"), time = column("time");
    const int fold = column("fold"), session = column("session"), device = column("device");
    Dataset dataset;
    dataset.format = "table";
    dataset.source = table.name;
    UniqueNames names(table);
    MissingAudio missing(table, options);
    std::vector<std::string> labels;
    for (const CsvRow& row : table.rows) {
        Clip clip;
        clip.line = row.line;
        clip.name = field_of(row, file);
        names.add(clip.name, row);
        clip.file = find_audio(clip.name, table, options);
        if (clip.file.empty()) missing.add(clip.name, row);
        labels.emplace_back(field_of(row, label));
        const bool known =
            std::find(options.classes.begin(), options.classes.end(), labels.back()) != options.classes.end();
        if (!options.classes.empty() && !labels.back().empty() && !known)
            fail("{}: unknown label '{}'; known are {}", table.place(row), labels.back(), listed(options.classes));
        clip.city = field_of(row, city);
        clip.time = parse_time(field_of(row, time), table, row);
        clip.fold = parse_fold(field_of(row, fold), table, row);
        clip.session = field_of(row, session);
        clip.device = field_of(row, device);
        dataset.clips.push_back(std::move(clip));
    }
    number_labels(dataset, labels, options.classes);
    number_cities(dataset);
    missing.report();
    return dataset;
}

} // namespace

const TableFormat table_format = {"table", "a column 'file', or another one named with --column file=NAME", recognises,
                                  read};

} // namespace scene

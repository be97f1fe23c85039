// A user's own CSV or TSV: DatasetOptions::columns says which column holds what.

#include <algorithm>

#include "data/formats/dataset_format.h"
#include "data/formats/table_columns.h"
#include "kernels/error.h"

namespace scene {
namespace {

bool recognises(const CsvTable& header, const DatasetOptions& options) {
    return has_column(Role::File, header, options);
}

Dataset read(const CsvTable& table, const DatasetOptions& options) {
    const TableColumns columns(table, options);
    const int label = columns.of(Role::Label);
    Dataset dataset;
    dataset.format = "table";
    dataset.source = table.name;
    if (const std::string note = columns.note(); !note.empty()) dataset.notes.push_back(note);
    ClipRows rows(table, options);
    std::vector<std::string> labels;
    for (const CsvRow& row : table.rows) {
        Clip clip = rows.add(row, columns.of(Role::File));
        labels.emplace_back(field_of(row, label));
        if (means_unlabelled(labels.back())) labels.back().clear();
        const bool known =
            std::find(options.classes.begin(), options.classes.end(), labels.back()) != options.classes.end();
        if (!options.classes.empty() && !labels.back().empty() && !known)
            fail("{}: unknown label '{}'; known are {}", table.place(row), labels.back(), listed(options.classes));
        clip.city = field_of(row, columns.of(Role::City));
        clip.time = parse_time(field_of(row, columns.of(Role::Time)), table, row);
        clip.fold = parse_fold(field_of(row, columns.of(Role::Fold)), table, row);
        clip.session = field_of(row, columns.of(Role::Session));
        clip.device = field_of(row, columns.of(Role::Device));
        dataset.clips.push_back(std::move(clip));
    }
    number_labels(dataset, labels, options.classes);
    number_cities(dataset);
    rows.report_missing();
    note_labels(dataset, label >= 0 ? ""
                                    : "none of the columns " + table.header_text() +
                                          " is known to hold them: name it with --column label=NAME");
    return dataset;
}

} // namespace

const TableFormat table_format = {
    "table", "a column 'file' (or filename, path ...), or another one named with --column file=NAME", recognises, read};

} // namespace scene

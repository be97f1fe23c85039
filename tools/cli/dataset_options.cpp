#include "tools/cli/dataset_options.h"

#include <fmt/core.h>

#include "data/formats/csv.h"
#include "tools/cli/note.h"

namespace scene {
namespace {

/// A,B,"C, D", or @FILE with one name per line.
std::vector<std::string> class_names(const std::string& text) {
    std::vector<std::string> names;
    if (text.starts_with('@'))
        names = read_lines(text.substr(1));
    else
        names = csv_fields(text, "--classes");
    if (names.empty()) throw UsageError(fmt::format("--classes {}: no names; write A,B,C or @FILE", text));
    return names;
}

} // namespace

DatasetOptions DatasetFlags::options() const {
    DatasetOptions options;
    options.format = format == "csv" ? "table" : format;
    options.audio = audio;
    if (classes) options.classes = class_names(*classes);
    for (const std::string& column : columns) {
        const size_t equals = column.find('=');
        const std::string meaning = column.substr(0, equals);
        if (equals == std::string::npos || equals + 1 == column.size())
            throw UsageError(fmt::format("--column {}: expected MEANING=HEADER, such as file=path", column));
        options.columns[meaning] = column.substr(equals + 1);
    }
    return options;
}

void add_dataset_options(Arguments& arguments, DatasetFlags& flags) {
    arguments.add("--format", flags.format, "layout of the dataset")
        .choices({"auto", "cas2023", "esc50", "tau", "csv", "folder"});
    arguments.add("--audio", flags.audio,
                  "folder of the audio files, searched with its sub-folders (default: beside the metadata)");
    arguments.add_list("--column", flags.columns,
                       "csv: MEANING=HEADER for file, label, city, time, fold, session, device; may be repeated");
    arguments.add("--classes", flags.classes,
                  "csv, folder: class names in order, A,\"B, C\",D or @FILE with one per line (default: all, sorted)");
}

void note_about(const Dataset& dataset, bool quiet) {
    if (quiet) return;
    for (const std::string& note : dataset.notes) note_later(note);
}

} // namespace scene

#include "tools/dataset_options.h"

#include <algorithm>

#include <fmt/core.h>

namespace scene {
namespace {

std::vector<std::string> split_at_commas(const std::string& text) {
    std::vector<std::string> parts;
    for (size_t begin = 0; !text.empty() && begin <= text.size();) {
        const size_t comma = std::min(text.find(',', begin), text.size());
        parts.push_back(text.substr(begin, comma - begin));
        begin = comma + 1;
    }
    return parts;
}

} // namespace

DatasetOptions DatasetFlags::options() const {
    DatasetOptions options;
    options.format = format == "csv" ? "table" : format;
    options.audio = audio;
    options.classes = split_at_commas(classes);
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
    arguments.add("--audio", flags.audio, "folder of the audio files (default: beside the metadata)");
    arguments.add_list("--column", flags.columns,
                       "csv: MEANING=HEADER for file, label, city, time, fold, session, device; may be repeated");
    arguments.add("--classes", flags.classes, "csv, folder: class names in order, A,B,C (default: all, sorted)");
}

} // namespace scene

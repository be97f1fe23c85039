#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/formats/dataset.h"
#include "tools/cli/command_line.h"

namespace scene {

/// --format, --audio, --column and --classes: how a dataset is laid out.
struct DatasetFlags {
    std::string format = "auto", audio;
    std::optional<std::string> classes;
    std::vector<std::string> columns;

    /// Throws UsageError, and Error if a file of class names cannot be read.
    DatasetOptions options() const;
};

void add_dataset_options(Arguments& arguments, DatasetFlags& flags);

/// Queues the dataset's notes for stderr (tools/cli/note.h), unless `quiet`.
void note_about(const Dataset& dataset, bool quiet);

} // namespace scene

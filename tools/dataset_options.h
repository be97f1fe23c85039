#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"
#include "tools/command_line.h"

namespace scene {

/// --format, --audio, --column and --classes: how a dataset is laid out.
struct DatasetFlags {
    std::string format = "auto", audio, classes;
    std::vector<std::string> columns;

    /// Throws UsageError.
    DatasetOptions options() const;
};

void add_dataset_options(Arguments& arguments, DatasetFlags& flags);

} // namespace scene

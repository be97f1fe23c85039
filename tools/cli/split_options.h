#pragma once

#include <optional>
#include <string>

#include "tools/cli/command_line.h"
#include "train/config/config.h"

namespace scene {

/// --split and what belongs to it: settings of [split] under shorter names.
struct SplitFlags {
    std::optional<std::string> name, fold, cities, train_list, test_list;
    std::optional<double> labelled_share, test_share;

    bool any() const { return name || fold || labelled_share || test_share || cities || train_list || test_list; }
    /// `settings` with the flags applied. --fold 4 becomes the split "fold:4", --fold all becomes "fold:all", which
    /// scene train takes for every fold in turn. Throws UsageError if flags contradict each other.
    SplitSettings apply(SplitSettings settings) const;
};

void add_split_options(Arguments& arguments, SplitFlags& flags);

} // namespace scene

#pragma once

#include <optional>
#include <string>

#include "data/splits.h"
#include "tools/command_line.h"
#include "train/config.h"

namespace scene {

struct StoreColumns;

/// --split and what belongs to it: settings of [split] under shorter names.
struct SplitFlags {
    std::optional<std::string> name, cities, train_list, test_list;
    std::optional<int64_t> fold;
    std::optional<double> labelled_share, test_share;

    bool any() const { return name || fold || labelled_share || test_share || cities || train_list || test_list; }
    /// `settings` with the flags applied; "fold" and --fold 4 become "fold:4". Throws UsageError when they contradict.
    SplitSettings apply(SplitSettings settings) const;
};

void add_split_options(Arguments& arguments, SplitFlags& flags);

/// The split that `settings` asks for: made from the clips, or read from a file when the name ends in .json.
Split split_of(const StoreColumns& columns, const SplitSettings& settings);

} // namespace scene

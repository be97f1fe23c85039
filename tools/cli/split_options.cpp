#include "tools/cli/split_options.h"

#include <charconv>

#include "kernels/error.h"

namespace scene {
namespace {

void require_fold(const std::string& text) {
    int32_t number = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_number = error == std::errc() && end == text.data() + text.size() && number >= 0;
    if (!is_number && text != "all") throw UsageError(fmt::format("--fold {}: give a fold's number, or all", text));
}

} // namespace

SplitSettings SplitFlags::apply(SplitSettings settings) const {
    if (name) settings.name = *name;
    if (fold) {
        if (name && *name != "fold")
            throw UsageError(fmt::format("--fold goes with --split fold, not with --split {}", *name));
        require_fold(*fold);
        settings.name = "fold:" + *fold;
    } else if (settings.name == "fold") {
        throw UsageError("--split fold needs --fold K, the fold to test on");
    }
    if (labelled_share) {
        if (!settings.name.starts_with("fold:"))
            throw UsageError("--labelled-share goes with --split fold; the other splits define what is labelled");
        settings.labelled_share = *labelled_share;
    }
    if (test_share) {
        if (settings.name != "session" && settings.name != "city")
            throw UsageError("--test-share goes with --split session or city; the other splits define what tests");
        settings.test_share = *test_share;
    }
    if (cities) {
        if (settings.name != "city") throw UsageError("--cities goes with --split city");
        settings.cities = *cities;
    }
    if ((train_list || test_list) && settings.name != "official")
        throw UsageError("--train-list and --test-list go with --split official");
    if (train_list) settings.train_list = *train_list;
    if (test_list) settings.test_list = *test_list;
    return settings;
}

void add_split_options(Arguments& arguments, SplitFlags& flags) {
    arguments.add("--split", flags.name,
                  "simulation, experiment, session, city, official, fold (with --fold), or a split's JSON file");
    arguments.add("--fold", flags.fold, "the fold that tests, the others train; scene train: all, one after the other");
    arguments.add("--labelled-share", flags.labelled_share, "of the other folds' clips: share that keeps its label")
        .range(0, 1);
    arguments.add("--test-share", flags.test_share, "session, city: share of the labelled clips that tests")
        .range(0, 1);
    arguments.add("--cities", flags.cities, "city: those that test, A,B,C; without it they are drawn");
    arguments.add("--train-list", flags.train_list, "official: file with the names of the clips that train");
    arguments.add("--test-list", flags.test_list, "official: file with the names of the clips that test");
}

} // namespace scene

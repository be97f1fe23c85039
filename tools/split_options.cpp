#include "tools/split_options.h"

#include "data/feature_store.h"

namespace scene {

SplitSettings SplitFlags::apply(SplitSettings settings) const {
    if (name) settings.name = *name;
    if (fold) {
        if (name && *name != "fold")
            throw UsageError(fmt::format("--fold goes with --split fold, not with --split {}", *name));
        settings.name = fmt::format("fold:{}", *fold);
    } else if (settings.name == "fold") {
        throw UsageError("--split fold needs --fold K, the fold to test on");
    }
    if (labelled_share) {
        if (!settings.name.starts_with("fold:"))
            throw UsageError("--labelled-share goes with --split fold; the other splits define what is labelled");
        settings.labelled_share = *labelled_share;
    }
    return settings;
}

void add_split_options(Arguments& arguments, SplitFlags& flags) {
    arguments.add("--split", flags.name, "simulation, experiment, fold (with --fold), or a split's JSON file");
    arguments.add("--fold", flags.fold, "the fold that tests; the others train").range(0, 1e6);
    arguments.add("--labelled-share", flags.labelled_share, "of the other folds' clips: share that keeps its label")
        .range(0, 1);
}

Split split_of(const FeatureStore& store, const SplitSettings& settings) {
    if (settings.name.ends_with(".json")) return load_split(settings.name, store.clips());
    return make_split(store.clip_columns(), {settings.name, settings.seed, settings.labelled_share});
}

} // namespace scene

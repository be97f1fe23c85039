#include "train/run/repeats.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "data/store/feature_store.h"
#include "kernels/files/atomic_file.h"
#include "kernels/files/json.h"
#include "train/evaluation/statistic.h"
#include "train/run/run_folder.h"
#include "train/run/stages.h"

namespace scene {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* all_folds = "fold:all";

/// One line per score, class, city or device of any run, in the order of first occurrence.
class Lines {
public:
    explicit Lines(size_t runs) : runs_(runs) {}

    void set(const std::string& name, size_t run, double value) {
        auto found = std::find_if(lines_.begin(), lines_.end(), [&](const auto& line) { return line.name == name; });
        if (found == lines_.end())
            found = lines_.insert(found, {name, std::vector<double>(runs_, LeakedShare::unknown)});
        found->values.at(run) = value;
    }
    std::vector<SummaryLine> take() { return std::move(lines_); }

private:
    size_t runs_;
    std::vector<SummaryLine> lines_;
};

Json lines_json(const std::vector<SummaryLine>& lines) {
    const auto or_null = [](double value) { return std::isfinite(value) ? Json(value) : Json(); };
    Json out = Json::object();
    for (const SummaryLine& line : lines) {
        const Statistic one = statistic(line.values);
        Json values = Json::array();
        for (double value : line.values) values.push_back(or_null(value));
        out[line.name] = {{"mean", or_null(one.mean)}, {"deviation", or_null(one.deviation)}, {"values", values}};
    }
    return out;
}

} // namespace

SplitSettings nth_draw(SplitSettings settings, uint64_t step) {
    const bool drawn = settings.name == "simulation" || settings.name == "session" ||
                       (settings.name == "city" && settings.cities.empty()) ||
                       (settings.name.starts_with("fold:") && settings.labelled_share < 1);
    if (drawn) settings.seed += step;
    return settings;
}

std::vector<int32_t> folds_of(const FeatureStore& store) {
    std::set<int32_t> folds;
    const StoreColumns& columns = store.columns();
    for (size_t clip = 0; clip < columns.label.size(); ++clip)
        if (columns.label[clip] >= 0 && columns.fold[clip] >= 0) folds.insert(columns.fold[clip]);
    if (folds.empty())
        fail("{}: no labelled clip has a fold; give the clips a column 'fold' and prepare the store anew, or choose "
             "another split",
             store.path().string());
    return {folds.begin(), folds.end()};
}

std::vector<Repeat> repeats_of(const RunConfig& base, int64_t seeds, const FeatureStore& store) {
    std::vector<Repeat> folds;
    if (base.split.name == all_folds) {
        for (int32_t fold : folds_of(store)) {
            folds.push_back({fmt::format("fold-{}", fold), base});
            folds.back().config.split.name = fmt::format("fold:{}", fold);
        }
    } else {
        folds.push_back({"", base});
    }
    if (seeds == 0) return folds;
    std::vector<Repeat> out;
    for (const Repeat& fold : folds) {
        for (uint64_t step = 0; step < static_cast<uint64_t>(seeds); ++step) {
            Repeat one = fold;
            one.config.training.seed += step;
            one.config.split = nth_draw(one.config.split, step);
            one.name += fmt::format("{}seed-{}", one.name.empty() ? "" : "-", one.config.training.seed);
            out.push_back(std::move(one));
        }
    }
    return out;
}

Summary summarize(const RunConfig& base, const std::vector<Repeat>& repeats, const std::vector<RunResult>& results,
                  const std::vector<std::string>& classes) {
    SCENE_CHECK(!repeats.empty() && repeats.size() == results.size(), "one result per run");
    Lines scores(results.size()), recalls(results.size()), cities(results.size()), devices(results.size());
    Summary out{system_title(base), base.split.name, {}, {}, {}, {}, {}};
    constexpr double none = LeakedShare::unknown;
    for (size_t run = 0; run < results.size(); ++run) {
        const RunResult& result = results[run];
        out.runs.push_back(repeats[run].name);
        scores.set("train", run, result.train_score);
        scores.set("pseudo", run, result.pseudo_score.value_or(none));
        scores.set("labelled_validation", run, result.labelled_score.value_or(none));
        scores.set("test_balanced_accuracy", run, result.test ? result.test->balanced_accuracy() : none);
        scores.set("test_accuracy", run, result.test ? result.test->accuracy() : none);
        scores.set("leaked_share", run, result.leak.labelled);
        scores.set("leaked_share_with_unlabelled", run, result.leak.any);
        if (!result.test) continue;
        for (size_t c = 0; c < classes.size(); ++c)
            recalls.set(classes[c], run, result.test->recall(static_cast<int64_t>(c)));
        for (const PartScore& part : result.cities) cities.set(part.name, run, part.confusion.balanced_accuracy());
        for (const PartScore& part : result.devices) devices.set(part.name, run, part.confusion.balanced_accuracy());
    }
    out.scores = scores.take();
    out.classes = recalls.take();
    out.cities = cities.take();
    out.devices = devices.take();
    return out;
}

std::string summary_json(const Summary& summary) {
    const Json json = {{"format", "scene.cu summary"},
                       {"version", 1},
                       {"system", summary.system},
                       {"split", summary.split},
                       {"deviation", "sample standard deviation, n - 1"},
                       {"runs", summary.runs},
                       {"scores", lines_json(summary.scores)},
                       {"classes", lines_json(summary.classes)},
                       {"cities", lines_json(summary.cities)},
                       {"devices", lines_json(summary.devices)}};
    return json_text(json) + "\n";
}

Summary train_repeats(Device& device, const FeatureStore& store, const RunConfig& base, int64_t seeds,
                      const std::filesystem::path& run, const Session& session) {
    std::vector<Repeat> repeats = repeats_of(base, seeds, store);
    std::vector<Split> splits; // drawn before anything is trained, so that an impossible one fails at once
    std::string note;
    for (Repeat& one : repeats) {
        splits.push_back(split_of(store.columns(), one.config.split));
        const std::string line = fit_stages(one.config, splits.back());
        if (note.empty()) note = line;
        if (!has_epochs({run / one.name})) check_settings(store, splits.back(), one.config);
    }
    if (!note.empty()) session.progress.message(note);
    if (base.training.hard_samples && base.training.teacher != "train" && repeats.size() > 1)
        session.progress.message(fmt::format("training.teacher = {} weighs the clips of all {} runs; it may have "
                                             "trained on clips that test here",
                                             base.training.teacher, repeats.size()));
    std::vector<RunResult> results;
    for (size_t i = 0; i < repeats.size(); ++i) {
        PrefixedProgress progress(session.progress, repeats[i].name + ": ");
        results.push_back(
            train_system(device, store, splits[i], repeats[i].config, run / repeats[i].name, {progress, session.stop}));
    }
    Summary summary = summarize(base, repeats, results, store.columns().classes);
    write_file(run / "summary.json", summary_json(summary));
    return summary;
}

} // namespace scene

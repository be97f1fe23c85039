// scene evaluate: balanced accuracy and confusion matrix of a model on the labelled clips of a store.

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>

#include <unistd.h>

#include "data/audit/audit.h"
#include "data/store/feature_store.h"
#include "kernels/files/json.h"
#include "model/checkpoint.h"
#include "model/step_runner.h"
#include "tools/cli/options.h"
#include "tools/cli/progress_display.h"
#include "tools/cli/split_options.h"
#include "tools/cli/stop.h"
#include "tools/cli/text_table.h"
#include "tools/commands/adaptation.h"
#include "tools/commands/command.h"
#include "train/evaluation/evaluate.h"
#include "train/evaluation/statistic.h"
#include "train/report/confusion_files.h"
#include "train/run/run_folder.h"
#include "train/run/stages.h"

namespace scene {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct EvaluateOptions {
    CommonOptions common;
    SplitFlags split;
    AdaptationOptions adaptation;
    std::string model, store, clips = "auto";
    std::optional<std::string> out;
    bool untrained = false;
};

/// The clips that are evaluated.
struct Selection {
    std::vector<int32_t> rows;
    std::string split; ///< whose test clips they are; empty: all labelled clips
    std::string description;
    std::vector<int32_t> labelled = {}; ///< the labelled training clips that go with test clips
};

Selection labelled_clips(const FeatureStore& store) {
    Selection selection;
    const std::vector<int32_t>& labels = store.columns().label;
    for (size_t row = 0; row < labels.size(); ++row)
        if (labels[row] >= 0) selection.rows.push_back(static_cast<int32_t>(row));
    selection.description = fmt::format("all {} labelled clips of {}", selection.rows.size(), store.path().string());
    return selection;
}

/// The split that the checkpoint's run trained on, if that run was on this store.
std::optional<Split> split_of_run(const fs::path& checkpoint, const FeatureStore& store) {
    const RunFolder run{checkpoint.parent_path()};
    std::ifstream identity(run.store());
    const std::string text((std::istreambuf_iterator<char>(identity)), std::istreambuf_iterator<char>());
    if (text.find(store_fingerprint(store)) == std::string::npos || !fs::exists(run.split())) return {};
    return load_split(run.split(), store.clips());
}

Selection select_clips(const EvaluateOptions& options, const fs::path& checkpoint, const std::optional<Split>& trained,
                       const FeatureStore& store) {
    if (options.split.any()) {
        const Split split = split_of(store.columns(), options.split.apply({}));
        return {split.test, split.name, fmt::format("the {} test clips of split {}", split.test.size(), split.name),
                split.labelled};
    }
    if (options.clips == "labelled") return labelled_clips(store);
    if (trained && !trained->test.empty())
        return {trained->test, trained->name,
                fmt::format("the {} test clips of {}", trained->test.size(),
                            RunFolder{checkpoint.parent_path()}.split().string()),
                trained->labelled};
    if (options.clips == "test")
        fail("{}: no run on this store with test clips beside it; name them with --split, or use --clips labelled",
             checkpoint.string());
    return labelled_clips(store);
}

/// How much of the evaluated clips and their sessions the model was trained on, whatever split they are from.
struct Exposure {
    LeakedShare leak;
    std::optional<int64_t> trained; ///< evaluated clips that trained; absent if the training is unknown
    std::string text;
};

Exposure exposure(const Selection& selection, const std::optional<Split>& trained, const FeatureStore& store) {
    if (!trained) return {{}, {}, "leaked: unknown (the model's run is not on this store)"};
    Split split = *trained;
    split.test = selection.rows;
    Exposure out{session_leak(store.columns(), split), 0, ""};
    const std::set<int32_t> evaluated(selection.rows.begin(), selection.rows.end());
    for (const auto* part : {&split.labelled, &split.unlabelled})
        for (int32_t clip : *part) *out.trained += evaluated.contains(clip);
    out.text = leak_text(out.leak);
    if (*out.trained > 0) out.text += fmt::format("; {} of the clips trained themselves", *out.trained);
    return out;
}

fs::path temporary_folder() {
    std::error_code error;
    fs::path folder = fs::temp_directory_path(error);
    const char* given = std::getenv("TMPDIR");
    if (error) fail("TMPDIR={}: not a folder for temporary files; set it to one", given ? given : "");
    return folder;
}

/// A checkpoint of the same network with newly initialised parameters. The destructor removes the file.
class UntrainedCheckpoint {
public:
    UntrainedCheckpoint(Device& device, const fs::path& trained, uint64_t seed)
        : path_(temporary_folder() / fmt::format("scene-untrained-{}.safetensors", getpid())) {
        const CheckpointInfo info = read_checkpoint_info(SafetensorsFile(trained));
        StepConfig step;
        step.model = info.model;
        StepRunner runner(device, step, {.training = {}, .inference = 1});
        runner.initialize(seed);
        save_checkpoint(path_, info, runner.executor());
    }
    ~UntrainedCheckpoint() {
        std::error_code ignored;
        fs::remove(path_, ignored);
    }
    UntrainedCheckpoint(const UntrainedCheckpoint&) = delete;
    UntrainedCheckpoint& operator=(const UntrainedCheckpoint&) = delete;

    const fs::path& path() const { return path_; }

private:
    fs::path path_;
};

Json parts_json(const std::vector<PartScore>& parts) {
    Json out = Json::object();
    for (const PartScore& part : parts)
        out[part.name] = {{"balanced_accuracy", part.confusion.balanced_accuracy()},
                          {"accuracy", part.confusion.accuracy()},
                          {"clips", part.confusion.total()}};
    return out;
}

std::string parts_text(const std::string& kind, const std::vector<PartScore>& parts) {
    if (parts.empty()) return "";
    TextTable table({kind, "clips", "balanced accuracy", "accuracy"});
    for (const PartScore& part : parts)
        table.add({part.name, std::to_string(part.confusion.total()),
                   statistic_text({part.confusion.balanced_accuracy()}), statistic_text({part.confusion.accuracy()})});
    return table.text() + "\n";
}

std::string classes_text(const Evaluation& evaluation) {
    TextTable table({"class", "clips", "recall", "precision"});
    for (int64_t truth = 0; truth < evaluation.confusion.classes(); ++truth)
        table.add({evaluation.classes[static_cast<size_t>(truth)], std::to_string(evaluation.confusion.clips(truth)),
                   statistic_text({evaluation.confusion.recall(truth)}),
                   statistic_text({evaluation.confusion.precision(truth)})});
    return table.text() + "\n";
}

/// Classes of the model without an evaluated clip.
std::vector<std::string> absent_classes(const Evaluation& evaluation) {
    std::vector<std::string> absent;
    for (int64_t truth = 0; truth < evaluation.confusion.classes(); ++truth)
        if (evaluation.confusion.clips(truth) == 0) absent.push_back(evaluation.classes[static_cast<size_t>(truth)]);
    return absent;
}

/// Writes the matrix into a folder, which it creates if necessary.
void save_confusion(const fs::path& folder, const Evaluation& evaluation, const std::string& title) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) fail("--out {}: cannot create the folder: {}", folder.string(), error.message());
    write_confusion(folder, evaluation.confusion, evaluation.classes, title);
}

Json to_json(const Evaluation& evaluation, const Selection& selection, const Exposure& exposure) {
    const Confusion& confusion = evaluation.confusion;
    Json per_class = Json::object(), matrix = Json::array();
    for (int64_t truth = 0; truth < confusion.classes(); ++truth) {
        per_class[evaluation.classes[static_cast<size_t>(truth)]] = {{"recall", confusion.recall(truth)},
                                                                     {"precision", confusion.precision(truth)},
                                                                     {"clips", confusion.clips(truth)}};
        Json row = Json::array();
        for (int64_t predicted = 0; predicted < confusion.classes(); ++predicted)
            row.push_back(confusion.count(truth, predicted));
        matrix.push_back(row);
    }
    return {{"balanced_accuracy", confusion.balanced_accuracy()},
            {"accuracy", confusion.accuracy()},
            {"clips", confusion.total()},
            {"evaluated", selection.description},
            {"split", selection.split.empty() ? Json() : Json(selection.split)},
            {"leaked_share", exposure.leak.labelled},
            {"leaked_share_with_unlabelled", exposure.leak.any},
            {"evaluated_clips_that_trained", exposure.trained ? Json(*exposure.trained) : Json()},
            {"classes", evaluation.classes},
            {"classes_without_clips", absent_classes(evaluation)},
            {"per_class", per_class},
            {"per_city", parts_json(evaluation.cities)},
            {"per_device", parts_json(evaluation.devices)},
            {"confusion", matrix}};
}

int run(const EvaluateOptions& options) {
    const fs::path checkpoint = find_checkpoint(options.model);
    const FeatureStore store = FeatureStore::open(options.store);
    store.require_numbers();
    const std::optional<Split> trained = split_of_run(checkpoint, store);
    const Selection selection = select_clips(options, checkpoint, trained, store);
    if (selection.rows.empty()) fail("{}: no labelled clips to evaluate on", options.store);
    const bool adapt = options.adaptation.adapt;
    if (adapt) check_adaptation(options.adaptation.settings);
    if (adapt && selection.labelled.empty())
        fail("--adapt needs the labelled training clips that go with the test clips: give the store that the run was "
             "trained on, or --split");
    const auto device = open_device(options.common.runtime(), options.common.quiet);
    std::optional<UntrainedCheckpoint> untrained;
    if (options.untrained) untrained.emplace(*device, checkpoint, options.common.seed.value_or(1234));
    ProgressDisplay progress(options.common.quiet);
    const GracefulStop stop;
    const Session session{progress, stop.flag()};
    const auto evaluated = [&](const std::vector<int32_t>& rows) {
        return evaluate(*device, untrained ? untrained->path() : checkpoint, store, rows, session, 64, adapt);
    };
    const Evaluation evaluation = evaluated(selection.rows);
    const Exposure known = exposure(selection, trained, store);
    const std::string title = fmt::format("{}{} on {}; {}", checkpoint.string(),
                                          options.untrained ? ", untrained," : "", selection.description, known.text);
    if (options.out) save_confusion(*options.out, evaluation, title);
    std::optional<AdaptationResult> adaptation;
    if (adapt)
        adaptation =
            compare_adaptation(*device, evaluation, evaluated(selection.labelled), options.adaptation.settings);
    if (options.common.json) {
        Json json = to_json(evaluation, selection, known);
        if (adaptation) json["adaptation"] = adaptation_json(*adaptation);
        fmt::print("{}\n", json_text(json));
        return 0;
    }
    fmt::print("{}\n\n{}\n{}{}{}", title, confusion_table(evaluation.confusion, evaluation.classes),
               classes_text(evaluation), parts_text("city", evaluation.cities),
               parts_text("device", evaluation.devices));
    fmt::print("balanced accuracy {:.4f}, accuracy {:.4f}; {}, {}\n", evaluation.confusion.balanced_accuracy(),
               evaluation.confusion.accuracy(), selection.split.empty() ? "labelled clips" : "split " + selection.split,
               known.text);
    if (const std::vector<std::string> absent = absent_classes(evaluation); !absent.empty())
        fmt::print("over {} of the model's {} classes; no clip is of {}\n", evaluation.classes.size() - absent.size(),
                   evaluation.classes.size(), fmt::join(absent, ", "));
    if (adaptation) fmt::print("\n{}", adaptation_table(*adaptation));
    return 0;
}

} // namespace

void add_evaluate_command(CommandLine& line) {
    const auto options = std::make_shared<EvaluateOptions>();
    Arguments arguments = line.add_command(
        "evaluate", "Balanced accuracy of a run or a checkpoint, per class, city and device; confusion matrix.",
        "Examples:\n  scene evaluate runs/s4 cas.store\n"
        "  scene evaluate runs/s4/best_model_1.safetensors cas.store --json\n"
        "  scene evaluate runs/s4 cas.store --out pictures\n"
        "  scene evaluate runs/s4 cas.store --adapt --adapt-neighbours 25\n"
        "Without --split or --clips: the test clips of the run that the checkpoint lies in; where there are none, all "
        "labelled clips of the store.\n"
        "The store's classes are matched with the model's by name. It may have some of them: the scores are over "
        "those, "
        "and a prediction of another one is wrong.",
        [options] { return run(*options); });
    arguments.add("model", options->model, "run folder (its last stage's best model) or checkpoint file").required();
    arguments.add("store", options->store, "feature store made by scene prepare").required();
    arguments.add("--clips", options->clips, "test: of the checkpoint's run; labelled: all of the store")
        .choices({"auto", "test", "labelled"});
    arguments.add("--out", options->out, "folder for the confusion matrix: confusion.txt, .csv and .svg");
    add_split_options(arguments, options->split);
    arguments.add_flag("--untrained", options->untrained, "the same network before training: the level of chance");
    add_adaptation_options(arguments, options->adaptation);
    add_common_options(arguments, options->common);
}

} // namespace scene

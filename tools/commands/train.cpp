// scene train: one system on one store, all stages, into a run folder.

#include <memory>

#include "data/store/feature_store.h"
#include "kernels/files/json.h"
#include "tools/cli/note.h"
#include "tools/cli/options.h"
#include "tools/cli/progress_display.h"
#include "tools/cli/split_options.h"
#include "tools/cli/stop.h"
#include "tools/commands/command.h"
#include "tools/commands/convolution_report.h"
#include "tools/commands/summary_text.h"
#include "train/run/repeats.h"
#include "train/run/stages.h"
#include "train/run/trainer.h"

namespace scene {
namespace {

using Json = nlohmann::ordered_json;

struct TrainOptions {
    CommonOptions common;
    ConfigOptions config;
    SplitFlags split;
    std::string store, run, init;
    int64_t seeds = 0;
};

Json to_json(const RunResult& result) {
    Json json = {{"system", result.system},
                 {"split", result.split},
                 {"leaked_share", result.leak.labelled},
                 {"leaked_share_with_unlabelled", result.leak.any},
                 {"train_score", result.train_score}};
    if (result.pseudo_score) json["pseudo_score"] = *result.pseudo_score;
    if (result.labelled_score) json["labelled_score"] = *result.labelled_score;
    if (result.test) {
        json["test_balanced_accuracy"] = result.test->balanced_accuracy();
        json["test_accuracy"] = result.test->accuracy();
        json["test_clips"] = result.test->total();
    }
    json["hard_clips"] = result.hard_clips;
    json["checkpoint"] = result.checkpoint.string();
    json["was_complete"] = result.was_complete;
    return json;
}

void print(const RunResult& result, const Split& split, const std::string& run, int64_t stages) {
    if (result.was_complete) fmt::print("{} was complete already\n", run);
    fmt::print("System {} on split {}: {} labelled, {} unlabelled, {} test clips\n", result.system, split.name,
               split.labelled.size(), split.unlabelled.size(), split.test.size());
    fmt::print("  stage 1 (labelled clips)    validation balanced accuracy {:.3f}\n", result.train_score);
    if (result.pseudo_score)
        fmt::print(
            "  stage {} (and pseudo labels) validation balanced accuracy {:.3f} with pseudo labels as truth, {:.3f} "
            "on labelled clips\n",
            stages, *result.pseudo_score, result.labelled_score.value_or(0));
    if (result.test)
        fmt::print("  test                        balanced accuracy {:.3f} on {} clips of split {}, {}\n",
                   result.test->balanced_accuracy(), result.test->total(), result.split, leak_text(result.leak));
    fmt::print("  best model                  {}\n", result.checkpoint.string());
    fmt::print("  report                      {}/report.html\n", run);
}

void note_failures(const Planner& planner, bool quiet) {
    const ConvReport report = planner.conv2d_report();
    for (const std::string& line : {failures_line(report), left_out_line(report)})
        if (!line.empty() && !quiet) note_later(line);
}

int run(const TrainOptions& options) {
    RunConfig config = load_config(options.config, options.common);
    config.split = options.split.apply(config.split);
    if (!options.init.empty()) config.training.init = options.init;
    check_config(config);
    const FeatureStore store = FeatureStore::open(options.store);
    store.require_numbers();
    const bool repeated = options.seeds > 0 || config.split.name == "fold:all";
    std::optional<Split> split;
    if (!repeated) split = split_of(store.columns(), config.split);
    const auto device = open_device(config.runtime, options.common.quiet);
    ProgressDisplay progress(options.common.quiet);
    const GracefulStop stop;
    if (repeated) {
        const Summary summary =
            train_repeats(*device, store, config, options.seeds, options.run, {progress, stop.flag()});
        note_failures(device->planner(), options.common.quiet);
        if (options.common.json)
            fmt::print("{}", summary_json(summary));
        else
            fmt::print("{}\nsummary: {}/summary.json\n", summary_text(summary), options.run);
        return 0;
    }
    const RunResult result = train_system(*device, store, *split, config, options.run, {progress, stop.flag()});
    note_failures(device->planner(), options.common.quiet);
    if (options.common.json)
        fmt::print("{}\n", json_text(to_json(result)));
    else
        print(result, *split, options.run, config.training.stages);
    return 0;
}

} // namespace

void add_train_command(CommandLine& line) {
    const auto options = std::make_shared<TrainOptions>();
    Arguments arguments = line.add_command(
        "train", "Train one system: labelled clips, then pseudo labels. Resumes where it stopped.",
        "Examples:\n  scene train cas.store --config configs/system4.toml --split simulation --run runs/s4\n"
        "  scene train esc10.store --config configs/system4.toml --split fold --fold 4 --labelled-share 0.2 \\\n"
        "      --run runs/esc10 --set model.width=0.25 --seed 1\n"
        "  scene train esc10.store --config configs/system4.toml --split fold --fold all --seeds 5 --run runs/folds\n"
        "  scene train cas.store --config configs/system1.toml --run runs/tuned --init runs/tau\n"
        "With --seeds or --fold all each run has a folder of its own inside --run; summary.json has mean and sample "
        "standard deviation.\n"
        "After Ctrl-C or a crash the same command goes on; with more training.epochs or another training.early_stop a "
        "finished run does too. A store without unlabelled clips has stage 1 only.\n"
        "--seed is training.seed; the split has its own, split.seed.",
        [options] { return run(*options); });
    arguments.add("store", options->store, "feature store made by scene prepare").required();
    arguments.add("--run,-r", options->run, "run folder; new, or the one to resume").required();
    arguments.add("--seeds", options->seeds, "so many runs, training.seed and (where drawn) split.seed counting up")
        .range(1, 1000);
    arguments.add("--init", options->init,
                  "start from this checkpoint, run or PyTorch weights, without its classifier");
    add_config_options(arguments, options->config, true);
    add_split_options(arguments, options->split);
    add_common_options(arguments, options->common);
}

} // namespace scene

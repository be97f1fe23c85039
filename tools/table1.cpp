// scene table1: Systems #1 to #4 on both splits, beside the paper's Table I.

#include <memory>

#include "data/feature_store.h"
#include "tools/command.h"
#include "tools/options.h"
#include "tools/progress_display.h"
#include "tools/stop.h"
#include "train/table1.h"

namespace scene {
namespace {

struct Table1Options {
    CommonOptions common;
    ConfigOptions config;
    std::string store, run;
};

int run(const Table1Options& options) {
    const RunConfig config = load_config(options.config, options.common);
    const FeatureStore store = FeatureStore::open(options.store);
    const auto backend = open_backend(config.runtime, options.common.quiet);
    ProgressDisplay progress(options.common.quiet);
    const GracefulStop stop;
    const std::vector<Table1Row> rows = run_table1(*backend, store, config, options.run, {progress, stop.flag()});
    fmt::print("{}\n", options.common.json ? table1_json(rows) : table1_markdown(rows));
    return 0;
}

} // namespace

void add_table1_command(CommandLine& line) {
    const auto options = std::make_shared<Table1Options>();
    Arguments arguments = line.add_command(
        "table1", "Train Systems #1 to #4 on the simulation and experiment splits; print them beside the paper.",
        "Examples:\n  scene table1 cas.store --run runs/table1\n"
        "  scene table1 cas.store --run runs/quick --set model.width=0.25 --set training.epochs=5\n"
        "After Ctrl-C or a crash the same command goes on.",
        [options] { return run(*options); });
    arguments.add("store", options->store, "feature store made by scene prepare").required();
    arguments.add("--run,-r", options->run, "folder for the eight runs; new, or the one to resume").required();
    add_config_options(arguments, options->config, false);
    add_common_options(arguments, options->common);
}

} // namespace scene

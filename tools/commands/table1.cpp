// scene table1: Systems #1 to #4 on the paper's splits and the session split, beside the paper's Table I.

#include <algorithm>
#include <memory>

#include "data/store/feature_store.h"
#include "tools/cli/options.h"
#include "tools/cli/progress_display.h"
#include "tools/cli/stop.h"
#include "tools/commands/command.h"
#include "train/run/table1.h"

namespace scene {
namespace {

struct Table1Given {
    CommonOptions common;
    ConfigOptions config;
    std::string store, run, splits;
    int64_t seeds = 1;
};

/// "simulation,session" as a list.
std::vector<std::string> split_names(const std::string& text) {
    std::vector<std::string> names;
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find(',', begin), text.size());
        const std::string name = text.substr(begin, end - begin);
        if (name.empty() || std::find(names.begin(), names.end(), name) != names.end())
            throw UsageError(fmt::format("--splits {}: names of splits with commas between them, each once", text));
        names.push_back(name);
        begin = end + 1;
    }
    return names;
}

int run(const Table1Given& options) {
    const RunConfig config = load_config(options.config, options.common);
    const Table1Options table_options{split_names(options.splits), options.seeds};
    const FeatureStore store = FeatureStore::open(options.store);
    store.require_numbers();
    const auto device = open_device(config.runtime, options.common.quiet);
    ProgressDisplay progress(options.common.quiet);
    const GracefulStop stop;
    const Table1 table = run_table1(*device, store, config, table_options, options.run, {progress, stop.flag()});
    fmt::print("{}", options.common.json ? table1_json(table) : table1_markdown(table));
    return 0;
}

} // namespace

void add_table1_command(CommandLine& line) {
    const auto options = std::make_shared<Table1Given>();
    Arguments arguments = line.add_command(
        "table1", "Train Systems #1 to #4 on the paper's splits and the session split; print them beside the paper.",
        "Examples:\n  scene table1 cas.store --run runs/table1\n"
        "  scene table1 cas.store --run runs/quick --set model.width=0.25 --set training.epochs=5\n"
        "  scene table1 cas.store --run runs/table1 --splits simulation,session --seeds 5\n"
        "Stage 2 chooses its epoch by labelled clips; --set training.choose_by=paper follows the paper's protocol.\n"
        "After Ctrl-C or a crash the same command goes on.",
        [options] { return run(*options); });
    arguments.add("store", options->store, "feature store made by scene prepare").required();
    arguments.add("--run,-r", options->run, "folder for the runs; new, or the one to resume").required();
    arguments.add("--splits", options->splits, "A,B,C; default: simulation,experiment and, if possible, session");
    arguments.add("--seeds", options->seeds, "mean and deviation over so many seeds").range(1, 1000);
    add_config_options(arguments, options->config, false);
    add_common_options(arguments, options->common);
}

} // namespace scene

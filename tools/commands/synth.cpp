// scene synth: makes a synthetic dataset.

#include <memory>

#include "data/synth/synth.h"
#include "kernels/files/json.h"
#include "tools/cli/options.h"
#include "tools/cli/progress_display.h"
#include "tools/cli/stop.h"
#include "tools/commands/command.h"
#include "train/progress.h"

namespace scene {
namespace {

struct SynthGiven {
    CommonOptions common;
    SynthOptions synth;
    std::string out;
    double difficulty = 1, session_effect = 1;
};

/// Everything that makes the task hard, scaled together.
SceneDifficulty scaled_difficulty(double factor) {
    SceneDifficulty difficulty;
    const auto scale = static_cast<float>(factor);
    difficulty.prominence_db += 14 * (1 - scale);
    difficulty.overlap *= scale;
    difficulty.level_spread_db *= scale;
    difficulty.coloration_db *= scale;
    difficulty.distractors *= scale;
    return difficulty;
}

int run(const SynthGiven& given) {
    ProgressDisplay progress(given.common.quiet);
    const GracefulStop stop;
    SynthOptions options = given.synth;
    options.seed = given.common.seed.value_or(options.seed);
    options.threads = static_cast<int>(given.common.runtime().threads);
    options.difficulty = scaled_difficulty(given.difficulty);
    options.difficulty.session_effect = static_cast<float>(given.session_effect);
    options.stop = &stop.flag();
    progress.begin("synth", options.clips);
    options.progress = [&](int64_t done, int64_t) { progress.advance(done); };
    const SynthReport report = synthesize(given.out, options);
    progress.end();
    if (!report.complete) throw Interrupted(fmt::format("{}: stopped, nothing was kept", given.out));
    if (given.common.json)
        fmt::print("{}\n", json_text(nlohmann::ordered_json{{"dataset", given.out},
                                                            {"clips", report.clips},
                                                            {"labelled", report.labelled},
                                                            {"sessions", report.sessions}}));
    else
        fmt::print("{}: {} clips from {} sessions, {} labelled\n", given.out, report.clips, report.sessions,
                   report.labelled);
    return 0;
}

} // namespace

void add_synth_command(CommandLine& line) {
    const auto given = std::make_shared<SynthGiven>();
    Arguments arguments = line.add_command("synth", "Make a synthetic dataset: ten scenes in the layout of CAS2023.",
                                           "Examples:\n  scene synth scenes --clips 600 --labelled 0.2 --seconds 10\n"
                                           "  scene synth leaky --clips 600 --clips-per-session 10 --difficulty 2 "
                                           "--session-effect 2\n"
                                           "In the second, a random split scores far above a session split.",
                                           [given] { return run(*given); });
    arguments.add("out", given->out, "folder to make").required();
    arguments.add("--clips", given->synth.clips, "how many").required().range(1, 1e7);
    arguments.add("--labelled", given->synth.labelled, "share of the clips whose label is told (default: 0.2)")
        .range(0, 1);
    arguments.add("--seconds", given->synth.seconds, "length of a clip (default: 10)").range(0.5, 3600);
    arguments.add("--clips-per-session", given->synth.clips_per_session, "clips cut from one recording (default: 10)")
        .range(1, 1e6);
    arguments
        .add("--difficulty", given->difficulty, "0: scenes as written, alike in every session; 1 (default); 2: hard")
        .range(0, 3);
    arguments
        .add("--session-effect", given->session_effect,
             "0: every session has the same room, microphone and gain; 1 (default); 4: very different ones")
        .range(0, 4);
    add_common_options(arguments, given->common);
}

} // namespace scene

// scene plan and scene bench: the numbers that must hold.

#include <map>
#include <sstream>

#include "kernels/files/json.h"
#include "tests/tools/small_run.h"
#include "tools/bench/calibration.h"

namespace scene::test {
namespace {

using nlohmann::json;

json plan(const std::string& config_text, const std::vector<std::string>& more = {}) {
    const TemporaryFolder folder;
    write_text(folder / "config.toml", config_text);
    std::vector<std::string> arguments = {"plan", "--config", folder / "config.toml", "--device", "cpu", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = scene_command(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return parse_json(outcome.out);
}

// reference: 17.96 GFLOP forward per clip of the full-width FCNN, all convolutions, 2 per multiply-add.
TEST(Plan, FcnnHasThePublishedArithmetic) {
    for (const char* batch : {"1", "16"}) {
        const json totals = plan("system = \"4\"\n", {"--batch", batch}).at("totals");
        EXPECT_NEAR(totals.at("forward_flops_per_clip").get<double>(), 17.96e9, 0.005 * 17.96e9);
        EXPECT_GT(totals.at("backward_flops_per_clip").get<double>(), 1.9 * 17.96e9);
    }
}

TEST(Plan, SeTransHasThePublishedParameters) {
    EXPECT_EQ(plan("system = \"1\"\n[model]\nmultimodal = \"off\"\n").at("totals").at("parameters"), 340842);
    EXPECT_EQ(plan("system = \"1\"\n[model]\nmultimodal = \"on\"\n").at("totals").at("parameters"), 361946);
}

TEST(Plan, TheArenaIsAtMostOnePercentAboveTheLowerBound) {
    for (const char* system : {"system = \"1\"\n", "system = \"4\"\n"}) {
        for (const bool inference : {false, true}) {
            std::vector<std::string> more = {"--batch", "16"};
            if (inference) more.push_back("--inference");
            const json totals = plan(system, more).at("totals");
            const double transient = totals.at("transient_bytes"), bound = totals.at("lower_bound_bytes");
            EXPECT_GT(bound, 0);
            EXPECT_GE(transient, bound);
            EXPECT_LE(transient, 1.01 * bound) << system << (inference ? "inference" : "training");
            EXPECT_EQ(totals.at("arena_bytes").get<double>(), totals.at("variable_bytes").get<double>() + transient);
        }
    }
}

TEST(Plan, OpsCarryShapesOffsetsAndCosts) {
    const json program = plan("system = \"4\"\n", {"--batch", "3"});
    const double arena = program.at("totals").at("arena_bytes");
    double flops = 0;
    std::map<std::string, int> phases;
    for (const json& op : program.at("ops")) {
        EXPECT_FALSE(op.at("name").get<std::string>().empty());
        ++phases[op.at("phase")];
        if (op.at("phase") == "forward") flops += op.at("flops").get<double>();
        if (op.contains("offset")) {
            EXPECT_LE(op.at("offset").get<double>() + op.at("bytes").get<double>(), arena) << op.at("name");
        }
    }
    EXPECT_GT(phases["forward"], 20);
    EXPECT_GT(phases["backward"], phases["forward"] / 2);
    EXPECT_GT(phases["update"], 0);
    EXPECT_NEAR(flops / 3, program.at("totals").at("forward_flops_per_clip").get<double>(), 1.0);
}

TEST(Plan, ShowsAugmentationInTrainingOnly) {
    const auto augmenting = [](const std::string& section, const std::vector<std::string>& more) {
        std::vector<std::string> kinds;
        const json program = plan("system = \"1\"\n[augmentation]\n" + section, more);
        for (const json& op : program.at("ops"))
            if (op.at("name").get<std::string>().starts_with("augment.")) kinds.push_back(op.at("kind"));
        return kinds;
    };
    using Kinds = std::vector<std::string>;
    EXPECT_EQ(augmenting("preset = \"panns\"\n", {}),
              (Kinds{"draw_augmentation", "band_moments", "augment_features", "mix_targets"}));
    EXPECT_EQ(augmenting("gain_db = 3\n", {}), (Kinds{"draw_augmentation", "augment_features"}));
    EXPECT_EQ(augmenting("preset = \"panns\"\n", {"--inference"}), Kinds{});
    EXPECT_EQ(augmenting("preset = \"none\"\n", {}), Kinds{});
}

TEST(Plan, TheTableNamesTheTotals) {
    const Outcome outcome = scene_command({"plan", "--config", small_run().config, "--quiet"});
    ASSERT_EQ(outcome.status, 0);
    for (const char* part : {"parameters", "forward per clip", "arena", "lower bound", "GFLOP", "#"})
        EXPECT_NE(outcome.out.find(part), std::string::npos) << part;
}

TEST(Bench, MeasuresInItsOwnProcessAndReportsEveryFigure) {
    const Outcome outcome =
        scene_command({"bench", "--filter", "logmel", "--repetitions", "2", "--threads", "1", "--json", "--quiet"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const json entries = parse_json(outcome.out);
    ASSERT_EQ(entries.size(), 1u);
    const json& entry = entries.at(0);
    EXPECT_EQ(entry.at("name"), "logmel");
    EXPECT_GT(entry.at("median_ms").get<double>(), 0);
    EXPECT_NEAR(entry.at("clips_per_s").get<double>() * entry.at("median_ms").get<double>(), 16e3, 1);
    // 16 clips of 441,000 samples are 28 MB; the process that holds them needs less than half a gigabyte.
    EXPECT_GT(entry.at("peak_bytes").get<double>(), 28e6);
    EXPECT_LT(entry.at("peak_bytes").get<double>(), 500e6);
    EXPECT_GT(entry.at("share_of_peak").get<double>(), 0);
    EXPECT_GT(entry.at("share_of_copy").get<double>(), 0);
    EXPECT_GT(entry.at("peak_gflops").get<double>(), 0);
    EXPECT_GT(entry.at("clock_ghz").get<double>(), 0);
    EXPECT_TRUE(entry.at("calibration_plausible").is_boolean()); // may be false on a busy machine
}

/// Between a fifth of two full-width multiply-adds per cycle and 1.1 times that.
TEST(Bench, ACalibrationIsPlausibleWithinWhatAProcessorCanDo) {
    const auto plausible = [](int threads, double flop_per_cycle) {
        return Calibration{.threads = threads, .flop_per_cycle = flop_per_cycle, .flop_per_cycle_max = 64}.plausible();
    };
    EXPECT_FALSE(plausible(2, 12.7));
    EXPECT_TRUE(plausible(2, 12.9));
    EXPECT_TRUE(plausible(2, 70.3));
    EXPECT_FALSE(plausible(2, 70.5));
    EXPECT_TRUE(plausible(0, 1e6)) << "a GPU's is not counted in cycles";
}

TEST(Bench, ListsOpsOfAStep) {
    const Outcome outcome =
        scene_command({"bench", "--filter", "se_trans_infer_b16", "--repetitions", "1", "--ops", "--json", "--quiet"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const json entry = parse_json(outcome.out).at(0);
    double share = 0;
    for (const json& op : entry.at("ops")) share += op.at("share_of_step").get<double>();
    EXPECT_GT(entry.at("ops").size(), 20u);
    EXPECT_NEAR(share, 1, 1e-6);
}

TEST(Bench, AnUnknownNameIsAnErrorThatListsTheNames) {
    EXPECT_TRUE(fails_with(scene_command({"bench", "--filter", "nothing", "--quiet"}), 1, "logmel"));
}

TEST(Bench, AnErrorOfTheMeasuringProcessIsOneLine) {
    EXPECT_TRUE(fails_with(scene_command({"bench", "--filter", "logmel_cufft_b4", "--device", "cpu", "--quiet"}), 1,
                           "log-mel by cuFFT needs a GPU"));
}

TEST(Bench, ServesRepetitionsByLine) {
    const Outcome outcome = scene_command({"bench", "--serve", "--quiet"}, "run logmel\nrun logmel\nrun x\nwhat\n");
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    std::istringstream lines(outcome.out);
    std::vector<json> answers;
    for (std::string line; std::getline(lines, line);) answers.push_back(parse_json(line));
    ASSERT_EQ(answers.size(), 4u);
    EXPECT_EQ(answers[0].at("name"), "logmel");
    EXPECT_GT(answers[1].at("seconds").get<double>(), 0);
    EXPECT_TRUE(answers[2].contains("error"));
    EXPECT_TRUE(answers[3].contains("error"));
}

} // namespace
} // namespace scene::test

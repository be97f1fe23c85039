// scene train, table1 and evaluate as a user meets them.

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "kernels/files/json.h"
#include "tests/tools/small_run.h"

namespace scene::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

TEST(Train, LeavesTheFilesOfARun) {
    const SmallRun& small = small_run();
    for (const char* name : {"config.toml", "metrics.jsonl", "best_model_1.safetensors", "best_model_2.safetensors",
                             "last.safetensors", "pseudo_labels.csv", "predictions.csv", "report.html"})
        EXPECT_TRUE(fs::exists(fs::path(small.run) / name)) << name;
}

TEST(Train, ACompleteRunIsNotRunAgain) {
    const SmallRun& small = small_run();
    const std::string before = read_text(fs::path(small.run) / "best_model_2.safetensors");
    const Outcome again = scene_command(small.train(small.run, {"--json"}));
    ASSERT_EQ(again.status, 0) << again.err;
    const json result = parse_json(again.out);
    EXPECT_TRUE(result.at("was_complete").get<bool>());
    EXPECT_GE(result.at("train_score").get<double>(), 0);
    EXPECT_LE(result.at("pseudo_score").get<double>(), 1);
    EXPECT_EQ(result.at("test_clips"), small.test_clips());
    EXPECT_EQ(read_text(fs::path(small.run) / "best_model_2.safetensors"), before);
}

TEST(Train, SeveralSeedsGiveASummary) {
    const SmallRun& small = small_run();
    const TemporaryFolder folder;
    std::vector<std::string> once = small.train(folder / "runs", {"--seeds", "2", "--quiet"});
    const Outcome text = scene_command(once);
    ASSERT_EQ(text.status, 0) << text.err;
    for (const char* part : {"seed-1234", "seed-1235", "split simulation", "2 runs", "n - 1", "1.000", "Metro"})
        EXPECT_NE(text.out.find(part), std::string::npos) << part << "\n" << text.out;
    once.push_back("--json");
    const Outcome again = scene_command(once);
    EXPECT_EQ(again.out, read_text(folder / "runs" / "summary.json"));
    const json summary = parse_json(again.out);
    EXPECT_EQ(summary.at("scores").at("leaked_share").at("mean"), 1) << "one session per scene";
    EXPECT_EQ(summary.at("scores").at("test_balanced_accuracy").at("values").size(), 2u);
    EXPECT_TRUE(fails_with(scene_command(small.train(folder / "folds", {"--seeds", "0"})), 2, "--seeds"));
    const Outcome foldless = scene_command({"train", small.store, "--config", small.config, "--split", "fold", "--fold",
                                            "all", "--run", folder / "folds", "--quiet"});
    EXPECT_TRUE(fails_with(foldless, 1, "has a fold"));
    EXPECT_TRUE(fails_with(scene_command({"train", small.store, "--config", small.config, "--split", "fold", "--fold",
                                          "some", "--run", folder / "folds"}),
                           2, "--fold some"));
}

TEST(Train, AFlagThatConfigTomlCouldNotHoldIsRefusedBeforeThereIsARun) {
    const SmallRun& small = small_run();
    const TemporaryFolder folder;
    const Outcome outcome =
        scene_command({"train", small.store, "--config", small.config, "--split", "official", "--train-list",
                       "a\nb.csv", "--test-list", "c.csv", "--run", folder / "run"});
    EXPECT_TRUE(fails_with(outcome, 1, "split.train_list"));
    EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST(Train, OtherSettingsInTheSameRunFolderAreRefused) {
    const SmallRun& small = small_run();
    EXPECT_TRUE(fails_with(scene_command(small.train(small.run, {"--seed", "7", "--quiet"})), 1, "training.seed"));
}

TEST(Train, AnUnwritableRunFolderIsOneLine) {
    const SmallRun& small = small_run();
    EXPECT_TRUE(fails_with(scene_command(small.train("/proc/run")), 1, "/proc/run"));
    const TemporaryFolder folder;
    write_text(folder / "file", "x");
    EXPECT_TRUE(fails_with(scene_command(small.train(folder / "file" / "run", {"--quiet"})), 1, "file/run"));
}

TEST(Train, ProgressTellsTheTeacherFromTheStudent) {
    const SmallRun& small = small_run();
    const TemporaryFolder folder;
    const Outcome outcome = scene_command(small.train(folder / "run", {"--set", "training.hard_samples=true"}));
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    for (const char* part :
         {"teacher: a System #1 comes first", "teacher: stage 1 epoch  1  loss", "student: stage 1 epoch  1  loss",
          "student: stage 2 epoch  1  loss", "student: pseudo labels"})
        EXPECT_NE(outcome.err.find(part), std::string::npos) << part << " is not in\n" << outcome.err;
    EXPECT_EQ(outcome.err.find("\nstage"), std::string::npos) << outcome.err;
    const Outcome alone = scene_command(small.train(folder / "alone"));
    EXPECT_NE(alone.err.find("\nstage 2 epoch  1"), std::string::npos) << alone.err;
    EXPECT_EQ(alone.err.find("student"), std::string::npos) << alone.err;
}

TEST(Train, CtrlCThenTheSameCommandGivesTheSameBits) {
    const SmallRun& small = small_run();
    const TemporaryFolder folder;
    const std::string run = folder / "run";
    const auto between_the_stages = [&] { // one line of two
        const std::string log = read_text(fs::path(run) / "metrics.jsonl");
        return std::count(log.begin(), log.end(), '\n') == 1;
    };
    Outcome interrupted;
    for (bool caught = false; !caught;) {
        fs::remove_all(run);
        Command command(small.train(run, {"--quiet"}));
        caught = command.interrupt_while(between_the_stages);
        interrupted = command.wait();
        ASSERT_TRUE(caught || interrupted.status == 0) << interrupted.err;
    }
    EXPECT_TRUE(fails_with(interrupted, 130, "same command"));
    EXPECT_FALSE(fs::exists(fs::path(run) / "predictions.csv"));
    const Outcome resumed = scene_command(small.train(run, {"--quiet"}));
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    for (const char* name : {"best_model_1.safetensors", "best_model_2.safetensors", "predictions.csv"})
        EXPECT_EQ(read_text(fs::path(run) / name), read_text(fs::path(small.run) / name)) << name;
}

TEST(Table1, RefusesAnUnwritableFolder) {
    const SmallRun& small = small_run();
    EXPECT_TRUE(fails_with(scene_command({"table1", small.store, "--run", "/proc/t", "--quiet"}), 1, "/proc/t"));
}

json evaluate(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"evaluate"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    arguments.insert(arguments.end(), {"--json", "--quiet"});
    const Outcome outcome = scene_command(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return parse_json(outcome.out);
}

TEST(Evaluate, ARunIsScoredOnItsTestClips) {
    const SmallRun& small = small_run();
    const json result = evaluate({small.run, small.store});
    const size_t classes = result.at("classes").size();
    ASSERT_EQ(classes, 10u);
    EXPECT_EQ(result.at("clips"), small.test_clips());
    EXPECT_EQ(result.at("per_class").size(), classes);
    ASSERT_EQ(result.at("confusion").size(), classes);
    // The scores must follow from the matrix.
    double recalls = 0, present = 0, right = 0, total = 0;
    for (size_t truth = 0; truth < classes; ++truth) {
        double clips = 0;
        for (const json& count : result.at("confusion").at(truth)) clips += count.get<double>();
        const double hits = result.at("confusion").at(truth).at(truth);
        right += hits, total += clips;
        if (clips > 0) recalls += hits / clips, ++present;
    }
    EXPECT_NEAR(result.at("balanced_accuracy").get<double>(), recalls / present, 1e-9);
    EXPECT_NEAR(result.at("accuracy").get<double>(), right / total, 1e-9);
    // The split is random over clips, and the synthetic sessions have ten each.
    EXPECT_EQ(result.at("split"), "simulation");
    EXPECT_GT(result.at("leaked_share").get<double>(), 0.5);
    EXPECT_EQ(result.at("evaluated_clips_that_trained"), 0);
    // The same clips as the run's own test at its end.
    const json run = parse_json(scene_command(small.train(small.run, {"--json", "--quiet"})).out);
    EXPECT_NEAR(result.at("balanced_accuracy").get<double>(), run.at("test_balanced_accuracy").get<double>(), 1e-9);
    EXPECT_EQ(result.at("leaked_share"), run.at("leaked_share"));
    EXPECT_EQ(run.at("split"), "simulation");
}

TEST(Evaluate, ACheckpointFileAndOtherClipsAreAccepted) {
    const SmallRun& small = small_run();
    const std::string checkpoint = fs::path(small.run) / "best_model_2.safetensors";
    EXPECT_EQ(evaluate({checkpoint, small.store}), evaluate({small.run, small.store}));
    EXPECT_EQ(evaluate({checkpoint, small.store, "--clips", "labelled"}).at("clips"), SmallRun::labelled);
    EXPECT_EQ(evaluate({checkpoint, small.store, "--split", "simulation"}).at("clips"), small.test_clips());
}

TEST(Evaluate, EveryResultLineNamesSplitAndLeak) {
    const SmallRun& small = small_run();
    const json audit = parse_json(scene_command({"audit", small.store, "--json", "--quiet"}).out);
    const json result = evaluate({small.run, small.store});
    EXPECT_NEAR(result.at("leaked_share").get<double>(), audit.at("leaked_share").get<double>(), 1e-12);
    const std::string leak = fmt::format("leaked {:.3f}", audit.at("leaked_share").get<double>());
    for (const auto& command : {small.train(small.run, {"--quiet"}), {"evaluate", small.run, small.store, "--quiet"}}) {
        const Outcome outcome = scene_command(command);
        EXPECT_NE(outcome.out.find("split simulation, " + leak), std::string::npos) << outcome.out;
    }
    for (const char* file : {"report.html", "result.json"})
        EXPECT_NE(read_text(fs::path(small.run) / file).find("leaked"), std::string::npos) << file;
    // Clips that are not the run's test clips: some of them trained the model, and this is reported.
    const json other = evaluate({small.run, small.store, "--clips", "labelled"});
    EXPECT_GT(other.at("evaluated_clips_that_trained").get<int>(), 0);
    EXPECT_TRUE(other.at("split").is_null());
    // A checkpoint outside its run folder: what trained it is unknown.
    const TemporaryFolder folder;
    fs::copy_file(fs::path(small.run) / "best_model_2.safetensors", folder / "model.safetensors");
    const json away = evaluate({folder / "model.safetensors", small.store});
    EXPECT_TRUE(away.at("leaked_share").is_null());
    EXPECT_TRUE(away.at("evaluated_clips_that_trained").is_null());
}

TEST(Evaluate, TablesPerClassAndCityAndTheMatrixAsFiles) {
    const SmallRun& small = small_run();
    const TemporaryFolder folder;
    const Outcome outcome = scene_command({"evaluate", small.run, small.store, "--out", folder / "a" / "b", "--quiet"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    for (const char* part : {"precision", "city", "Metro"})
        EXPECT_NE(outcome.out.find(part), std::string::npos) << part;
    for (const char* name : {"confusion.csv", "confusion.svg", "confusion.txt"}) {
        const std::string here = read_text(folder / "a" / "b" / name), trained = read_text(fs::path(small.run) / name);
        EXPECT_FALSE(here.empty()) << name;
        if (std::string(name) == "confusion.csv") { EXPECT_EQ(here, trained); }
    }
    const json result = evaluate({small.run, small.store});
    int64_t clips = 0;
    for (const auto& [city, score] : result.at("per_city").items()) clips += score.at("clips").get<int64_t>();
    EXPECT_EQ(clips, result.at("clips"));
    EXPECT_TRUE(result.at("per_device").empty());
    write_text(folder / "file", "x");
    EXPECT_TRUE(fails_with(scene_command({"evaluate", small.run, small.store, "--out", folder / "file", "--quiet"}), 1,
                           "--out"));
}

TEST(Evaluate, AnUntrainedNetworkKnowsNothing) {
    const SmallRun& small = small_run();
    std::set<json> matrices;
    for (const char* seed : {"1", "2", "3", "4"}) {
        const json result = evaluate({small.run, small.store, "--untrained", "--clips", "labelled", "--seed", seed});
        EXPECT_LE(result.at("balanced_accuracy").get<double>(), 0.2);
        matrices.insert(result.at("confusion"));
    }
    EXPECT_GT(matrices.size(), 1u) << "the seed of the first parameters changes nothing";
}

/// The small run's clips of some classes, with new names for the classes.
std::string store_of_classes(const TemporaryFolder& folder, const std::map<std::string, std::string>& names) {
    const SmallRun& small = small_run();
    std::ifstream truth(fs::path(small.audio) / "truth.csv");
    std::string line, file, label;
    std::getline(truth, line);
    while (std::getline(truth, line)) {
        std::stringstream fields(line);
        std::getline(fields, file, ',');
        std::getline(fields, label, ',');
        const auto name = names.find(label);
        if (name == names.end()) continue;
        fs::create_directories(folder / "audio" / name->second);
        fs::copy_file(fs::path(small.audio) / "audio" / (file + ".wav"),
                      folder / "audio" / name->second / (file + ".wav"));
    }
    const Outcome prepared = scene_command(small.prepare(folder / "audio", folder / "store"));
    EXPECT_EQ(prepared.status, 0) << prepared.err;
    return folder / "store";
}

TEST(Evaluate, AStoreMayHaveSomeOfTheModelsClasses) {
    const SmallRun& small = small_run();
    const TemporaryFolder folder;
    const std::string store = store_of_classes(folder, {{"Bus", "Bus"}, {"Bar", "Bar"}});
    const json result = evaluate({small.run, store});
    EXPECT_EQ(result.at("classes").size(), 10u);
    EXPECT_EQ(result.at("classes_without_clips").size(), 8u);
    const double bus = result.at("per_class").at("Bus").at("recall"),
                 bar = result.at("per_class").at("Bar").at("recall");
    EXPECT_NEAR(result.at("balanced_accuracy").get<double>(), (bus + bar) / 2, 1e-6);
    const Outcome text = scene_command({"evaluate", small.run, store, "--quiet"});
    EXPECT_NE(text.out.find("over 2 of the model's 10 classes; no clip is of "), std::string::npos) << text.out;
    EXPECT_EQ(scene_command({"evaluate", small.run, small.store, "--clips", "labelled", "--quiet"}).out.find("over "),
              std::string::npos);
}

TEST(Evaluate, ClassesThatTheModelDoesNotKnowAreNamed) {
    const TemporaryFolder folder;
    const std::string store = store_of_classes(folder, {{"Bus", "Coach"}, {"Bar", "Bar"}, {"Metro", "metro"}});
    EXPECT_TRUE(
        fails_with(scene_command({"evaluate", small_run().run, store, "--quiet"}), 1, "classes Coach, metro of"));
}

TEST(Evaluate, AFileThatIsNoCheckpointIsOneLine) {
    const SmallRun& small = small_run();
    EXPECT_TRUE(fails_with(scene_command({"evaluate", small.config, small.store}), 1, small.config));
    EXPECT_TRUE(fails_with(scene_command({"evaluate", small.run, small.config, "--quiet"}), 1, small.config));
}

} // namespace
} // namespace scene::test

// What every command shares: help, usage errors, devices, exit statuses.

#include "kernels/cuda/gpu.h"
#include "kernels/files/json.h"
#include "tests/tools/small_run.h"

namespace scene::test {
namespace {

using nlohmann::json;

const std::vector<std::string> commands = {"synth",    "prepare", "audit", "train", "table1",
                                           "evaluate", "predict", "plan",  "bench", "info"};

TEST(Usage, EveryCommandHasHelpWithAnExampleAndTheCommonOptions) {
    for (const std::string& command : commands) {
        const Outcome outcome = scene_command({command, "--help"});
        EXPECT_EQ(outcome.status, 0) << command;
        EXPECT_EQ(outcome.err, "") << command;
        for (const std::string& part :
             {std::string("Example"), "scene " + command, std::string("--device"), std::string("--precision"),
              std::string("--threads"), std::string("--seed"), std::string("--quiet"), std::string("--json")})
            EXPECT_NE(outcome.out.find(part), std::string::npos) << command << " lacks " << part;
    }
}

TEST(Usage, HelpAndVersionAreAnswersOnStdout) {
    const Outcome help = scene_command({"--help"}), version = scene_command({"--version"});
    EXPECT_EQ(help.status, 0);
    for (const std::string& command : commands) EXPECT_NE(help.out.find(command), std::string::npos) << command;
    EXPECT_EQ(version.status, 0);
    EXPECT_TRUE(version.out.starts_with("scene ")) << version.out;
}

TEST(Usage, WrongArgumentsExitWith2AndOneLine) {
    EXPECT_TRUE(fails_with(scene_command({}), 2, "scene --help"));
    EXPECT_TRUE(fails_with(scene_command({"listen"}), 2, "scene --help"));
    EXPECT_TRUE(fails_with(scene_command({"info", "--colour"}), 2, "scene info --help"));
    EXPECT_TRUE(fails_with(scene_command({"train"}), 2, "scene train --help"));
    EXPECT_TRUE(fails_with(scene_command({"info", "--threads", "many"}), 2, "--threads"));
    EXPECT_TRUE(fails_with(scene_command({"info", "--device", "tpu"}), 2, "tpu"));
    EXPECT_TRUE(fails_with(scene_command({"plan", "--config", "x.toml", "--batch", "0"}), 2, "--batch"));
    const SmallRun& small = small_run();
    EXPECT_TRUE(fails_with(scene_command(small.train(small.folder / "r", {"--fold", "1"})), 2, "--split fold"));
}

TEST(Usage, AMistypedWordGetsAHint) {
    const auto hint = [](const std::vector<std::string>& arguments, const std::string& meant) {
        return fails_with(scene_command(arguments), 2, "; did you mean '" + meant + "'?; see 'scene ");
    };
    EXPECT_TRUE(hint({"trian", "x.store", "--config", "x.toml"}, "train"));
    EXPECT_TRUE(hint({"eval", "run", "store"}, "evaluate"));
    EXPECT_TRUE(hint({"Predict", "m", "x.wav"}, "predict"));
    EXPECT_TRUE(hint({"help"}, "--help"));
    EXPECT_TRUE(hint({"--versoin"}, "--version"));
    EXPECT_TRUE(hint({"train", "--hlep"}, "--help"));
    EXPECT_TRUE(hint({"train", "x.store", "--run", "r", "--confg", "x.toml"}, "--config"));
    EXPECT_TRUE(hint({"train", "x.store", "--epohcs", "3"}, "--set training.epochs=..."));
    EXPECT_TRUE(hint({"plan", "--widht=0.5"}, "--set model.width=..."));
    EXPECT_TRUE(hint({"predict", "m", "x.wav", "--fromat=csv"}, "--format"));
    const std::vector<std::vector<std::string>> unlike_any{{"listen"}, {"info", "--colour"}, {"info", "-z"}, {"x"}};
    for (const std::vector<std::string>& far : unlike_any)
        EXPECT_EQ(scene_command(far).err.find("did you mean"), std::string::npos) << far.back();
    EXPECT_TRUE(fails_with(scene_command({"--json", "info"}), 2, "'--json' before the command"));
}

TEST(Usage, AFileThatLooksLikeAnOptionGetsAHint) {
    const TemporaryFolder folder;
    for (const std::string name : {"-x.wav", "-q", "-c.wav", "--out"}) { // -q and --out are options too
        write_text(folder / name, "");
        const std::string command = "cd '" + folder.path().string() + "' && '" + scene_binary().string() +
                                    "' predict model '" + name + "' 2> err";
        EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 2) << name;
        const std::string said = read_text(folder / "err");
        EXPECT_TRUE(is_one_error_line(said));
        EXPECT_NE(said.find("is written ./" + name), std::string::npos) << said;
    }
    EXPECT_TRUE(fails_with(scene_command({"predict", "model", "-none.wav"}), 2, "is written ./-none.wav"));
}

TEST(Usage, MissingFilesExitWith1AndNameThem) {
    const SmallRun& small = small_run();
    const std::string missing = small.folder / "missing";
    EXPECT_TRUE(fails_with(scene_command({"plan", "--config", missing}), 1, missing));
    EXPECT_TRUE(fails_with(scene_command({"prepare", missing, small.folder / "out"}), 1, missing));
    EXPECT_TRUE(fails_with(scene_command({"train", missing, "--config", small.config, "--run", small.folder / "r"}), 1,
                           missing));
    EXPECT_TRUE(fails_with(scene_command({"evaluate", missing, small.store}), 1, missing));
    EXPECT_TRUE(fails_with(scene_command({"table1", missing, "--run", small.folder / "r"}), 1, missing));
}

TEST(Usage, AConfigurationMistakeNamesItsKey) {
    const SmallRun& small = small_run();
    const auto with = [&](const std::string& set) {
        return scene_command(small.train(small.folder / "r", {"--set", set}));
    };
    EXPECT_TRUE(fails_with(with("training.epoch=3"), 1, "training.epoch"));
    EXPECT_TRUE(fails_with(with("traning.epochs=3"), 1, "did you mean 'training.epochs'?"));
    EXPECT_TRUE(fails_with(with("training.epochs=many"), 1, "training.epochs"));
    EXPECT_TRUE(fails_with(with("model.width=-1"), 1, "model.width"));
}

TEST(Usage, CudaIsRefusedInOneLineWhereThereIsNoGpu) {
    const SmallRun& small = small_run();
    if (!cuda_unavailable_reason().empty()) {
        EXPECT_TRUE(fails_with(scene_command({"plan", "--config", small.config, "--device", "cuda"}), 1,
                               "--device cuda: " + cuda_unavailable_reason()));
    }
    for (const std::string precision : {"fp16", "bf16"})
        EXPECT_TRUE(
            fails_with(scene_command({"plan", "--config", small.config, "--device", "cpu", "--precision", precision}),
                       1, precision));
}

TEST(Usage, AutoTakesTheCpuWithoutAWordWhereThereIsNoGpu) {
    if (built_with_cuda() && std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "there is a GPU";
    const SmallRun& small = small_run();
    for (const std::string device : {"auto", "cpu"}) {
        const Outcome outcome = scene_command({"plan", "--config", small.config, "--device", device});
        EXPECT_EQ(outcome.status, 0) << device;
        EXPECT_EQ(outcome.err, "") << device;
    }
}

TEST(Usage, InfoTellsBuildDevicesAndLibraries) {
    const Outcome outcome = scene_command({"info", "--json"});
    ASSERT_EQ(outcome.status, 0);
    const json info = parse_json(outcome.out);
    EXPECT_FALSE(info.at("version").get<std::string>().empty());
    EXPECT_FALSE(info.at("build").at("compiler").get<std::string>().empty());
    EXPECT_EQ(info.at("build").at("cuda").get<bool>(), built_with_cuda());
    EXPECT_EQ(info.at("devices").size(), cuda_unavailable_reason().empty() ? 2u : 1u);
    EXPECT_EQ(info.at("devices").at(0).at("kind"), "cpu");
    EXPECT_GT(info.at("devices").at(0).at("memory_bytes").get<double>(), 1e8);
    EXPECT_TRUE(info.at("libraries").contains("libsndfile"));
}

/// So scene starts on a machine without a driver or cuDNN.
TEST(Usage, NoLibraryOfCudaIsNeededToStart) {
    const TemporaryFolder folder;
    const std::string list = folder / "libraries";
    ASSERT_EQ(std::system(("ldd '" + scene_binary().string() + "' > '" + list + "'").c_str()), 0);
    const std::string libraries = read_text(list);
    EXPECT_NE(libraries.find("libfmt"), std::string::npos) << libraries;
    for (const char* name : {"libcuda", "libcudnn", "libcublas", "libnvrtc"})
        EXPECT_EQ(libraries.find(name), std::string::npos) << libraries;
}

} // namespace
} // namespace scene::test

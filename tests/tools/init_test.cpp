// scene train --init as a user meets it.

#include "tests/tools/small_run.h"

namespace scene::test {
namespace {

TEST(Init, StartsFromARunWithoutItsClassifierAndSaysSo) {
    const SmallRun& small = small_run();
    const TemporaryFolder folder;
    const auto command = small.train(folder / "run", {"--init", small.run, "--set", "training.stages=1"});
    const Outcome outcome = scene_command(command);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("best_model_2.safetensors (checkpoint of scene)"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("not loaded, first values instead: head.classifier.weight, head.classifier.bias"),
              std::string::npos)
        << outcome.err;
    EXPECT_NE(read_text(folder / "run/config.toml").find("init = \"" + small.run), std::string::npos);
    EXPECT_EQ(scene_command(command).status, 0) << "complete already";
    EXPECT_TRUE(fails_with(scene_command(small.train(folder / "run", {"--set", "training.stages=1", "--quiet"})), 1,
                           "training.init"));
}

TEST(Init, WhatDoesNotFitIsOneLine) {
    const SmallRun& small = small_run();
    const TemporaryFolder folder;
    const auto refused = [&](const std::string& init, const std::string& part) {
        return fails_with(
            scene_command(small.train(folder / "run", {"--quiet", "--init", init, "--set", "model.width=0.25"})), 1,
            part);
    };
    EXPECT_TRUE(refused(small.run, "SE-Trans of width 0.125"));
    EXPECT_TRUE(refused(folder / "nothing", "no such checkpoint"));
    EXPECT_TRUE(refused(small.store, "not a checkpoint"));
    EXPECT_TRUE(refused(small.config, "small.toml"));
}

} // namespace
} // namespace scene::test

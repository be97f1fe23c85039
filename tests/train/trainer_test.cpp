#include "train/trainer.h"

#include <fstream>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"

namespace scene::test {
namespace {

TEST(Trainer, RunsBothStagesAndLearns) {
    const TemporaryFolder folder;
    const FeatureStore store = small_store(folder / "store.safetensors");
    const auto backend = make_cpu_backend(0);
    Recorder recorder;
    const std::atomic<bool> stop{false};
    RunConfig config = small_config(2);
    config.training.epochs = 6;
    const RunResult result =
        train_system(*backend, store, split_of(store, config), config, folder / "run", {recorder, stop});
    for (const EpochRecord& r : recorder.epochs)
        printf("%ld %ld loss %.3f train %.3f val %.3f %.3f lab %.3f\n", r.stage, r.epoch, r.train_loss,
               r.train_balanced_accuracy, r.validation_loss, r.validation_balanced_accuracy, r.validation_labelled);
    printf("%f\n", result.test->balanced_accuracy());
    EXPECT_GT(result.test->balanced_accuracy(), 0.8);
}

} // namespace
} // namespace scene::test

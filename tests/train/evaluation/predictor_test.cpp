#include "train/evaluation/predictor.h"

#include <cmath>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"
#include "train/run/trainer.h"

namespace scene::test {
namespace {

/// The fit rule of the store is saved in the checkpoint and applied by the predictor.
TEST(Predictor, FillsShortClipsAsTheStoresWereFilled) {
    const TemporaryFolder folder;
    const FeatureStore looped = small_store(folder / "looped", {.clips = 30});
    StoreColumns columns = looped.columns();
    columns.fit = "zero";
    write_feature_store(folder / "zeros", columns, looped.logmel());
    const FeatureStore zeros = FeatureStore::open(folder / "zeros");
    RunConfig config = small_config(2);
    config.training.epochs = config.training.stages = 1;
    const auto device = make_cpu_device(1);
    Recorder recorder;
    const std::atomic<bool> stop{false};
    std::vector<float> half, with_zeros, twice;
    for (int i = 0; i < zeros.spec().samples / 2; ++i) half.push_back(0.2f * std::sin(0.05f * static_cast<float>(i)));
    with_zeros = twice = half;
    with_zeros.resize(2 * half.size());
    twice.insert(twice.end(), half.begin(), half.end());
    for (const FeatureStore* store : {&looped, &zeros}) {
        const auto run = folder / store->columns().fit;
        const auto checkpoint =
            train_system(*device, *store, split_of(*store, config), config, run, {recorder, stop}).checkpoint;
        Predictor predictor(*device, checkpoint);
        const auto of = [&](const std::vector<float>& wave) {
            return predictor.predict(std::vector<PredictorClip>{{wave, "", ""}});
        };
        EXPECT_NE(of(with_zeros), of(twice));
        EXPECT_EQ(of(half), of(store == &zeros ? with_zeros : twice));
    }
}

} // namespace
} // namespace scene::test

#include "train/training_session.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/support/half_width_device.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"
#include "train/config/step_config.h"
#include "train/run/stages.h"
#include "train/run/trainer.h"

namespace scene::test {
namespace {

class TrainingSessionTest : public testing::Test {
protected:
    TrainingSessionTest() : store_(small_store(folder_ / "store", {.clips = 30, .labelled_of_ten = 10})) {
        step_.model = model_for(small_config(2).model, store_);
        step_.batch = 8;
        clips_.resize(30);
        std::iota(clips_.begin(), clips_.end(), 0);
        split_.labelled = clips_;
    }
    std::unique_ptr<TrainingSession> ready(const std::vector<int64_t>& batches = {8, 6}) {
        auto training = std::make_unique<TrainingSession>(*device_, store_, step_, batches, store_.columns().city);
        training->initialize(1);
        if (!batches.empty()) training->restart_optimizer(1);
        training->set_targets(stage_targets(store_, split_, {}));
        return training;
    }
    static void silent(int64_t) {}

    TemporaryFolder folder_;
    FeatureStore store_;
    std::unique_ptr<Device> device_ = make_cpu_device(1);
    StepConfig step_;
    Split split_;
    std::vector<int32_t> clips_;
};

TEST_F(TrainingSessionTest, MetricsStartFromZeroInEveryPass) {
    const auto training = ready();
    for (int pass = 0; pass < 3; ++pass) {
        const PassResult trained = training->train(clips_, 0, silent);
        EXPECT_EQ(trained.confusion.total(), 30);
        EXPECT_LT(trained.loss_sum / 30, 10);
        training->prepare_inference();
        const PassResult first = training->infer(clips_, silent), second = training->infer(clips_, silent);
        EXPECT_EQ(second.confusion.total(), 30);
        EXPECT_EQ(second.loss_sum, first.loss_sum);
        EXPECT_EQ(second.confusion, first.confusion);
    }
}

/// BF16 has the range of float.
TEST_F(TrainingSessionTest, OnlyF16StartsWithALossScale) {
    const auto first_scale = [&](Device& device) {
        TrainingSession training(device, store_, step_, {8}, store_.columns().city);
        training.restart_optimizer(1);
        StepControl control;
        training.executor().download(Segment::State, tables::control, &control, sizeof control);
        return control.loss_scale;
    };
    HalfWidthDevice<DType::F16> half;
    HalfWidthDevice<DType::BF16> bfloat;
    EXPECT_EQ(first_scale(half), LossScaling{}.first);
    EXPECT_EQ(first_scale(bfloat), 1.0f);
    EXPECT_EQ(first_scale(*device_), 1.0f);
}

TEST_F(TrainingSessionTest, EveryClipTrainsOnceAndTheRemainderIsASmallerBatch) {
    const auto training = ready();
    std::vector<int64_t> done;
    const PassResult result = training->train(clips_, 1e-3, [&](int64_t clips) { done.push_back(clips); });
    EXPECT_EQ(done, (std::vector<int64_t>{8, 16, 24, 30}));
    for (int64_t truth = 0; truth < 3; ++truth) EXPECT_EQ(result.confusion.clips(truth), 10);
    StepControl control;
    training->executor().download(Segment::State, "control", &control, sizeof control);
    EXPECT_EQ(control.step, 4u);
    EXPECT_EQ(control.cursor, 30u);
}

TEST_F(TrainingSessionTest, PaddedInferenceGivesEveryClipItsOwnAnswer) {
    const auto training = ready({});
    training->prepare_inference();
    const PassResult all = training->infer(clips_, silent);
    EXPECT_EQ(all.confusion.total(), 30);
    const std::vector<float> together = training->probabilities();
    const std::vector<int32_t> some{29, 3, 4};
    EXPECT_EQ(training->infer(some, silent).confusion.total(), 3);
    const std::vector<float> apart = training->probabilities();
    for (int32_t clip : some) {
        for (int64_t k = 0; k < 3; ++k) {
            const auto at = static_cast<size_t>(clip * 3 + k);
            EXPECT_NEAR(apart[at], together[at], 1e-6);
        }
    }
    EXPECT_EQ(training->infer({}, silent).confusion.total(), 0);
}

TEST_F(TrainingSessionTest, ClipsWithoutTargetsAreNotCounted) {
    split_.labelled = {0, 1, 2, 3};
    const auto training = ready({});
    training->prepare_inference();
    EXPECT_EQ(training->infer(clips_, silent).confusion.total(), 4);
}

TEST_F(TrainingSessionTest, WeightsScaleTheLoss) {
    const auto training = ready({});
    training->prepare_inference();
    const double once = training->infer(clips_, silent).loss_sum;
    training->set_weights(std::vector<float>(30, 2.5f));
    EXPECT_NEAR(training->infer(clips_, silent).loss_sum, 2.5 * once, 1e-4 * once);
}

TEST_F(TrainingSessionTest, HardWeightsKnownAnswer) {
    const auto training = ready({});
    std::vector<float> probabilities(90, 0.0f);
    const std::vector<int32_t> members{4, 7};
    probabilities[4 * 3 + 1] = 0.5f;
    probabilities[7 * 3 + 2] = 1.0f;
    training->set_hard_weights(probabilities, members, Confidence::MaxSoftmax);
    const std::vector<float> weights = training->weights();
    EXPECT_NEAR(weights[4], 4.0 / 3, 1e-6);
    EXPECT_NEAR(weights[7], 2.0 / 3, 1e-6);
    EXPECT_EQ(weights[0], 1.0f);
}

/// With several threads, the order of a reduction must not depend on the scheduling.
TEST_F(TrainingSessionTest, TheSameBitsTwiceOnTwoThreads) {
    device_ = make_cpu_device(2);
    const std::vector<int32_t> batch(clips_.begin(), clips_.begin() + 8);
    std::vector<float> parameters[2];
    for (auto& values : parameters) {
        const auto training = ready();
        training->train(batch, 1e-2, silent);
        for (const Variable* one : training->executor().variables().all(Segment::Parameters)) {
            std::vector<float> part(static_cast<size_t>(one->shape.elements()));
            training->executor().download(Segment::Parameters, one->name, part.data(), part.size() * sizeof(float));
            values.insert(values.end(), part.begin(), part.end());
        }
    }
    EXPECT_TRUE(parameters[0] == parameters[1]);
    device_ = make_cpu_device(1); // the number of threads outlives the device
}

TEST_F(TrainingSessionTest, ABrokenLossIsReported) {
    const auto training = ready();
    EXPECT_TRUE(training->train(clips_, 1e-3, silent).finite);
    EXPECT_FALSE(training->train(clips_, 1e30, silent).finite);
}

TEST_F(TrainingSessionTest, ABrokenGradientIsReportedEvenIfTheLossIsFinite) {
    const auto training = ready();
    // Losses are about 2; up to 11 per clip their weighted values are finite. A gradient overflows in the backward
    // pass: with each of 20 seeds it did for weights from 1e37 on.
    training->set_weights(std::vector<float>(30, 3e37f));
    const PassResult result = training->train(clips_, 1e-3, silent);
    EXPECT_TRUE(std::isfinite(result.loss_sum));
    EXPECT_FALSE(result.finite);
}

TEST_F(TrainingSessionTest, StopsWhenProgressThrows) {
    const auto training = ready();
    EXPECT_THROW(training->train(clips_, 1e-3, [](int64_t) { throw std::runtime_error("stop"); }), std::runtime_error);
    EXPECT_EQ(training->train(clips_, 1e-3, silent).confusion.total(), 30) << "and starts anew";
}

} // namespace
} // namespace scene::test

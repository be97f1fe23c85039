#include "train/evaluation/evaluate.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <numeric>

#include <gtest/gtest.h>

#include "data/formats/record_time.h"
#include "model/checkpoint.h"
#include "tests/support/expect_error.h"
#include "tests/support/log_mel.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/small_store.h"
#include "train/evaluation/predictor.h"
#include "train/run/trainer.h"

namespace scene::test {
namespace {

/// A store with cities and times, and a System #2 trained on it for one epoch of one stage.
class TrainedModel : public testing::Test {
protected:
    TrainedModel() : store_(small_store(folder_ / "store", {.places = true})) {
        RunConfig config = small_config(2);
        config.training.epochs = 1;
        config.training.stages = 1;
        checkpoint_ =
            train_system(*device_, store_, split_of(store_, config), config, folder_ / "run", session_).checkpoint;
        rows_.resize(static_cast<size_t>(store_.clips()));
        std::iota(rows_.begin(), rows_.end(), 0);
    }

    TemporaryFolder folder_;
    FeatureStore store_;
    std::unique_ptr<Device> device_ = make_cpu_device(1);
    Recorder recorder_;
    std::atomic<bool> stop_{false};
    Session session_{recorder_, stop_};
    std::filesystem::path checkpoint_;
    std::vector<int32_t> rows_;
};

TEST_F(TrainedModel, EvaluatesWhatIsLabelledAndGivesProbabilitiesOfAll) {
    const Evaluation all = evaluate(*device_, folder_ / "run", store_, rows_, session_);
    const auto labelled = std::count_if(store_.columns().label.begin(), store_.columns().label.end(),
                                        [](int32_t label) { return label >= 0; });
    EXPECT_EQ(all.confusion.total(), labelled);
    EXPECT_EQ(all.classes, store_.columns().classes);
    ASSERT_EQ(all.probabilities.size(), rows_.size() * 3);
    for (size_t row = 0; row < rows_.size(); ++row) {
        const float* p = all.probabilities.data() + 3 * row;
        EXPECT_NEAR(p[0] + p[1] + p[2], 1, 1e-5);
    }
    const std::vector<int32_t> some{7, 3, 58};
    const Evaluation part = evaluate(*device_, checkpoint_, store_, some, session_, 2);
    for (size_t i = 0; i < some.size(); ++i)
        for (size_t k = 0; k < 3; ++k)
            EXPECT_NEAR(part.probabilities[3 * i + k], all.probabilities[3 * static_cast<size_t>(some[i]) + k], 1e-6);
    stop_ = true;
    EXPECT_THROW(evaluate(*device_, checkpoint_, store_, rows_, session_), Interrupted);
}

TEST_F(TrainedModel, StoresOfAnotherKindAreRefused) {
    const FeatureStore classes = small_store(folder_ / "classes", {.classes = 4, .places = true});
    EXPECT_TRUE(fails_with([&] { evaluate(*device_, checkpoint_, classes, rows_, session_); },
                           {checkpoint_.string(), "does not know the class class 3 of " + classes.path().string(),
                            "it knows class 0, class 1, class 2", "prepare a store"}));
    StoreColumns columns = store_.columns();
    columns.spec.low_hz = 10;
    write_feature_store(folder_ / "features", columns, store_.logmel());
    const FeatureStore features = FeatureStore::open(folder_ / "features");
    EXPECT_TRUE(fails_with([&] { evaluate(*device_, checkpoint_, features, rows_, session_); },
                           {checkpoint_.string(), "features", "prepare the store anew"}));
    EXPECT_TRUE(fails_with([&] { evaluate(*device_, folder_.path(), store_, rows_, session_); }, {"train first"}));
    EXPECT_TRUE(fails_with([&] { evaluate(*device_, folder_ / "no", store_, rows_, session_); }, {"no such"}));
}

TEST_F(TrainedModel, CitiesAreMatchedByNameAndUnknownOnesAreUnknown) {
    const Evaluation before = evaluate(*device_, checkpoint_, store_, rows_, session_);
    StoreColumns columns = store_.columns();
    columns.cities = {"Nowhere", "Jinan", "Xi'an"}; // the same cities in another order, and a new one
    for (int32_t& city : columns.city) city = city < 0 ? -1 : 2 - city;
    columns.city[0] = 0; // "Nowhere", which the model does not know; was unknown
    ASSERT_EQ(store_.columns().city[0], -1);
    write_feature_store(folder_ / "reordered", columns, store_.logmel());
    const FeatureStore reordered = FeatureStore::open(folder_ / "reordered");
    EXPECT_EQ(evaluate(*device_, checkpoint_, reordered, rows_, session_).probabilities, before.probabilities);
}

/// Copies of store_ with other class names, and labels mapped by `label_of`.
class OtherClasses : public TrainedModel {
protected:
    FeatureStore with(const std::vector<std::string>& classes, const std::vector<int32_t>& label_of) {
        StoreColumns columns = store_.columns();
        columns.classes = classes;
        for (int32_t& label : columns.label) label = label < 0 ? -1 : label_of.at(static_cast<size_t>(label));
        write_feature_store(folder_ / "other", columns, store_.logmel());
        return FeatureStore::open(folder_ / "other");
    }
    Evaluation evaluated(const FeatureStore& store) { return evaluate(*device_, checkpoint_, store, rows_, session_); }
};

TEST_F(OtherClasses, AreMatchedByNameInAnyOrder) {
    const Evaluation same = evaluated(store_);
    ASSERT_EQ(same.classes, (std::vector<std::string>{"class 0", "class 1", "class 2"}));
    EXPECT_EQ(same.truth, store_.columns().label);
    const FeatureStore turned = with({"class 2", "class 0", "class 1"}, {1, 2, 0});
    ASSERT_NE(turned.columns().label, store_.columns().label);
    const Evaluation other = evaluated(turned);
    EXPECT_EQ(other.classes, same.classes);
    EXPECT_EQ(other.truth, same.truth);
    EXPECT_EQ(other.confusion, same.confusion);
    EXPECT_EQ(other.cities, same.cities);
    EXPECT_FALSE(other.cities.empty());
    EXPECT_EQ(other.devices, same.devices);
    EXPECT_EQ(other.probabilities, same.probabilities);
}

TEST_F(OtherClasses, ThatAreSomeOfTheModelsGiveScoresOverThose) {
    const Evaluation all = evaluated(store_);
    const Evaluation some = evaluated(with({"class 2", "class 1"}, {-1, 1, 0}));
    ASSERT_EQ(some.confusion.classes(), 3);
    EXPECT_EQ(some.confusion.clips(0), 0);
    for (int64_t predicted = 0; predicted < 3; ++predicted)
        for (int64_t truth = 1; truth < 3; ++truth)
            EXPECT_EQ(some.confusion.count(truth, predicted), all.confusion.count(truth, predicted));
    EXPECT_DOUBLE_EQ(some.confusion.balanced_accuracy(), (all.confusion.recall(1) + all.confusion.recall(2)) / 2);
    EXPECT_EQ(some.probabilities, all.probabilities);
}

TEST_F(OtherClasses, ThatTheModelDoesNotKnowAreNamedWhereAClipIsOfThem) {
    EXPECT_TRUE(fails_with(
        [&] {
            evaluated(with({"class 0", "x", "class 3"}, {0, 1, 2}));
        },
        {checkpoint_.string(), "the classes ", "x", "class 3", "it knows class 0, class 1, class 2"}));
    EXPECT_TRUE(fails_with(
        [&] {
            evaluated(with({"Class 0", "class 1", "class 2"}, {0, 1, 2}));
        },
        {"does not know the class Class 0 of"}));
    const FeatureStore unused = with({"x", "class 0", "class 1", "class 2"}, {1, 2, 3});
    EXPECT_EQ(evaluated(unused).confusion, evaluated(store_).confusion);
}

TEST_F(TrainedModel, EverySettingOfTheFeaturesMustBeTheModels) {
    const std::function<void(LogMelSpec&)> others[] = {
        [](LogMelSpec& spec) { spec.sample_rate = 48000; },
        [](LogMelSpec& spec) { spec.n_fft = 4096; },
        [](LogMelSpec& spec) { spec.window = 1000; },
        [](LogMelSpec& spec) { spec.hop = 441; },
        [](LogMelSpec& spec) { spec.low_hz = 51; },
        [](LogMelSpec& spec) { spec.top_db = 60; },
        [](LogMelSpec& spec) { spec.samples += 1; },
        [](LogMelSpec& spec) { std::swap(spec.frames, spec.bands); }, // the same number of values
    };
    for (size_t i = 0; i < std::size(others); ++i) {
        StoreColumns columns = store_.columns();
        others[i](columns.spec);
        write_feature_store(folder_ / "other", columns, store_.logmel());
        const FeatureStore other = FeatureStore::open(folder_ / "other");
        EXPECT_TRUE(fails_with([&] { evaluate(*device_, checkpoint_, other, rows_, session_); },
                               {checkpoint_.string(), "other settings than this model's"}))
            << "setting " << i;
    }
}

/// Cities are matched by name, also if the store has as many cities as the model, or fewer.
TEST_F(TrainedModel, AsManyCitiesAreNotTheSameOnes) {
    const auto probabilities = [&](const std::vector<std::string>& cities, const std::vector<int32_t>& index_of) {
        StoreColumns columns = store_.columns();
        columns.cities = cities;
        for (int32_t& city : columns.city) city = city < 0 ? -1 : index_of[static_cast<size_t>(city)];
        write_feature_store(folder_ / "other", columns, store_.logmel());
        return evaluate(*device_, checkpoint_, FeatureStore::open(folder_ / "other"), rows_, session_).probabilities;
    };
    ASSERT_EQ(store_.columns().cities, (std::vector<std::string>{"Xi'an", "Jinan"}));
    const auto same = probabilities({"Xi'an", "Jinan"}, {0, 1}), unknown = probabilities({}, {-1, -1});
    EXPECT_NE(same, unknown);
    EXPECT_EQ(probabilities({"Jinan", "Xi'an"}, {1, 0}), same);
    EXPECT_EQ(probabilities({"Oslo", "Bergen"}, {0, 1}), unknown);
    EXPECT_EQ(probabilities({"Jinan"}, {-1, 0}), probabilities({"Oslo", "Jinan"}, {0, 1}));
}

TEST_F(TrainedModel, ABatchIsAsLargeAsAskedForButForTheClips) {
    class Steps final : public Progress {
    public:
        void advance(int64_t clips) override { done.push_back(clips); }
        std::vector<int64_t> done;
    };
    const auto done = [&](size_t clips, int64_t batch) {
        Steps steps;
        const std::vector<int32_t> rows(rows_.begin(), rows_.begin() + static_cast<std::ptrdiff_t>(clips));
        evaluate(*device_, checkpoint_, store_, rows, {steps, stop_}, batch);
        return steps.done;
    };
    EXPECT_EQ(done(20, 7), (std::vector<int64_t>{7, 14, 20}));
    EXPECT_EQ(done(20, 10), (std::vector<int64_t>{10, 20}));
    EXPECT_EQ(done(20, 64), (std::vector<int64_t>{20}));
}

/// Every clip is predicted with its own city and time, and nothing is left over from the batch before.
TEST_F(TrainedModel, EveryClipOfAPredictorsBatchHasItsOwnCityAndTime) {
    RandomSequence random(3, 1);
    std::vector<float> wave;
    for (int i = 0; i < 882 * small_frames; ++i) wave.push_back(random.uniform(-0.3f, 0.3f));
    const std::vector<PredictorClip> clips{{wave, "", ""},
                                           {wave, "Xi'an", "2023-06-18 18:44:34"},
                                           {wave, "Jinan", "2023-01-02 03:04:05"},
                                           {wave, "Oslo", ""}};
    Predictor single(*device_, checkpoint_, 1), together(*device_, checkpoint_, 4);
    std::vector<float> expected;
    for (const PredictorClip& clip : clips) {
        const std::vector<float> one = single.predict(std::span(&clip, 1));
        expected.insert(expected.end(), one.begin(), one.end());
    }
    EXPECT_NE(expected[0], expected[3]);
    EXPECT_NE(expected[3], expected[6]);
    EXPECT_EQ(expected[0], expected[9]) << "an unknown city is none";
    const std::vector<float> actual = together.predict(clips);
    for (size_t i = 0; i < 12; ++i) EXPECT_NEAR(actual[i], expected[i], 1e-6) << i;
    const std::vector<PredictorClip> reversed(clips.rbegin(), clips.rend() - 1);
    const std::vector<float> again = together.predict(reversed);
    ASSERT_EQ(again.size(), 9u);
    for (size_t i = 0; i < 9; ++i) EXPECT_NEAR(again[i], expected[9 - i / 3 * 3 + i % 3], 1e-6) << i;
}

TEST_F(TrainedModel, ThePredictorNeedsOnlyTheCheckpoint) {
    const CheckpointInfo info = read_checkpoint_info(SafetensorsFile(checkpoint_));
    RandomSequence random(3, 1);
    std::vector<PredictorClip> clips(3);
    for (PredictorClip& clip : clips)
        for (int i = 0; i < info.features.samples; ++i) clip.wave.push_back(random.uniform(-0.3f, 0.3f));
    clips[0].city = "Jinan";
    clips[0].time = "2023-06-18 18:44:34";
    clips[1].city = "Atlantis";

    // The same clips through a store.
    StoreColumns columns = store_.columns();
    columns.names = {"a", "b", "c"};
    columns.recorded.clear();
    columns.sessions = columns.devices = {"", "", ""};
    columns.label = columns.fold = {-1, -1, -1};
    columns.city = {1, -1, -1};
    columns.has_time = {1, 0, 0};
    const auto time = time_features(parse_record_time(clips[0].time));
    columns.time.assign(24, 0.0f);
    std::copy(time.begin(), time.end(), columns.time.begin());
    std::vector<float> logmel(static_cast<size_t>(3 * small_frames * small_bands));
    for (size_t i = 0; i < 3; ++i)
        log_mel_on(*device_, logmel.data() + i * small_frames * small_bands, clips[i].wave.data(), 1, info.features);
    write_feature_store(folder_ / "waves", columns, logmel);
    const FeatureStore waves = FeatureStore::open(folder_ / "waves");
    const std::vector<int32_t> rows{0, 1, 2};
    const std::vector<float> expected = evaluate(*device_, checkpoint_, waves, rows, session_).probabilities;

    Predictor predictor(*device_, checkpoint_, 2);
    EXPECT_EQ(predictor.info(), info);
    std::vector<float> actual = predictor.predict(std::span(clips).first(2));
    ASSERT_EQ(actual.size(), 6u);
    const std::vector<float> last = predictor.predict(std::span(clips).last(1)); // a partial batch
    ASSERT_EQ(last.size(), 3u);
    actual.insert(actual.end(), last.begin(), last.end());
    for (size_t i = 0; i < 9; ++i) EXPECT_NEAR(actual[i], expected[i], 1e-6) << i;
    EXPECT_GT(
        std::abs(actual[0] -
                 Predictor(*device_, checkpoint_).predict(std::vector<PredictorClip>{{clips[0].wave, "", ""}})[0]),
        1e-7)
        << "city and time are read";

    clips[2].time = "yesterday";
    EXPECT_TRUE(fails_with([&] { predictor.predict(std::span(clips).last(1)); }, {"yesterday", "YYYY-MM-DD"}));
}

TEST_F(TrainedModel, ShortClipsAreFittedByTheRuleOfTheCheckpoint) {
    Predictor predictor(*device_, checkpoint_);
    const auto samples = static_cast<size_t>(predictor.info().features.samples);
    std::vector<float> half, whole;
    for (size_t i = 0; i < samples / 2; ++i) half.push_back(0.2f * std::sin(0.05f * static_cast<float>(i)));
    for (size_t i = 0; i < samples; ++i) whole.push_back(half[i % half.size()]);
    EXPECT_EQ(predictor.predict(std::vector<PredictorClip>{{half, "", ""}}),
              predictor.predict(std::vector<PredictorClip>{{whole, "", ""}}));
}

} // namespace
} // namespace scene::test

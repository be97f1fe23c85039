#include "train/evaluation/adaptation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"
#include "tests/train/small_store.h"
#include "train/evaluation/evaluate.h"
#include "train/run/trainer.h"

namespace scene::test {
namespace {

constexpr int64_t width = 17, classes = 5;

/// AdaNPC by its definition, in double, clip by clip.
class NaiveBank {
public:
    NaiveBank(std::span<const float> features, std::span<const int32_t> labels, const AdaptationSettings& settings)
        : settings_(settings) {
        for (size_t i = 0; i < labels.size(); ++i) memory_.push_back({row(features, i), labels[i]});
        source_ = memory_.size();
    }
    std::vector<Vote> classify(std::span<const float> features) {
        std::vector<Vote> out;
        const size_t clips = features.size() / width, batch = static_cast<size_t>(settings_.batch);
        for (size_t first = 0; first < clips; first += batch) {
            const size_t end = std::min(clips, first + batch);
            for (size_t i = first; i < end; ++i) out.push_back(vote(row(features, i)));
            for (size_t i = first; i < end; ++i) {
                // Not within float rounding of the bound, else the comparison would be undetermined.
                EXPECT_GT(std::abs(static_cast<double>(out[i].share) - settings_.confidence), 1e-5) << i;
                const bool room = memory_.size() - source_ < static_cast<size_t>(settings_.growth);
                out[i].joined = room && static_cast<double>(out[i].share) >= settings_.confidence;
                if (out[i].joined) memory_.push_back({row(features, i), out[i].label});
            }
        }
        return out;
    }
    size_t size() const { return memory_.size(); }

private:
    struct Member {
        std::vector<double> features;
        int32_t label;
    };
    static std::vector<double> row(std::span<const float> features, size_t index) {
        std::vector<double> out(features.begin() + static_cast<std::ptrdiff_t>(index * width),
                                features.begin() + static_cast<std::ptrdiff_t>((index + 1) * width));
        const double norm = std::sqrt(std::inner_product(out.begin(), out.end(), out.begin(), 0.0));
        for (double& value : out) value /= norm;
        return out;
    }
    Vote vote(const std::vector<double>& query) const {
        std::vector<std::pair<double, size_t>> near; // by descending similarity
        for (size_t m = 0; m < memory_.size(); ++m)
            near.emplace_back(-std::inner_product(query.begin(), query.end(), memory_[m].features.begin(), 0.0), m);
        std::sort(near.begin(), near.end());
        near.resize(std::min(near.size(), static_cast<size_t>(settings_.neighbours)));
        std::vector<double> shares(classes);
        double total = 0;
        for (const auto& [minus, m] : near) total += std::exp(-minus / settings_.temperature);
        for (const auto& [minus, m] : near)
            shares[static_cast<size_t>(memory_[m].label)] += std::exp(-minus / settings_.temperature) / total;
        const auto largest = std::max_element(shares.begin(), shares.end());
        return {static_cast<int32_t>(largest - shares.begin()), static_cast<float>(*largest)};
    }
    AdaptationSettings settings_;
    std::vector<Member> memory_;
    size_t source_;
};

/// Clips scattered around one direction per class.
struct Clips {
    std::vector<float> features;
    std::vector<int32_t> labels;

    Clips(int count, uint64_t seed) {
        RandomSequence random(seed, 1);
        for (int i = 0; i < count; ++i) {
            labels.push_back(i * 3 % static_cast<int>(classes));
            const float length = random.uniform(0.5f, 20);
            for (int64_t j = 0; j < width; ++j)
                features.push_back(length * (random.uniform(-1, 1) + (j % classes == labels.back() ? 0.7f : 0)));
        }
    }
};

MemoryBank bank_of(const Clips& source, const AdaptationSettings& settings) {
    return {cpu(), source.features, source.labels, width, classes, settings};
}

TEST(MemoryBank, VotesAndGrowsAsItsDefinition) {
    const Clips source(60, 1), test(150, 2);
    for (const AdaptationSettings& settings :
         {AdaptationSettings{}, AdaptationSettings{.neighbours = 1, .temperature = 0.5, .confidence = 0, .growth = 40},
          AdaptationSettings{.neighbours = 7, .temperature = 0.05, .confidence = 0.6, .growth = 1000, .batch = 11},
          AdaptationSettings{.neighbours = 9, .temperature = 0.1, .confidence = 0.9, .growth = 5, .batch = 1},
          AdaptationSettings{.neighbours = 9, .temperature = 0.1, .confidence = 0.5, .growth = 0}}) {
        MemoryBank bank = bank_of(source, settings);
        NaiveBank naive(source.features, source.labels, settings);
        const std::vector<Vote> votes = bank.classify(test.features), expected = naive.classify(test.features);
        ASSERT_EQ(votes.size(), expected.size());
        for (size_t i = 0; i < votes.size(); ++i) {
            EXPECT_EQ(votes[i].label, expected[i].label) << i;
            EXPECT_EQ(votes[i].joined, expected[i].joined) << i;
            EXPECT_NEAR(votes[i].share, expected[i].share, 1e-5) << i;
        }
        EXPECT_EQ(static_cast<size_t>(bank.size()), naive.size());
        EXPECT_LE(bank.joined(), settings.growth);
    }
}

TEST(MemoryBank, ConfidentClipsJoinAndResetForgetsThem) {
    const Clips source(60, 1), test(100, 2);
    const AdaptationSettings settings{.neighbours = 5, .confidence = 0.6, .growth = 50, .batch = 10};
    MemoryBank bank = bank_of(source, settings);
    EXPECT_EQ(bank.size(), 60);
    const auto first = bank.classify(test.features);
    EXPECT_GT(bank.joined(), 10);
    EXPECT_EQ(bank.size(), 60 + bank.joined());
    const int64_t joined = bank.joined();
    bank.reset();
    EXPECT_EQ(bank.size(), 60);
    const auto again = bank.classify(test.features);
    EXPECT_EQ(bank.joined(), joined);
    for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(again[i].share, first[i].share) << i;
}

TEST(MemoryBank, AConfidenceAboveOneNeverGrows) {
    const Clips source(20, 1), test(30, 2);
    MemoryBank bank = bank_of(source, {.neighbours = 1, .confidence = 1.1});
    for (const Vote& vote : bank.classify(test.features)) EXPECT_EQ(vote.share, 1) << "one neighbour is unanimous";
    EXPECT_EQ(bank.joined(), 0);
}

TEST(MemoryBank, AConfidenceOfItselfJoinsUntilTheGrowthIsSpent) {
    const Clips source(20, 1), test(30, 2);
    for (const int64_t growth : {0, 1, 29, 30, 31}) {
        MemoryBank bank = bank_of(source, {.neighbours = 1, .confidence = 1, .growth = growth, .batch = 7});
        int64_t joined = 0;
        for (const Vote& vote : bank.classify(test.features)) {
            EXPECT_EQ(vote.joined, joined < growth) << "one neighbour is unanimous";
            joined += vote.joined;
        }
        EXPECT_EQ(bank.joined(), std::min<int64_t>(growth, 30));
        EXPECT_EQ(bank.size(), 20 + bank.joined());
    }
}

/// The embeddings are the classifier's input.
TEST(Embeddings, AreTheClassifiersInput) {
    const TemporaryFolder folder;
    const std::unique_ptr<Device> device = make_cpu_device(1);
    for (const bool places : {false, true}) {
        const std::string name = places ? "places" : "plain";
        const FeatureStore store = small_store(folder / name, {.clips = 60, .places = places});
        RunConfig config = small_config(2);
        config.training.epochs = 1;
        config.training.stages = 1;
        Recorder recorder;
        const std::atomic<bool> stop{false};
        const Session session{recorder, stop};
        const RunResult result =
            train_system(*device, store, split_of(store, config), config, folder / (name + " run"), session);
        const std::vector<int32_t> rows{7, 3, 50, 9, 11};
        const Evaluation plain = evaluate(*device, result.checkpoint, store, rows, session, 2);
        const Evaluation kept = evaluate(*device, result.checkpoint, store, rows, session, 2, true);
        EXPECT_TRUE(plain.embeddings.empty());
        EXPECT_EQ(kept.probabilities, plain.probabilities);
        const SafetensorsFile file(result.checkpoint);
        const auto weight = file.tensor("head.classifier.weight").as<float>();
        const auto bias = file.tensor("head.classifier.bias").as<float>();
        const size_t features = weight.size() / 3;
        ASSERT_EQ(kept.embeddings.size(), rows.size() * features);
        for (size_t clip = 0; clip < rows.size(); ++clip) {
            std::vector<double> p(3);
            for (size_t k = 0; k < 3; ++k) {
                double logit = bias[k];
                for (size_t j = 0; j < features; ++j)
                    logit += static_cast<double>(weight[k * features + j]) *
                             static_cast<double>(kept.embeddings[clip * features + j]);
                p[k] = std::exp(logit);
            }
            for (size_t k = 0; k < 3; ++k)
                EXPECT_NEAR(kept.probabilities[3 * clip + k], p[k] / (p[0] + p[1] + p[2]), 1e-5);
        }
    }
}

} // namespace
} // namespace scene::test

#include "data/audit/audit.h"

#include <cmath>

#include <gtest/gtest.h>

#include "data/audio/audio.h"
#include "data/audit/audio_audit.h"
#include "tests/support/shared_data.h"
#include "tests/support/temporary_folder.h"

namespace scene {
namespace {

/// Two cities, three hours, known labels; the parts are in the last column.
///   clip  city   recorded               session  label  part
///   0     Hefei  2023-06-18 18:44:34    h1       a      trains
///   1     Hefei  2023-06-18 18:44:34    h1       a      tests       session: a
///   2     Hefei  2023-06-18 18:59:00    h2       b      tests       hour: a (wrong), date: a (wrong)
///   3     Hefei  2023-06-18 20:00:00    h3       b      trains
///   4     Hefei  2023-06-18 20:10:00    h4       b      tests       hour: b
///   5     Jinan  2023-06-18 20:00:00    j1       b      trains
///   6     Jinan  2023-06-19 20:00:00    j2       b      tests       city: b
///   7     -      -                      -        b      tests       never covered, majority b
///   8     Hefei  2023-06-18 18:59:00    h2       -      trains without a label
///   9     Jinan  2023-06-19 20:00:00    j2       -      left out
class KnownAnswers : public testing::Test {
protected:
    KnownAnswers() {
        columns_.classes = {"a", "b"};
        columns_.cities = {"Sanya", "Hefei", "Jinan"};
        add(1, "2023-06-18 18:44:34", "h1", 0);
        add(1, "2023-06-18 18:44:34", "h1", 0);
        add(1, "2023-06-18 18:59:00", "h2", 1);
        add(1, "2023-06-18 20:00:00", "h3", 1);
        add(1, "2023-06-18 20:10:00", "h4", 1);
        add(2, "2023-06-18 20:00:00", "j1", 1);
        add(2, "2023-06-19 20:00:00", "j2", 1);
        add(-1, "", "", 1);
        add(1, "2023-06-18 18:59:00", "h2", -1);
        add(2, "2023-06-19 20:00:00", "j2", -1);
    }
    void add(int32_t city, const std::string& recorded, const std::string& session, int32_t label) {
        columns_.names.push_back("clip" + std::to_string(columns_.names.size()));
        columns_.city.push_back(city);
        columns_.recorded.push_back(recorded);
        columns_.sessions.push_back(session);
        columns_.label.push_back(label);
        columns_.devices.push_back(label == 0 ? "phone" : "");
        columns_.fold.push_back(-1);
        columns_.has_time.push_back(!recorded.empty());
    }

    StoreColumns columns_;
    Split split_ = {"by hand", 0, {0, 3, 5}, {8}, {1, 2, 4, 6, 7}};
};

TEST_F(KnownAnswers, MetadataScores) {
    const std::vector<MetadataScore> scores = audit(columns_, split_).metadata_only;
    ASSERT_EQ(scores.size(), 4u);
    // a: clip 1; b: clips 2, 4, 6, 7. The training labels are a, b, b, so the majority is b.
    EXPECT_EQ(scores[0].key, "session");
    EXPECT_DOUBLE_EQ(scores[0].coverage, 1.0 / 5);
    EXPECT_DOUBLE_EQ(scores[0].balanced_accuracy, 1.0 / 2);
    EXPECT_DOUBLE_EQ(scores[0].with_majority, 1);
    EXPECT_EQ(scores[1].key, "city_date_hour");
    EXPECT_DOUBLE_EQ(scores[1].coverage, 3.0 / 5); // 1, 2 and 4; 2 is taken for a
    EXPECT_DOUBLE_EQ(scores[1].balanced_accuracy, (1 + 1.0 / 4) / 2);
    EXPECT_DOUBLE_EQ(scores[1].with_majority, (1 + 3.0 / 4) / 2);
    EXPECT_EQ(scores[2].key, "city_date");
    EXPECT_DOUBLE_EQ(scores[2].coverage, 3.0 / 5); // a and b tie in Hefei that day: a
    EXPECT_DOUBLE_EQ(scores[2].balanced_accuracy, (1 + 0.0 / 4) / 2);
    EXPECT_DOUBLE_EQ(scores[2].with_majority, (1 + 2.0 / 4) / 2);
    EXPECT_EQ(scores[3].key, "city");
    EXPECT_DOUBLE_EQ(scores[3].coverage, 4.0 / 5);
    EXPECT_DOUBLE_EQ(scores[3].balanced_accuracy, (1 + 1.0 / 4) / 2);
    EXPECT_DOUBLE_EQ(scores[3].with_majority, (1 + 2.0 / 4) / 2);
}

TEST_F(KnownAnswers, LeakedShares) {
    const Audit found = audit(columns_, split_);
    EXPECT_DOUBLE_EQ(found.session_leak.labelled, 1.0 / 4); // of clips 1, 2, 4, 6: h1
    EXPECT_DOUBLE_EQ(found.session_leak.any, 2.0 / 4);      // and h2, by clip 8
    EXPECT_DOUBLE_EQ(found.session_leak.known, 4.0 / 5);    // clip 7 has none
    EXPECT_EQ(leak_text(found.session_leak),
              "leaked 0.250 (0.500 with unlabelled training clips) of the 80.0 % whose session is known");
    EXPECT_DOUBLE_EQ(found.city_leak.labelled, 1);
    EXPECT_DOUBLE_EQ(found.city_leak.any, 1);
}

TEST_F(KnownAnswers, Counts) {
    const Audit found = audit(columns_, split_);
    EXPECT_EQ(found.total.clips, 10);
    EXPECT_EQ(found.total.labelled, 8);
    EXPECT_EQ(found.total.left_out(), 1);
    ASSERT_EQ(found.classes.size(), 3u);
    EXPECT_EQ(found.classes[1].name, "b");
    EXPECT_EQ(found.classes[1].clips, 6);
    EXPECT_EQ(found.classes[1].train_labelled, 2);
    EXPECT_EQ(found.classes[1].test, 4);
    EXPECT_EQ(found.classes[2].name, "");
    EXPECT_EQ(found.classes[2].train_unlabelled, 1);
    ASSERT_EQ(found.cities.size(), 3u); // Sanya does not occur
    EXPECT_EQ(found.cities[0].name, "Hefei");
    EXPECT_EQ(found.cities[0].clips, 6);
    EXPECT_EQ(found.cities[0].classes, 2);
    EXPECT_EQ(found.cities[2].name, "");
    EXPECT_EQ(found.sessions.size(), 7u);
    EXPECT_EQ(found.session_count, 6);
    EXPECT_EQ(found.labelled_sessions, 6);
    EXPECT_EQ(found.pure_sessions, 6);
    ASSERT_EQ(found.devices.size(), 2u);
    EXPECT_EQ(found.devices[0].name, "phone");
    columns_.label[1] = 1; // h1 now has both labels
    columns_.label[4] = -1;
    const Audit mixed = audit(columns_, split_);
    EXPECT_EQ(mixed.labelled_sessions, 5);
    EXPECT_EQ(mixed.pure_sessions, 4);
}

/// Labels that the split hides do not score, nor do test clips without a label.
TEST_F(KnownAnswers, HiddenLabelsAndUnlabelledTestClipsScoreNothing) {
    const Audit before = audit(columns_, split_);
    columns_.label[8] = 1; // of session h2, which tests as b
    split_.test.push_back(9);
    const Audit after = audit(columns_, split_);
    for (size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(after.metadata_only[i].balanced_accuracy, before.metadata_only[i].balanced_accuracy) << i;
        EXPECT_EQ(after.metadata_only[i].with_majority, before.metadata_only[i].with_majority) << i;
        EXPECT_EQ(after.metadata_only[i].coverage, before.metadata_only[i].coverage) << i;
    }
    EXPECT_EQ(after.session_leak.labelled, 1.0 / 5) << "of clips 1, 2, 4, 6 and 9";
}

/// With fewer, as many and more classes than cities, so that a mistaken index shows.
TEST_F(KnownAnswers, ClassesAndCitiesAreCountedApart) {
    for (const int32_t of_b : {1, 2, 6}) {
        columns_.classes.assign(static_cast<size_t>(of_b) + 1, "unheard");
        columns_.classes.front() = "a", columns_.classes.back() = "b";
        for (int32_t& label : columns_.label) label = label > 0 ? of_b : label;
        const Audit found = audit(columns_, split_);
        EXPECT_EQ(found.cities[0].name, "Hefei");
        EXPECT_EQ(found.cities[1].name, "Jinan");
        EXPECT_EQ(found.cities[1].clips, 3);
        EXPECT_EQ(found.classes[0].name, "a");
        EXPECT_EQ(found.classes[1].name, "b");
        EXPECT_DOUBLE_EQ(found.metadata_only[3].balanced_accuracy, (1 + 1.0 / 4) / 2);
        EXPECT_DOUBLE_EQ(found.metadata_only[2].balanced_accuracy, 1.0 / 2) << "of equal votes the first class";
    }
}

TEST_F(KnownAnswers, WhatCannotBeKnownIsNotANumber) {
    const Audit untested = audit(columns_, {"experiment", 0, {0, 3}, {}, {}});
    EXPECT_TRUE(std::isnan(untested.session_leak.labelled));
    EXPECT_NE(leak_text(untested.session_leak).find("no test clips"), std::string::npos);
    EXPECT_TRUE(std::isnan(untested.metadata_only[0].balanced_accuracy));
    columns_.sessions.assign(10, "");
    columns_.recorded.clear();
    const Audit nameless = audit(columns_, split_);
    EXPECT_TRUE(std::isnan(nameless.session_leak.any));
    EXPECT_EQ(leak_text(session_leak(columns_, split_)), "leaked: unknown (no sessions)");
    EXPECT_EQ(nameless.session_count, 0);
    EXPECT_EQ(nameless.metadata_only[0].coverage, 0);
    EXPECT_EQ(nameless.metadata_only[1].coverage, 0);
    EXPECT_EQ(nameless.metadata_only[0].balanced_accuracy, 0);
    EXPECT_DOUBLE_EQ(nameless.metadata_only[0].with_majority, 0.5); // always b
}

TEST(AuditOfTheRealMetadata, SessionsTellTheLabel) {
    const std::filesystem::path real = test::shared_data() / "cas2023/dev_metadata.csv";
    if (!std::filesystem::exists(real)) GTEST_SKIP() << real << " is not there";
    const StoreColumns columns = columns_of(read_dataset(real, {.require_audio = false}));
    // An independent program found, over 400 seeds: 0.935 +- 0.013, with the majority 0.952 +- 0.012, coverage 0.93.
    double score = 0, with_majority = 0, leaked = 0;
    constexpr int seeds = 20;
    for (uint64_t seed = 0; seed < seeds; ++seed) {
        const Audit found = audit(columns, make_split(columns.clip_columns(), {.name = "simulation", .seed = seed}));
        EXPECT_EQ(found.session_count, 328);
        EXPECT_EQ(found.labelled_sessions, 309);
        EXPECT_EQ(found.pure_sessions, 309);
        EXPECT_EQ(found.session_leak.labelled, found.metadata_only[0].coverage);
        score += found.metadata_only[0].balanced_accuracy / seeds;
        with_majority += found.metadata_only[0].with_majority / seeds;
        leaked += found.session_leak.labelled / seeds;
    }
    EXPECT_NEAR(score, 0.935, 0.01);
    EXPECT_NEAR(with_majority, 0.952, 0.01);
    EXPECT_NEAR(leaked, 0.931, 0.01);
    const Audit kept_apart = audit(columns, make_split(columns.clip_columns(), {.name = "session"}));
    EXPECT_EQ(kept_apart.session_leak.any, 0);
    EXPECT_EQ(kept_apart.metadata_only[0].coverage, 0);
    EXPECT_EQ(kept_apart.metadata_only[0].balanced_accuracy, 0);
    EXPECT_NEAR(kept_apart.metadata_only[0].with_majority, 0.1, 1e-9); // one class of ten is always right
}

class AudioAuditTest : public testing::Test {
protected:
    static constexpr int rate = 8000;
    static constexpr LogMelSpec spec = {.sample_rate = rate, .frames = 50, .samples = rate};

    void add(const std::string& name, const std::vector<float>& wave, int at_rate = rate) {
        write_wav(folder_ / name, wave, at_rate);
        add(name);
    }
    void add(const std::string& name) {
        Clip clip;
        clip.name = name;
        if (std::filesystem::exists(folder_ / name)) clip.file = folder_ / name;
        dataset_.clips.push_back(clip);
    }
    std::vector<float> wave(size_t samples, float phase) const {
        std::vector<float> out(samples);
        for (size_t i = 0; i < samples; ++i) out[i] = std::sin(0.05f * static_cast<float>(i) + phase);
        return out;
    }
    static std::vector<int32_t> clips_of(const std::vector<ClipRemark>& remarks) {
        std::vector<int32_t> clips;
        for (const ClipRemark& remark : remarks) clips.push_back(remark.clip);
        return clips;
    }

    test::TemporaryFolder folder_;
    Dataset dataset_;
};

TEST_F(AudioAuditTest, FindsEveryKindOfOddClip) {
    using Clips = std::vector<int32_t>;
    add("0 good.wav", wave(8000, 0));
    add("1 missing.wav");
    test::write_text(folder_ / "2 broken.wav", "not audio");
    add("2 broken.wav");
    add("3 silent.wav", std::vector<float>(8000));
    add("4 silent.wav", std::vector<float>(8000));
    add("5 short.wav", wave(7999, 1));
    add("6 long.wav", wave(8001, 2));
    add("7 rate.wav", wave(4000, 3), 4000);
    add("8 copy.wav", wave(8000, 0));
    add("9 another copy.wav", wave(8000, 0));
    add("10 twice as fast.wav", wave(8000, 0), 16000);
    const AudioAudit found = audit_audio(dataset_, {.spec = spec, .threads = 2});
    EXPECT_TRUE(found.complete);
    EXPECT_EQ(found.checked, 10);
    EXPECT_EQ(clips_of(found.missing), Clips{1});
    EXPECT_EQ(clips_of(found.unreadable), Clips{2});
    EXPECT_NE(found.unreadable[0].text.find("2 broken.wav"), std::string::npos);
    EXPECT_EQ(clips_of(found.silent), (Clips{3, 4}));
    EXPECT_EQ(clips_of(found.shorter), (Clips{5, 10}));
    EXPECT_EQ(found.shorter[1].text, "0.500 s");
    EXPECT_EQ(clips_of(found.longer), Clips{6});
    EXPECT_EQ(clips_of(found.other_rate), (Clips{7, 10}));
    EXPECT_EQ(found.other_rate[0].text, "4000 Hz");
    EXPECT_EQ(found.duplicates, (std::vector<Clips>{{0, 8, 9}}));
    EXPECT_EQ(duplicates_in_training(found, {"", 0, {0}, {}, {8, 9, 5}}), 2);
    EXPECT_EQ(duplicates_in_training(found, {"", 0, {1}, {9}, {0, 5}}), 1);
    EXPECT_EQ(duplicates_in_training(found, {"", 0, {5}, {}, {0, 8, 9}}), 0);
}

TEST_F(AudioAuditTest, ALengthThatTheRateDoesNotDivideIsNotShort) {
    const LogMelSpec odd = {.sample_rate = 11025, .frames = 50, .samples = 11025 / 2}; // 0.49995 s
    add("half.wav", wave(4000, 0));
    const AudioAudit found = audit_audio(dataset_, {.spec = odd});
    EXPECT_TRUE(found.shorter.empty());
    EXPECT_TRUE(found.longer.empty());
}

/// Clips are checked in chunks of 64. Twins, clip numbers and progress do not depend on the chunks.
TEST_F(AudioAuditTest, ChunksAreNotSeenInTheResult) {
    write_wav(folder_ / "twin.wav", wave(8000, 0), rate);
    write_wav(folder_ / "short.wav", wave(800, 1), rate);
    write_wav(folder_ / "silent.wav", std::vector<float>(8000), rate);
    for (const int32_t clips : {1, 63, 64, 65, 128, 130}) {
        dataset_.clips.clear();
        for (int32_t i = 0; i < clips; ++i) {
            add("absent " + std::to_string(i));
            if (i == 0 || i == clips - 1) dataset_.clips.back().file = folder_ / "twin.wav";
            if (i == clips - 2) dataset_.clips.back().file = folder_ / (i % 2 ? "short.wav" : "silent.wav");
        }
        std::vector<int64_t> done, expected;
        for (int64_t end = 64; end < clips + 64; end += 64) expected.push_back(std::min<int64_t>(end, clips));
        AudioAuditOptions options{.spec = spec, .threads = 1};
        options.progress = [&](int64_t now, int64_t total) {
            EXPECT_EQ(total, clips);
            done.push_back(now);
        };
        const AudioAudit found = audit_audio(dataset_, options);
        EXPECT_EQ(done, expected);
        EXPECT_EQ(found.checked, std::min(clips, 3));
        EXPECT_EQ(static_cast<int32_t>(found.missing.size()), std::max(0, clips - 3));
        for (size_t i = 0; i < found.missing.size(); ++i) EXPECT_EQ(found.missing[i].clip, static_cast<int32_t>(i) + 1);
        if (clips == 1) continue;
        EXPECT_EQ(found.duplicates, (std::vector<std::vector<int32_t>>{{0, clips - 1}}));
        EXPECT_EQ(clips_of(clips % 2 ? found.shorter : found.silent), std::vector<int32_t>{clips - 2});

        std::atomic<bool> stop = false;
        options.stop = &stop;
        options.progress = [&](int64_t, int64_t) { stop = true; };
        const AudioAudit stopped = audit_audio(dataset_, options);
        EXPECT_EQ(stopped.complete, clips <= 64) << "after the chunk that it was told in";
    }
}

TEST_F(AudioAuditTest, StopsWhenTold) {
    add("0.wav", wave(8000, 0));
    const std::atomic<bool> stop = true;
    EXPECT_FALSE(audit_audio(dataset_, {.spec = spec, .stop = &stop}).complete);
}

TEST_F(AudioAuditTest, AStoreTellsOfSilentAndDuplicateClips) {
    for (const char* name : {"a", "b", "c", "d"}) add(name);
    const LogMelSpec small = {.bands = 3, .frames = 2};
    StoreColumns columns = store_columns(dataset_, small, "loop");
    for (const Clip& clip : dataset_.clips) append_clip(columns, dataset_, clip);
    const std::vector<float> logmel = {1, 2, 3, 4, 5, 6, /**/ -9, -9, -9, -9, -9, -9,
                                       1, 2, 3, 4, 5, 7, /**/ 1,  2,  3,  4,  5,  6};
    write_feature_store(folder_ / "store", columns, logmel);
    const AudioAudit found = audit_features(FeatureStore::open(folder_ / "store"));
    EXPECT_FALSE(found.from_files);
    EXPECT_EQ(found.checked, 4);
    EXPECT_EQ(clips_of(found.silent), std::vector<int32_t>{1});
    EXPECT_EQ(found.duplicates, (std::vector<std::vector<int32_t>>{{0, 3}}));
}

} // namespace
} // namespace scene

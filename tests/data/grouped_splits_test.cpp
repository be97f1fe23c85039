// The splits "session", "city" and "official".

#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "data/splits/grouped_splits.h"
#include "data/splits/splits.h"
#include "data/store/feature_store.h"
#include "tests/support/expect_error.h"
#include "tests/support/shared_data.h"
#include "tests/support/temporary_folder.h"

namespace scene {
namespace {

using test::fails_with;
using Indices = std::vector<int32_t>;

/// Clips with every column that a split may use.
struct Clips {
    std::vector<int32_t> label, city;
    std::vector<std::string> session, names, classes = {"a", "b"}, cities = {"Xi'an", "Hefei", "Jinan", "Sanya"};

    void add(int32_t of_class, const std::string& of_session, int32_t of_city = -1, int count = 1) {
        for (int i = 0; i < count; ++i) {
            names.push_back("audio/clip" + std::to_string(label.size()) + ".wav");
            label.push_back(of_class);
            session.push_back(of_session);
            city.push_back(of_city);
        }
    }
    ClipColumns columns() const { return {label, {}, classes, session, city, cities, names}; }
    Split split(const SplitOptions& options) const { return make_split(columns(), options); }
    auto split_by(const SplitOptions& options) const {
        return [=, this] { split(options); };
    }
};

/// 20 sessions of each class with 1 to 7 labelled and some unlabelled clips in four cities; five sessions without
/// labels; three clips of unknown session and city.
Clips many_sessions() {
    Clips clips;
    for (int s = 0; s < 40; ++s) {
        const std::string session = "s" + std::to_string(s);
        clips.add(s % 2, session, s / 2 % 4, 1 + s * 5 % 7);
        clips.add(-1, session, s / 2 % 4, s % 3);
    }
    for (int s = 0; s < 5; ++s) clips.add(-1, "u" + std::to_string(s), s % 4, 2);
    clips.add(-1, "", -1, 3);
    return clips;
}

std::set<std::string> sessions_of(const Clips& clips, const Indices& part) {
    std::set<std::string> sessions;
    for (int32_t clip : part) sessions.insert(clips.session[static_cast<size_t>(clip)]);
    return sessions;
}

std::set<int32_t> cities_of(const Clips& clips, const Indices& part) {
    std::set<int32_t> cities;
    for (int32_t clip : part) cities.insert(clips.city[static_cast<size_t>(clip)]);
    return cities;
}

template <typename T> std::set<T> common(const std::set<T>& a, const std::set<T>& b) {
    std::set<T> out;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::inserter(out, out.end()));
    return out;
}

std::map<int, double> test_shares(const std::vector<int32_t>& label, const Split& split) {
    std::map<int, double> tested, all;
    for (int32_t clip : split.test) ++tested[label[static_cast<size_t>(clip)]];
    for (int32_t c : label) ++all[c];
    all.erase(-1);
    for (auto& [c, count] : all) count = tested[c] / count;
    return all;
}

TEST(SessionSplit, NoSessionIsOnBothSides) {
    const Clips clips = many_sessions();
    for (uint64_t seed : {1, 2, 3}) {
        const Split split = clips.split({.name = "session", .seed = seed});
        EXPECT_EQ(common(sessions_of(clips, split.labelled), sessions_of(clips, split.test)).size(), 0u);
        EXPECT_EQ(common(sessions_of(clips, split.unlabelled), sessions_of(clips, split.test)).size(), 0u);
        for (const Indices* part : {&split.labelled, &split.unlabelled, &split.test})
            EXPECT_TRUE(std::is_sorted(part->begin(), part->end()));
    }
}

TEST(SessionSplit, EveryLabelledClipIsUsedAndUnlabelledOnesOnlyWhereTheyCannotLeak) {
    const Clips clips = many_sessions();
    const Split split = clips.split({.name = "session"});
    const std::set<std::string> tested = sessions_of(clips, split.test);
    Indices labelled = split.labelled, unlabelled;
    labelled.insert(labelled.end(), split.test.begin(), split.test.end());
    std::sort(labelled.begin(), labelled.end());
    Indices all_labelled;
    for (size_t i = 0; i < clips.label.size(); ++i) {
        if (clips.label[i] >= 0)
            all_labelled.push_back(static_cast<int32_t>(i));
        else if (!clips.session[i].empty() && !tested.contains(clips.session[i]))
            unlabelled.push_back(static_cast<int32_t>(i));
    }
    EXPECT_EQ(labelled, all_labelled);
    EXPECT_EQ(split.unlabelled, unlabelled);
    EXPECT_TRUE(sessions_of(clips, split.unlabelled).contains("u0"));
}

TEST(SessionSplit, SharesAreMetAsCloselyAsSessionsAllow) {
    const Clips clips = many_sessions(); // 80 clips of each class in sessions of at most 7
    for (double share : {0.2, 0.5, 0.8})
        for (const auto& [c, tested] : test_shares(clips.label, clips.split({.name = "session", .test_share = share})))
            EXPECT_NEAR(tested, share, 0.05) << "class " << c;
}

TEST(SessionSplit, TheSeedDecidesAndNothingElse) {
    const Clips clips = many_sessions();
    EXPECT_EQ(clips.split({.name = "session", .seed = 5}), clips.split({.name = "session", .seed = 5}));
    EXPECT_NE(clips.split({.name = "session", .seed = 5}).test, clips.split({.name = "session", .seed = 6}).test);
    Clips four; // known draws, so that a change of the generator does not pass unseen
    for (int s = 0; s < 8; ++s) four.add(s / 4, "s" + std::to_string(s));
    EXPECT_EQ(four.split({.name = "session", .seed = 1234}).test, (Indices{1, 3, 4, 6}));
}

/// One of three sessions in the test is as far from a half as two are. In floating point, 4/6 - 1/2 comes out smaller
/// than 1/2 - 2/6.
TEST(SessionSplit, EquallyNearIsNotNearer) {
    Clips clips;
    for (int s = 0; s < 6; ++s) clips.add(s % 2, "s" + std::to_string(s), -1, 2);
    for (uint64_t seed = 0; seed < 10; ++seed)
        for (const auto& [c, tested] : test_shares(clips.label, clips.split({.name = "session", .seed = seed})))
            EXPECT_DOUBLE_EQ(tested, 1.0 / 3) << "class " << c << ", seed " << seed;
}

TEST(SessionSplit, ExtremeSharesLeaveEveryClassOnBothSides) {
    Clips clips;
    clips.add(0, "big", 0, 60);
    clips.add(0, "other", 0, 60);
    clips.add(1, "third", 0, 5);
    clips.add(1, "both classes", 0, 5);
    clips.add(0, "both classes", 0, 1);
    for (double share : {0.01, 0.1, 0.9, 0.99})
        for (const auto& [c, tested] : test_shares(clips.label, clips.split({.name = "session", .test_share = share})))
            EXPECT_TRUE(tested > 0 && tested < 1) << "class " << c << ", share " << share;
}

TEST(SessionSplit, ImpossibleOnesSayWhich) {
    Clips clips;
    clips.add(0, "s1", 0, 4);
    clips.add(0, "s2", 0, 4);
    clips.add(1, "s3", 0, 4);
    EXPECT_TRUE(fails_with(clips.split_by({.name = "session"}),
                           {"split session", "class 'b'", "one session only, s3", "another split"}));
    Clips unknown = clips;
    unknown.add(1, "");
    EXPECT_TRUE(fails_with(unknown.split_by({.name = "session"}), {"'audio/clip12.wav'", "label but no session"}));
    for (std::string& session : unknown.session) session.clear();
    EXPECT_TRUE(fails_with(unknown.split_by({.name = "session"}), {"no labelled clip has a session"}));
    Clips absent = clips;
    absent.classes.push_back("c");
    absent.add(1, "s4");
    EXPECT_TRUE(fails_with(absent.split_by({.name = "session"}), {"class 'c' has no labelled clips"}));
    EXPECT_TRUE(fails_with(clips.split_by({.name = "session", .test_share = 0}), {"test share of 0"}));
    EXPECT_TRUE(fails_with(clips.split_by({.name = "session", .test_share = 1}), {"test share of 1"}));
    Clips chained; // three classes, each pair of which shares a session: two sides cannot hold them apart
    chained.classes = {"a", "b", "c"};
    for (int s = 0; s < 3; ++s) {
        chained.add(s, "s" + std::to_string(s));
        chained.add((s + 1) % 3, "s" + std::to_string(s));
    }
    EXPECT_TRUE(fails_with(chained.split_by({.name = "session"}), {"3 sessions", "every class on both sides"}));
}

/// Eight sessions in a ring share eight classes, two each. Only every other session can test; most orders miss that.
TEST(SessionSplit, AnotherOrderIsTriedWhereOneFails) {
    Clips clips;
    clips.classes = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (int s = 0; s < 8; ++s) {
        clips.add(s, "s" + std::to_string(s));
        clips.add((s + 1) % 8, "s" + std::to_string(s));
    }
    for (uint64_t seed = 0; seed < 20; ++seed)
        for (const auto& [c, tested] : test_shares(clips.label, clips.split({.name = "session", .seed = seed})))
            EXPECT_EQ(tested, 0.5) << "class " << c << ", seed " << seed;
}

TEST(CitySplit, HoldsOutTheCitiesNamed) {
    const Clips clips = many_sessions();
    const Split split = clips.split({.name = "city", .cities = {"hefei", "Xi'an"}});
    EXPECT_EQ(cities_of(clips, split.test), (std::set<int32_t>{0, 1}));
    EXPECT_EQ(cities_of(clips, split.labelled), (std::set<int32_t>{2, 3}));
    EXPECT_EQ(cities_of(clips, split.unlabelled), (std::set<int32_t>{2, 3})); // and none of an unknown city
}

TEST(CitySplit, DrawsCitiesForTheShare) {
    const Clips clips = many_sessions();
    std::set<std::set<int32_t>> drawn;
    for (uint64_t seed = 0; seed < 8; ++seed) {
        const Split split = clips.split({.name = "city", .seed = seed});
        EXPECT_EQ(cities_of(clips, split.test).size(), 2u);
        EXPECT_EQ(common(cities_of(clips, split.test), cities_of(clips, split.labelled)).size(), 0u);
        EXPECT_EQ(common(cities_of(clips, split.test), cities_of(clips, split.unlabelled)).size(), 0u);
        drawn.insert(cities_of(clips, split.test));
    }
    EXPECT_GT(drawn.size(), 2u);
}

TEST(CitySplit, ImpossibleOnesNameClassAndCity) {
    Clips clips;
    clips.add(0, "s1", 0, 4);
    clips.add(0, "s2", 1, 4);
    clips.add(1, "s3", 2, 4);
    clips.add(1, "s4", 2, 4);
    EXPECT_TRUE(fails_with(clips.split_by({.name = "city"}), {"class 'b'", "one city only, Jinan"}));
    EXPECT_TRUE(fails_with(clips.split_by({.name = "city", .cities = {"Jinan"}}),
                           {"class 'a'", "to test on in Jinan", "one of Xi'an, Hefei"}));
    EXPECT_TRUE(fails_with(clips.split_by({.name = "city", .cities = {"Jinan", "Hefei"}}),
                           {"class 'b'", "in Jinan only", "none is left to train"}));
    EXPECT_TRUE(fails_with(clips.split_by({.name = "city", .cities = {"Sanya"}}),
                           {"recorded in 'Sanya'", "Xi'an, Hefei, Jinan"}));
    clips.add(1, "s5");
    EXPECT_TRUE(fails_with(clips.split_by({.name = "city"}), {"'audio/clip16.wav'", "no city"}));
}

class OfficialSplit : public testing::Test {
protected:
    OfficialSplit() {
        for (int i = 0; i < 8; ++i) clips_.add(i % 2, "");
        clips_.add(-1, "", -1, 2);
    }
    /// Writes the two lists and names them.
    SplitOptions lists(const std::string& train, const std::string& test) const {
        test::write_text(folder_ / "train.csv", train);
        test::write_text(folder_ / "test.csv", test);
        return {.name = "official", .train_list = folder_ / "train.csv", .test_list = folder_ / "test.csv"};
    }

    test::TemporaryFolder folder_;
    Clips clips_;
};

TEST_F(OfficialSplit, TakesTausLists) {
    const Split split = clips_.split(lists("filename\tscene_label\naudio/clip3.wav\tb\naudio/clip0.wav\ta\n"
                                           "audio/clip8.wav\t\n",
                                           "filename\r\nclip5.wav\r\nelsewhere/clip4.wav\r\n"));
    EXPECT_EQ(split.labelled, (Indices{0, 3}));
    EXPECT_EQ(split.unlabelled, (Indices{8}));
    EXPECT_EQ(split.test, (Indices{4, 5}));
}

TEST_F(OfficialSplit, TakesPlainLists) {
    const Split split = clips_.split(lists("clip0.wav\nclip1.wav\n", "clip6.wav\nclip7.wav\n"));
    EXPECT_EQ(split.labelled, (Indices{0, 1}));
    EXPECT_EQ(split.test, (Indices{6, 7}));
}

TEST_F(OfficialSplit, BadListsNameTheRow) {
    const std::string train = "filename\nclip0.wav\nclip1.wav\n", test = "filename\nclip2.wav\nclip3.wav\n";
    EXPECT_TRUE(fails_with(clips_.split_by({.name = "official"}), {"two lists", "--train-list"}));
    EXPECT_TRUE(fails_with(clips_.split_by(lists(train, test + "nowhere.wav\n")), {"test.csv:4", "'nowhere.wav'"}));
    EXPECT_TRUE(fails_with(clips_.split_by(lists(train, test + "\"no\nwhere\"\n")), {"test.csv:4", "'no where'"}));
    EXPECT_TRUE(fails_with(clips_.split_by(lists(train, test + "clip1.wav\n")), {"test.csv:4", "train.csv:3", "once"}));
    EXPECT_TRUE(fails_with(clips_.split_by(lists(train, test + "clip8.wav\n")), {"'clip8.wav'", "no label"}));
    EXPECT_TRUE(fails_with(clips_.split_by(lists(train, "filename\nclip2.wav\n")), {"class 'b'", "test.csv"}));
    EXPECT_TRUE(fails_with(clips_.split_by(lists("filename\nclip0.wav\n", test)), {"class 'b'", "train.csv"}));
    EXPECT_TRUE(fails_with(clips_.split_by(lists("name,x\nclip0.wav,1\n", test)), {"wrong header", "name, x"}));
    clips_.add(0, "");
    clips_.names.back() = "more/clip0.wav";
    EXPECT_TRUE(fails_with(clips_.split_by(lists(train, test)), {"train.csv:2", "several clips", "clip0.wav"}));
}

TEST_F(OfficialSplit, EveryFormOfAListIsRead) {
    const std::string plain = "clip0.wav\nclip1.wav\n";
    const std::vector<std::string> forms = {
        plain,
        "clip0.wav\r\nclip1.wav",
        "filename\n" + plain,
        "file\n" + plain,
        "label,file\na,clip0.wav\nb,clip1.wav\n",
        "scene_label\tFILENAME\na\tclip0.wav\nb\tclip1.wav\n",
        "audio/clip0.wav\nanywhere/clip1.wav\n",
    };
    SplitOptions options;
    for (const std::string& form : forms) {
        for (const bool train : {true, false}) {
            const std::string other = "clip6.wav\nclip7.wav\n";
            options = lists(train ? form : other, train ? other : form);
            options.seed = 77;
            const Split split = clips_.split(options);
            EXPECT_EQ(split.labelled, train ? (Indices{0, 1}) : (Indices{6, 7})) << form;
            EXPECT_EQ(split.test, train ? (Indices{6, 7}) : (Indices{0, 1})) << form;
            EXPECT_EQ(split.seed, 77u);
            EXPECT_EQ(split.name, "official");
        }
    }
}

TEST_F(OfficialSplit, AFullNameTellsTwinsApart) {
    clips_.add(0, "");
    clips_.names.back() = "more/clip0.wav";
    const Split split = clips_.split(lists("filename\nmore/clip0.wav\nclip1.wav\n", "audio/clip0.wav\nclip3.wav\n"));
    EXPECT_EQ(split.labelled, (Indices{1, 10}));
    EXPECT_EQ(split.test, (Indices{0, 3}));
    for (const std::string name : {"more\\clip0.wav", "./more/clip0.wav"})
        EXPECT_EQ(clips_.split(lists("filename\n" + name + "\nclip1.wav\n", "audio/clip0.wav\nclip3.wav\n")).labelled,
                  (Indices{1, 10}))
            << name;
}

TEST(GroupedSplits, OnTheRealMetadata) {
    const std::filesystem::path real = test::shared_data() / "cas2023/dev_metadata.csv";
    if (!std::filesystem::exists(real)) GTEST_SKIP() << real << " is not there";
    const Dataset dataset = read_dataset(real, {.require_audio = false});
    StoreColumns columns = store_columns(dataset, {}, "loop");
    for (const Clip& clip : dataset.clips) append_clip(columns, dataset, clip);
    const Split split = make_split(columns.clip_columns(), {.name = "session"});
    EXPECT_EQ(split.labelled.size() + split.test.size(), 1740u);
    for (const auto& [c, tested] : test_shares(columns.label, split)) EXPECT_NEAR(tested, 0.5, 0.03);
    // The draws of 100 seeds are the same with -O0 and with -O3 -march=native. Ties decided by rounding would show
    // here.
    uint64_t hash = 14695981039346656037u;
    for (uint64_t seed = 0; seed < 100; ++seed)
        for (int32_t clip : make_split(columns.clip_columns(), {.name = "session", .seed = seed}).test)
            hash = (hash ^ static_cast<uint64_t>(clip)) * 1099511628211u;
    EXPECT_EQ(hash, 10657728012564223364u);
    // Two scenes were recorded in one city only.
    EXPECT_TRUE(fails_with([&] { make_split(columns.clip_columns(), {.name = "city"}); },
                           {"class 'Public square'", "one city only, Xi'an"}));
}

TEST(GroupedValidation, WholeSessionsAndTheUnlabelledShare) {
    const Clips clips = many_sessions();
    Indices labelled, unlabelled;
    for (size_t i = 0; i < clips.label.size(); ++i)
        (clips.label[i] >= 0 ? labelled : unlabelled).push_back(static_cast<int32_t>(i));
    for (const uint64_t seed : {1, 2, 3}) {
        const GroupedValidation held = grouped_validation(clips.columns(), labelled, unlabelled,
                                                          {.name = "session", .seed = seed, .test_share = 0.2});
        Indices training = held.labelled.train, validating = held.labelled.validation;
        EXPECT_NEAR(static_cast<double>(validating.size()), 0.2 * static_cast<double>(labelled.size()), 5);
        const size_t others = held.unlabelled.validation.size();
        EXPECT_LE(others, std::max(unlabelled.size() / 5, validating.size()));
        training.insert(training.end(), held.unlabelled.train.begin(), held.unlabelled.train.end());
        validating.insert(validating.end(), held.unlabelled.validation.begin(), held.unlabelled.validation.end());
        EXPECT_EQ(training.size() + validating.size(), clips.label.size());
        const std::set<std::string> sessions = sessions_of(clips, training);
        for (const std::string& session : sessions_of(clips, validating)) {
            EXPECT_FALSE(sessions.contains(session)) << session;
            EXPECT_NE(session, "") << "clips of unknown session train";
        }
        const GroupedValidation again = grouped_validation(clips.columns(), labelled, unlabelled,
                                                           {.name = "session", .seed = seed, .test_share = 0.2});
        EXPECT_EQ(again.unlabelled.validation, held.unlabelled.validation);
    }
}

TEST(GroupedValidation, GroupsWithoutLabelsFillTheUnlabelledShare) {
    Clips clips;
    for (int s = 0; s < 10; ++s) clips.add(s % 2, "s" + std::to_string(s));
    for (int s = 0; s < 30; ++s) clips.add(-1, "u" + std::to_string(s), -1, 2);
    clips.add(-1, "", -1, 5);
    Indices labelled, unlabelled;
    for (size_t i = 0; i < clips.label.size(); ++i)
        (clips.label[i] >= 0 ? labelled : unlabelled).push_back(static_cast<int32_t>(i));
    std::set<std::set<std::string>> drawn;
    for (const double share : {0.2, 0.4}) {
        for (const uint64_t seed : {1, 2, 3}) {
            const GroupedValidation held = grouped_validation(clips.columns(), labelled, unlabelled,
                                                              {.name = "session", .seed = seed, .test_share = share});
            const double wanted = share * 65;
            EXPECT_GT(static_cast<double>(held.unlabelled.validation.size()), wanted - 2);
            EXPECT_LE(static_cast<double>(held.unlabelled.validation.size()), wanted);
            drawn.insert(sessions_of(clips, held.unlabelled.validation));
        }
    }
    EXPECT_EQ(drawn.size(), 6u) << "the seed decides";
}

TEST(GroupedValidation, KeepsCitiesWhole) {
    const Clips clips = many_sessions();
    Indices labelled, unlabelled;
    for (size_t i = 0; i < clips.label.size(); ++i)
        (clips.label[i] >= 0 ? labelled : unlabelled).push_back(static_cast<int32_t>(i));
    const GroupedValidation held =
        grouped_validation(clips.columns(), labelled, unlabelled, {.name = "city", .seed = 3, .test_share = 0.25});
    const std::set<int32_t> validating = cities_of(clips, held.labelled.validation);
    EXPECT_EQ(validating.size(), 1u);
    EXPECT_EQ(cities_of(clips, held.unlabelled.validation), validating);
    EXPECT_EQ(common(cities_of(clips, held.labelled.train), validating).size(), 0u);
    EXPECT_EQ(common(cities_of(clips, held.unlabelled.train), validating).size(), 0u);
    EXPECT_TRUE(cities_of(clips, held.unlabelled.train).contains(-1)) << "clips of unknown cities train";
}

TEST(CitySplit, TheShareDecidesHowManyAreDrawn) {
    const Clips clips = many_sessions();
    EXPECT_EQ(cities_of(clips, clips.split({.name = "city", .test_share = 0.25}).test).size(), 1u);
    EXPECT_EQ(cities_of(clips, clips.split({.name = "city", .test_share = 0.75}).test).size(), 3u);
}

} // namespace
} // namespace scene

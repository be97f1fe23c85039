#include "data/synth/synth.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <map>
#include <set>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data/audio/audio.h"
#include "data/audit/audit.h"
#include "data/formats/csv.h"
#include "data/formats/dataset.h"
#include "data/synth/synth_ingredients.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace scene {
namespace {

using test::fails_with;
using test::read_text;

size_t entries(const std::filesystem::path& folder) {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(SynthScene, EveryIngredientSoundsAndStaysFinite) {
    for (size_t k = 0; k < ingredient_count; ++k) {
        int heard = 0;
        for (uint32_t take = 0; take < 6; ++take)
            for (const size_t samples : {size_t{44100}, size_t{30001}}) {
                RandomSequence character(1, static_cast<uint32_t>(k), take), random(2, static_cast<uint32_t>(k), take);
                std::vector<float> wave(samples);
                render_ingredient(static_cast<Ingredient>(k), wave, {character, random, 1, 1.5f});
                ASSERT_TRUE(std::all_of(wave.begin(), wave.end(), [](float x) { return std::abs(x) < 60; })) << k;
                if (!is_silent(wave)) ++heard;
            }
        EXPECT_GE(heard, 4) << "ingredient " << k; // a second may have no sparse event
    }
}

TEST(SynthScene, AClipDependsOnItsNumbersOnly) {
    const SceneClip clip = {5, 2, 3, 1};
    const std::vector<float> wave = render_scene(clip, 9, 44100, {});
    EXPECT_EQ(wave, render_scene(clip, 9, 44100, {}));
    EXPECT_NE(wave, render_scene(clip, 10, 44100, {}));
    EXPECT_NE(wave, render_scene({6, 2, 3, 1}, 9, 44100, {}));
    EXPECT_NE(wave, render_scene({5, 3, 3, 1}, 9, 44100, {}));
    EXPECT_NE(wave, render_scene({5, 2, 4, 1}, 9, 44100, {}));
    EXPECT_FALSE(is_silent(wave));
    EXPECT_TRUE(std::all_of(wave.begin(), wave.end(), [](float x) { return std::abs(x) <= 1; }));
}

class SynthTest : public testing::Test {
protected:
    SynthTest() {
        options_.clips = 63;
        options_.seconds = 0.5;
        options_.clips_per_session = 3;
        options_.threads = 2;
    }
    test::TemporaryFolder folder_;
    SynthOptions options_;
};

TEST_F(SynthTest, IsReadAsCas2023) {
    const SynthReport report = synthesize(folder_ / "scenes/", options_);
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.clips, 63);
    EXPECT_EQ(report.sessions, 23); // two slots of ten and three of the third
    EXPECT_EQ(entries(folder_.path()), 1u);
    EXPECT_TRUE(read_text(folder_ / "scenes/metadata.csv")
                    .starts_with("\xEF\xBB\xBF"
                                 "filename,location,record_time,scene_label\n"));
    const Dataset dataset = read_dataset(folder_ / "scenes");
    EXPECT_EQ(dataset.format, "cas2023");
    EXPECT_EQ(dataset.classes, synth_class_names);
    ASSERT_EQ(dataset.clips.size(), 63u);

    std::map<std::string, std::string> truth;
    for (const CsvRow& row : read_csv(folder_ / "scenes/truth.csv").rows) truth[row.fields[0]] = row.fields[1];
    std::map<int, int> labelled;
    std::map<std::string, std::set<std::string>> labels_of_session, sessions_of_minute, labels_of_minute;
    for (const Clip& clip : dataset.clips) {
        ASSERT_TRUE(truth.contains(clip.name));
        if (clip.label >= 0) {
            EXPECT_EQ(dataset.classes[static_cast<size_t>(clip.label)], truth[clip.name]);
            ++labelled[clip.label];
        }
        EXPECT_GE(dataset.city_index(clip.city), 0);
        labels_of_session[clip.session].insert(truth[clip.name]);
        const std::string minute = clip.session.substr(0, clip.session.size() - 3);
        labels_of_minute[minute].insert(truth[clip.name]);
    }
    for (const auto& [label, count] : labelled) EXPECT_EQ(count, 1); // 20 % of 6 or 7
    EXPECT_EQ(report.labelled, 10);
    EXPECT_EQ(labels_of_session.size(), 23u);
    for (const auto& [session, labels] : labels_of_session) EXPECT_EQ(labels.size(), 1u) << session;
    int complete_minutes = 0; // place and minute do not tell the scene
    for (const auto& [minute, labels] : labels_of_minute) complete_minutes += labels.size() == 10 ? 1 : 0;
    EXPECT_EQ(complete_minutes, 2);

    const AudioInfo info = audio_info(dataset.clips[0].file);
    EXPECT_EQ(info.sample_rate, 44100);
    EXPECT_EQ(info.channels, 1);
    EXPECT_EQ(info.frames, 22050);
}

/// The standard deviation of the level, in dB, over sessions of one scene grows with session_effect.
TEST(SynthScene, SessionsDifferAsFarAsTheyAreTold) {
    const auto spread_of_levels = [](float effect, bool in_one_session = false) {
        SceneDifficulty difficulty;
        difficulty.session_effect = effect;
        double sum = 0, squares = 0;
        constexpr int sessions = 24;
        for (int session = 0; session < sessions; ++session) {
            const std::vector<float> wave =
                render_scene({session, in_one_session ? 0 : session, 6, 0}, 5, 22050, difficulty);
            double energy = 0;
            for (float sample : wave) energy += static_cast<double>(sample) * static_cast<double>(sample);
            const double level = 10 * std::log10(energy / 22050);
            sum += level / sessions, squares += level * level / sessions;
        }
        return std::sqrt(squares - sum * sum);
    };
    const double none = spread_of_levels(0), usual = spread_of_levels(1), strong = spread_of_levels(3);
    EXPECT_LT(none, 3) << "2 dB from clip to clip";
    EXPECT_GT(usual, 1.4 * none);
    EXPECT_GT(strong, 1.5 * usual);
    EXPECT_LT(spread_of_levels(3, true), 3) << "a session has one recorder";
}

/// Under a random split the sessions of most test clips also train, and a session reveals the scene; under a session
/// split none does.
TEST_F(SynthTest, TheAuditFindsTheLeak) {
    options_.clips = 200;
    options_.labelled = 0.5;
    options_.clips_per_session = 5;
    synthesize(folder_ / "scenes", options_);
    const StoreColumns columns = columns_of(read_dataset(folder_ / "scenes"));
    const Audit random = audit(columns, make_split(columns.clip_columns(), {.name = "simulation"}));
    const Audit grouped = audit(columns, make_split(columns.clip_columns(), {.name = "session"}));
    EXPECT_EQ(random.session_count, 40);
    EXPECT_EQ(random.pure_sessions, random.labelled_sessions);
    EXPECT_GT(random.session_leak.labelled, 0.6);
    EXPECT_GT(random.metadata_only[0].balanced_accuracy, 0.6) << "a table from session to label, no audio";
    EXPECT_EQ(grouped.session_leak.any, 0);
    EXPECT_EQ(grouped.metadata_only[0].balanced_accuracy, 0);
    EXPECT_LT(random.metadata_only[1].balanced_accuracy, 0.3) << "place and hour do not tell the scene";
}

/// A dataset's clips by number. The files do not contain the numbers: each clip is rendered again to find its own.
struct Synthesized {
    std::vector<size_t> row; ///< [clips] in the metadata
    std::vector<bool> labelled;
    std::vector<std::string> name, session;
};

/// For datasets of one clip per session, where clip i has slot i/10 and scene i%10.
Synthesized clips_by_number(const std::filesystem::path& folder, const SynthOptions& options) {
    const auto count = static_cast<size_t>(options.clips), samples = static_cast<size_t>(options.seconds * 44100);
    const CsvTable truth = read_csv(folder / "truth.csv");
    const Dataset dataset = read_dataset(folder);
    Synthesized out{std::vector<size_t>(count, count), std::vector<bool>(count), std::vector<std::string>(count),
                    std::vector<std::string>(count)};
    for (size_t row = 0; row < dataset.clips.size(); ++row) {
        const Clip& clip = dataset.clips[row];
        const auto scene = std::find(synth_class_names.begin(), synth_class_names.end(), truth.rows[row].fields[1]);
        const auto city = std::find(synth_city_names.begin(), synth_city_names.end(), clip.city);
        for (auto i = static_cast<int64_t>(scene - synth_class_names.begin()); i < options.clips; i += synth_classes) {
            const SceneClip made{i, i, static_cast<int>(i % synth_classes),
                                 static_cast<int>(city - synth_city_names.begin())};
            const auto wave = render_scene(made, options.seed, samples, options.difficulty);
            if (wav_bytes(wave, synth_rate) != read_text(clip.file)) continue;
            const auto number = static_cast<size_t>(i);
            out.row[number] = row, out.labelled[number] = clip.label >= 0;
            out.name[number] = clip.name, out.session[number] = clip.session;
        }
    }
    return out;
}

/// Seed, length and every difficulty setting reach the waves. The seed also decides everything else that is drawn.
TEST_F(SynthTest, EveryOptionReachesTheWavesAndTheSeedAllThatIsDrawn) {
    options_.clips = 20;
    options_.clips_per_session = 1;
    options_.labelled = 0.5;
    options_.difficulty = {.prominence_db = 9,
                           .overlap = 0.1f,
                           .level_spread_db = 8,
                           .coloration_db = 3,
                           .distractors = 0.3f,
                           .noise_floor_db = -20,
                           .session_effect = 2};
    synthesize(folder_ / "a", options_);
    const Synthesized one = clips_by_number(folder_ / "a", options_);
    for (size_t i = 0; i < 20; ++i) EXPECT_LT(one.row[i], 20u) << "no file is clip " << i;
    options_.seed = 4;
    synthesize(folder_ / "b", options_);
    const Synthesized other = clips_by_number(folder_ / "b", options_);
    for (size_t i = 0; i < 20; ++i) EXPECT_LT(other.row[i], 20u) << "no file is clip " << i;
    EXPECT_NE(other.row, one.row);
    EXPECT_NE(other.labelled, one.labelled);
    size_t names = 0, sessions = 0;
    for (size_t i = 0; i < 20; ++i)
        names += other.name[i] == one.name[i], sessions += other.session[i] == one.session[i];
    EXPECT_EQ(names, 0u);
    EXPECT_EQ(sessions, 0u);
}

TEST_F(SynthTest, TheBytesDoNotDependOnTheThreads) {
    synthesize(folder_ / "a", options_);
    options_.threads = 1;
    synthesize(folder_ / "b", options_);
    options_.seed = 4;
    synthesize(folder_ / "c", options_);
    for (const char* table : {"metadata.csv", "truth.csv"})
        EXPECT_EQ(read_text(folder_ / "a" / table), read_text(folder_ / "b" / table));
    EXPECT_NE(read_text(folder_ / "a/metadata.csv"), read_text(folder_ / "c/metadata.csv"));
    size_t same = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "a/audio"))
        same += read_text(entry.path()) == read_text(folder_ / "b/audio" / entry.path().filename()) ? 1 : 0;
    EXPECT_EQ(same, 63u);
}

TEST_F(SynthTest, StoppingLeavesNothing) {
    std::atomic<bool> stop = false;
    options_.stop = &stop;
    options_.progress = [&](int64_t done, int64_t total) {
        EXPECT_EQ(total, 63);
        if (done == 5) stop = true;
    };
    EXPECT_FALSE(synthesize(folder_ / "a", options_).complete);
    EXPECT_EQ(entries(folder_.path()), 0u);
}

TEST_F(SynthTest, ImpossibleOptionsAreNamed) {
    const auto rejects = [&](auto change, const std::vector<std::string>& parts) {
        SynthOptions options = options_;
        change(options);
        return fails_with([&] { synthesize(folder_ / "a", options); }, parts);
    };
    EXPECT_TRUE(rejects([](SynthOptions& o) { o.clips = 9; }, {"--clips 9", "at least 10"}));
    EXPECT_TRUE(rejects([](SynthOptions& o) { o.labelled = 1.5; }, {"--labelled 1.5", "from 0 to 1"}));
    EXPECT_TRUE(rejects([](SynthOptions& o) { o.labelled = NAN; }, {"--labelled nan"}));
    EXPECT_TRUE(rejects([](SynthOptions& o) { o.seconds = 0; }, {"--seconds 0"}));
    EXPECT_TRUE(rejects([](SynthOptions& o) { o.clips_per_session = 0; }, {"--clips-per-session 0"}));
    EXPECT_EQ(entries(folder_.path()), 0u);
}

TEST_F(SynthTest, PlacesThatCannotBeWritten) {
    test::write_text(folder_ / "full/file", "x");
    EXPECT_TRUE(fails_with([&] { synthesize(folder_ / "full", options_); }, {"full", "exists already", "new folder"}));
    EXPECT_TRUE(fails_with([&] { synthesize(folder_ / "full/file", options_); }, {"full/file", "exists already"}));
    EXPECT_TRUE(fails_with([&] { synthesize(folder_ / "none/a", options_); }, {"none/a", "there is no folder"}));
    EXPECT_TRUE(fails_with([&] { synthesize(folder_ / "full/file/a", options_); }, {"full/file/a", "not a folder"}));
    std::filesystem::create_directory(folder_ / "empty");
    options_.clips = 10;
    EXPECT_TRUE(synthesize(folder_ / "empty", options_).complete);
}

TEST_F(SynthTest, AFullDiskLeavesNothing) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{20000, 20000};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        options_.threads = 1;
        const bool right = fails_with([&] { synthesize(folder_ / "a", options_); }, {"size limit", "ulimit -f"});
        ::_exit(right ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(entries(folder_.path()), 0u);
}

/// Every difficulty setting changes the wave by itself.
TEST(SynthScene, EveryDifficultyChangesTheWave) {
    const SceneClip clip = {5, 2, 3, 1};
    const std::vector<float> usual = render_scene(clip, 9, 22050, {});
    const std::pair<const char*, float SceneDifficulty::*> settings[] = {
        {"prominence", &SceneDifficulty::prominence_db},     {"overlap", &SceneDifficulty::overlap},
        {"level spread", &SceneDifficulty::level_spread_db}, {"coloration", &SceneDifficulty::coloration_db},
        {"noise floor", &SceneDifficulty::noise_floor_db},   {"session effect", &SceneDifficulty::session_effect}};
    for (const auto& [name, setting] : settings) {
        SceneDifficulty difficulty;
        difficulty.*setting += 0.3f;
        EXPECT_NE(render_scene(clip, 9, 22050, difficulty), usual) << name;
    }
    SceneDifficulty crowded;
    crowded.distractors = 1, crowded.overlap = 0;
    SceneDifficulty pure;
    pure.distractors = 0, pure.overlap = 0;
    EXPECT_NE(render_scene(clip, 9, 22050, crowded), render_scene(clip, 9, 22050, pure));
    EXPECT_NE(render_scene({5, 2, 3, 2}, 9, 22050, {}), usual) << "the city shifts pitches";
    EXPECT_NE(render_scene(clip, 10, 22050, {}), usual) << "the seed";
}

/// Sessions, the share of labels and the length are as set.
TEST_F(SynthTest, SettingsReachTheMetadata) {
    options_.clips = 120;
    options_.labelled = 0.75;
    options_.seconds = 0.625;
    options_.clips_per_session = 4;
    const SynthReport report = synthesize(folder_ / "a", options_);
    EXPECT_EQ(report.labelled, 90);
    EXPECT_EQ(report.sessions, 30);
    const Dataset dataset = read_dataset(folder_ / "a");
    std::map<std::string, int> sessions;
    std::map<int, int> labelled;
    for (const Clip& clip : dataset.clips) {
        ++sessions[clip.session];
        ++labelled[clip.label];
    }
    EXPECT_EQ(sessions.size(), 30u);
    for (const auto& [session, clips] : sessions) EXPECT_EQ(clips, 4) << session;
    EXPECT_EQ(labelled[-1], 30);
    for (int label = 0; label < synth_classes; ++label) EXPECT_EQ(labelled[label], 9) << label;
    EXPECT_EQ(audio_info(dataset.clips[0].file).frames, 27563); // 0.625 s, rounded
}

} // namespace
} // namespace scene

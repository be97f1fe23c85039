#include "data/store/prepare.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <limits>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data/formats/csv.h"
#include "data/random_sequence.h"
#include "data/store/feature_store.h"
#include "tests/support/compare.h"
#include "tests/support/expect_error.h"
#include "tests/support/log_mel.h"
#include "tests/support/temporary_folder.h"

namespace scene {
namespace {

using test::fails_with;
using test::read_text;

constexpr int clip_count = 75; // three chunks, the last one not full

/// 75 short clips of noise, some of them too short or too long, with a table that describes them.
class PrepareTest : public testing::Test {
protected:
    PrepareTest() {
        std::filesystem::create_directory(folder_ / "audio");
        std::string table = "file,label,city\n";
        for (int i = 0; i < clip_count; ++i) {
            write_clip(i, 700 + 10 * (i % 7));
            table += name_of_clip(i) + "," + (i % 2 ? "rain" : "dog") + ",Oslo\n";
        }
        test::write_text(folder_ / "meta.csv", table);
        options_.spec = {.sample_rate = 8000,
                         .n_fft = 64,
                         .window = 40,
                         .hop = 20,
                         .bands = 5,
                         .low_hz = 50,
                         .top_db = 80,
                         .frames = 30,
                         .samples = 720};
        options_.threads = 2;
    }

    static std::string name_of_clip(int i) { return "c" + std::to_string(i) + ".wav"; }
    std::filesystem::path clip(int i) const { return folder_ / ("audio/" + name_of_clip(i)); }
    void write_clip(int i, int samples, float gain = 0.5f) const {
        RandomSequence random(1, static_cast<uint32_t>(i));
        std::vector<float> wave(static_cast<size_t>(samples));
        for (float& value : wave) value = gain * random.uniform(-1, 1);
        write_wav(clip(i), wave, 8000);
    }
    Dataset dataset() const { return read_dataset(folder_ / "meta.csv"); }
    PrepareReport run(const std::string& out, PrepareOptions options) {
        const std::unique_ptr<Device> device = make_cpu_device(1);
        return prepare(dataset(), folder_ / out, *device, options);
    }
    PrepareReport run(const std::string& out) { return run(out, options_); }
    size_t entries() const {
        return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_.path()), {}));
    }
    /// Runs prepare in a child that `hook` may end after any chunk; returns the status that waitpid gives.
    int run_in_child(const std::string& out, const std::function<void(int64_t chunk)>& hook) {
        const pid_t child = ::fork();
        if (child == 0) {
            PrepareOptions options = options_;
            options.threads = 1; // a forked process has no OpenMP team
            options.progress = [&](const PrepareProgress& progress) { hook((progress.done + 31) / 32); };
            try {
                run(out, options);
            } catch (const std::exception&) { ::_exit(1); }
            ::_exit(0);
        }
        int status = -1;
        ::waitpid(child, &status, 0);
        return status;
    }

    test::TemporaryFolder folder_;
    PrepareOptions options_;
};

TEST_F(PrepareTest, WritesTheLogMelOfEveryClip) {
    std::vector<int64_t> done;
    options_.progress = [&](const PrepareProgress& progress) {
        EXPECT_EQ(progress.total, clip_count);
        EXPECT_EQ(progress.bad, 0);
        done.push_back(progress.done);
    };
    const PrepareReport report = run("a.store");
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.clips, clip_count);
    EXPECT_EQ(report.resumed, 0);
    EXPECT_TRUE(report.bad.empty() && report.silent.empty() && report.list.empty());
    EXPECT_EQ(done, (std::vector<int64_t>{32, 64, 75}));
    EXPECT_EQ(entries(), 3u); // audio, meta.csv, a.store

    const FeatureStore store = FeatureStore::open(folder_ / "a.store");
    ASSERT_EQ(store.clips(), clip_count);
    EXPECT_EQ(store.spec(), options_.spec);
    EXPECT_EQ(store.columns().fit, "loop");
    EXPECT_EQ(store.columns().label[1], 1);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(store.logmel().data()) % 4096, 0u);
    const std::unique_ptr<Device> device = make_cpu_device(1);
    for (const int i : {0, 1, 31, 32, 74}) {
        std::vector<float> wave = fit_length(read_mono(clip(i), 8000), 720, FitRule::Loop);
        std::vector<float> expected(30 * 5, NAN);
        test::log_mel_on(*device, expected.data(), wave.data(), 1, options_.spec);
        EXPECT_TRUE(test::all_close(store.logmel(i), std::span<const float>(expected), {.absolute = 1e-5}));
    }
}

TEST_F(PrepareTest, AStoppedRunContinuesToTheSameBytes) {
    run("whole.store");
    std::atomic<bool> stop = false;
    options_.stop = &stop;
    options_.progress = [&](const PrepareProgress&) { stop = true; };
    std::vector<std::string> notices;
    options_.notice = [&](const std::string& sentence) { notices.push_back(sentence); };
    EXPECT_FALSE(run("a.store").complete);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "a.store"));
    EXPECT_TRUE(notices.empty());
    stop = false;
    const PrepareReport second = run("a.store");
    EXPECT_FALSE(second.complete);
    EXPECT_EQ(second.resumed, 32);
    stop = false;
    options_.progress = nullptr;
    const PrepareReport third = run("a.store");
    EXPECT_TRUE(third.complete);
    EXPECT_EQ(third.resumed, 64);
    EXPECT_EQ(notices.back(), "continuing after 64 of 75 clips");
    EXPECT_EQ(read_text(folder_ / "a.store"), read_text(folder_ / "whole.store"));
}

TEST_F(PrepareTest, AKilledRunContinuesToTheSameBytes) {
    run("whole.store");
    const std::string whole = read_text(folder_ / "whole.store");
    for (const int64_t at : {1, 2, 3}) {
        const std::string out = "killed" + std::to_string(at);
        const int status = run_in_child(out, [&](int64_t chunk) {
            if (chunk == at) ::raise(SIGKILL);
        });
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        EXPECT_FALSE(std::filesystem::exists(folder_ / out));
        EXPECT_EQ(run(out).resumed, std::min<int64_t>(at * 32, clip_count));
        EXPECT_EQ(read_text(folder_ / out), whole);
    }
}

/// A file size limit, set after the first chunk, kills the process at the first write beyond it.
TEST_F(PrepareTest, KillsInTheMiddleOfAWriteLoseAtMostOneChunk) {
    run("whole.store");
    const std::string whole = read_text(folder_ / "whole.store");
    for (const double share : {0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.999}) {
        const int status = run_in_child("a.store", [&](int64_t) {
            ::signal(SIGXFSZ, SIG_DFL);
            const rlimit no_core{0, 0};
            ::setrlimit(RLIMIT_CORE, &no_core);
            const auto bytes = static_cast<rlim_t>(share * static_cast<double>(whole.size()));
            const rlimit limit{bytes, bytes};
            ::setrlimit(RLIMIT_FSIZE, &limit);
        });
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ) << share;
        ASSERT_FALSE(std::filesystem::exists(folder_ / "a.store"));
        EXPECT_GE(run("a.store").resumed, 32) << share;
        ASSERT_EQ(read_text(folder_ / "a.store"), whole) << share;
        std::filesystem::remove(folder_ / "a.store");
    }
}

TEST_F(PrepareTest, ALineOfTheJournalThatWasCutOffDoesNotCount) {
    run("whole.store");
    run_in_child("a.store", [](int64_t chunk) {
        if (chunk == 2) ::raise(SIGKILL);
    });
    const std::filesystem::path journal = folder_ / "a.store.partial.journal";
    const std::string text = read_text(journal);
    for (const size_t cut : {size_t{1}, size_t{5}, size_t{12}}) {
        test::write_text(journal, text.substr(0, text.size() - cut));
        std::atomic<bool> stop = true;
        options_.stop = &stop;
        EXPECT_EQ(run("a.store").resumed, 32);
    }
    options_.stop = nullptr;
    run("a.store");
    EXPECT_EQ(read_text(folder_ / "a.store"), read_text(folder_ / "whole.store"));
}

TEST_F(PrepareTest, OtherSettingsOrFilesStartAnew) {
    const auto interrupt = [&] {
        run_in_child("a.store", [](int64_t chunk) {
            if (chunk == 2) ::raise(SIGKILL);
        });
    };
    std::vector<std::string> notices;
    options_.notice = [&](const std::string& sentence) { notices.push_back(sentence); };
    interrupt();
    options_.spec.top_db = 60;
    EXPECT_EQ(run("a.store").resumed, 0);
    ASSERT_EQ(notices.size(), 1u);
    EXPECT_NE(notices[0].find("starting anew"), std::string::npos);
    interrupt();
    write_clip(3, 500);
    EXPECT_EQ(run("a.store").resumed, 0);
    EXPECT_EQ(notices.size(), 2u);
    run("whole.store");
    EXPECT_EQ(read_text(folder_ / "a.store"), read_text(folder_ / "whole.store"));
    interrupt();
    std::filesystem::remove(folder_ / "a.store.partial");
    EXPECT_EQ(run("a.store").resumed, 0);
    EXPECT_EQ(read_text(folder_ / "a.store"), read_text(folder_ / "whole.store"));
}

TEST_F(PrepareTest, ShortClipsAreFilledByTheRule) {
    options_.spec.frames = 37; // to the clip's last sample
    options_.fit = FitRule::Zero;
    run("zero.store");
    options_.fit = FitRule::Loop;
    run("loop.store");
    const FeatureStore zero = FeatureStore::open(folder_ / "zero.store"),
                       loop = FeatureStore::open(folder_ / "loop.store");
    EXPECT_EQ(zero.columns().fit, "zero");
    EXPECT_EQ(loop.columns().fit, "loop");
    const std::unique_ptr<Device> device = make_cpu_device(1);
    for (const int i : {0, 1, 2, 40}) { // 700, 710, 720 and 750 samples, where 720 are wanted
        std::vector<float> wave = read_mono(clip(i), 8000), expected(37 * 5, NAN);
        const size_t length = wave.size();
        wave.resize(720, 0.0f);
        test::log_mel_on(*device, expected.data(), wave.data(), 1, options_.spec);
        EXPECT_TRUE(test::all_close(zero.logmel(i), std::span<const float>(expected), {.absolute = 1e-5}));
        const bool same = std::equal(zero.logmel(i).begin(), zero.logmel(i).end(), loop.logmel(i).begin());
        EXPECT_EQ(same, length >= 720) << i;
    }
}

TEST_F(PrepareTest, EverySettingAndEveryChangeOfAFileStartsAnew) {
    const auto resumed_after = [&](const std::function<void()>& change) {
        std::filesystem::remove(folder_ / "a.store");
        const PrepareOptions kept = options_;
        std::atomic<bool> stop = false;
        options_.stop = &stop;
        options_.progress = [&](const PrepareProgress&) { stop = true; };
        run("a.store");
        options_ = kept;
        change();
        const int64_t resumed = run("a.store").resumed;
        options_ = kept;
        return resumed;
    };
    EXPECT_EQ(resumed_after([] {}), 32);
    EXPECT_EQ(resumed_after([&] { options_.threads = 1, options_.skip_bad = true; }), 32) << "these change no feature";
    EXPECT_EQ(resumed_after([&] { options_.fit = FitRule::Zero; }), 0);
    EXPECT_EQ(resumed_after([&] { options_.spec.hop = 21; }), 0);
    EXPECT_EQ(resumed_after([&] { options_.spec.low_hz = 60; }), 0);
    EXPECT_EQ(resumed_after([&] {
                  const auto time = std::filesystem::last_write_time(clip(3));
                  write_clip(3, 730, 0.25f); // as long as before
                  std::filesystem::last_write_time(clip(3), time + std::chrono::nanoseconds(1000));
              }),
              0);
    EXPECT_EQ(resumed_after([&] {
                  const auto time = std::filesystem::last_write_time(clip(3));
                  write_clip(3, 731, 0.25f); // at the same time, longer
                  std::filesystem::last_write_time(clip(3), time);
              }),
              0);
    EXPECT_EQ(resumed_after([&] {
                  const auto time = std::filesystem::last_write_time(clip(3));
                  std::filesystem::rename(clip(3), folder_ / "audio/other.wav");
                  std::filesystem::last_write_time(folder_ / "audio/other.wav", time);
                  std::string table = read_text(folder_ / "meta.csv");
                  table.replace(table.find("c3.wav"), 6, "other.wav");
                  test::write_text(folder_ / "meta.csv", table);
              }),
              0);
}

/// Chunks have 32 clips, and the checksum is computed in blocks of 4 MB. 33 clips of 700 frames exceed both.
TEST_F(PrepareTest, ChunksAndBlocksAreNotSeenInTheStore) {
    options_.spec.bands = 64;
    options_.spec.frames = 700;
    options_.spec.samples = 700 * options_.spec.hop;
    options_.threads = 1;
    const std::unique_ptr<Device> device = make_cpu_device(1);
    const size_t row = 700 * 64;
    std::vector<std::vector<float>> expected;
    for (const int i : {0, 1, 2}) {
        const std::vector<float> wave = fit_length(read_mono(clip(i), 8000), options_.spec.samples, FitRule::Loop);
        expected.emplace_back(row);
        std::vector<float> copy = wave;
        test::log_mel_on(*device, expected.back().data(), copy.data(), 1, options_.spec);
    }
    for (const int64_t clips : {1, 32, 33}) {
        Dataset many{"table", {"a"}, {}, {}, "many.csv"};
        for (int64_t i = 0; i < clips; ++i) {
            Clip one;
            one.name = std::to_string(i);
            one.file = clip(static_cast<int>(i % 3));
            if (i == 5 || i == 32) one.file = folder_ / "audio/none.wav";
            many.clips.push_back(one);
        }
        std::vector<int64_t> done;
        options_.skip_bad = true;
        options_.progress = [&](const PrepareProgress& progress) { done.push_back(progress.done); };
        const PrepareReport report = prepare(many, folder_ / "many.store", *device, options_);
        EXPECT_EQ(done, clips > 32 ? (std::vector<int64_t>{32, clips}) : std::vector<int64_t>{clips});
        std::vector<std::string> bad;
        for (const ClipProblem& problem : report.bad) bad.push_back(problem.file);
        EXPECT_EQ(bad.size(), clips == 1 ? 0u : clips == 33 ? 2u : 1u);
        const FeatureStore store = FeatureStore::open(folder_ / "many.store");
        EXPECT_EQ(store.clips(), clips - static_cast<int64_t>(bad.size()));
        EXPECT_EQ(store.clips(), report.clips);
        for (int64_t i = 0; i < store.clips(); ++i) {
            const size_t from = std::stoul(store.columns().names[static_cast<size_t>(i)]);
            EXPECT_EQ(from, static_cast<size_t>(i < 5 ? i : i + 1));
            EXPECT_TRUE(
                test::all_close(store.logmel(i), std::span<const float>(expected[from % 3]), {.absolute = 1e-5}));
        }
    }
}

TEST_F(PrepareTest, TellsOfLongerClipsAndOfThoseThatEndEarly) {
    EXPECT_TRUE(run("a.store").ends_early.empty());
    write_clip(40, 100000);
    write_clip(3, 700);
    const std::string whole = read_text(clip(3));
    test::write_text(clip(3), whole.substr(0, whole.size() - 100));
    const PrepareReport report = run("c.store");
    ASSERT_EQ(report.ends_early.size(), 1u);
    EXPECT_EQ(report.ends_early[0].file, clip(3).string());
    EXPECT_EQ(report.ends_early[0].row, 5u);
    EXPECT_TRUE(std::any_of(report.longer.begin(), report.longer.end(),
                            [&](const ClipProblem& one) { return one.file == clip(40).string(); }));
    EXPECT_TRUE(report.bad.empty());
}

class BadClips : public PrepareTest {
protected:
    BadClips() {
        test::write_text(clip(2), "");
        test::write_text(clip(40), "this is no audio");
        const std::string whole = read_text(clip(41));
        test::write_text(clip(41), whole.substr(0, whole.size() / 5));
        write_clip(50, 700, 0);
    }
};

TEST_F(BadClips, AreListedAndStopTheRun) {
    EXPECT_TRUE(fails_with([&] { run("a.store"); },
                           {"3 of 75 clips cannot be used", "first row 4", "c2.wav", "a.store.bad.csv", "--skip-bad"}));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "a.store"));
    const CsvTable list = read_csv(folder_ / "a.store.bad.csv");
    EXPECT_EQ(list.header, (std::vector<std::string>{"file", "row", "reason"}));
    ASSERT_EQ(list.rows.size(), 4u);
    EXPECT_EQ(list.rows[0].fields[0], clip(2).string());
    EXPECT_EQ(list.rows[1].fields[1], "42");
    EXPECT_EQ(list.rows[2].fields[0], clip(41).string());
    EXPECT_EQ(list.rows[3].fields[2], "silent; kept in the store");
}

TEST_F(BadClips, AreLeftOutOnRequest) {
    EXPECT_TRUE(fails_with([&] { run("a.store"); }, {"--skip-bad"}));
    options_.skip_bad = true;
    const PrepareReport report = run("a.store");
    EXPECT_EQ(report.resumed, clip_count); // nothing is computed twice
    EXPECT_EQ(report.clips, clip_count - 3);
    EXPECT_EQ(report.bad.size(), 3u);
    EXPECT_EQ(report.silent.size(), 1u);
    EXPECT_EQ(report.silent[0].row, 52u);
    EXPECT_EQ(report.list, folder_ / "a.store.bad.csv");
    const FeatureStore store = FeatureStore::open(folder_ / "a.store");
    EXPECT_EQ(store.columns().names[2], "c3.wav");
    EXPECT_EQ(store.columns().names[38], "c39.wav");
    EXPECT_EQ(store.columns().names[39], "c42.wav");
    const std::unique_ptr<Device> device = make_cpu_device(1);
    std::vector<float> wave = fit_length(read_mono(clip(42), 8000), 720, FitRule::Loop), expected(30 * 5, NAN);
    test::log_mel_on(*device, expected.data(), wave.data(), 1, options_.spec);
    EXPECT_TRUE(test::all_close(store.logmel(39), std::span<const float>(expected), {.absolute = 1e-5}));

    run("whole.store");
    EXPECT_EQ(read_text(folder_ / "a.store"), read_text(folder_ / "whole.store"));
}

TEST_F(BadClips, TheListGoesWhenTheClipsAreMended) {
    EXPECT_TRUE(fails_with([&] { run("a.store"); }, {"3 of 75"}));
    for (const int i : {2, 40, 41, 50}) write_clip(i, 700);
    EXPECT_EQ(run("a.store").clips, clip_count);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "a.store.bad.csv"));
}

TEST_F(BadClips, AreCountedWhileTheWorkGoesOn) {
    std::vector<int64_t> bad;
    options_.skip_bad = true;
    options_.progress = [&](const PrepareProgress& progress) { bad.push_back(progress.bad); };
    run("a.store");
    EXPECT_EQ(bad, (std::vector<int64_t>{1, 3, 3}));
    std::filesystem::remove(folder_ / "a.store");
    std::atomic<bool> stop = false;
    options_.stop = &stop;
    options_.progress = [&](const PrepareProgress&) { stop = true; };
    run("a.store");
    stop = false, bad.clear();
    options_.progress = [&](const PrepareProgress& progress) { bad.push_back(progress.bad); };
    const PrepareReport report = run("a.store");
    EXPECT_EQ(report.resumed, 32);
    EXPECT_EQ(report.clips, clip_count - 3);
    EXPECT_EQ(bad, (std::vector<int64_t>{3, 3})) << "with those of the run before";
    EXPECT_EQ(report.bad[0].file, clip(2).string());
    EXPECT_EQ(report.bad[0].row, 4u);
}

TEST_F(BadClips, AStoreOfNothingIsRefused) {
    for (int i = 0; i < clip_count; ++i) test::write_text(clip(i), "");
    options_.skip_bad = true;
    EXPECT_TRUE(fails_with([&] { run("a.store"); }, {"75 of 75 clips cannot be used", "mend them"}));
}

TEST_F(PrepareTest, AClipWithoutAFileIsBad) {
    std::filesystem::remove(clip(7));
    const Dataset dataset = read_dataset(folder_ / "meta.csv", {.require_audio = false});
    const std::unique_ptr<Device> device = make_cpu_device(1);
    EXPECT_TRUE(fails_with([&] { prepare(dataset, folder_ / "a.store", *device, options_); },
                           {"1 of 75 clips", "row 9", "c7.wav", "no audio file"}));
}

TEST_F(PrepareTest, AMissingFileIsSkippedAndARunGoesOnAsLongAsItIsTheOne) {
    std::filesystem::remove(clip(7));
    options_.skip_bad = true;
    const auto prepared = [&](bool stopped) {
        std::atomic<bool> stop = false;
        PrepareOptions options = options_;
        if (stopped) {
            options.stop = &stop;
            options.progress = [&](const PrepareProgress&) { stop = true; };
        }
        const std::unique_ptr<Device> device = make_cpu_device(1);
        return prepare(read_dataset(folder_ / "meta.csv", {.keep_missing = true}), folder_ / "a.store", *device,
                       options);
    };
    prepared(true);
    const PrepareReport report = prepared(false);
    EXPECT_EQ(report.resumed, 32);
    EXPECT_EQ(report.clips, clip_count - 1);
    ASSERT_EQ(report.bad.size(), 1u);
    EXPECT_EQ(report.bad[0].file, "c7.wav");
    EXPECT_EQ(report.bad[0].row, 9u);
    EXPECT_NE(read_text(folder_ / "a.store.bad.csv").find("c7.wav,9,"), std::string::npos);

    std::filesystem::remove(folder_ / "a.store");
    prepared(true);
    std::string table = read_text(folder_ / "meta.csv");
    table.replace(table.find("c7.wav"), 6, "gone.wav");
    test::write_text(folder_ / "meta.csv", table);
    EXPECT_EQ(prepared(true).resumed, 0) << "the journal's reason named another file";
    write_clip(7, 700);
    std::filesystem::rename(clip(7), folder_ / "audio/gone.wav");
    const PrepareReport found = prepared(false);
    EXPECT_EQ(found.resumed, 0) << "it is there now";
    EXPECT_EQ(found.clips, clip_count);
}

TEST_F(PrepareTest, ADiskThatIsTooSmallShowsBeforeTheWork) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{20000, 20000};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        bool worked = false;
        options_.threads = 1;
        options_.progress = [&](const PrepareProgress&) { worked = true; };
        const bool right = fails_with([&] { run("a.store"); }, {"a.store", "size limit"});
        ::_exit(right && !worked ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(entries(), 2u); // audio, meta.csv
}

TEST_F(PrepareTest, PlacesThatCannotBeWritten) {
    EXPECT_TRUE(fails_with([&] { run("none/a.store"); }, {"none/a.store", "there is no folder", "create it"}));
    EXPECT_TRUE(fails_with([&] { run("meta.csv/a.store"); }, {"meta.csv/a.store", "not a folder"}));
    EXPECT_TRUE(fails_with([&] { run("audio"); }, {"audio", "a folder of that name"}));
}

TEST_F(PrepareTest, TwoRunsDoNotWriteOneStore) {
    const int descriptor = ::open((folder_ / "a.store.partial").c_str(), O_RDWR | O_CREAT, 0666);
    ASSERT_EQ(::flock(descriptor, LOCK_EX), 0);
    EXPECT_TRUE(fails_with([&] { run("a.store"); }, {"a.store", "another `scene prepare`"}));
    ::close(descriptor);
    EXPECT_TRUE(run("a.store").complete);
}

} // namespace
} // namespace scene
